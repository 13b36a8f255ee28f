#include "cli/flags.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <set>

#include "base/units.h"

namespace longhaul {

namespace {

Result<double> ParseNumber(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value < 0) {
    return InvalidInput("'" + std::string(text) + "' is not a number of 0 or more");
  }
  return value;
}

}  // namespace

Result<bool> ParseSwitch(std::string_view text) {
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text == "0" || text == "false" || text == "no" || text == "off" || text.empty()) return false;
  return InvalidInput("'" + std::string(text) + "' is neither true nor false");
}

std::string FlagSet::EnvironmentName(std::string_view flag_name) {
  std::string name = "LONGHAUL_";
  for (char c : flag_name) {
    name.push_back(c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
  }
  return name;
}

const GivenWords::Option* GivenWords::Find(std::string_view name) const {
  const auto found = std::ranges::find(options, name, &Option::name);
  return found == options.end() ? nullptr : &*found;
}

std::vector<std::string> GivenWords::Words() const {
  std::vector<std::string> words;
  for (const Option& option : options) {
    const bool bare = option.is_switch && option.value == "true";
    words.push_back("--" + option.name + (bare ? "" : "=" + option.value));
  }
  const bool dashed = std::ranges::any_of(
      arguments, [](const std::string& word) { return word.size() > 1 && word[0] == '-'; });
  if (dashed) words.emplace_back("--");
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

void FlagSet::Note(const Flag& flag, std::string_view value, bool of_environment) {
  given_.options.push_back({.name = std::string(flag.info.name),
                            .value = std::string(value),
                            .is_switch = flag.info.value_name.empty(),
                            .of_environment = of_environment});
}

void FlagSet::Section(std::string_view title) { section_ = title; }

void FlagSet::Add(FlagInfo info, std::function<Result<void>(std::string_view)> set) {
  // A letter is its first flag's: a command's own before those that all have.
  const bool taken = std::ranges::any_of(
      flags_, [&info](const Flag& flag) { return flag.info.letter == info.letter; });
  if (taken) info.letter = 0;
  flags_.push_back({.info = info, .section = section_, .set = std::move(set)});
}

void FlagSet::Switch(FlagInfo info, bool& value) {
  Add(info, [&value](std::string_view text) -> Result<void> {
    Result<bool> parsed = ParseSwitch(text);
    if (!parsed) return parsed.error();
    value = *parsed;
    return Ok();
  });
}

void FlagSet::Text(FlagInfo info, std::string& value) {
  Add(info, [&value](std::string_view text) {
    value = text;
    return Ok();
  });
}

void FlagSet::Text(FlagInfo info, std::optional<std::string>& value) {
  Add(info, [&value](std::string_view text) {
    value = text;
    return Ok();
  });
}

void FlagSet::List(FlagInfo info, std::vector<std::string>& values) {
  Add(info, [&values](std::string_view text) {
    values.emplace_back(text);
    return Ok();
  });
  flags_.back().repeated = true;
}

void FlagSet::Parsed(FlagInfo info, std::function<Result<void>(std::string_view)> set) {
  Add(info, std::move(set));
}

void FlagSet::Each(FlagInfo info, std::function<Result<void>(std::string_view)> set) {
  Add(info, std::move(set));
  flags_.back().repeated = true;
}

void FlagSet::Choice(FlagInfo info, std::vector<std::string_view> choices, std::string& value) {
  Add(info, [choices, &value](std::string_view text) -> Result<void> {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
      std::string all;
      for (std::string_view choice : choices) {
        all += (all.empty() ? "" : ", ") + std::string(choice);
      }
      return InvalidInput("'" + std::string(text) + "' is none of " + all);
    }
    value = text;
    return Ok();
  });
  flags_.back().choices = std::move(choices);
}

namespace {
Result<int64_t> ParseInteger(std::string_view text, int64_t min, int64_t max) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) {
    return InvalidInput("'" + std::string(text) + "' is not a whole number from " +
                        std::to_string(min) + " to " + std::to_string(max));
  }
  return value;
}
}  // namespace

void FlagSet::Integer(FlagInfo info, int64_t min, int64_t max, int64_t& value) {
  Add(info, [min, max, &value](std::string_view text) -> Result<void> {
    Result<int64_t> parsed = ParseInteger(text, min, max);
    if (!parsed) return parsed.error();
    value = *parsed;
    return Ok();
  });
}

