#include "cli/completion.h"

#include <algorithm>
#include <memory>
#include <set>

#include "cli/command.h"
#include "cli/help.h"

namespace longhaul {

namespace {

// A command as the scripts need it.
struct Known {
  std::unique_ptr<Command> command;  // Owns what the flags are bound to.
  CommandHelp help;
  FlagSet flags;
};

std::vector<std::unique_ptr<Known>> AllKnown() {
  std::vector<std::unique_ptr<Known>> all;
  for (CommandFactory make : AllCommands()) {
    auto known = std::make_unique<Known>();
    known->command = make();
    known->help = known->command->help();
    DeclareForHelp(*known->command, known->flags);
    all.push_back(std::move(known));
  }
  return all;
}

std::string_view FirstWord(std::string_view name) { return name.substr(0, name.find(' ')); }

std::string Join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// The first words of all commands, with the summary of those that are whole commands.
std::vector<std::pair<std::string, std::string>> FirstWords() {
  std::vector<std::pair<std::string, std::string>> words;
  for (CommandFactory make : AllCommands()) {
    CommandHelp help = make()->help();
    std::string first(FirstWord(help.name));
    if (!words.empty() && words.back().first == first) continue;
    words.emplace_back(first, help.name == first ? help.summary : "");
  }
  return words;
}

// Second words of "serve s3" and the like, by first word.
std::vector<std::string> SecondWords(std::string_view first) {
  std::vector<std::string> words;
  for (CommandFactory make : AllCommands()) {
    std::string_view name = make()->help().name;
    if (FirstWord(name) == first && name != first)
      words.emplace_back(name.substr(first.size() + 1));
  }
  return words;
}

std::string OffersOf(const FlagSet::Flag& flag) {
  if (flag.choices.empty()) return std::string(flag.info.offers);
  return Join({flag.choices.begin(), flag.choices.end()});
}

// What arguments of a command are: all of them are of one kind.
FlagSet::ArgumentInfo ArgumentOf(const FlagSet& flags) {
  if (!flags.arguments().empty()) return flags.arguments().back();
  return {.name = "", .help = "", .set = {}, .completes = Completes::kNothing, .offers = ""};
}

// Inside single quotes of all three shells.
std::string ShellQuoted(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out;
}

std::string FirstSentence(std::string_view text) {
  size_t end = text.find(". ");
  std::string_view sentence = text.substr(0, end);
  if (sentence.ends_with('.')) sentence.remove_suffix(1);
  return std::string(sentence);
}

// ---- bash

// Bash breaks words at ':' and '=', which are part of addresses and options; so the line is split
// anew, and of each reply what stands before the last break is cut off again.
constexpr std::string_view kBashHead =
    R"bash(# bash completion for longhaul: source <(longhaul completion bash)
_longhaul_known() {  # KIND: of the lines of `completion KIND` those that begin with $word
  # Not by compgen -W, which would carry out what a name says: $(...) is a name as good as any.
  local one
  while IFS= read -r one; do
    [[ "$one" == "$word"* ]] && COMPREPLY+=("$one")
  done < <("${words[0]}" completion "$1" $config 2>/dev/null)
}
_longhaul_reply() {  # KIND WORDS: files, folders, addresses, rules or words that begin with $word
  local IFS=$'\n' before="" one
  case "$1" in
    files) COMPREPLY=($(compgen -f -- "$word")) ;;
    folders) COMPREPLY=($(compgen -d -- "$word")) ;;
    addresses)
      _longhaul_known addresses
      while read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -- "$word") ;;
    rules) _longhaul_known rules ;;
    *) COMPREPLY=($(compgen -W "${2// /$'\n'}" -- "$word")) ;;
  esac
  [[ "$word" == *:* && "$COMP_WORDBREAKS" == *:* ]] && before="${word%"${word##*:}"}"
  COMPREPLY=("${COMPREPLY[@]#"$before"}")
  [[ -z "${COMPREPLY[0]}" ]] && COMPREPLY=("${COMPREPLY[@]:1}")
  # After a store's name or a folder more is to come.
  [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[:/] ]] && compopt -o nospace 2>/dev/null
  return 0
}
_longhaul() {
  local line="${COMP_LINE:0:COMP_POINT}" word option="" command config="" i
  local -a words
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  local last=$(( ${#words[@]} - 1 ))
  word="${words[last]}"
  COMPREPLY=()
  for (( i = 1; i < last; i++ )); do
    case "${words[i]}" in
      -c|--config) config="--config=${words[i+1]}" ;;
      --config=*) config="${words[i]}" ;;
    esac
  done
  command="${words[1]}"
)bash";

std::string BashCompletion() {
  std::vector<std::string> firsts;
  for (const auto& [first, summary] : FirstWords()) firsts.push_back(first);
  std::string out(kBashHead);
  out += "  if (( last == 1 )); then _longhaul_reply words '" + Join(firsts) +
         " --help'; return; fi\n";
  for (const std::string& first : firsts) {
    std::vector<std::string> second = SecondWords(first);
    if (second.empty()) continue;
    out += "  if [[ \"$command\" == " + first + " ]]; then\n" +
           "    if (( last == 2 )); then _longhaul_reply words '" + Join(second) +
           "'; return; fi\n    command=\"$command ${words[2]}\"\n  fi\n";
  }
  out +=
      "  option=\"${words[last-1]}\"\n"
      "  if [[ \"$word\" == --*=* ]]; then option=\"${word%%=*}\"; word=\"${word#*=}\"; fi\n"
      "  case \"$command:$option\" in\n";
  std::string commands;
  for (const std::unique_ptr<Known>& known : AllKnown()) {
    const std::string name(known->help.name);
    std::vector<std::string> names;
    for (const FlagSet::Flag& flag : known->flags.flags()) {
      if (flag.info.help.empty()) continue;  // Not shown.
      const std::string spelled = "--" + std::string(flag.info.name);
      names.push_back(spelled);
      if (flag.info.value_name.empty()) continue;
      std::string pattern = "'" + name + ":" + spelled + "'";
      if (flag.info.letter != 0) pattern += "|'" + name + ":-" + flag.info.letter + "'";
      const std::string offers = OffersOf(flag);
      std::string reply = "return";  // Whatever a person types.
      if (!offers.empty()) {
        reply = "_longhaul_reply words '" + offers + "'; return";
      } else if (flag.info.completes == Completes::kFiles) {
        reply = "_longhaul_reply files; return";
      } else if (flag.info.completes == Completes::kFolders) {
        reply = "_longhaul_reply folders; return";
      }
      out += "    " + pattern + ") " + reply + " ;;\n";
    }
    names.emplace_back("--help");
    const FlagSet::ArgumentInfo argument = ArgumentOf(known->flags);
    std::string reply = ":";
    if (!argument.offers.empty()) {
      reply = "_longhaul_reply words '" + std::string(argument.offers) + "'";
    } else if (argument.completes == Completes::kFiles) {
      reply = "_longhaul_reply files";
    } else if (argument.completes == Completes::kAddresses) {
      reply = "_longhaul_reply addresses";
    } else if (argument.completes == Completes::kRules) {
      reply = "_longhaul_reply rules";
    }
    commands += "    '" + name +
                "')\n      if [[ \"$word\" == -* ]]; then _longhaul_reply words '" + Join(names) +
                "'; else " + reply + "; fi ;;\n";
  }
  out += "  esac\n  case \"$command\" in\n" + commands +
         "  esac\n}\ncomplete -o filenames -F _longhaul longhaul\n";
  return out;
}

// ---- zsh

std::string ZshEscaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out.push_back('\\');
    out += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return out;
}

