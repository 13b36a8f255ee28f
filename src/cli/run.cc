// RunProgram: from words to a command to an exit code.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cli/store_options.h"
#include "rules/configuration.h"

namespace longhaul {

Async<ExitCode> Command::RunAsync(RunContext&) {
  LH_CHECK(!asynchronous());  // An asynchronous command says what it does.
  co_return ExitCode::kDone;
}

Result<ExitCode> Command::Run(Output&) {
  LH_CHECK(asynchronous());
  return ExitCode::kDone;
}

namespace {

// How many of `words` spell the name; 0 when they do not.
size_t Matches(std::string_view name, const std::vector<std::string>& words) {
  size_t count = 0;
  while (!name.empty()) {
    size_t space = std::min(name.find(' '), name.size());
    if (count >= words.size() || words[count] != name.substr(0, space)) return 0;
    name.remove_prefix(std::min(space + 1, name.size()));
    ++count;
  }
  return count;
}

bool IsHelp(std::string_view word) { return word == "--help" || word == "-h" || word == "help"; }

int Finish(ExitCode code) { return static_cast<int>(code); }

// What was asked for, and could not be written, is not done.
ExitCode WithOutput(Console& console, ExitCode code) {
  const int failed = console.write_error();
  if (failed == 0 || failed == EPIPE) return code;
  console.WriteError(std::string("longhaul: cannot write standard output: ") +
                     std::strerror(failed) + "\n");
  return code == ExitCode::kDone ? ExitCode::kSomeFailed : code;
}

// For a person the lines that compilers print; for a program one event for each mistake.
void TellBadConfiguration(Output& output, const std::string& file, const Error& error,
                          const std::vector<YamlMistake>& mistakes) {
  if (mistakes.empty()) {
    output.Problem("", error);
    return;
  }
  if (!output.json()) {
    output.console().WriteError(error.message + "\n");
    return;
  }
  for (const YamlMistake& mistake : mistakes) {
    output.Problem(Message("mistake")
                       .With("file", file)
                       .With("line", mistake.line)
                       .With("column", mistake.column)
                       .With("field", mistake.field)
                       .With("message", mistake.what)
                       .With("remedy", mistake.remedy));
  }
  output.Print(Message("summary").With("file", file).With("mistakes", mistakes.size()));
}

int UnknownCommand(const std::vector<std::string>& words, Console& console) {
  std::vector<std::string_view> firsts;
  std::vector<std::unique_ptr<Command>> commands;
  bool group = false;
  for (CommandFactory make : AllCommands()) {
    commands.push_back(make());
    std::string_view name = commands.back()->help().name;
    std::string_view first = name.substr(0, name.find(' '));
    group = group || first == words[0];
    firsts.push_back(first);
  }
  if (group && (words.size() == 1 || IsHelp(words[1]))) {
    std::string help = RenderGroupHelp(words[0], console.width());
    if (words.size() == 1) {
      console.WriteError(help);
      return Finish(ExitCode::kUsage);
    }
    console.Write(help);
    return Finish(ExitCode::kDone);
  }
  std::string what = words[0];
  std::string meant;
  if (group) {
    what += " " + words[1];
    std::vector<std::string_view> seconds;
    for (const std::unique_ptr<Command>& command : commands) {
      std::string_view name = command->help().name;
      if (name.starts_with(words[0] + " ")) seconds.push_back(name.substr(words[0].size() + 1));
    }
    std::string_view near = ClosestName(words[1], seconds);
    if (!near.empty()) meant = words[0] + " " + std::string(near);
  } else {
    meant = ClosestName(words[0], firsts);
  }
  console.WriteError("longhaul: unknown command '" + what + "'" +
                     (meant.empty() ? "" : "; did you mean 'longhaul " + meant + "'?") +
                     "\nTry 'longhaul --help'.\n");
  return Finish(ExitCode::kUsage);
}

}  // namespace

int RunProgram(const std::vector<std::string>& arguments, Console& console) {
  if (arguments.empty()) {
    console.WriteError(RenderProgramHelp(console.width()));
    return Finish(ExitCode::kUsage);
  }
  if (IsHelp(arguments[0])) {
    if (arguments[0] == "help" && arguments.size() > 1) {
      std::vector<std::string> of(arguments.begin() + 1, arguments.end());
      of.emplace_back("--help");
      return RunProgram(of, console);
    }
    console.Write(RenderProgramHelp(console.width()));
    return Finish(ExitCode::kDone);
  }
  if (arguments[0] == "--version") return RunProgram({"version"}, console);

  std::unique_ptr<Command> command;
  size_t words = 0;
  for (CommandFactory make : AllCommands()) {
    std::unique_ptr<Command> candidate = make();
    size_t count = Matches(candidate->help().name, arguments);
    if (count > words) {
      words = count;
      command = std::move(candidate);
    }
  }
  if (command == nullptr) return UnknownCommand(arguments, console);

  CommandHelp help = command->help();
  CommonFlags common;
  FlagSet flags;
  command->Declare(flags);
  if (command->asynchronous()) common.Declare(flags);
  std::vector<std::string> rest(arguments.begin() + static_cast<ptrdiff_t>(words), arguments.end());
  Result<void> parsed =
      flags.Parse(rest, [&](const std::string& name) { return console.Environment(name); });
  if (flags.help_wanted()) {
    console.Write(RenderCommandHelp(help, flags, console.width()));
    return Finish(ExitCode::kDone);
  }
  if (parsed && common.s5cmd && !command->has_s5cmd_lines()) {
    parsed = InvalidInput("--json=s5cmd is of cp, mv, sync, rm and ls; here it is --json");
  }
  if (parsed) parsed = RefuseUnusedStoreOptions(flags);
  if (!parsed) {
    console.WriteError("longhaul " + std::string(help.name) + ": " + parsed.error().message +
                       "\nUsage: " + RenderSynopsis(help, flags) + "\nTry 'longhaul " +
                       std::string(help.name) + " --help'.\n");
    return Finish(ExitCode::kUsage);
  }

  if (!command->asynchronous()) {
    Output output(console, false, false);
    Result<ExitCode> code = command->Run(output);
    if (code) return Finish(WithOutput(console, *code));
    output.Problem("", code.error());
    return Finish(ExitCodeOf(code.error()));
  }

  std::optional<Configuration> configuration;
  if (std::optional<std::string> file = command->ConfigurationFile()) common.config_path = *file;
  if (!common.config_path.empty()) {
    std::vector<YamlMistake> mistakes;
    Result<Configuration> loaded = LoadConfiguration(
        common.config_path,
        [&](std::string_view name) { return console.Environment(std::string(name)); }, &mistakes);
    if (!loaded) {
      Output output(console, common.json && !common.s5cmd, common.quiet);
      TellBadConfiguration(output, common.config_path, loaded.error(), mistakes);
      return Finish(ExitCode::kUsage);
    }
    configuration = std::move(*loaded);
  }
  common.command = help.name;
  common.given = flags.given();
  RunContext context(common, std::move(configuration), console);
  if (common.s5cmd) context.output().TellAsS5cmd(help.name);
  if (const Configuration* loaded = context.configuration()) {
    for (const std::string& warning : loaded->warnings) {
      context.output().Problem(Message("warning").With("message", warning).Says(warning));
    }
  }
  Result<ExitCode> code = context.Run(command->RunAsync(context));
  std::optional<ExitCode> signal = context.stopped_by();
  if (!code) {
    if (!signal || code.error().kind != ErrorKind::kCancelled) {
      context.output().Problem("", code.error());
    }
    return Finish(signal ? *signal : ExitCodeOf(code.error()));
  }
  if (signal && *code != ExitCode::kDone) return Finish(*signal);
  return Finish(WithOutput(console, *code));
}

}  // namespace longhaul
