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

namespace {

void AppendTexts(std::string& out, const std::vector<std::string>& texts) {
  out += '[';
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(out, texts[i]);
  }
  out += ']';
}

void ReadTexts(JsonCursor& cursor, std::vector<std::string>& texts, size_t max) {
  texts.clear();
  bool first = true;
  cursor.Expect('[');
  while (cursor.ok() && cursor.NextElement(first)) {
    if (texts.size() == max) cursor.Fail();
    cursor.String(&texts.emplace_back());
  }
}

}  // namespace

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
  out += ",\"sites_passed\":";
  AppendTexts(out, manifest.sites_passed);
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
    out += ",\"targets\":";
    AppendTexts(out, manifest.targets);
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
      ReadTexts(cursor, manifest.sites_passed, kSitesMax);
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
      ReadTexts(cursor, manifest.targets, kTargetsMax);
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
