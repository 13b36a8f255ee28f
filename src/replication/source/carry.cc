#include "replication/source/carry.h"

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "replication/apply/apply_archive.h"
#include "replication/apply/direct_body.h"
#include "replication/apply/hidden_keys.h"
#include "replication/apply/replica_write.h"
#include "replication/source/attributes.h"
#include "replication/source/open_archive.h"
#include "replication/source/reading.h"
#include "replication/staging/archive_body.h"

namespace longhaul {

namespace {

// How long a store is not asked to copy that has refused it, and the code of that.
constexpr std::chrono::minutes kNoCopiesFor{10};
constexpr char kNotCopied[] = "NotCopied";
constexpr size_t kDenialsMax = 10'000;
// The code of a change of attributes whose object must be read with its bytes.
constexpr char kNotHeld[] = "NotHeld";

OutcomeState StateOf(ApplyState state) {
  switch (state) {
    case ApplyState::kApplied:
      return OutcomeState::kApplied;
    case ApplyState::kEqual:
      return OutcomeState::kEqual;
    case ApplyState::kSuperseded:
      return OutcomeState::kSuperseded;
    case ApplyState::kConflict:
      return OutcomeState::kConflict;
    case ApplyState::kReread:
      return OutcomeState::kReread;
  }
  return OutcomeState::kReread;
}

// Of the failures of several targets the one counts that has most to say of what comes next. What
// is damaged or denied is given up some day, and so nothing that is tried for as long as it takes
// may stand behind it.
int Urgency(const Error& error) {
  if (error.code == kNotHeld) return 4;
  if (error.kind == ErrorKind::kCorrupt) return 2;
  if (MayPass(error)) return 3;
  return error.kind == ErrorKind::kDenied ? 1 : 0;
}

// One batch: what all of its objects share.
class Carrier {
 public:
  Carrier(ReplicationContext& context, const RuleContext& rule, std::vector<size_t> targets,
          bool alone)
      : context_(context), rule_(rule), targets_(std::move(targets)), alone_(alone) {
    for (size_t index : targets_) {
      const TargetContext& target = *rule.targets[index];
      carried_before_[&target] = target.carried;
    }
  }

  // Those of `items` that `which` names are carried next.
  void Begin(const std::vector<PackItem>& items, const std::vector<size_t>& which) {
    hidden_.clear();
    keys_hidden_.clear();
    for (size_t index : targets_) {
      const TargetContext& target = *rule_.targets[index];
      if (target.applier->policy().capabilities.key_file_beside_folder) continue;
      std::set<std::string> keys;
      for (size_t i : which) {
        if (auto key = TargetKey(*rule_.rule, *target.config, items[i].key)) keys.insert(*key);
      }
      hidden_.emplace(index, std::make_unique<HiddenKeys>(*target.store, target.config->to.bucket,
                                                          std::move(keys)));
    }
  }
  // Whether a target's store would have hidden it, since Begin.
  [[nodiscard]] bool FoundHidden(const std::string& key) const {
    return keys_hidden_.contains(key);
  }

  Async<void> Carry(const PackItem& item, Reservation memory, PackedKey& key) {
    Result<void> done = co_await CarryOne(item, memory, key);
    if (done) co_return Ok();
    key.state = PackedKey::State::kFailed;
    key.error = done.error();
    co_return Ok();
  }

  // Objects side by side: as many as keep the busiest of the stores busy; the others let requests
  // wait.
  [[nodiscard]] int objects_max() const {
    int most = rule_.reads_max;
    for (size_t index : targets_) most = std::max(most, rule_.targets[index]->writes_max);
    return most;
  }

  [[nodiscard]] bool CopiesToAll(uint64_t size_bytes) const {
    return std::ranges::all_of(
        targets_, [&](size_t index) { return Copies(*rule_.targets[index], size_bytes); });
  }

  // Targets to which something was sent, and whether any of it was taken (PackResult). One object
  // that is denied says nothing of the others.
  [[nodiscard]] std::map<size_t, Result<void>> CarriedTo() const {
    std::map<size_t, Result<void>> to;
    for (const auto& [index, failed] : failures_) {
      const bool one_denied = failed.error.kind == ErrorKind::kDenied && failed.count == 1;
      if (!taken_.contains(index) && !one_denied) to.emplace(index, failed.error);
    }
    for (size_t index : taken_) to.emplace(index, Ok());
    return to;
  }

