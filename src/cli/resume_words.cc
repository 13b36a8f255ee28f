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

}  // namespace

Result<ResumeWords> WordsToResume(const RunRecord& run, const GivenWords& now,
                                  const DatabasePlace& state) {
  const std::unique_ptr<Command> command = CommandOf(run.command);
  std::vector<std::string> name = Split(run.command);
  if (command == nullptr || run.arguments.size() < name.size() ||
      !std::equal(name.begin(), name.end(), run.arguments.begin())) {
    return InvalidInput("run " + run.id + " is of '" + run.command +
                        "', which cannot be begun once more by this longhaul");
  }
  CommonFlags common;
  FlagSet of_all;
  common.Declare(of_all);
  const std::set<std::string, std::less<>> common_names = NamesOf(of_all);
  FlagSet flags;
  command->Declare(flags);
  common.Declare(flags);
  Result<void> parsed = flags.Parse(
      {run.arguments.begin() + static_cast<ptrdiff_t>(name.size()), run.arguments.end()},
      [](const std::string&) { return std::nullopt; });
  if (!parsed) return parsed.error().In("run " + run.id);

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
