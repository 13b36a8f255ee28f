#include "replication/context/loops.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace longhaul {

std::chrono::milliseconds RetryDelay(int failures, std::chrono::seconds last) {
  return std::min(last, std::chrono::seconds(1 << std::clamp(failures, 0, 20)));
}

Result<void> Together(const std::vector<Result<void>>& results) {
  std::optional<Error> together;
  std::string messages;
  for (const Result<void>& result : results) {
    if (result) continue;
    if (!together || (together->Transient() && !result.error().Transient())) {
      together = result.error();
    }
    if (!messages.empty()) messages += "; ";
    messages += result.error().message;
  }
  if (!together) return Ok();
  together->message = std::move(messages);
  return *together;
}

Async<void> AsTask(asio::awaitable<void> loop) {
  co_await std::move(loop);
  co_return Ok();
}

}  // namespace longhaul