  ArchiveBytes bytes;

 private:
  // Server-side; what is too large for one request goes in parts.
  [[nodiscard]] bool Copies(const TargetContext& target, uint64_t size_bytes) const {
    const SteadyTime now = context_.runtime.clock.SteadyNow();
    return MayCopy(*rule_.rule, *target.config) && now >= target.no_copies_until &&
           (!InParts(target, size_bytes) || now >= target.no_part_copies_until);
  }
  static bool InParts(const TargetContext& target, uint64_t size_bytes) {
    return size_bytes > target.store->capabilities().copy_size_bytes_max;
  }

  // Headers, with the body where that is small. Of what is not needed as a whole a byte is asked
  // for: a HEAD tells neither of tags nor, for sure, of an absence.
  Async<ObjectStream> Open(const PackItem& item, SystemTime* absent_at) {
    GetRequest request{.bucket = rule_.rule->source.bucket, .key = item.key};
    const bool body = !alone_ && !CopiesToAll(item.size_bytes.value_or(0));
    if (!body && item.size_bytes.value_or(0) > 0) {
      request.range = ByteRange{.offset_bytes = 0, .size_bytes = 1};
    }
    Result<ObjectStream> stream = co_await rule_.source->Get(request, absent_at);
    if (!stream && stream.error().code == "InvalidRange") {
      request.range.reset();  // It is empty by now.
      stream = co_await rule_.source->Get(request, absent_at);
    }
    co_return stream;
  }

  Async<void> CarryOne(const PackItem& item, Reservation& memory, PackedKey& key) {
    if (item.attributes) {
      Result<bool> carried = co_await CarryAttributes(item, key);
      if (!carried) co_return carried.error();
      if (*carried) co_return Ok();
      key.refused_by.clear();
    }
    SystemTime absent_at{};
    Result<ObjectStream> stream = co_await Open(item, &absent_at);
    if (!stream) {
      Reading reading = co_await ReadingOfError(rule_, targets_, item, stream.error(), absent_at);
      key.state = reading.state;
      key.stamp = reading.entry.stamp;
      key.deleted = reading.entry.op == EntryOp::kDelete;
      key.wanted = std::move(reading.wanted);
      key.error = std::move(reading.error);
      if (key.state != PackedKey::State::kStaged) co_return Ok();
      co_return co_await ToAll(reading.entry, {}, nullptr, 0, key);
    }
    const ObjectInfo info = stream->info;
    key.size_bytes = info.size_bytes;
    key.stamp = info.server_time;
    Reading reading;
    reading.entry = EntryOf(item.key, info);
    const bool large = info.size_bytes > context_.limits.bundle_object_bytes_max;
    const bool copies = CopiesToAll(info.size_bytes);
    const bool whole = stream->length_bytes == info.size_bytes;
    if (!copies && large && !alone_) {
      key.state = PackedKey::State::kLarge;
      co_return Ok();
    }
    if (!copies && !large &&
        (!whole || static_cast<int64_t>(info.size_bytes) > memory.size_bytes())) {
      key.state = PackedKey::State::kUnread;  // Not of the size that the hint said.
      co_return Ok();
    }
    if (!copies && !large) {
      reading.content.resize(info.size_bytes);
      Result<void> read = co_await ReadContent(*stream->body, reading.content);
      if (!read) co_return read.error().In("read");
    }
    stream->body.reset();
    Result<void> completed =
        co_await CompleteReading(rule_, targets_, info, item, context_.site, reading);
    if (!completed) co_return completed.error().In("read");
    key.state = reading.state;
    key.unverified = reading.unverified && !copies;
    key.wanted = std::move(reading.wanted);
    if (key.state != PackedKey::State::kStaged) co_return Ok();
    if (info.size_bytes > context_.limits.single_object_bytes_max) {
      // Segments of an older state may be under way, and must not count for this one.
      Result<void> forgotten = co_await ForgetTransfers(context_, rule_, targets_, {}, item.key);
      if (!forgotten) co_return forgotten.error().In("end a transfer");
    }
    const uint64_t part_bytes = large ? static_cast<uint64_t>(memory.size_bytes()) : 0;
    Result<void> carried = co_await ToAll(reading.entry, reading.content,
                                          copies || large ? &info : nullptr, part_bytes, key);
    if (carried || carried.error().code != kNotCopied) co_return carried;
    key.state = PackedKey::State::kUnread;  // Again, by another way.
    co_return Ok();
  }

