#include "cli/help.h"

#include <algorithm>
#include <set>

#include "cli/run_context.h"

namespace longhaul {

namespace {

constexpr int kIndent = 4;

std::string Heading(std::string_view text) { return "\n" + std::string(text) + "\n"; }

std::string FirstWord(std::string_view name) { return std::string(name.substr(0, name.find(' '))); }

std::vector<CommandHelp> AllHelp() {
  std::vector<CommandHelp> all;
  for (CommandFactory make : AllCommands()) all.push_back(make()->help());
  return all;
}

std::string FlagTitle(const FlagSet::Flag& flag) {
  std::string title;
  if (flag.info.letter != 0) title += std::string("-") + flag.info.letter + ", ";
  title += "--" + std::string(flag.info.name);
  if (!flag.info.value_name.empty()) title += "=" + std::string(flag.info.value_name);
  for (std::string_view aliases = flag.info.alias; !aliases.empty();) {
    const std::string_view alias = aliases.substr(0, aliases.find(' '));
    aliases.remove_prefix(std::min(alias.size() + 1, aliases.size()));
    const size_t equals = std::min(alias.find('='), alias.size());
    title += (alias.size() == 1 ? ", -" : ", --") + std::string(alias.substr(0, equals));
    if (equals < alias.size()) title += "[" + std::string(alias.substr(equals)) + "]";
  }
  return title;
}

std::string FlagText(const FlagSet::Flag& flag) {
  std::string text(flag.info.help);
  if (!flag.choices.empty()) {
    text += " One of: ";
    for (size_t i = 0; i < flag.choices.size(); ++i) {
      text += (i == 0 ? "" : ", ") + std::string(flag.choices[i]);
    }
    text += ".";
  }
  if (flag.repeated) text += " May be given several times.";
  return text;
}

}  // namespace

std::string Wrap(std::string_view text, int indent, int width) {
  std::string margin(static_cast<size_t>(indent), ' ');
  std::string out;
  size_t limit = static_cast<size_t>(std::max(width, indent + 20));
  std::string line;
  auto flush = [&] {
    if (!line.empty()) out += line + "\n";
    line.clear();
  };
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view source = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (source.empty()) {
      flush();
      out += "\n";
      continue;
    }
    if (source.starts_with("  ")) {  // Laid out by hand.
      flush();
      out += margin + std::string(source) + "\n";
      continue;
    }
    while (!source.empty()) {
      size_t space = std::min(source.find(' '), source.size());
      std::string_view word = source.substr(0, space);
      source.remove_prefix(std::min(space + 1, source.size()));
      if (word.empty()) continue;
      if (!line.empty() && line.size() + 1 + word.size() > limit) flush();
      line += line.empty() ? margin + std::string(word) : " " + std::string(word);
    }
  }
  flush();
  return out;
}

void DeclareForHelp(Command& command, FlagSet& flags) {
  static CommonFlags scratch;  // Bound, never parsed into.
  command.Declare(flags);
  if (command.asynchronous()) scratch.Declare(flags);
}

namespace {

std::string EnvironmentSection(const FlagSet& flags, int width) {
  std::string example;
  std::string without;
  for (const FlagSet::Flag& flag : flags.flags()) {
    const std::string name = "--" + std::string(flag.info.name);
    if (!flag.info.of_environment) {
      without += (without.empty() ? "" : ", ") + name;
    } else if (example.empty()) {
      example = name + " as " + FlagSet::EnvironmentName(flag.info.name);
    }
  }
  return Wrap("Every option can be given as a variable: " + example +
                  ". The command line goes first, then the environment, then the configuration." +
                  (without.empty() ? ""
                                   : " Not so " + without +
                                         ": the variable of that name is of other commands."),
              kIndent, width);
}

}  // namespace

std::string RenderSynopsis(const CommandHelp& help, const FlagSet& flags) {
  std::string out = "longhaul " + std::string(help.name);
  if (!flags.flags().empty()) out += " [OPTION]...";
  for (const FlagSet::ArgumentInfo& argument : flags.arguments()) {
    if (!argument.synopsis.empty()) {
      out.append(" ").append(argument.synopsis);
      continue;
    }
    std::string name(argument.name);
    if (argument.count_max > 1) name += "...";
    out += argument.count_min == 0 ? " [" + name + "]" : " " + name;
  }
  return out;
}