std::string ZshAction(Completes completes, std::string_view offers) {
  if (!offers.empty()) return "(" + std::string(offers) + ")";
  switch (completes) {
    case Completes::kFiles:
      return "_files";
    case Completes::kFolders:
      return "_files -/";
    case Completes::kAddresses:
      return "_longhaul_addresses";
    case Completes::kRules:
      return "_longhaul_rules";
    case Completes::kNothing:
      break;
  }
  return " ";
}

constexpr std::string_view kZshHead = R"zsh(#compdef longhaul
# zsh completion for longhaul: longhaul completion zsh > "${fpath[1]}/_longhaul"
_longhaul_addresses() {
  local -a addresses config
  [[ -n "${opt_args[--config]}" ]] && config=(--config "${(Q)opt_args[--config]}")
  [[ -n "${opt_args[-c]}" ]] && config=(--config "${(Q)opt_args[-c]}")
  addresses=(${(f)"$(longhaul completion addresses $config 2>/dev/null)"})
  compadd -S '' -- $addresses
  _files
}
_longhaul_rules() {
  local -a rules config
  [[ -n "${opt_args[--config]}" ]] && config=(--config "${(Q)opt_args[--config]}")
  [[ -n "${opt_args[-c]}" ]] && config=(--config "${(Q)opt_args[-c]}")
  rules=(${(f)"$(longhaul completion rules $config 2>/dev/null)"})
  compadd -- $rules
}
_longhaul() {
  local command="${words[2]}"
  local -a commands
  typeset -A opt_args
)zsh";

