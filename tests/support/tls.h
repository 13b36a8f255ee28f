// A server's side of TLS for tests: a certificate made here, and who trusts it.

#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <string>

#include "base/async.h"
#include "tests/support/temp_dir.h"

namespace longhaul::testing {

struct TlsIdentity {
  std::string certificate_pem;
  std::string key_pem;
};

// Signed by itself, for `names` ("IP:127.0.0.1,DNS:localhost"), valid for `hours` from an hour ago.
TlsIdentity MakeTlsIdentity(const std::string& names, int hours = 2);

class TlsServer {
 public:
  explicit TlsServer(const std::string& names, int hours = 2);

  [[nodiscard]] asio::ssl::context& context() { return context_; }
  // What a client has to trust, as a file.
  [[nodiscard]] std::string trust_file() const { return file_; }

 private:
  TempDir folder_;
  std::string file_;
  asio::ssl::context context_{asio::ssl::context::tls_server};
};

}  // namespace longhaul::testing
