#include <algorithm>

#include "base/units.h"
#include "queue/sqs_setup.h"
#include "rules/configuration.h"
#include "rules/configuration_reader.h"
#include "rules/seal_fields.h"

namespace longhaul {

namespace {

using namespace std::chrono_literals;

constexpr int kRulesMax = 1'000;  // The topology check compares each with each.
constexpr int kTagsMax = 10;      // S3 User Guide, "Categorizing your storage using tags".

void ReadRestore(YamlFields& fields, Rule& rule) {
  std::optional<YamlValue> value = fields.Find("restore");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  RestoreOptions restore;
  inner->Choice<std::string>(
      "tier", restore.tier,
      {{"Expedited", "Expedited"}, {"Standard", "Standard"}, {"Bulk", "Bulk"}});
  inner->Integer("days", restore.days, 1, 365);
  inner->Finish();
  rule.restore = std::move(restore);
}

}  // namespace

void ConfigurationReader::ReadRules(const YamlValue& value) {
  std::optional<std::vector<YamlValue>> items = value.Items();
  if (!items) return;
  if (items->empty()) value.Fail("is empty", "add a rule: - { id: …, source: …, targets: … }");
  if (items->size() > kRulesMax) {
    value.Fail("has " + std::to_string(items->size()) + " rules",
               "at most " + std::to_string(kRulesMax) + " fit; split the file");
    return;
  }
  for (const YamlValue& item : *items) {
    Rule rule;
    Places places;
    ReadRule(item, rule, places);
    if (!rule.id.empty() && configuration_.FindRule(rule.id) != nullptr) {
      item.Fail("the id " + Quoted(rule.id) + " is taken by another rule",
                "give it one of its own");
    }
    configuration_.rules.push_back(std::move(rule));
    places_.push_back(std::move(places));
  }
}

void ConfigurationReader::ReadRule(const YamlValue& value, Rule& rule, Places& places) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  if (auto id = fields->Require("id", "id: NAME")) {
    rule.id = id->Text().value_or("");
    if (!rule.id.empty() && (!IsPlainName(rule.id, 64) || rule.id == "probe")) {
      id->Fail(Quoted(id->node().raw) + " cannot be the id of a rule",
               "use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'; not 'probe', a folder in staging");
    }
  }
  fields->Choice("status", rule.enabled, {{"enabled", true}, {"disabled", false}});
  if (auto source = fields->Require("source", "source: STORE:bucket/prefix")) {
    places.source = *source;
    ReadAddress(*source, rule.source);
  }
  ReadFilter(*fields, rule.filter);
  ReadIntake(*fields, rule);
  const bool says_deletes = fields->Boolean("deletes", rule.deletes);
  ReadCompression(*fields, rule);
  ReadBatch(*fields, rule.batch);
  ReadSettle(*fields, rule);
  std::chrono::milliseconds threshold{};
  if (fields->Duration("threshold", threshold, 1s, std::chrono::days(30))) {
    rule.threshold = threshold;
  }
  fields->Choice("on_conflict", rule.on_conflict,
                 {{"keep", OnConflict::kKeep}, {"overwrite", OnConflict::kOverwrite}});
  ReadRestore(*fields, rule);
  ReadDeleteGuard(*fields, rule.delete_guard);
  ReadSeal(*fields, rule);
  fields->Integer("priority", rule.priority, 0, INT32_MAX);
  if (auto targets = fields->Require("targets", "targets: [{ to: …, staging: … }]")) {
    ReadTargets(*targets, rule, places);
    CheckBackups(*targets, rule, says_deletes);
  }
  ReadTransport(*fields, rule, places);
  fields->Finish();
}

void ConfigurationReader::CheckBackups(const YamlValue& value, Rule& rule, bool says_deletes) {
  const auto count = std::ranges::count_if(
      rule.targets, [](const Target& target) { return target.backup.has_value(); });
  if (count == 0) return;
  // What a backup gives back must not hold what had been deleted.
  if (!says_deletes && count == std::ssize(rule.targets)) rule.deletes = true;
  if (!rule.deletes) {
    Warn(value,
         "without deletes: true a backup never learns that an object has been deleted, and "
         "gives it back");
  }
}

