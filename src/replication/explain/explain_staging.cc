#include "replication/explain/explain_staging.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "archive/archive_file.h"
#include "archive/reader.h"
#include "replication/life/parked.h"
#include "replication/staging/local_staging.h"
#include "replication/staging/seal.h"
#include "replication/staging/staging.h"

namespace longhaul {

namespace {

constexpr int kRefusedMax = 1000;  // More archives are never opened for one answer.

class StagingLook {
 public:
  StagingLook(Runtime& runtime, State& state, const RuleContext& rule, const TargetContext& target,
              std::string source_key, size_t archives_max, TargetExplanation& told)
      : runtime_(runtime),
        state_(state),
        rule_(rule),
        target_(target),
        source_key_(std::move(source_key)),
        archives_left_(archives_max),
        told_(told) {}

  Async<void> Run() {
    Result<void> read = co_await ReadRefused();
    if (!read) co_return read.error();
    Result<std::vector<StagedArchive>> listed = co_await ListStaging(
        *target_.staging_store, target_.staging_bucket, target_.staging_prefix);
    if (!listed) {
      Fails(listed.error());
      co_return Ok();
    }
    std::set<std::string> waiting;
    std::set<std::string> replicated;  // Of these: still to come from the local staging.
    if (rule_.local) {
      Result<LocalArchives> local = co_await ReadLocalStaging(state_, rule_, /*stale=*/nullptr);
      if (!local) Fails(local.error());
      for (const auto& [ulid, archive] : local ? *local : LocalArchives()) {
        if (!archive.settled.contains(told_.name)) replicated.insert(ulid);
      }
    }
    for (const StagedArchive& staged : *listed) {
      replicated.erase(staged.ulid);
      if (staged.archive && !staged.HasReceipt(told_.name)) waiting.insert(staged.ulid);
    }
    waiting.insert(replicated.begin(), replicated.end());
    // The newest readings are those that count, and of these what is not applied yet.
    for (auto ulid = waiting.rbegin(); ulid != waiting.rend(); ++ulid) {
      if (MayOpen()) co_await LookIntoWaiting(*ulid, replicated.contains(*ulid));
    }
    for (auto staged = listed->rbegin(); staged != listed->rend(); ++staged) {
      if (staged->HasReceipt(told_.name) && MayOpen()) co_await LookIntoSettled(*staged);
    }
    co_return Ok();
  }

 private:
  void Fails(const Error& error) {
    if (!told_.error) told_.error = error;
  }

  // One more of them; false: they are too many, and this one is counted.
  bool MayOpen() {
    if (archives_left_ == 0) {
      ++told_.archives_not_read;
      return false;
    }
    --archives_left_;
    return true;
  }

  Async<void> ReadRefused() {
    Result<std::vector<ParkedKey>> refused =
        co_await ScanParkedArchives(state_, rule_.rule->id, target_.config->name, "", kRefusedMax);
    if (!refused) co_return refused.error();
    for (ParkedKey& archive : *refused) {
      std::string ulid = archive.archive;
      refused_.emplace(std::move(ulid), std::move(archive));
    }
    co_return Ok();
  }

  asio::awaitable<void> LookIntoWaiting(const std::string& ulid, bool local) {
    Result<std::vector<StagedReading>> readings = co_await ReadingsIn(ulid, local);
    if (!readings && readings.error().kind == ErrorKind::kNotFound) co_return;  // Just applied.
    if (!readings) ++told_.archives_not_read;
    if (readings && readings->empty()) co_return;
    const auto refused = refused_.find(ulid);
    if (refused != refused_.end()) told_.refused.push_back(refused->second);
    if (!readings) co_return;
    for (StagedReading& reading : *readings) told_.pending.push_back(std::move(reading));
  }

  asio::awaitable<void> LookIntoSettled(const StagedArchive& staged) {
    const std::string key = ReceiptKey(target_.staging_prefix, staged.ulid, target_.config->name);
    Result<std::string> text =
        co_await GetAll(*target_.staging_store, {.bucket = target_.staging_bucket, .key = key},
                        kReceiptSizeBytesMax);
    if (!text) {
      if (text.error().kind != ErrorKind::kNotFound) Fails(text.error().In("read receipt " + key));
      co_return;  // Not there: the source has just cleared it away.
    }
    LeftReceipt left{.archive_there = staged.archive.has_value()};
    Result<ArchiveReceipt> receipt = DecodeReceipt(*text);
    left.receipt =
        receipt
            ? std::move(*receipt)
            : ArchiveReceipt{.state = ArchiveReceipt::State::kCorrupt,
                             .reason = "the receipt cannot be read: " + receipt.error().Describe(),
                             .keys_known = false};
    left.receipt.archive = staged.ulid;
    left.rereads = std::ranges::find(left.receipt.reread, source_key_) != left.receipt.reread.end();
    const bool corrupt = left.receipt.state == ArchiveReceipt::State::kCorrupt;
    bool holds = left.rereads || left.receipt.transfer_key == source_key_;
    if (corrupt && !left.receipt.keys_known) holds = left.rereads = true;  // It may have.
    if (left.archive_there && !corrupt) {
      Result<std::vector<StagedReading>> readings = co_await ReadingsIn(staged.ulid, false);
      if (!readings && readings.error().kind != ErrorKind::kNotFound) ++told_.archives_not_read;
      if (readings && !readings->empty()) left.reading = readings->front();
    }
    if (!holds && !left.reading) co_return;
    for (const auto& other : rule_.targets) {
      if (left.archive_there && StagingPlace(*other) == StagingPlace(target_) &&
          !staged.HasReceipt(other->config->name)) {
        left.waits_for.push_back(other->config->name);
      }
    }
    told_.receipts.push_back(std::move(left));
  }

  // What an archive holds of the key; `local`: it lies in the local staging.
  Async<std::vector<StagedReading>> ReadingsIn(const std::string& ulid, bool local) {
    Store& store = local ? *rule_.local->store : *target_.staging_store;
    const std::string& prefix = local ? rule_.local->prefix : target_.staging_prefix;
    Result<std::unique_ptr<StoreArchiveFile>> file = co_await StoreArchiveFile::Open(
        runtime_, store, local ? rule_.local->bucket : target_.staging_bucket,
        ArchiveKey(prefix, ulid), "");
    if (!file) co_return file.error();
    ReaderOptions options;
    options.seal_keys = SealKeys(*rule_.rule);
    Result<std::unique_ptr<ArchiveReader>> reader =
        co_await ArchiveReader::Open(runtime_, **file, std::move(options));
    if (!reader) co_return reader.error();
    std::vector<StagedReading> readings;
    for (const ArchiveEntry& entry : (*reader)->entries()) {
      if (entry.key != source_key_) continue;
      readings.push_back(
          {.archive = ulid, .op = entry.op, .stamp = entry.stamp, .segment = entry.segment});
    }
    co_return readings;
  }

  Runtime& runtime_;
  State& state_;
  const RuleContext& rule_;
  const TargetContext& target_;
  std::string source_key_;
  size_t archives_left_;
  TargetExplanation& told_;
  std::map<std::string, ParkedKey> refused_;  // By ULID.
};

}  // namespace

Async<void> LookIntoStaging(Runtime& runtime, State& state, const RuleContext& rule,
                            const TargetContext& target, std::string source_key,
                            size_t archives_max, TargetExplanation& told) {
  StagingLook look(runtime, state, rule, target, std::move(source_key), archives_max, told);
  co_return co_await look.Run();
}

}  // namespace longhaul