void FlagSet::Integer(FlagInfo info, int64_t min, int64_t max, std::optional<int64_t>& value) {
  Add(info, [min, max, &value](std::string_view text) -> Result<void> {
    Result<int64_t> parsed = ParseInteger(text, min, max);
    if (!parsed) return parsed.error();
    value = *parsed;
    return Ok();
  });
}

void FlagSet::Number(FlagInfo info, double& value) {
  Add(info, [&value](std::string_view text) -> Result<void> {
    Result<double> parsed = ParseNumber(text);
    if (!parsed) return parsed.error();
    value = *parsed;
    return Ok();
  });
}

void FlagSet::Percent(FlagInfo info, double& value) {
  Add(info, [&value](std::string_view text) -> Result<void> {
    Result<double> parsed = ParseNumber(text);
    if (!parsed) return parsed.error();
    if (*parsed > 100) {
      return InvalidInput("'" + std::string(text) + "' is not a number from 0 to 100");
    }
    value = *parsed;
    return Ok();
  });
}

void FlagSet::Bytes(FlagInfo info, uint64_t& value) {
  Add(info, [&value](std::string_view text) -> Result<void> {
    Result<uint64_t> parsed = ParseSize(text);
    if (!parsed) return parsed.error();
    value = *parsed;
    return Ok();
  });
}

void FlagSet::Bytes(FlagInfo info, std::optional<uint64_t>& value) {
  Add(info, [&value](std::string_view text) -> Result<void> {
    Result<uint64_t> parsed = ParseSize(text);
    if (!parsed) return parsed.error();
    value = *parsed;
    return Ok();
  });
}

void FlagSet::Duration(FlagInfo info, std::chrono::milliseconds& value) {
  Add(info, [&value](std::string_view text) -> Result<void> {
    Result<std::chrono::milliseconds> parsed = ParseDuration(text);
    if (!parsed) return parsed.error();
    value = *parsed;
    return Ok();
  });
}

FlagSet::ArgumentInfo& FlagSet::Argument(std::string_view name, std::string_view help,
                                         std::string& value) {
  arguments_.push_back(
      {.name = name, .help = help, .set = [&value](std::string text) { value = std::move(text); }});
  return arguments_.back();
}

FlagSet::ArgumentInfo& FlagSet::Argument(std::string_view name, std::string_view help,
                                         std::optional<std::string>& value) {
  arguments_.push_back(
      {.name = name, .help = help, .count_min = 0, .set = [&value](std::string text) {
         value = std::move(text);
       }});
  return arguments_.back();
}

FlagSet::ArgumentInfo& FlagSet::Arguments(std::string_view name, std::string_view help,
                                          size_t count_min, std::vector<std::string>& values) {
  arguments_.push_back({.name = name,
                        .help = help,
                        .count_min = count_min,
                        .count_max = SIZE_MAX,
                        .set = [&values](std::string text) { values.push_back(std::move(text)); }});
  return arguments_.back();
}

namespace {

// Of the names in `aliases` the one that is `name`, with the word that may follow it
// ("request-payer=requester"); empty: none.
std::string_view FindAlias(std::string_view aliases, std::string_view name) {
  while (!aliases.empty()) {
    const std::string_view alias = aliases.substr(0, aliases.find(' '));
    if (alias.substr(0, alias.find('=')) == name) return alias;
    aliases.remove_prefix(std::min(alias.size() + 1, aliases.size()));
  }
  return {};
}

// What may follow `name` though the flag is a switch; empty: nothing.
std::string_view WordAfter(const FlagInfo& info, std::string_view name) {
  const std::string_view alias = FindAlias(info.alias, name);
  const size_t equals = alias.find('=');
  return equals == std::string_view::npos ? std::string_view() : alias.substr(equals + 1);
}

}  // namespace

const FlagSet::Flag* FlagSet::Find(std::string_view name) const {
  for (const Flag& flag : flags_) {
    if (flag.info.name == name) return &flag;
    // Of one letter they are letters.
    if (name.size() > 1 && !FindAlias(flag.info.alias, name).empty()) return &flag;
  }
  return nullptr;
}