// A store copies within itself alone.
void ConfigurationReader::CheckCopies(const Rule& rule, Places& places) {
  const StoreSettings* from = KnownStoreOf(rule.source);
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    const Target& target = rule.targets[i];
    const StoreSettings* to = KnownStoreOf(target.to);
    if (from == nullptr || to == nullptr) continue;
    if (from->Place() != to->Place()) {
      places.targets[i]->Fail("is not in the store of the source (" + from->Place() + " and " +
                                  to->Place() + "), and a store copies within itself alone",
                              "write transport: auto, direct or plain");
    }
  }
}

void ConfigurationReader::FindCopies(Rule& rule) {
  const StoreSettings* from = KnownStoreOf(rule.source);
  for (Target& target : rule.targets) {
    const StoreSettings* to = KnownStoreOf(target.to);
    target.store_can_copy = from != nullptr && to != nullptr && from->Place() == to->Place();
  }
}

// After the targets.
void ConfigurationReader::ReadTransport(YamlFields& fields, Rule& rule, Places& places) {
  fields.Choice("transport", rule.transport,
                {{"direct", Transport::kDirect},
                 {"s3-replication", Transport::kS3Replication},
                 {"copy", Transport::kCopy},
                 {"plain", Transport::kPlain},
                 {"auto", Transport::kAuto}});
  const bool carries = rule.transport == Transport::kCopy || rule.transport == Transport::kPlain ||
                       rule.transport == Transport::kAuto;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    if (!carries || !rule.targets[i].take_over) continue;
    // All that is remembered of its keys is with the source's process.
    places.targets[i]->Fail(
        "takes over archives, which the target does, and by this transport the "
        "source writes to it as well",
        "write transport: direct until take_over is done with");
  }
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    if (!carries || !rule.targets[i].backup || !places.targets[i]) continue;
    places.targets[i]->Fail("keeps archives, and by this transport not all goes in archives",
                            "write transport: direct or s3-replication");
  }
  if (rule.transport == Transport::kCopy) CheckCopies(rule, places);
  if (rule.transport == Transport::kAuto) FindCopies(rule);
  const bool by_store = rule.transport == Transport::kS3Replication;
  std::optional<YamlValue> staging = fields.Find("staging");
  places.local_staging = staging;
  const bool timed =
      fields.Duration("replication_timeout", rule.replication_timeout, 10s, std::chrono::days(7));
  if (!staging) {
    if (by_store) {
      fields.Find("transport")
          ->Fail("needs the bucket that the store replicates",
                 "add staging: STORE:bucket/prefix/ to the rule");
    } else if (timed) {
      fields.Find("replication_timeout")->Fail("is for transport: s3-replication", "remove it");
    }
    return;
  }
  Address local;
  if (!ReadAddress(*staging, local)) return;
  if (!local.prefix.empty() && !local.prefix.ends_with('/')) local.prefix += '/';
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    const Address& there = rule.targets[i].staging;
    if (there.bucket.empty() || there.prefix == local.prefix) continue;
    places.staging[i]->Fail("has another prefix than the staging of the rule, " + local.ToString() +
                                ", and a store that replicates keeps keys",
                            "write " + Address{there.store, there.bucket, local.prefix}.ToString());
  }
  rule.local_staging = std::move(local);
  if (!by_store) {
    Warn(*staging,
         "nothing new goes there without transport: s3-replication; what is there is "
         "brought to its end");
  }
}

