// FlagSet: the options and arguments of one command, declared once. Parsing, help and completion
// are made from it.
//
// An option comes from the command line, else from the environment (--endpoint-url is
// LONGHAUL_ENDPOINT_URL), else the command's own default (which may come from the configuration:
// such a flag is bound to a std::optional). An empty variable of the environment is none, an empty
// value on the command line is a mistake. Mistakes are kInvalidInput with what to do about them.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace longhaul {

// What the shell may complete where a value goes.
enum class Completes { kNothing, kFiles, kFolders, kAddresses, kRules };

// What a switch may be set to by "=" or from the environment: 1, true, yes, on; 0, false, no, off.
Result<bool> ParseSwitch(std::string_view text);

struct FlagInfo {
  std::string_view name;        // "endpoint-url".
  std::string_view help;        // Sentences, with the default; empty: not shown, to be refused.
  std::string_view value_name;  // "URL"; a switch has none.
  char letter = 0;              // 'r' for -r.
  std::string_view alias;       // Names of other tools: "names R name=word" (-R, --name [word]).
  Completes completes = Completes::kNothing;
  std::string_view offers;  // Values that the shell offers, with spaces between them.
  // False: the LONGHAUL_… of its name means something else, as other commands have it.
  bool of_environment = true;
};

// What a command was given, by the options' own names: the same words again mean the same, whatever
// the environment says by then.
struct GivenWords {
  struct Option {
    std::string name;
    std::string value;
    bool is_switch = false;
    bool of_environment = false;  // And not of the command line.
  };
  std::vector<Option> options{};  // In the order in which they count.
  std::vector<std::string> arguments{};

  [[nodiscard]] const Option* Find(std::string_view name) const;
  // Options first, and "--" where an argument would be taken for one.
  [[nodiscard]] std::vector<std::string> Words() const;
};

class FlagSet {
 public:
  using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

  // What follows stands under this heading in the help. The first heading is "OPTIONS".
  void Section(std::string_view title);

  void Switch(FlagInfo info, bool& value);
  void Text(FlagInfo info, std::string& value);
  void Text(FlagInfo info, std::optional<std::string>& value);
  void List(FlagInfo info, std::vector<std::string>& values);  // May be given many times.
  void Choice(FlagInfo info, std::vector<std::string_view> choices, std::string& value);
  void Integer(FlagInfo info, int64_t min, int64_t max, int64_t& value);
  void Integer(FlagInfo info, int64_t min, int64_t max, std::optional<int64_t>& value);
  void Number(FlagInfo info, double& value);   // 0 or more.
  void Percent(FlagInfo info, double& value);  // 0 to 100.
  void Bytes(FlagInfo info, uint64_t& value);  // "256MiB", "1GB", "4096".
  void Bytes(FlagInfo info, std::optional<uint64_t>& value);
  void Duration(FlagInfo info, std::chrono::milliseconds& value);  // "25s", "5m", "200ms".
  void Parsed(FlagInfo info, std::function<Result<void>(std::string_view)> set);  // Once.
  // May be given many times; `set` gets each value ("true" of a switch) in the order of the command
  // line, also among others like it. From the environment it gets one.
  void Each(FlagInfo info, std::function<Result<void>(std::string_view)> set);

  struct ArgumentInfo {
    std::string_view name;
    std::string_view help;
    size_t count_min = 1;
    size_t count_max = 1;  // SIZE_MAX: all that is left.
    std::function<void(std::string)> set;
    // What the shell completes: this, or the words of `offers`.
    Completes completes = Completes::kAddresses;
    std::string_view offers;
    // What stands in the synopsis, as it is; empty: made of the name and the counts.
    std::string_view synopsis;
  };
  // Arguments, in order. A list takes all that is left. What is returned can be set at once:
  //     flags.Argument("FILE", "…", file_).completes = Completes::kFiles;
  ArgumentInfo& Argument(std::string_view name, std::string_view help, std::string& value);
  ArgumentInfo& Argument(std::string_view name, std::string_view help,
                         std::optional<std::string>& value);
  ArgumentInfo& Arguments(std::string_view name, std::string_view help, size_t count_min,
                          std::vector<std::string>& values);

  // `arguments`: what follows the command's name. `environment` looks a variable up.
  Result<void> Parse(const std::vector<std::string>& arguments, const Lookup& environment);

  [[nodiscard]] bool help_wanted() const { return help_wanted_; }
  // What Parse has found.
  [[nodiscard]] const GivenWords& given() const { return given_; }

  // For help and completion.
  struct Flag {
    FlagInfo info;
    std::string section;
    std::vector<std::string_view> choices;
    bool repeated = false;
    std::function<Result<void>(std::string_view)> set;
  };
  [[nodiscard]] const std::vector<Flag>& flags() const { return flags_; }
  [[nodiscard]] const std::vector<ArgumentInfo>& arguments() const { return arguments_; }

  // "LONGHAUL_ENDPOINT_URL".
  static std::string EnvironmentName(std::string_view flag_name);

 private:
  void Add(FlagInfo info, std::function<Result<void>(std::string_view)> set);
  [[nodiscard]] const Flag* Find(std::string_view name) const;
  void Note(const Flag& flag, std::string_view value, bool of_environment);
  Result<void> SetArguments(const std::vector<std::string>& values);

  std::string section_ = "OPTIONS";
  std::vector<Flag> flags_;
  std::vector<ArgumentInfo> arguments_;
  GivenWords given_;
  bool help_wanted_ = false;
};

}  // namespace longhaul
