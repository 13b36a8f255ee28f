#include "cli/resume_words.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "cli/command.h"
#include "cli/run_context.h"
#include "cli/store_options.h"
#include "cli/transfer_flags.h"

namespace longhaul {

namespace {

std::unique_ptr<Command> CommandOf(std::string_view name) {
  for (CommandFactory make : AllCommands()) {
    std::unique_ptr<Command> command = make();
    if (command->help().name == name) return command;
  }
  return nullptr;
}

std::vector<std::string> Split(const std::string& name) {
  std::istringstream text(name);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

// The run is begun again in the folder where it was begun, and not in that of now.
std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  return error ? path : whole.string();
}

std::set<std::string, std::less<>> NamesOf(const FlagSet& flags) {
  std::set<std::string, std::less<>> names;
  for (const FlagSet::Flag& flag : flags.flags()) names.emplace(flag.info.name);
  return names;
}

std::set<std::string, std::less<>> NamesOfCommon() {
  CommonFlags common;
  FlagSet flags;
  common.Declare(flags);
  return NamesOf(flags);
}

// What makes a run leave an object alone.
std::set<std::string, std::less<>> NamesOfChoices() {
  FilterFlags filters;
  CompareFlags compare;
  FlagSet flags;
  filters.Declare(flags);
  compare.Declare(flags);
  return NamesOf(flags);
}

// The words of a run, and what its flags are bound to.
struct Parsed {
  std::unique_ptr<Command> command;
  std::unique_ptr<CommonFlags> common = std::make_unique<CommonFlags>();
  FlagSet flags;
};
Result<Parsed> Parse(const RunRecord& run) {
  Parsed parsed{.command = CommandOf(run.command)};
  const std::vector<std::string> name = Split(run.command);
  if (parsed.command == nullptr || run.arguments.size() < name.size() ||
      !std::equal(name.begin(), name.end(), run.arguments.begin())) {
    return InvalidInput("run " + run.id + " is of '" + run.command +
                        "', which cannot be begun once more by this longhaul");
  }
  parsed.command->Declare(parsed.flags);
  parsed.common->Declare(parsed.flags);
  Result<void> sound = parsed.flags.Parse(
      {run.arguments.begin() + static_cast<ptrdiff_t>(name.size()), run.arguments.end()},
      [](const std::string&) { return std::nullopt; });
  if (!sound) return sound.error().In("run " + run.id);
  return parsed;
}

}  // namespace

Result<void> CheckSameChoice(const RunRecord& run, const GivenWords& now, bool failed_only) {
  if (!run.whole_words) return Ok();
  Result<Parsed> parsed = Parse(run);
  if (!parsed) return parsed.error();
  const std::set<std::string, std::less<>> names = NamesOfChoices();
  auto choice = [&names](const GivenWords& given) {
    GivenWords of_these;
    std::ranges::copy_if(
        given.options, std::back_inserter(of_these.options),
        [&](const GivenWords::Option& option) { return names.contains(option.name); });
    std::string words;
    for (const std::string& word : of_these.Words()) words += (words.empty() ? "" : " ") + word;
    return words;
  };
  const std::string was = choice(parsed->flags.given());
  const std::string is = choice(now);
  if (was == is || (failed_only && is.empty())) return Ok();
  auto tell = [](const std::string& words) { return words.empty() ? "no filter" : words; };
  return InvalidInput(
      "run " + run.id + " was begun with " + tell(was) + ", and this is " + tell(is) +
      ": what it left alone would be left alone without a word. Go on with `longhaul "
      "runs resume " +
      run.id +
      "`, or begin a new run, which leaves alone what is "
      "there already");
}

Result<ResumeWords> WordsToResume(const RunRecord& run, const GivenWords& now,
                                  const DatabasePlace& state) {
  std::vector<std::string> name = Split(run.command);
  Result<Parsed> parsed = Parse(run);
  if (!parsed) return parsed.error();
  const FlagSet& flags = parsed->flags;
  const std::set<std::string, std::less<>> common_names = NamesOfCommon();

  GivenWords again{.arguments = flags.given().arguments};
  std::set<std::string, std::less<>> replaced = {"resume", "retry-failed", "state"};
  for (const GivenWords::Option& option : now.options) {
    if (option.of_environment || !common_names.contains(option.name)) continue;
    replaced.insert(option.name);
    again.options.push_back(option);
    if (option.name == "config") again.options.back().value = Absolute(option.value);
  }
  for (const GivenWords::Option& option : flags.given().options) {
    // What the environment had, and nothing used, would be refused as words.
    if (IsUnusedStoreOption(flags, option.name)) continue;
    if (!replaced.contains(option.name)) again.options.push_back(option);
  }
  const std::set<std::string, std::less<>> names = NamesOf(flags);
  // What has no such option, as a restore, goes on by being begun again.
  if (names.contains("resume")) again.options.push_back({.name = "resume", .value = run.id});
  if (names.contains("state") && !state.sqlite_path.empty()) {
    again.options.push_back({.name = "state", .value = Absolute(state.sqlite_path)});
  }
  ResumeWords resumed{.words = std::move(name)};
  std::ranges::move(again.Words(), std::back_inserter(resumed.words));
  // What the environment gave such a run only the environment has: a filter keeps from --delete.
  if (!run.whole_words) return resumed;
  for (const std::string& flag : names) {
    if (common_names.contains(flag) && flag != "config") continue;
    resumed.not_inherited.push_back(FlagSet::EnvironmentName(flag));
  }
  return resumed;
}

}  // namespace longhaul
