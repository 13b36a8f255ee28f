#include "base/event_loop.h"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <thread>

namespace longhaul {
namespace {

class WaitsService : public asio::execution_context::service {
 public:
  using key_type = WaitsService;
  static inline asio::execution_context::id id;  // NOLINT(readability-identifier-naming): Asio's.

  explicit WaitsService(asio::execution_context& context) : service(context) {}

  const std::shared_ptr<NetworkWaits> waits = std::make_shared<NetworkWaits>();

 private:
  void shutdown() override {}
};

}  // namespace

std::shared_ptr<NetworkWaits> NetworkWaits::Of(const asio::any_io_executor& executor) {
  return asio::use_service<WaitsService>(asio::query(executor, asio::execution::context)).waits;
}

void RunEventLoop(asio::io_context& io) {
  const std::shared_ptr<NetworkWaits> waits = NetworkWaits::Of(io.get_executor());
  while (io.run_one() > 0) {
    io.poll();
    if (waits->gathers() && !io.stopped()) std::this_thread::sleep_for(kGather);
  }
}

}  // namespace longhaul