  // False: a target wants the bytes, and nothing is decided.
  Async<bool> CarryAttributes(const PackItem& item, PackedKey& key) {
    Reading reading;
    if (!co_await ReadAttributes(context_, rule_, targets_, item, reading)) co_return false;
    key.state = reading.state;
    key.stamp = reading.entry.stamp;
    key.wanted = std::move(reading.wanted);
    if (key.state != PackedKey::State::kStaged) co_return true;
    Result<void> carried = co_await ToAll(reading.entry, {}, nullptr, 0, key);
    if (carried) co_return true;
    if (carried.error().code == kNotHeld) co_return false;
    co_return carried.error();
  }

  Async<void> ReadContent(ByteReader& body, std::vector<std::byte>& content) {
    for (size_t filled = 0; filled < content.size();) {
      Result<size_t> count = co_await body.Read(std::span(content).subspan(filled));
      if (!count) co_return count.error();
      if (*count == 0) co_return Retryable("the body ended early");
      filled += *count;
      context_.bytes_moved += *count;
    }
    std::byte end[1];
    Result<size_t> count = co_await body.Read(end);  // Where length and checksum are confirmed.
    if (!count) co_return count.error();
    if (*count != 0) co_return Retryable("the body is longer than its headers say");
    co_return Ok();
  }

  // `info`: the object at the source, where its bytes are not in `content`. Whoever wants the bytes
  // decides: all of them get what is read then. What may pass is tried again for all: what another
  // target refuses for good is not the end of it.
  Async<void> ToAll(const ArchiveEntry& entry, std::span<const std::byte> content,
                    const ObjectInfo* info, uint64_t memory_bytes, PackedKey& key) {
    std::optional<Error> failure;
    key.refused_by.clear();
    for (size_t index : targets_) {
      TargetContext& target = *rule_.targets[index];
      std::string_view route = "plain";
      bool source_failed = false;
      Result<ApplyOutcome> outcome =
          co_await ToOne(target, entry, content, info, memory_bytes, route, source_failed);
      if (outcome) {
        taken_.insert(index);
      } else if (!source_failed && FailsAsStore(outcome.error())) {
        ++failures_.try_emplace(index, outcome.error()).first->second.count;
      }
      Result<void> taken = outcome ? co_await Take(target, entry, *outcome, route)
                                   : Result<void>(ErrorOf(target, entry.key, outcome.error()));
      if (taken) continue;
      const bool damaged = taken.error().kind == ErrorKind::kCorrupt;
      if (!MayPass(taken.error()) || damaged) key.refused_by.emplace(index, taken.error());
      if (!failure || Urgency(taken.error()) > Urgency(*failure)) {
        failure = taken.error().In("target " + target.config->name);
      }
    }
    if (failure) co_return *failure;
    if (entry.op == EntryOp::kPut) bytes.objects += entry.size_bytes;
    co_return Ok();
  }

