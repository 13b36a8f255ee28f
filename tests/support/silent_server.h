// SilentServer: takes no connection and refuses none, as a machine without power; its backlog is
// full.

#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <vector>

#include "base/async.h"

namespace longhaul::testing {

class SilentServer {
 public:
  explicit SilentServer(asio::io_context& io) : acceptor_(io) {
    using asio::ip::tcp;
    acceptor_.open(tcp::v4());
    acceptor_.bind({asio::ip::address_v4::loopback(), 0});
    acceptor_.listen(0);
    for (int i = 0; i < 8; ++i) {
      tcp::socket& one = waiting_.emplace_back(io);
      one.open(tcp::v4());
      one.non_blocking(true);
      // Not by the socket, which would wait for it.
      const asio::ip::tcp::endpoint place = endpoint();
      static_cast<void>(
          ::connect(one.native_handle(), place.data(), static_cast<socklen_t>(place.size())));
      pollfd wait{.fd = one.native_handle(), .events = POLLOUT, .revents = 0};
      if (::poll(&wait, 1, 200) == 0) return;
    }
    ADD_FAILURE() << "its backlog is never full";
  }
  [[nodiscard]] asio::ip::tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

 private:
  asio::ip::tcp::acceptor acceptor_;
  std::vector<asio::ip::tcp::socket> waiting_;
};

}  // namespace longhaul::testing