std::string ZshCompletion() {
  std::string out(kZshHead);
  out += "  if (( CURRENT == 2 )); then\n    commands=(\n";
  for (const auto& [first, summary] : FirstWords()) {
    out += "      '" + first + (summary.empty() ? "" : ":" + ZshEscaped(summary)) + "'\n";
  }
  out += "    )\n    _describe 'command' commands\n    return\n  fi\n";
  for (const auto& [first, summary] : FirstWords()) {
    std::vector<std::string> second = SecondWords(first);
    if (second.empty()) continue;
    out += "  if [[ \"$command\" == " + first +
           " ]]; then\n"
           "    if (( CURRENT == 3 )); then\n      commands=(" +
           Join(second) +
           ")\n      _describe 'command' commands\n      return\n    fi\n"
           "    command=\"$command ${words[3]}\"\n    words[2,3]=(\"$command\")\n"
           "    (( CURRENT-- ))\n  fi\n";
  }
  out += "  shift words\n  (( CURRENT-- ))\n  case \"$command\" in\n";
  for (const std::unique_ptr<Known>& known : AllKnown()) {
    out += "    '" + std::string(known->help.name) + "')\n      _arguments -S";
    for (const FlagSet::Flag& flag : known->flags.flags()) {
      if (flag.info.help.empty()) continue;
      const bool takes_value = !flag.info.value_name.empty();
      const std::string says = "[" + ZshEscaped(FirstSentence(flag.info.help)) + "]";
      std::string action;
      if (takes_value) {
        action = ":" + ZshEscaped(flag.info.value_name) + ":" +
                 ZshAction(flag.info.completes, OffersOf(flag));
      }
      const std::string star = flag.repeated ? "*" : "";
      out += " \\\n        '" + star + "--" + std::string(flag.info.name) +
             (takes_value ? "=" : "") + says + action + "'";
      if (flag.info.letter != 0) {
        out += " \\\n        '" + star + "-" + flag.info.letter + (takes_value ? "+" : "") + says +
               action + "'";
      }
    }
    out += " \\\n        '--help[show help]'";
    const FlagSet::ArgumentInfo argument = ArgumentOf(known->flags);
    if (!argument.name.empty()) {
      out += " \\\n        '*:" + ZshEscaped(argument.name) + ":" +
             ZshAction(argument.completes, argument.offers) + "'";
    }
    out += "\n      ;;\n";
  }
  out +=
      "  esac\n}\n"
      "if [[ \"$funcstack[1]\" == _longhaul ]]; then _longhaul \"$@\"; else compdef _longhaul "
      "longhaul; fi\n";
  return out;
}