void ConfigurationReader::ReadFilter(YamlFields& fields, Filter& filter) {
  std::optional<YamlValue> value = fields.Find("filter");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  inner->Text("suffix", filter.suffix);
  inner->Refuse("prefix", "stands in the source's address", "write source: STORE:bucket/PREFIX");
  inner->Size("min_size", filter.size_bytes_min, 0, INT64_MAX);
  uint64_t size_bytes_max = 0;
  if (inner->Size("max_size", size_bytes_max, 0, INT64_MAX)) {
    filter.size_bytes_max = size_bytes_max;
    if (size_bytes_max < filter.size_bytes_min) {
      value->Fail("no size is at least min_size and at most max_size", "swap them");
    }
  }
  if (auto since = inner->Find("modified_since")) {
    std::optional<std::string> text = since->Text();
    Result<SystemTime> time = text ? ParseRfc3339(*text) : Result<SystemTime>(SystemTime{});
    if (text && !time) {
      since->Fail(Quoted(since->node().raw) + " is not a time",
                  "write it as \"2026-11-21T00:00:00Z\"");
    } else if (text) {
      filter.modified_since = *time;
    }
  }
  inner->Boolean("kms_encrypted", filter.kms_encrypted);
  std::optional<YamlValue> tags = inner->Find("tags");
  std::optional<YamlFields> names = tags ? tags->Fields() : std::nullopt;
  if (names) {
    for (auto& [name, tag] : names->All()) {
      // "" is a value like any other.
      std::optional<std::string> text = "";
      if (!tag.node().quoted || !tag.node().raw.empty()) text = tag.Text();
      if (!text) continue;
      if (name.empty() || name.size() > 128 * 4 || text->size() > 256 * 4) {
        tag.Fail("is too long for a tag", "names have up to 128 characters, values up to 256");
      }
      filter.tags[name] = *text;
    }
    if (filter.tags.size() > kTagsMax)
      tags->Fail("asks for more than 10 tags", "no object has so many");
  }
  inner->Finish();
}

void ConfigurationReader::ReadSettle(YamlFields& fields, Rule& rule) {
  std::optional<YamlValue> value = fields.Find("settle");
  std::optional<std::chrono::milliseconds> settle = value ? value->Duration(0s, 1h) : std::nullopt;
  if (!settle) return;
  rule.settle = *settle;
  if (*settle < 1s) {
    value->Fail(Quoted(value->node().raw) +
                    " is too short: stamps have whole seconds, and of two changes within one the "
                    "older could stay",
                "give 1s to 1h");
  }
}

void ConfigurationReader::ReadIntake(YamlFields& fields, Rule& rule) {
  const StoreSettings* store = StoreOf(rule.source);
  const bool is_folder = store != nullptr && store->type == StoreType::kFile;
  Intake& intake = rule.intake;
  intake.listing = std::chrono::hours(1);  // What no event told is found within the hour.
  intake.watch = is_folder;                // Costs nothing, and a folder sends no events.
  std::optional<YamlValue> value = fields.Find("intake");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  if (inner->Boolean("webhook", intake.webhook) && intake.webhook && !configuration_.listen) {
    value->Fail("webhook needs a listener", "add listen: 127.0.0.1:8787 at the top");
  }
  if (auto listing = inner->Find("listing")) {
    if (listing->node().text == "off" || listing->node().text == "false") {
      intake.listing.reset();
    } else if (auto every = listing->Duration(1s, std::chrono::days(30))) {
      intake.listing = std::chrono::ceil<std::chrono::seconds>(*every);
    }
  }
  if (inner->Boolean("watch", intake.watch) && intake.watch && store != nullptr && !is_folder) {
    value->Fail("only folders can be watched", "remove watch; use webhook or listing");
  }
  if (auto sqs = inner->Find("sqs")) {
    constexpr char kRemedy[] = "write the name of a standard queue, or NAME?region=REGION";
    const std::optional<std::string> text = sqs->Text();
    Result<AwsPlace> queue = ParseAwsPlace(text ? *text : "");
    if (text && !queue) sqs->Fail(Quoted(*text) + " " + queue.error().message, kRemedy);
    if (queue && !IsSqsName(queue->name)) {
      sqs->Fail(Quoted(queue->name) + " is no name of a standard queue", kRemedy);
    } else if (queue && is_folder) {
      sqs->Fail("a folder sends no events to SQS", "use watch");
    } else if (queue) {
      intake.sqs = std::move(*queue);
    }
  }
  if (auto inventory = inner->Find("inventory")) ReadInventory(*inventory, is_folder, intake);
  inner->Refuse("eventbridge", "is no place of its own",
                "send its events to SQS, and name that by sqs");
  inner->Finish();
  if (!(intake.webhook && configuration_.listen) && !intake.listing && !intake.watch &&
      !intake.sqs) {
    Warn(*value, "after the listing at the start nothing tells of changes");
  }
}

