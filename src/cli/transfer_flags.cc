#include "cli/transfer_flags.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/units.h"
#include "transfer/object/copy_plan.h"

namespace longhaul {

namespace {

constexpr size_t kFilterFileBytesMax = 16 << 20;
constexpr uint64_t kPartSizeBytesMin = 5ULL << 20;  // S3 User Guide, multipart upload limits.
constexpr uint64_t kPartSizeBytesMax = 5ULL << 30;

Result<std::string> ReadTextFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return InvalidInput("cannot read '" + path + "'");
  std::string text(kFilterFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) return InvalidInput("cannot read '" + path + "'");
  if (text.size() > kFilterFileBytesMax) return InvalidInput("'" + path + "' is over 16 MiB");
  // As editors put it before UTF-8: no character of the first pattern.
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

// The lines of a file that are patterns, as rules that begin with `sign`. Blank lines and comments
// are as in a file of rules.
Result<void> AddPatterns(std::string_view text, std::string_view path, std::string_view sign,
                         ObjectFilter& filter) {
  std::string rules;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
    const bool nothing = line.empty() || line[0] == '\r' || line[0] == '#' || line[0] == ';';
    rules += (nothing ? std::string() : std::string(sign)) + std::string(line) + "\n";
  }
  return filter.AddRules(rules, path);
}

Result<void> SetTime(std::string_view text, std::optional<TimeBound>& bound) {
  Result<TimeBound> parsed = ParseTimeBound(text);
  if (!parsed) return parsed.error();
  bound = *parsed;
  return Ok();
}

Result<void> SetSize(std::string_view text, std::optional<uint64_t>& size_bytes) {
  Result<uint64_t> parsed = ParseTransferSize(text);
  if (!parsed) return parsed.error();
  size_bytes = *parsed;
  return Ok();
}

}  // namespace

Result<TimeBound> ParseTimeBound(std::string_view text) {
  TimeBound bound;
  if (Result<std::chrono::milliseconds> ago = ParseDuration(text)) {
    bound.ago = *ago;
    return bound;
  }
  const bool date = text.size() == 10 && text[4] == '-';
  Result<SystemTime> at = ParseRfc3339(date ? std::string(text) + "T00:00:00Z" : std::string(text));
  if (!at) {
    return InvalidInput("'" + std::string(text) +
                        "' is no time: write 36h or 7d (ago), 2026-03-01, or "
                        "2026-03-01T09:30:00Z");
  }
  bound.at = *at;
  return bound;
}

Result<uint64_t> ParseTransferSize(std::string_view text) {
  constexpr std::string_view kSuffixes = "kKmMgGtT";
  if (text.size() > 1 && kSuffixes.contains(text.back())) {
    return ParseSize(std::string(text) + "iB");
  }
  return ParseSize(text);
}

void FilterFlags::Declare(FlagSet& flags) {
  flags.Section("FILTERS");
  flags.Each({.name = "include",
              .help = "Names below SOURCE that match are in, and others are not; '*' also matches "
                      "'/'. Of all rules for names the first that matches decides, in the order "
                      "given.",
              .value_name = "GLOB"},
             [this](std::string_view text) {
               filter_.AddGlob(true, std::string(text), "--include '" + std::string(text) + "'");
               return Ok();
             });
  flags.Each(
      {.name = "exclude", .help = "Names below SOURCE that match are out.", .value_name = "GLOB"},
      [this](std::string_view text) {
        filter_.AddGlob(false, std::string(text), "--exclude '" + std::string(text) + "'");
        return Ok();
      });
  flags.Each({.name = "filter",
              .help = "A rule as rclone writes them: '+ PATTERN' or '- PATTERN', where '*' stays "
                      "within a folder and '**' does not.",
              .value_name = "RULE"},
             [this](std::string_view text) {
               return filter_.AddRule(text, "--filter '" + std::string(text) + "'");
             });
  flags.Each({.name = "filter-from",
              .help = "Rules from a file, one to a line; '#' begins a comment.",
              .value_name = "FILE",
              .completes = Completes::kFiles},
             [this](std::string_view path) -> Result<void> {
               Result<std::string> text = ReadTextFile(std::string(path));
               if (!text) return text.error();
               return filter_.AddRules(*text, path);
             });
  DeclarePatterns(flags, true, "include-from",
                  "Patterns from a file, one to a line, as rclone writes them: what matches is in, "
                  "and what no rule lets in is out.");
  DeclarePatterns(flags, false, "exclude-from", "The same for what is out.");
  flags.Parsed({.name = "min-size",
                .help = "Leave out what is smaller, like 100k or 1MiB.",
                .value_name = "SIZE"},
               [this](std::string_view text) { return SetSize(text, filter_.size_bytes_min); });
  flags.Parsed({.name = "max-size", .help = "Leave out what is larger.", .value_name = "SIZE"},
               [this](std::string_view text) { return SetSize(text, filter_.size_bytes_max); });
  flags.Parsed({.name = "min-age",
                .help = "Leave out what was modified after this: 36h or 7d (ago), or a date.",
                .value_name = "TIME",
                .alias = "older-than"},
               [this](std::string_view text) { return SetTime(text, age_min_); });
  flags.Parsed({.name = "max-age",
                .help = "Leave out what was modified before this: 36h or 7d (ago), or a date.",
                .value_name = "TIME"},
               [this](std::string_view text) { return SetTime(text, age_max_); });
  flags.Parsed({.name = "newer-than", .help = "As --max-age.", .value_name = "TIME"},
               [this](std::string_view text) { return SetTime(text, newer_than_); });
}