Result<void> FlagSet::Parse(const std::vector<std::string>& arguments, const Lookup& environment) {
  std::vector<std::string> positional;
  std::set<std::string_view> given;
  auto set = [&](const Flag& flag, std::string_view spelled,
                 std::string_view value) -> Result<void> {
    if (!flag.repeated && !given.insert(flag.info.name).second && !flag.info.value_name.empty()) {
      return InvalidInput(std::string(spelled) + " is given twice");
    }
    given.insert(flag.info.name);
    // Mostly a variable of a script that is not set: without the option the command does more than
    // was meant.
    if (value.empty()) {
      return InvalidInput(std::string(spelled) +
                          " is empty: give it a value, or leave the option out");
    }
    Result<void> done = flag.set(value);
    if (!done) return done.error().In(spelled);
    Note(flag, value, false);
    return Ok();
  };

  bool flags_ended = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (flags_ended || argument.size() < 2 || argument[0] != '-') {
      positional.emplace_back(argument);
      continue;
    }
    if (argument == "--") {
      flags_ended = true;
      continue;
    }
    if (argument == "--help" || argument == "-h") {
      help_wanted_ = true;
      return Ok();
    }
    if (argument.starts_with("--")) {
      size_t equals = argument.find('=');
      std::string_view spelled = argument.substr(0, equals);
      std::string_view name = spelled.substr(2);
      const Flag* flag = Find(name);
      if (flag == nullptr) {
        std::vector<std::string_view> names;
        for (const Flag& other : flags_) names.push_back(other.info.name);
        std::string_view meant = ClosestName(name, names);
        return InvalidInput("unknown option " + std::string(spelled) +
                            (meant.empty() ? "" : "; did you mean --" + std::string(meant) + "?"));
      }
      std::string_view value = "true";
      const std::string_view word = WordAfter(flag->info, name);
      if (equals != std::string_view::npos) {
        if (word.empty() || argument.substr(equals + 1) != word)
          value = argument.substr(equals + 1);
      } else if (!word.empty() && i + 1 < arguments.size() && arguments[i + 1] == word) {
        ++i;
      } else if (!flag->info.value_name.empty()) {
        if (i + 1 == arguments.size()) {
          return InvalidInput(std::string(spelled) + " needs a value: " + std::string(spelled) +
                              " " + std::string(flag->info.value_name));
        }
        value = arguments[++i];
      }
      Result<void> done = set(*flag, spelled, value);
      if (!done) return done.error();
      continue;
    }
    // Short ones: -r, -rn, -cFILE, -c FILE.
    for (size_t at = 1; at < argument.size(); ++at) {
      auto flag = std::find_if(flags_.begin(), flags_.end(), [&](const Flag& candidate) {
        return candidate.info.letter == argument[at] ||
               !FindAlias(candidate.info.alias, argument.substr(at, 1)).empty();
      });
      std::string spelled = std::string("-") + argument[at];
      if (flag == flags_.end()) {
        return InvalidInput("unknown option " + spelled +
                            "; a value that starts with '-' goes after '--'");
      }
      std::string_view value = "true";
      bool takes_value = !flag->info.value_name.empty();
      if (takes_value && at + 1 < argument.size()) {
        value = argument.substr(at + 1);
        at = argument.size();
      } else if (takes_value) {
        if (i + 1 == arguments.size()) return InvalidInput(spelled + " needs a value");
        value = arguments[++i];
      }
      Result<void> done = set(*flag, spelled, value);
      if (!done) return done.error();
    }
  }

  for (const Flag& flag : flags_) {
    if (given.contains(flag.info.name) || !flag.info.of_environment) continue;
    std::string variable = EnvironmentName(flag.info.name);
    std::optional<std::string> value = environment(variable);
    if (!value || (value->empty() && !flag.info.value_name.empty())) continue;
    Result<void> done = flag.set(*value);
    if (!done) return done.error().In("environment variable " + variable);
    Note(flag, value->empty() ? "false" : *value, true);
  }
  given_.arguments = positional;
  return SetArguments(positional);
}

Result<void> FlagSet::SetArguments(const std::vector<std::string>& values) {
  size_t next = 0;
  size_t needed_behind = 0;
  for (const ArgumentInfo& argument : arguments_) needed_behind += argument.count_min;
  for (const ArgumentInfo& argument : arguments_) {
    size_t count = 0;
    needed_behind -= argument.count_min;
    while (next + (count < argument.count_min ? 0 : needed_behind) < values.size() &&
           count < argument.count_max) {
      argument.set(values[next++]);
      ++count;
    }
    if (count < argument.count_min) {
      return InvalidInput(std::string(argument.name) + " is missing");
    }
  }
  if (next < values.size()) {
    return InvalidInput("unexpected argument '" + values[next] + "'");
  }
  return Ok();
}

}  // namespace longhaul
