#include "cli/store_options.h"

#include <algorithm>
#include <array>
#include <string>

namespace longhaul {

namespace {

// --ca-bundle and --timeout count for stores of the configuration, too.
constexpr std::array<std::string_view, 5> kOfAnEnd = {"endpoint-url", "profile", "region",
                                                      "provider", "no-sign-request"};
constexpr std::array<std::string_view, 5> kOfAll = {"addressing", "payload-signing",
                                                    "requester-pays", "accelerate", "no-checksums"};
constexpr std::string_view kSource = "source-";
constexpr std::string_view kTarget = "target-";

bool IsS3(std::string_view word) { return word.starts_with("s3://"); }

bool Declares(const FlagSet& flags, std::string_view name) {
  return std::ranges::any_of(flags.flags(),
                             [name](const FlagSet::Flag& flag) { return flag.info.name == name; });
}

bool TakesAddresses(const FlagSet& flags) {
  return std::ranges::any_of(flags.arguments(),
                             [](const FlagSet::ArgumentInfo& argument) {
                               return argument.completes == Completes::kAddresses;
                             }) ||
         std::ranges::any_of(flags.flags(), [](const FlagSet::Flag& flag) {
           return flag.info.completes == Completes::kAddresses;
         });
}

struct S3Ends {
  bool source = false;
  bool target = false;
};

// Any word that looks like such an address is taken for one: to refuse too little does no harm.
S3Ends EndsOf(const FlagSet& flags) {
  S3Ends ends;
  const std::vector<std::string>& words = flags.given().arguments;
  const bool last_is_target =
      words.size() > 1 && std::ranges::any_of(flags.arguments(), [](const auto& argument) {
        return argument.name.contains("TARGET");
      });
  for (size_t i = 0; i < words.size(); ++i) {
    if (!IsS3(words[i])) continue;
    (last_is_target && i + 1 == words.size() ? ends.target : ends.source) = true;
  }
  for (const GivenWords::Option& option : flags.given().options) {
    if (!IsS3(option.value)) continue;
    const bool of_target =
        option.name == "to" || option.name == "backup-dir" || option.name == "target-listing";
    (of_target ? ends.target : ends.source) = true;
  }
  return ends;
}

}  // namespace

bool IsUnusedStoreOption(const FlagSet& flags, std::string_view option) {
  // Other commands have options of the same names that mean something else.
  if (!Declares(flags, "no-sign-request") || !TakesAddresses(flags)) return false;
  const S3Ends ends = EndsOf(flags);
  for (std::string_view name : kOfAnEnd) {
    if (option == name) return !ends.source && !ends.target;
    if (option == std::string(kSource) + std::string(name)) return !ends.source;
    if (option == std::string(kTarget) + std::string(name)) return !ends.target;
  }
  return std::ranges::find(kOfAll, option) != kOfAll.end() && !ends.source && !ends.target;
}

Result<void> RefuseUnusedStoreOptions(const FlagSet& flags) {
  for (const GivenWords::Option& option : flags.given().options) {
    if (option.of_environment || (option.is_switch && option.value == "false")) continue;
    if (!IsUnusedStoreOption(flags, option.name)) continue;
    const bool of_end = option.name.starts_with(kSource) || option.name.starts_with(kTarget);
    return InvalidInput(
        "--" + option.name + " counts for s3:// addresses alone, and " +
        (of_end ? "the " + option.name.substr(0, option.name.find('-')) + " is none"
                : std::string("there is none here")) +
        ": how a store of the configuration is reached stands there, and a path needs nothing");
  }
  return Ok();
}

}  // namespace longhaul