void FilterFlags::DeclarePatterns(FlagSet& flags, bool include, std::string_view name,
                                  std::string_view help) {
  flags.Each({.name = name, .help = help, .value_name = "FILE", .completes = Completes::kFiles},
             [this, include](std::string_view path) -> Result<void> {
               Result<std::string> text = ReadTextFile(std::string(path));
               if (!text) return text.error();
               if (include) others_out_ = true;
               return AddPatterns(*text, path, include ? "+ " : "- ", filter_);
             });
}

ObjectFilter FilterFlags::Make(SystemTime now) const {
  ObjectFilter filter = filter_;
  if (others_out_) filter.AddGlob(false, "*", "no --include-from matches");
  if (age_min_) filter.modified_before = age_min_->From(now);
  for (const std::optional<TimeBound>& bound : {age_max_, newer_than_}) {
    if (!bound) continue;
    filter.modified_after =
        std::max(filter.modified_after.value_or(SystemTime::min()), bound->From(now));
  }
  return filter;
}

void CompareFlags::Declare(FlagSet& flags) {
  flags.Section("COMPARISON");
  flags.Switch({.name = "size-only", .help = "What has the same size is the same."},
               rules.size_only);
  flags.Switch(
      {.name = "checksum",
       .help = "What has the same size and the same bytes is the same, whatever the times: "
               "told by ETags and stored checksums, of local files by their digest. "
               "Nothing is downloaded for it; what cannot be told is copied.",
       .letter = 'c'},
      rules.checksum);
  flags.Switch({.name = "download",
                .help = "With --checksum: read both sides where neither ETag nor checksum tells."},
               download);
  flags.Switch({.name = "ignore-times",
                .help = "Copy what is there as well, the same or not.",
                .letter = 'I'},
               rules.ignore_times);
  flags.Switch({.name = "ignore-existing",
                .help = "Leave alone what exists at the target. Its server decides "
                        "(If-None-Match), so nothing is overwritten by a race either.",
                .alias = "no-clobber"},
               rules.ignore_existing);
  flags.Switch({.name = "update",
                .help = "Leave alone what is newer at the target, also when its size differs.",
                .letter = 'u'},
               rules.update);
  flags.Switch({.name = "immutable",
                .help = "What exists at the target and differs is a failure, and stays."},
               rules.immutable);
  flags.Parsed({.name = "modify-window",
                .help = "Times no further apart are the same, for file systems with coarse times. "
                        "Default: 0s.",
                .value_name = "DURATION"},
               [this](std::string_view text) -> Result<void> {
                 Result<std::chrono::milliseconds> window = ParseDuration(text);
                 if (!window) return window.error();
                 rules.window = *window;
                 return Ok();
               });
}

