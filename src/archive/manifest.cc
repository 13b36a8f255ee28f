#include "archive/manifest.h"

#include <algorithm>
#include <utility>

#include "archive/json_text.h"

namespace longhaul {

bool ArchiveManifest::IsFor(std::string_view target) const {
  return targets.empty() || std::ranges::find(targets, target) != targets.end();
}

}  // namespace longhaul

namespace longhaul::archive {

std::string WriteManifest(const ArchiveManifest& manifest) {
  std::string out = "{\"longhaul_archive\":" + std::to_string(manifest.version);
  auto add = [&](std::string_view name, std::string_view value) {
    out += ",\"";
    out += name;
    out += "\":";
    AppendJsonString(out, value);
  };
  add("id", manifest.id);
  add("rule", manifest.rule_id);
  add("site", manifest.site);
  add("source", manifest.source);
  out += ",\"sites_passed\":[";
  for (size_t i = 0; i < manifest.sites_passed.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(out, manifest.sites_passed[i]);
  }
  out += ']';
  add("created", FormatRfc3339(manifest.created));
  add("writer", manifest.writer);
  add("kind", manifest.kind == ArchiveKind::kBundle ? "bundle" : "single");
  if (!manifest.states.empty()) {
    out += ",\"states\":{";
    bool next = false;
    for (const auto& [target, state] : manifest.states) {
      if (std::exchange(next, true)) out += ',';
      AppendJsonString(out, target);
      out += ':';
      AppendJsonString(out, state);
    }
    out += '}';
  }
  if (!manifest.targets.empty()) {
    out += ",\"targets\":[";
    for (size_t i = 0; i < manifest.targets.size(); ++i) {
      if (i > 0) out += ',';
      AppendJsonString(out, manifest.targets[i]);
    }
    out += ']';
  }
  if (!manifest.traceparent.empty()) add("traceparent", manifest.traceparent);
  out += '}';
  return out;
}

Result<ArchiveManifest> ParseManifest(std::string_view text) {
  constexpr size_t kSitesMax = 1000;
  constexpr size_t kStatesMax = 1000;
  constexpr size_t kTargetsMax = 1000;
  JsonCursor cursor(text);
  ArchiveManifest manifest;
  manifest.version = 0;
  std::string created;
  std::string kind;
  cursor.Expect('{');
  bool first = true;
  std::string name;
  while (cursor.ok() && cursor.NextMember(first, name)) {
    if (name == "longhaul_archive") {
      const int64_t version = cursor.Integer();
      if (cursor.ok() && version > 1) {
        return InvalidInput("archive format " + std::to_string(version) +
                            "; this program reads format 1");
      }
      manifest.version = static_cast<int>(version);
    } else if (name == "id") {
      cursor.String(&manifest.id);
    } else if (name == "rule") {
      cursor.String(&manifest.rule_id);
    } else if (name == "site") {
      cursor.String(&manifest.site);
    } else if (name == "source") {
      cursor.String(&manifest.source);
    } else if (name == "sites_passed") {
      cursor.Expect('[');
      bool first_site = true;
      manifest.sites_passed.clear();
      while (cursor.ok() && cursor.NextElement(first_site)) {
        if (manifest.sites_passed.size() == kSitesMax) cursor.Fail();
        cursor.String(&manifest.sites_passed.emplace_back());
      }
    } else if (name == "created") {
      cursor.String(&created);
    } else if (name == "writer") {
      cursor.String(&manifest.writer);
    } else if (name == "kind") {
      cursor.String(&kind);
    } else if (name == "traceparent") {
      cursor.String(&manifest.traceparent);
    } else if (name == "states") {
      cursor.Expect('{');
      bool first_state = true;
      std::string target;
      manifest.states.clear();
      while (cursor.ok() && cursor.NextMember(first_state, target)) {
        if (manifest.states.size() == kStatesMax) cursor.Fail();
        cursor.String(&manifest.states[target]);
      }
    } else if (name == "targets") {
      cursor.Expect('[');
      bool first_target = true;
      manifest.targets.clear();
      while (cursor.ok() && cursor.NextElement(first_target)) {
        if (manifest.targets.size() == kTargetsMax) cursor.Fail();
        cursor.String(&manifest.targets.emplace_back());
      }
    } else {
      cursor.Skip();
    }
  }
  cursor.AtEnd();
  if (!cursor.ok() || manifest.version != 1) return Corrupt("the manifest is malformed");
  const auto time = ParseRfc3339(created);
  if (!time) return Corrupt("the manifest has no time");
  manifest.created = *time;
  if (kind != "bundle" && kind != "single") {
    return InvalidInput("unknown kind of archive: " + kind.substr(0, 40));
  }
  manifest.kind = kind == "bundle" ? ArchiveKind::kBundle : ArchiveKind::kSingle;
  return manifest;
}

}  // namespace longhaul::archive