std::string RenderCommandHelp(const CommandHelp& help, const FlagSet& flags, int width) {
  width = std::min(width, 100);
  std::string out = "longhaul " + std::string(help.name) + " - " + std::string(help.summary) + "\n";
  out += Heading("SYNOPSIS") + Wrap(RenderSynopsis(help, flags), kIndent, width);
  out += Heading("DESCRIPTION") + Wrap(help.description, kIndent, width);
  if (!flags.arguments().empty()) {
    out += Heading("ARGUMENTS");
    for (const FlagSet::ArgumentInfo& argument : flags.arguments()) {
      const bool laid_out = !argument.synopsis.empty();
      out += Wrap(laid_out ? argument.synopsis : argument.name, kIndent, width) +
             Wrap(argument.help, 2 * kIndent, width);
    }
  }
  std::string section;
  for (const FlagSet::Flag& flag : flags.flags()) {
    if (flag.info.help.empty()) continue;  // Not shown.
    if (flag.section != section) {
      section = flag.section;
      out += Heading(section);
    }
    out += Wrap(FlagTitle(flag), kIndent, width) + Wrap(FlagText(flag), 2 * kIndent, width);
  }
  if (!flags.flags().empty()) out += Heading("ENVIRONMENT") + EnvironmentSection(flags, width);
  if (!help.examples.empty()) {
    out += Heading("EXAMPLES");
    int number = 0;
    for (const CommandExample& example : help.examples) {
      if (number > 0) out += "\n";
      out += Wrap(std::to_string(++number) + ". " + std::string(example.what), kIndent, width);
      out += "       $ " + std::string(example.command) + "\n";
    }
  }
  out += Heading("EXIT STATUS");
  std::set<ExitCode> codes(help.exit_codes.begin(), help.exit_codes.end());
  codes.insert({ExitCode::kDone, ExitCode::kUsage});
  for (ExitCode code : codes) {
    std::string number = std::to_string(static_cast<int>(code));
    out += std::string(kIndent, ' ') + number + std::string(5 - number.size(), ' ') +
           std::string(Meaning(code)) + "\n";
  }
  return out;
}

std::string RenderProgramHelp(int width) {
  width = std::min(width, 100);
  std::string out = "longhaul - moves S3 objects a long way for little money\n";
  out += Heading("SYNOPSIS");
  out += "    longhaul COMMAND [OPTION]... [ARGUMENT]...\n    longhaul COMMAND --help\n";
  out += Heading("COMMANDS");
  std::vector<CommandHelp> all = AllHelp();
  size_t margin = 0;
  for (const CommandHelp& help : all) margin = std::max(margin, help.name.size());
  for (const CommandHelp& help : all) {
    out += "    " + std::string(help.name) + std::string(margin - help.name.size() + 2, ' ') +
           std::string(help.summary) + "\n";
  }
  out += Heading("ADDRESSES");
  out += Wrap(
      "NAME:BUCKET/KEY names a store of the configuration file (--config, LONGHAUL_CONFIG); "
      "s3://BUCKET/KEY what the AWS environment and profile describe (--endpoint-url, --profile, "
      "--region); file:PATH, or any path with a '/', a local file or folder.",
      kIndent, width);
  out += Heading("EXAMPLES");
  out +=
      "    1. See what it does, on this machine alone:\n"
      "       $ longhaul demo\n\n"
      "    2. Copy a folder to a bucket:\n"
      "       $ longhaul cp --recursive ./photos/ s3://my-bucket/photos/\n\n"
      "    3. Replicate buckets as a configuration file says:\n"
      "       $ longhaul replicate --config longhaul.yaml\n";
  out += Heading("EXIT STATUS");
  for (ExitCode code :
       {ExitCode::kDone, ExitCode::kSomeFailed, ExitCode::kUsage, ExitCode::kNotFound,
        ExitCode::kDenied, ExitCode::kUnreachable, ExitCode::kLimit, ExitCode::kDifferences,
        ExitCode::kDeleteGuard, ExitCode::kInterrupted, ExitCode::kTerminated}) {
    std::string number = std::to_string(static_cast<int>(code));
    out += std::string(kIndent, ' ') + number + std::string(5 - number.size(), ' ') +
           std::string(Meaning(code)) + "\n";
  }
  return out;
}

std::string RenderGroupHelp(std::string_view group, int width) {
  std::string out = "longhaul " + std::string(group) + " - commands:\n\n";
  for (CommandFactory make : AllCommands()) {
    std::unique_ptr<Command> command = make();
    CommandHelp help = command->help();
    if (FirstWord(help.name) != group) continue;
    FlagSet flags;
    DeclareForHelp(*command, flags);
    out += Wrap(RenderSynopsis(help, flags), kIndent, width);
    out += Wrap(std::string(help.summary), 2 * kIndent, width);
  }
  return out;
}

}  // namespace longhaul
