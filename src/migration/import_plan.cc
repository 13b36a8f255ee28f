#include "migration/import_plan.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "rules/configuration.h"
#include "rules/schedule.h"

namespace longhaul {
namespace {

std::string Quoted(std::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) escaped += '$';
    escaped += text[i];
  }
  std::string out;
  AppendJsonString(out, escaped);
  return out;
}

// One line, whatever was in it.
std::string Comment(std::string_view indent, std::string_view text) {
  std::string line = std::string(indent) + (text.empty() ? "#" : "# ");
  for (char c : text) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return line + "\n";
}

// As a shell takes it.
std::string Word(std::string_view text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./:=,@+%").contains(c);
  });
  if (plain) return std::string(text);
  std::string word = "'";
  for (char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string WriteStore(const MigrationStore& store) {
  std::string out = "  " + store.name + ":\n    type: s3\n";
  for (const std::string& comment : store.comments) out += Comment("    ", comment);
  auto field = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out += "    " + std::string(name) + ": " + Quoted(value) + "\n";
  };
  field("provider", store.provider);
  field("endpoint", store.endpoint);
  field("region", store.region);
  if (store.path_style) out += "    addressing: path\n";
  field("profile", store.profile);
  field("credentials", store.credentials);
  if (!store.keys_from.empty()) {
    out += "    access_key_id: \"${" + store.keys_from + "_ACCESS_KEY_ID}\"\n";
    out += "    secret_access_key: \"${" + store.keys_from + "_SECRET_ACCESS_KEY}\"\n";
  }
  field("role_arn", store.role_arn);
  field("external_id", store.external_id);
  if (store.anonymous) out += "    anonymous: true\n";
  if (store.requester_pays) out += "    requester_pays: true\n";
  return out;
}

std::string WriteJob(const MigrationJob& job, size_t number) {
  std::string out = "  - id: job-" + std::to_string(number) + "\n";
  for (const std::string& comment : job.comments) out += Comment("    ", comment);
  out += "    source: " + Quoted(job.source) + "\n    target: " + Quoted(job.target) + "\n";
  if (!job.schedule.empty()) out += "    schedule: " + Quoted(job.schedule) + "\n";
  if (job.events) out += "    events: true\n";
  if (!job.exclude.empty()) {
    out += "    filter:\n      exclude:\n";
    for (const std::string& glob : job.exclude) out += "        - " + Quoted(glob) + "\n";
  }
  std::string options;
  if (job.size_only) options += "      size_only: true\n";
  if (!job.storage_class.empty()) {
    options += "      storage_class: " + Quoted(job.storage_class) + "\n";
  }
  if (!job.kms_key.empty()) options += "      kms_key: " + Quoted(job.kms_key) + "\n";
  return options.empty() ? out : out + "    options:\n" + options;
}

bool SamePlace(const MigrationStore& a, const MigrationStore& b) {
  return a.provider == b.provider && a.endpoint == b.endpoint && a.region == b.region &&
         a.profile == b.profile && a.keys_from == b.keys_from && a.credentials == b.credentials &&
         a.role_arn == b.role_arn && a.external_id == b.external_id && a.anonymous == b.anonymous &&
         a.requester_pays == b.requester_pays && a.path_style == b.path_style;
}

}  // namespace

std::string MigrationPlan::AddStore(MigrationStore store) {
  std::string plain;
  for (char c : store.name.substr(0, 60)) {
    plain += c == '.' || IsPlainName(std::string_view(&c, 1), 1) ? c : '-';
  }
  if (!IsPlainName(plain, 64) || plain == "s3" || plain == "file") plain = "store-" + plain;
  store.name = plain;
  for (int number = 2;; ++number) {
    auto same = std::ranges::find(stores_, store.name, &MigrationStore::name);
    if (same == stores_.end()) break;
    if (SamePlace(*same, store)) return store.name;
    store.name = plain + "-" + std::to_string(number);
  }
  stores_.push_back(store);
  return store.name;
}