// ---- fish

constexpr std::string_view kFishHead =
    R"fish(# fish completion for longhaul: longhaul completion fish | source
function __longhaul_known
    set -l tokens (commandline -opc)
    set -l config
    for i in (seq (count $tokens))
        switch $tokens[$i]
            case -c --config
                test $i -lt (count $tokens); and set config --config $tokens[(math $i + 1)]
            case '--config=*'
                set config $tokens[$i]
        end
    end
    longhaul completion $argv[1] $config 2>/dev/null
end
complete -c longhaul -n __fish_use_subcommand -f
complete -c longhaul -l help -d 'show help'
)fish";

std::string FishCompletion() {
  std::string out(kFishHead);
  for (const auto& [first, summary] : FirstWords()) {
    out += "complete -c longhaul -n __fish_use_subcommand -f -a " + first +
           (summary.empty() ? "" : " -d '" + ShellQuoted(summary) + "'") + "\n";
    std::vector<std::string> second = SecondWords(first);
    if (!second.empty()) {
      out += "complete -c longhaul -n '__fish_seen_subcommand_from " + first +
             "; and not __fish_seen_subcommand_from " + Join(second) + "' -f -a '" + Join(second) +
             "'\n";
    }
  }
  for (const std::unique_ptr<Known>& known : AllKnown()) {
    std::string condition;
    std::string_view rest = known->help.name;
    while (!rest.empty()) {
      size_t space = std::min(rest.find(' '), rest.size());
      condition += (condition.empty() ? "" : "; and ") +
                   std::string("__fish_seen_subcommand_from ") + std::string(rest.substr(0, space));
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    const std::string begin = "complete -c longhaul -n '" + condition + "'";
    const FlagSet::ArgumentInfo argument = ArgumentOf(known->flags);
    if (!argument.offers.empty()) {
      out += begin + " -f -a '" + std::string(argument.offers) + "'\n";
    } else if (argument.completes == Completes::kAddresses) {
      out += begin + " -a '(__longhaul_known addresses)'\n";
    } else if (argument.completes == Completes::kRules) {
      out += begin + " -f -a '(__longhaul_known rules)'\n";
    } else if (argument.completes == Completes::kNothing) {
      out += begin + " -f\n";
    }
    for (const FlagSet::Flag& flag : known->flags.flags()) {
      if (flag.info.help.empty()) continue;
      out += begin + " -l " + std::string(flag.info.name);
      if (flag.info.letter != 0) out += std::string(" -s ") + flag.info.letter;
      if (!flag.info.value_name.empty()) {
        out += flag.info.completes == Completes::kNothing ? " -x" : " -r";
      }
      const std::string offers = OffersOf(flag);
      if (!offers.empty()) out += " -a '" + offers + "'";
      out += " -d '" + ShellQuoted(FirstSentence(flag.info.help)) + "'\n";
    }
  }
  return out;
}

}  // namespace

std::string RenderCompletion(Shell shell) {
  switch (shell) {
    case Shell::kBash:
      return BashCompletion();
    case Shell::kZsh:
      return ZshCompletion();
    case Shell::kFish:
      return FishCompletion();
  }
  return "";
}

std::vector<std::string> KnownAddresses(const Configuration& configuration) {
  std::set<std::string> addresses;
  for (const auto& [name, store] : configuration.stores) addresses.insert(name + ":");
  for (const Rule& rule : configuration.rules) {
    addresses.insert(rule.source.ToString());
    for (const Target& target : rule.targets) {
      addresses.insert(target.to.ToString());
      addresses.insert(target.staging.ToString());
    }
  }
  return {addresses.begin(), addresses.end()};
}

}  // namespace longhaul