  Async<ApplyOutcome> ToOne(TargetContext& target, const ArchiveEntry& entry,
                            std::span<const std::byte> content, const ObjectInfo* info,
                            uint64_t memory_bytes, std::string_view& route, bool& source_failed) {
    // As whoever applies an archive asks it.
    std::optional<std::string> refusal =
        RefusalByRule(*rule_.rule, entry.key, entry.stamp, context_.runtime.clock.Now());
    if (refusal) co_return InvalidInput(std::move(*refusal));
    std::optional<std::string> key = TargetKey(*rule_.rule, *target.config, entry.key);
    if (!key) co_return InvalidInput("the key is not below the rule's source");
    if (entry.op == EntryOp::kDelete) {
      if (rule_.rule->transport == Transport::kCopy) route = "copy";
      co_return co_await target.applier->Remove(std::move(*key), entry.stamp);
    }
    if (entry.op == EntryOp::kAttributes) {
      route = "copy";
      co_return co_await target.applier->PutAttributes(
          ReplicaWriteOf(*rule_.rule, entry, std::move(*key), context_.site));
    }
    for (auto& [index, hidden] : hidden_) {
      if (rule_.targets[index].get() != &target) continue;
      Result<void> stored = co_await hidden->Check(*key);
      if (!stored && IsHidden(stored.error())) keys_hidden_.insert(entry.key);
      if (!stored) co_return stored.error();
    }
    ReplicaWrite write = ReplicaWriteOf(*rule_.rule, entry, std::move(*key), context_.site);
    if (info == nullptr) {
      MemoryBody body(content);
      co_return co_await target.applier->Put(std::move(write), body);
    }
    DirectSource source{.store = rule_.source,
                        .bucket = rule_.rule->source.bucket,
                        .key = entry.key,
                        .info = *info};
    if (Copies(target, entry.size_bytes)) {
      route = "copy";
      const bool locked = target.config->object_lock && write.lock;
      CopyBody body(context_.runtime, std::move(source), *context_.uploads);
      Result<ApplyOutcome> copied = co_await target.applier->Put(std::move(write), body);
      source_failed = true;  // They are one store: what fails is the source as well.
      // That a lock is refused says nothing of other objects, nor of another way.
      if (!copied && locked) co_return copied.error();
      if (!copied) co_return NotCopied(target, entry.size_bytes, copied.error());
      co_return copied;
    }
    if (!alone_ || memory_bytes == 0) {
      // Refused to another object since its way was chosen: there is no memory to stream it with.
      source_failed = true;
      co_return Error{.kind = ErrorKind::kRetryable, .message = "not copied", .code = kNotCopied};
    }
    StreamBody body(context_.runtime, std::move(source), *context_.uploads, memory_bytes,
                    context_.bytes_moved);
    Result<ApplyOutcome> streamed = co_await target.applier->Put(std::move(write), body);
    source_failed = body.source_failed();
    co_return streamed;
  }

  // A store that does not copy, or with credentials that may not read the source, can be written to
  // all the same, where the rule leaves the way to us; so can one that knows no copies of parts.
  Error NotCopied(TargetContext& target, uint64_t size_bytes, Error error) {
    const bool refused = error.kind == ErrorKind::kDenied || error.kind == ErrorKind::kInvalidInput;
    const bool in_parts = InParts(target, size_bytes);
    if (!refused || (rule_.rule->transport != Transport::kAuto && !in_parts)) return error;
    context_.runtime.log.Warning("the store does not copy; objects are streamed for a while",
                                 {{"target", target.config->name}, {"bytes", size_bytes}, error});
    (in_parts ? target.no_part_copies_until : target.no_copies_until) =
        context_.runtime.clock.SteadyNow() + kNoCopiesFor;
    error.kind = ErrorKind::kRetryable;
    error.code = kNotCopied;
    return error;
  }

  // A target that has settled nothing since it first refused an object denies everything, and that
  // is no object's fault: then it is tried again for as long as it takes.
  Error ErrorOf(TargetContext& target, const std::string& key, Error error) {
    if (error.kind != ErrorKind::kDenied) return error;
    std::map<std::string, uint64_t>& denials = target.carried_at_denial;
    if (denials.size() >= kDenialsMax && !denials.contains(key)) denials.clear();
    const auto first = denials.try_emplace(key, carried_before_[&target]).first;
    if (target.carried == first->second) error.kind = ErrorKind::kRetryable;
    return error;
  }