void ConfigurationReader::ReadInventory(const YamlValue& value, bool is_folder, Intake& intake) {
  Address place;
  if (!ReadAddress(value, place)) return;
  if (is_folder) {
    value.Fail("there are no inventories of a folder", "remove it; a folder is listed");
  } else if (!place.prefix.ends_with('/')) {
    value.Fail("does not end in \"/\"",
               "write the folder that S3 delivers to: STORE:BUCKET/PREFIX/SOURCE-BUCKET/ID/");
  } else {
    intake.inventory = std::move(place);
  }
}

void ConfigurationReader::ReadCompression(YamlFields& fields, Rule& rule) {
  std::optional<YamlValue> value = fields.Find("compression");
  std::optional<YamlValue> bounds = fields.Find("tuner");
  if (!value || value->node().text == "auto") {
    rule.tuner.emplace();
    if (bounds) ReadTuner(*bounds, *rule.tuner);
    rule.compression_level =
        std::clamp(rule.compression_level, rule.tuner->level_min, rule.tuner->level_max);
    return;
  }
  if (bounds) {
    bounds->Fail("bounds a level that is fixed", "write compression: auto, or leave it out");
  }
  if (value->node().text == "none") {
    rule.compression_level = 0;
    return;
  }
  const bool number = !value->node().text.empty() &&
                      value->node().text.find_first_not_of("0123456789-") == std::string::npos;
  if (!number && value->node().kind == YamlNode::Kind::kText && !value->node().broken) {
    value->Fail(Quoted(value->node().raw) + " is no way to compress",
                "write auto, none, or 1 to 22");
  } else if (auto level = value->Integer(1, 22)) {
    rule.compression_level = static_cast<int>(*level);
  }
}

void ConfigurationReader::ReadTuner(const YamlValue& value, TunerBounds& bounds) {
  std::optional<YamlFields> fields = value.Fields();
  if (!fields) return;
  TunerBounds read = bounds;
  const bool min = fields->Integer("min", read.level_min, 1, 22);
  const bool max = fields->Integer("max", read.level_max, 1, 22);
  fields->Finish();
  // One bound alone moves the other out of its way.
  if (min && !max) read.level_max = std::max(read.level_max, read.level_min);
  if (read.level_min > read.level_max) {
    value.Fail("min is above max", "write tuner: { min: 1, max: 19 }");
    return;
  }
  bounds = read;
}

void ConfigurationReader::ReadBatch(YamlFields& fields, Batch& batch) {
  std::optional<YamlValue> value = fields.Find("batch");
  std::optional<YamlFields> inner = value ? value->Fields() : std::nullopt;
  if (!inner) return;
  inner->Size("bytes", batch.size_bytes, 1 << 20, 5ULL << 30);
  inner->Integer("count", batch.count, 1, 10'000);
  inner->Duration("linger", batch.linger, 0s, 1h);
  inner->Finish();
}

void ConfigurationReader::ReadDeleteGuard(YamlFields& fields, DeleteGuard& guard) {
  std::optional<YamlValue> value = fields.Find("delete_guard");
  if (!value) return;
  if (value->node().text == "off" || value->node().text == "false") {
    guard.enabled = false;
    return;
  }
  std::optional<YamlFields> inner = value->Fields();
  if (!inner) return;
  inner->Integer("keys", guard.keys, 0, INT64_MAX);
  if (auto share = inner->Find("share")) guard.share = share->Number(0, 1).value_or(guard.share);
  inner->Finish();
}

}  // namespace longhaul
