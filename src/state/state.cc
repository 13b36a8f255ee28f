#include "state/state.h"

#include <charconv>

namespace longhaul {

Result<void> CheckStateWrite(const StateWrite& write) {
  if (write.key.empty() || write.key.size() > kStateKeySizeMaxBytes) {
    return InvalidInput("a state key of " + std::to_string(write.key.size()) + " bytes: 1 to " +
                        std::to_string(kStateKeySizeMaxBytes) + " are allowed");
  }
  if (write.value && write.value->size() > kStateValueSizeMaxBytes) {
    return InvalidInput("a state value of " + std::to_string(write.value->size()) +
                        " bytes: at most " + std::to_string(kStateValueSizeMaxBytes) +
                        " are allowed");
  }
  return Ok();
}

Error UnexpectedState(const StateWrite& write) {
  return PreconditionFailed(write.expected.kind == Expected::Kind::kAbsent
                                ? "state row is there"
                                : "state row has another revision");
}

Result<int64_t> AddToStateNumber(std::string_view value, int64_t amount) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) {
    return InvalidInput("the state value is not a number");
  }
  if (__builtin_add_overflow(number, amount, &number)) {
    return InvalidInput("the sum does not fit 64 bits");
  }
  return number;
}

}  // namespace longhaul