  Async<void> Take(TargetContext& target, const ArchiveEntry& entry, const ApplyOutcome& outcome,
                   std::string_view route) {
    const std::string op = OpName(entry.op);
    context_.observer.OnOutcome({.time = context_.runtime.clock.Now(),
                                 .rule = rule_.rule->id,
                                 .target = target.config->name,
                                 .op = op,
                                 .key = entry.key,
                                 .size_bytes = entry.size_bytes,
                                 .stamp = entry.stamp,
                                 .route = std::string(route),
                                 .state = StateOf(outcome.state),
                                 .reason = outcome.reason});
    if (outcome.state == ApplyState::kReread) {
      Error error = Retryable("read anew: " + outcome.reason);
      if (entry.op == EntryOp::kAttributes) error.code = kNotHeld;
      co_return error;
    }
    ++target.carried;
    target.carried_at_denial.erase(entry.key);
    if (outcome.state == ApplyState::kApplied && entry.op == EntryOp::kPut) {
      bytes.plain += entry.size_bytes;
      bytes.sent += entry.size_bytes;  // Also of a copy: between regions it costs the same.
    }
    if (outcome.state == ApplyState::kConflict) {
      co_return co_await target.parked->Park(
          {.key = entry.key, .op = op, .reason = "conflict: " + outcome.reason});
    }
    if (!target.parked->MayHold(entry.key)) co_return Ok();
    co_return co_await target.parked->Settled(entry.key, begun_);
  }

  struct Failed {
    Error error;  // The first.
    int count = 0;
  };

  ReplicationContext& context_;
  const RuleContext& rule_;
  std::vector<size_t> targets_;
  bool alone_;
  SystemTime begun_ = context_.runtime.clock.Now();
  std::map<const TargetContext*, uint64_t> carried_before_;
  std::set<size_t> taken_;                                // Targets, by their indexes,
  std::map<size_t, Failed> failures_;                     // and what failed of the store of each.
  std::map<size_t, std::unique_ptr<HiddenKeys>> hidden_;  // By target, where keys may be.
  std::set<std::string> keys_hidden_;
};

}  // namespace

bool CarriesDirectly(const Rule& rule) {
  return rule.transport == Transport::kPlain || rule.transport == Transport::kCopy;
}

bool MayCarryDirectly(const Rule& rule) {
  return CarriesDirectly(rule) || rule.transport == Transport::kAuto;
}

bool MayCopy(const Rule& rule, const Target& target) {
  return rule.transport == Transport::kCopy ||
         (rule.transport == Transport::kAuto && target.store_can_copy);
}

asio::awaitable<PackResult> CarryDirectly(ReplicationContext& context, const RuleContext& rule,
                                          std::vector<size_t> targets, std::vector<PackItem> items,
                                          bool alone, int64_t memory_bytes) {
  PackResult result = EmptyPackResult(items.size(), targets.size());
  result.archive = NewUlid(context.runtime.clock.Now(), context.runtime.random);
  for (size_t index : targets) {
    Result<void> loaded = co_await rule.targets[index]->parked->Load();
    if (!loaded) context.runtime.log.Warning("nobody knows what is parked", {loaded.error()});
  }
  MemoryBudget window(memory_bytes);
  Carrier carrier(context, rule, targets, alone);
  std::vector<size_t> which(items.size());
  std::iota(which.begin(), which.end(), size_t{0});
  // Once more what was hidden: what was in the way may have been deleted by now, and what was to be
  // written need not be there.
  for (int round = 0; round < 2 && !which.empty(); ++round) {
    carrier.Begin(items, which);
    TaskGroup carrying(context.runtime.executor);
    for (size_t i : which) {
      result.keys[i] = {};
      const uint64_t object_max = context.limits.bundle_object_bytes_max;
      int64_t needed =
          static_cast<int64_t>(std::min(items[i].size_bytes.value_or(object_max), object_max)) +
          1024;
      if (alone) needed = memory_bytes;
      if (!alone && carrier.CopiesToAll(items[i].size_bytes.value_or(0))) needed = 1024;
      Result<Reservation> memory = co_await window.Reserve(needed);
      if (!memory) {
        result.keys[i].state = PackedKey::State::kFailed;
        result.keys[i].error = memory.error();
        continue;
      }
      co_await carrying.WaitBelow(carrier.objects_max());
      carrying.Spawn(carrier.Carry(items[i], std::move(*memory), result.keys[i]));
    }
    Result<void> joined = co_await carrying.Join();
    static_cast<void>(joined);
    std::erase_if(which, [&](size_t i) { return !carrier.FoundHidden(items[i].key); });
  }
  result.bytes = carrier.bytes;
  result.bytes.archives = 0;
  result.bytes.rule = rule.rule->id;
  result.carried = true;
  result.carried_to = carrier.CarriedTo();
  context.observer.OnArchiveStaged(result.bytes);
  co_return result;
}

}  // namespace longhaul
