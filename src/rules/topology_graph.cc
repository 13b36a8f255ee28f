#include "rules/topology_graph.h"

#include <algorithm>
#include <map>
#include <set>

namespace longhaul {

namespace {

// By step: the numbers, from 1, of the problems it is part of.
std::map<TopologyStep, std::set<size_t>> MarksOf(const std::vector<TopologyProblem>& problems) {
  std::map<TopologyStep, std::set<size_t>> marks;
  for (size_t i = 0; i < problems.size(); ++i) {
    for (const TopologyStep& step : problems[i].path) marks[step].insert(i + 1);
  }
  return marks;
}

std::string NumbersOf(const std::set<size_t>& numbers) {
  std::string text;
  for (size_t number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text;
}

// Addresses and ids are what people wrote: nothing in them may end a line or a string.
std::string OneLine(std::string_view text) {
  std::string line;
  for (char c : text) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return line;
}

std::string DotQuoted(std::string_view text) {
  std::string quoted = "\"";
  for (char c : OneLine(text)) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string LabelOf(const Rule& rule) {
  std::string label = rule.id;
  if (rule.priority != 0) label += ", priority " + std::to_string(rule.priority);
  if (!rule.enabled) label += ", disabled";
  return label;
}

bool IsReplicated(const Rule& rule) {
  return rule.local_staging && rule.transport == Transport::kS3Replication;
}

bool MakesArchives(const Rule& rule) {
  return rule.transport != Transport::kPlain && rule.transport != Transport::kCopy;
}

// How it gets to a target.
std::string WayOf(const Rule& rule, const Target& target) {
  if (rule.transport == Transport::kPlain) return "streamed";
  if (rule.transport == Transport::kCopy) return "copied by the store";
  const std::string from =
      IsReplicated(rule) ? OneLine(rule.local_staging->ToString()) + ", replicated to " : "";
  const std::string chosen = rule.transport != Transport::kAuto ? ""
                             : target.store_can_copy ? ", what does not shrink copied by the store"
                                                     : ", what does not shrink streamed";
  return "by " + from + OneLine(target.staging.ToString()) + chosen;
}

std::string Edge(const std::string& from, const std::string& to, const std::string& label,
                 const std::string& style) {
  return "  " + DotQuoted(from) + " -> " + DotQuoted(to) + " [label=" + DotQuoted(label) + style +
         "];\n";
}

// Archives lie in staging on the way, so the way is drawn through it. `stagings`: drawn already.
std::string EdgesByStaging(const Rule& rule, size_t index, const std::string& label,
                           const std::string& style, std::set<std::string>& stagings) {
  std::string out;
  auto node = [&](const Address& address) {
    std::string name = "staging " + address.ToString();
    if (stagings.insert(name).second) {
      out += "  " + DotQuoted(name) + " [shape=folder, label=" + DotQuoted(address.ToString()) +
             "];\n";
    }
    return name;
  };
  const Target& target = rule.targets[index];
  const std::string staging = node(target.staging);
  std::string from = rule.source.ToString();
  if (IsReplicated(rule)) {
    const std::string local = node(*rule.local_staging);
    if (index == 0) out += Edge(from, local, rule.id, "");
    from = local;
  }
  out += Edge(from, staging, label, style);
  out += Edge(staging, target.to.ToString(), rule.id, style);
  return out;
}

// The rules that read what a step writes.
std::vector<std::string> ReadersOf(const Configuration& configuration, TopologyStep step) {
  std::vector<std::string> readers;
  for (size_t next = 0; next < configuration.rules.size(); ++next) {
    if (configuration.rules[next].enabled && Feeds(configuration, step, static_cast<int>(next))) {
      readers.push_back(configuration.rules[next].id);
    }
  }
  return readers;
}

}  // namespace

std::string DrawTopologyText(const Configuration& configuration,
                             const std::vector<TopologyProblem>& problems) {
  const std::map<TopologyStep, std::set<size_t>> marks = MarksOf(problems);
  std::vector<std::string> sources;  // In the order of the file.
  for (const Rule& rule : configuration.rules) {
    const std::string source = rule.source.ToString();
    if (std::ranges::find(sources, source) == sources.end()) sources.push_back(source);
  }
  std::string out;
  for (const std::string& source : sources) {
    out += "  " + OneLine(source) + "\n";
    for (size_t r = 0; r < configuration.rules.size(); ++r) {
      const Rule& rule = configuration.rules[r];
      if (rule.source.ToString() != source) continue;
      for (size_t t = 0; t < rule.targets.size(); ++t) {
        const TopologyStep step{static_cast<int>(r), static_cast<int>(t)};
        const auto mark = marks.find(step);
        out += mark == marks.end() ? "    " : "!   ";
        out += "-> " + OneLine(rule.targets[t].to.ToString()) + "  (" + LabelOf(rule) + "; " +
               WayOf(rule, rule.targets[t]);
        if (rule.enabled) {
          for (const std::string& reader : ReadersOf(configuration, step)) {
            out += "; read by " + reader;
          }
        }
        out += ")";
        if (mark != marks.end()) out += "  problem " + NumbersOf(mark->second);
        out += "\n";
      }
    }
  }
  for (size_t i = 0; i < problems.size(); ++i) {
    out += "! problem " + std::to_string(i + 1) + ": " + OneLine(problems[i].what) + ": " +
           problems[i].remedy + "\n";
  }
  return out;
}

std::string DrawTopologyDot(const Configuration& configuration,
                            const std::vector<TopologyProblem>& problems) {
  const std::map<TopologyStep, std::set<size_t>> marks = MarksOf(problems);
  std::string out = "digraph longhaul {\n  rankdir=LR;\n  node [shape=box];\n";
  std::set<std::string> stagings;
  std::set<std::pair<std::string, std::string>> fed;
  for (size_t r = 0; r < configuration.rules.size(); ++r) {
    const Rule& rule = configuration.rules[r];
    for (size_t t = 0; t < rule.targets.size(); ++t) {
      const TopologyStep step{static_cast<int>(r), static_cast<int>(t)};
      const Target& target = rule.targets[t];
      const auto mark = marks.find(step);
      std::string style = rule.enabled ? "" : ", style=dashed, color=gray";
      if (mark != marks.end()) style = ", color=red, fontcolor=red, penwidth=2";
      std::string label = LabelOf(rule);
      if (mark != marks.end()) label += " (problem " + NumbersOf(mark->second) + ")";
      auto directly = [&](std::string_view how) {
        return Edge(rule.source.ToString(), target.to.ToString(), label + ", " + std::string(how),
                    style);
      };
      out += MakesArchives(rule) ? EdgesByStaging(rule, t, label, style, stagings)
                                 : directly(ToString(rule.transport));
      if (rule.transport == Transport::kAuto) {
        out += directly(target.store_can_copy ? "copied" : "streamed");
      }
      if (!rule.enabled) continue;
      // Where a target and a source overlap and are not one address: objects go on from there.
      for (size_t next = 0; next < configuration.rules.size(); ++next) {
        const Rule& reader = configuration.rules[next];
        if (!reader.enabled || !Feeds(configuration, step, static_cast<int>(next))) continue;
        const std::string from = target.to.ToString();
        const std::string to = reader.source.ToString();
        if (from != to && fed.emplace(from, to).second) {
          out += "  " + DotQuoted(from) + " -> " + DotQuoted(to) + " [style=dotted];\n";
        }
      }
    }
  }
  for (size_t i = 0; i < problems.size(); ++i) {
    out += "  " + DotQuoted("problem " + std::to_string(i + 1)) +
           " [shape=note, color=red, label=" +
           DotQuoted(std::to_string(i + 1) + ": " + problems[i].what) + "];\n";
  }
  return out + "}\n";
}

}  // namespace longhaul
