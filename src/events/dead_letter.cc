#include "events/dead_letter.h"

#include <utility>

namespace longhaul {

DeadLetter ReadDeadLetter(QueueMessage message) {
  DeadLetter letter{.message = std::move(message)};
  Result<HintMessage> hints = DecodeHints(letter.message.body);
  letter.reason = !letter.message.reason.empty() ? letter.message.reason
                  : hints                        ? "never carried to its end"
                                                 : hints.error().Describe();
  if (hints) letter.hints = std::move(*hints);
  return letter;
}

std::string_view Describe(HintOrigin origin) {
  switch (origin) {
    case HintOrigin::kWebhook:
      return "events";
    case HintOrigin::kListing:
      return "a listing";
    case HintOrigin::kWatch:
      return "a folder watch";
    case HintOrigin::kReread:
      break;
  }
  return "something to be read anew";
}

}  // namespace longhaul