std::string MigrationPlan::Write(const std::string& from) const {
  std::string out = Comment("", "What `longhaul migrate import` made of " + from + ".");
  out += "version: 1\n";
  if (stores_.empty()) return out + Comment("", "No stores.");
  out += "stores:\n";
  for (const MigrationStore& store : stores_) out += WriteStore(store);
  if (!jobs_.empty()) {
    out += Comment("", "");
    out +=
        Comment("", "`longhaul migrate start ID` starts one, `longhaul migrate worker` works on");
    out += Comment("", "them and keeps their schedules, as many processes as there is room for.");
    out += "migrations:\n";
    for (size_t i = 0; i < jobs_.size(); ++i) out += WriteJob(jobs_[i], i + 1);
  }
  if (commands_.empty()) return out;
  out += Comment("", "");
  out += Comment("", std::string("What was run is this, with this file as longhaul.yaml") +
                         (jobs_.empty() ? ":" : ", in one process:"));
  for (const MigrationCommand& command : commands_) {
    for (const std::string& comment : command.comments) out += Comment("", comment);
    std::string line = "longhaul";
    for (const std::string& word : command.words) line += " " + Word(word);
    out += Comment("", line + " --config longhaul.yaml");
  }
  return out;
}

std::optional<std::string> ScheduleOfEventBridge(std::string_view text) {
  if (text.starts_with("cron(") && text.ends_with(')')) {
    text = text.substr(5, text.size() - 6);
  }
  constexpr std::array<std::string_view, 4> kLast = {"59", "23", "31", "12"};
  std::string fields;
  size_t count = 0;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) break;
    const std::string_view field = text.substr(0, text.find(' '));
    text.remove_prefix(field.size());
    ++count;
    if (count == 6) {
      if (field != "*") return std::nullopt;  // Of some years only.
      continue;
    }
    // Its week begins with 1 on Sunday, that of cron with 0; L, W and # are not known to cron.
    const bool weekday_number = count == 5 && field.find_first_of("0123456789") != field.npos;
    if (count > 6 || weekday_number || field.find_first_of("LW#") != field.npos) {
      return std::nullopt;
    }
    fields += count == 1 ? "" : " ";
    const size_t slash = field.find('/');
    const bool from = slash != field.npos && slash > 0 && count <= 4 &&
                      field.find_first_not_of("0123456789") == slash;
    if (field == "?") {
      fields += '*';
    } else if (from) {
      // "5/15" is from 5 on.
      std::string_view step = field.substr(slash + 1);
      const bool once = count == 1 && step == "60";  // "0/60": once in an hour.
      fields += once ? std::string(field.substr(0, slash))
                     : std::string(field.substr(0, slash)) + "-" + std::string(kLast[count - 1]) +
                           "/" + std::string(step);
    } else {
      fields += field;
    }
  }
  if (count != 6 || !Schedule::Parse(fields)) return std::nullopt;
  return fields;
}

std::string PlaceOfMigration(std::string_view store, std::string_view bucket,
                             std::string_view prefix) {
  std::string place = std::string(store) + ":" + std::string(bucket) + "/";
  return place + std::string(prefix);
}

void RemarkFolder(ImportLog& log, const std::string& where, const std::string& prefix) {
  if (prefix.empty() || prefix.ends_with('/')) return;
  log.Remark(ImportRemark::Kind::kDiffers, where + ": " + QuotedForImport(prefix),
             "the prefix is a folder here: keys that only begin like it are left out",
             "sync the bucket with --include '" + prefix + "*'");
}

std::string AsFolder(std::string place) {
  if (!place.ends_with('/')) place += '/';
  return place;
}

std::string JoinPrefix(std::string_view a, std::string_view b) {
  while (a.starts_with('/')) a.remove_prefix(1);
  while (a.ends_with('/')) a.remove_suffix(1);
  while (b.starts_with('/')) b.remove_prefix(1);
  if (a.empty()) return std::string(b);
  return std::string(a) + "/" + std::string(b);
}

}  // namespace longhaul