void CopyFlags::Declare(FlagSet& flags) {
  flags.Section("COPIES");
  flags.Text({.name = "storage-class",
              .help = "Storage class at the target. Default: that of the source.",
              .value_name = "CLASS",
              .alias = "s3-storage-class"},
             storage_class);
  flags.Choice({.name = "sse",
                .help = "Server-side encryption at the target. Default: the bucket's.",
                .value_name = "ALGORITHM",
                .alias = "s3-server-side-encryption"},
               {"AES256", "aws:kms", "aws:kms:dsse"}, sse);
  flags.Text({.name = "kms-key-id",
              .help = "KMS key to encrypt with at the target. Default: the bucket's encryption.",
              .value_name = "KEY",
              .alias = "kms-key sse-kms-key-id"},
             kms_key);
  flags.Text({.name = "acl",
              .help = "A canned ACL for each copy, as bucket-owner-full-control. Default: none is "
                      "sent.",
              .value_name = "ACL",
              .alias = "s3-acl"},
             acl);
  flags.Parsed(
      {.name = "part-size",
       .help = "Size of the parts of large objects whose own parts are not kept, like 8MiB. "
               "An upload that goes on keeps its own. What passes through memory takes "
               "three eighths of --memory at most. Default: 16MiB, more for objects over 156 GiB.",
       .value_name = "SIZE",
       .alias = "s3-chunk-size"},
      [this](std::string_view text) -> Result<void> {
        Result<uint64_t> size = ParseTransferSize(text);
        if (!size) return size.error();
        if (*size < kPartSizeBytesMin || *size > kPartSizeBytesMax) {
          return InvalidInput("a part has 5 MiB to 5 GiB");
        }
        part_size_bytes = *size;
        return Ok();
      });
  flags.Parsed(
      {.name = "multipart-threshold",
       .help = "From this size on objects go in parts, and only then go on where they broke "
               "off. Default: --part-size and 16 MiB, if that is given; else what was "
               "uploaded in parts does, and what has no checksum but is larger than 16 MiB, "
               "and what is larger than 1 GiB; to local files what is larger than 64 MiB "
               "(1 GiB, if an MD5 of the whole is all that the source tells of it).",
       .value_name = "SIZE",
       .alias = "s3-upload-cutoff"},
      [this](std::string_view text) -> Result<void> {
        Result<uint64_t> size = ParseTransferSize(text);
        if (!size) return size.error();
        multipart_threshold_bytes = std::max<uint64_t>(1, *size);
        return Ok();
      });
  flags.Integer({.name = "upload-concurrency",
                 .help = "Parts in flight at once, of each object. Default: 4.",
                 .value_name = "N",
                 .alias = "s3-upload-concurrency concurrency"},
                1, 64, parts_in_flight);
  flags.Integer({.name = "transfers",
                 .help = "Objects in flight at once. Default: 64.",
                 .value_name = "N",
                 .alias = "numworkers"},
                1, 4096, in_flight);
}

CopyOptions CopyFlags::Options() const {
  std::optional<uint64_t> threshold = multipart_threshold_bytes;
  // Whoever says how large parts are wants parts.
  if (!threshold && part_size_bytes != 0)
    threshold = std::max(kBufferBytesMax, part_size_bytes) + 1;
  return {.storage_class = storage_class,
          .sse = sse,
          .kms_key = kms_key,
          .acl = acl,
          .multipart_threshold_bytes = threshold,
          .part_size_bytes = part_size_bytes,
          .parts_in_flight = static_cast<int>(parts_in_flight)};
}

void AtFlag::Declare(FlagSet& flags) {
  flags.Parsed(
      {.name = "at",
       .help = "SOURCE as it was: 2h (ago), 2026-03-01 or 2026-03-01T09:30:00Z. Its bucket "
               "keeps versions; what was deleted for good since is not there.",
       .value_name = "TIME",
       .alias = "rewind"},
      [this](std::string_view text) { return SetTime(text, at); });
}

void VersionsFlag::Declare(FlagSet& flags) {
  flags.Switch(
      {.name = "versions",
       .help = "All versions and delete markers, those of each key in the order in which they were "
               "written, into a bucket that keeps versions. What is there is told by the version "
               "id that each copy has in its metadata, else by order, ETag and size; a key that "
               "somebody else has written at TARGET is left alone and named.",
       .alias = "all-versions"},
      versions);
}

std::vector<std::string> CopyFlags::Arguments() const {
  std::vector<std::string> arguments;
  for (const auto& [name, value] :
       {std::pair<std::string, const std::string&>{"--storage-class", storage_class},
        {"--sse", sse},
        {"--kms-key-id", kms_key},
        {"--acl", acl}}) {
    if (!value.empty()) arguments.push_back(name + "=" + value);
  }
  if (part_size_bytes != 0) arguments.push_back("--part-size=" + std::to_string(part_size_bytes));
  if (multipart_threshold_bytes) {
    arguments.push_back("--multipart-threshold=" + std::to_string(*multipart_threshold_bytes));
  }
  arguments.push_back("--upload-concurrency=" + std::to_string(parts_in_flight));
  arguments.push_back("--transfers=" + std::to_string(in_flight));
  return arguments;
}

void VerboseFlag::Declare(FlagSet& flags) {
  Declare(flags,
          "Name each object that was copied or removed; -vv also those that were not, with the "
          "reason or the rule that decided.");
}

void VerboseFlag::Declare(FlagSet& flags, std::string_view help) {
  flags.Each({.name = "verbose", .help = help, .letter = 'v'}, [this](std::string_view text) {
    level = text == "false" || text == "0" ? 0 : level + 1;
    return Ok();
  });
}

void TellExcluded(Output& output, std::string_view name, const ObjectFilter& filter,
                  const ListedObject& object) {
  const std::string rule = filter.Explain(name, object).rule;
  output.Problem(Message("skipped")
                     .With("key", name)
                     .With("reason", reason::kExcluded)
                     .With("rule", rule)
                     .Says("skipped " + Printable(name) + ": excluded by " + Printable(rule)));
}

void TellExcludedCount(Output& output, uint64_t count) {
  if (count == 0) return;
  output.Problem(Message("excluded")
                     .With("objects", count)
                     .Says("the filters leave out " + Counted(count, "object")));
}

}  // namespace longhaul
