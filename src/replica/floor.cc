#include "replica/floor.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

std::string_view NextFloorField(std::string_view& text) {
  size_t end = text.find(' ');
  std::string_view field = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return field;
}

// A field of an ETag: no space in it, never empty.
std::string EncodeEtag(const std::string& etag) {
  return etag.empty() ? "-" : PercentEncode(etag, Slash::kKeep);
}
Result<std::string> DecodeEtag(std::string_view field) {
  if (field == "-") return std::string();
  return PercentDecode(field);
}

std::string EncodeKeptMark(const KeptMark& kept) {
  std::string passed;
  for (const std::string& site : kept.mark.sites_passed) {
    passed += (passed.empty() ? "" : ",") + site;
  }
  return EncodeEtag(kept.target_etag) + " " + kept.fingerprint + " " + kept.mark.site + " " +
         FormatRfc3339(kept.mark.stamp) + " " + EncodeEtag(kept.mark.source_etag) + " " +
         (passed.empty() ? "-" : passed);
}

Result<KeptMark> DecodeKeptMark(std::string_view& rest) {
  KeptMark kept;
  Result<std::string> target_etag = DecodeEtag(NextFloorField(rest));
  if (!target_etag) return target_etag.error();
  kept.target_etag = std::move(*target_etag);
  kept.fingerprint = NextFloorField(rest);
  kept.mark.site = NextFloorField(rest);
  Result<SystemTime> stamp = ParseRfc3339(NextFloorField(rest));
  if (!stamp) return stamp.error();
  kept.mark.stamp = *stamp;
  Result<std::string> source_etag = DecodeEtag(NextFloorField(rest));
  if (!source_etag) return source_etag.error();
  kept.mark.source_etag = std::move(*source_etag);
  std::string_view passed = NextFloorField(rest);
  if (passed.empty()) return Corrupt("a mark ends too soon");
  for (std::string_view left = passed == "-" ? std::string_view() : passed; !left.empty();) {
    size_t comma = left.find(',');
    kept.mark.sites_passed.emplace_back(left.substr(0, comma));
    left = comma == std::string_view::npos ? std::string_view() : left.substr(comma + 1);
  }
  return kept;
}

// Adds to `marks` those of `before`, without what one of `marks` says better, the newest first.
void TakeOver(std::vector<KeptMark>& marks, std::vector<KeptMark> before) {
  std::sort(before.begin(), before.end(),
            [](const KeptMark& a, const KeptMark& b) { return a.mark.stamp > b.mark.stamp; });
  for (KeptMark& old : before) {
    const bool said = std::any_of(marks.begin(), marks.end(), [&](const KeptMark& kept) {
      return kept.mark == old.mark && kept.fingerprint == old.fingerprint &&
             (old.target_etag.empty() || kept.target_etag == old.target_etag);
    });
    if (!said) marks.push_back(std::move(old));
  }
  if (marks.size() > kKeptMarksMax) marks.resize(kKeptMarksMax);
}

}  // namespace

std::string FingerprintOf(uint64_t size_bytes, const UserMetadata& metadata) {
  std::string text = std::to_string(size_bytes);
  for (const auto& [name, value] : metadata) {
    if (name == kMarkName) continue;
    text += '\0' + name + '\0' + value;
  }
  return HexEncode(Sha256(text)).substr(0, 16);
}

const KeptMark* Floor::FindMarkOf(const ObjectInfo& info) const {
  if (kept_marks.empty()) return nullptr;
  const std::string fingerprint = FingerprintOf(info.size_bytes, info.metadata);
  const KeptMark* by_etag = nullptr;
  const KeptMark* maybe = nullptr;
  for (const KeptMark& kept : kept_marks) {
    const bool same_fingerprint = kept.fingerprint == fingerprint;
    if (kept.target_etag.empty()) {
      if (same_fingerprint && maybe == nullptr) maybe = &kept;
    } else if (kept.target_etag == info.etag) {
      if (same_fingerprint) return &kept;
      if (by_etag == nullptr) by_etag = &kept;
    }
  }
  return by_etag != nullptr ? by_etag : maybe;
}

// "1 <D|F> <stamp>", or where something may land "2 <D|F> <stamp> <PendingRequests>", and for each
// mark " <target ETag> <fingerprint> <site> <stamp> <source ETag> <sites passed>".
std::string EncodeFloor(const Floor& floor) {
  std::string text = std::string(floor.pending.empty() ? "1 " : "2 ") +
                     (floor.deleted ? "D " : "F ") + FormatRfc3339(floor.stamp);
  if (!floor.pending.empty()) text += floor.pending.Encode();
  for (const KeptMark& kept : floor.kept_marks) text += " " + EncodeKeptMark(kept);
  return text;
}

namespace {

// Up to 0.2 rows of version 1 said what may land as well, each kind once: "1 <D|F>[U][C][R][W]
// <stamp>", with U, C, R and W " <until>" of a create, a copy, a delete and a write, and with W
// " <its stamp>".
Result<PendingRequests> DecodePendingOf02(std::string_view& letters, std::string_view& rest) {
  PendingRequests pending;
  for (const auto& [letter, kind] :
       {std::pair('U', PendingKind::kCreate), std::pair('C', PendingKind::kCopy),
        std::pair('R', PendingKind::kDelete), std::pair('W', PendingKind::kWrite)}) {
    if (!letters.starts_with(letter)) continue;
    letters.remove_prefix(1);
    Result<SystemTime> until = ParseRfc3339(NextFloorField(rest));
    if (!until) return until.error();
    PendingRequest request{.kind = kind, .until = *until};
    if (kind == PendingKind::kWrite) {
      Result<SystemTime> stamp = ParseRfc3339(NextFloorField(rest));
      if (!stamp) return stamp.error();
      request.stamp = *stamp;
    }
    pending.Add(request, *until);
  }
  return pending;
}

}  // namespace

Result<Floor> DecodeFloor(std::string_view text) {
  Error bad = Corrupt("State holds a floor that cannot be read: '" + std::string(text) + "'");
  std::string_view rest = text;
  const std::string_view version = NextFloorField(rest);
  if (version != "1" && version != "2") return bad;
  Floor floor;
  std::string_view kind = NextFloorField(rest);
  if (!kind.starts_with('D') && !kind.starts_with('F')) return bad;
  floor.deleted = kind.starts_with('D');
  kind.remove_prefix(1);
  Result<SystemTime> stamp = ParseRfc3339(NextFloorField(rest));
  if (!stamp) return bad;
  floor.stamp = *stamp;
  Result<PendingRequests> pending =
      version == "1" ? DecodePendingOf02(kind, rest) : PendingRequests::Decode(rest);
  if (!pending || !kind.empty()) return bad;
  floor.pending = std::move(*pending);
  while (!rest.empty()) {
    Result<KeptMark> kept = DecodeKeptMark(rest);
    if (!kept || floor.kept_marks.size() == kKeptMarksMax) return bad;
    floor.kept_marks.push_back(std::move(*kept));
  }
  return floor;
}

// Keys that are read together, by the coroutine that brought the first one.
struct Floors::Round {
  std::vector<std::string> keys;
  bool open = true;  // More keys may join.
  Event full;
  Event done;
  Result<std::vector<std::optional<StateRow>>> rows;
  size_t untaken = 0;  // Those of `keys` whose row has not been looked at.
};

Floors::Floors(State& state, Clock& clock, std::string target_name)
    : state_(state), clock_(clock), partition_("floor/" + std::move(target_name)) {}

Floors::~Floors() = default;

namespace {

Result<std::optional<Floor>> FloorOf(const std::optional<StateRow>& row) {
  if (!row) return std::optional<Floor>();
  Result<Floor> floor = DecodeFloor(row->value);
  if (!floor) return floor.error();
  return std::optional<Floor>(std::move(*floor));
}

}  // namespace

Async<std::optional<Floor>> Floors::GetAlone(std::string key) {
  ++reading_;
  Result<std::optional<StateRow>> row = co_await state_.Get(partition_, std::move(key));
  --reading_;
  if (!row) co_return row.error().In("read floor");
  co_return FloorOf(*row);
}

Async<std::optional<Floor>> Floors::Get(std::string key, bool among_many) {
  const bool first = rounds_.empty() || !rounds_.back().open;
  if (first && reading_ == 0 && !among_many) co_return co_await GetAlone(std::move(key));
  if (first) rounds_.emplace_back();
  const auto round = std::prev(rounds_.end());
  const size_t index = round->untaken++;
  round->keys.push_back(key);
  if (round->keys.size() == kFloorsGatherMax) {
    round->open = false;
    round->full.Set();
  }
  if (first) {
    co_await round->full.WaitFor(clock_, kFloorsGatherTime);
    round->open = false;
    ++reading_;
    round->rows = co_await state_.GetMany(partition_, std::move(round->keys));
    --reading_;
    round->done.Set();
  } else {
    co_await round->done.Wait();
  }
  Result<std::optional<Floor>> floor;
  // A row that is damaged is that of one key: it must not stop those that were read with it.
  const bool apart = !round->rows && round->rows.error().kind == ErrorKind::kCorrupt;
  if (round->rows) {
    floor = FloorOf((*round->rows)[index]);
  } else {
    floor = round->rows.error().In("read floor");
  }
  if (--round->untaken == 0) rounds_.erase(round);
  if (apart) co_return co_await GetAlone(std::move(key));
  co_return floor;
}

Async<Floor> Floors::Raise(std::string key, Floor floor) {
  while (true) {
    Result<std::optional<StateRow>> row = co_await state_.Get(partition_, key);
    if (!row) co_return row.error().In("raise floor");
    Floor raised = floor;
    Expected expected = Expected::Absent();
    if (*row) {
      Result<Floor> there = DecodeFloor((*row)->value);
      if (!there) co_return there.error();
      if (there->stamp > floor.stamp) co_return *there;
      const SystemTime now = clock_.Now();
      const bool copies = floor.pending.LandsUntil(PendingKind::kCopy) != SystemTime();
      if (copies && there->pending.LandsUntil(PendingKind::kCopy) > now) co_return *there;
      // Of the same stamp: what is there stays, unless this only adds to it.
      TakeOver(raised.kept_marks, there->kept_marks);
      raised.pending = there->pending;
      raised.pending.Add(floor.pending, now);
      const bool adds =
          there->deleted == floor.deleted && (!floor.kept_marks.empty() || !floor.pending.empty());
      if (there->stamp == floor.stamp && (!adds || raised == *there)) co_return *there;
      expected = Expected::Revision((*row)->revision);
    }
    Result<int64_t> written = co_await Write(key, raised, expected);
    if (written) co_return raised;
    if (written.error().kind != ErrorKind::kPrecondition) {
      co_return written.error().In("raise floor");
    }
  }
}

Async<int64_t> Floors::Write(const std::string& key, const Floor& floor, Expected expected) {
  StateWrite write{.key = key, .value = EncodeFloor(floor), .expected = expected};
  if (floor.deleted || floor.kept_marks.empty()) write.expires = clock_.Now() + kFloorLifetime;
  co_return co_await state_.Write(partition_, std::move(write));
}

Async<Floor> Floors::Change(std::string key, std::string what, std::function<bool(Floor&)> change) {
  while (true) {
    Result<std::optional<StateRow>> row = co_await state_.Get(partition_, key);
    if (!row) co_return row.error().In(what);
    Floor floor;
    Expected expected = Expected::Absent();
    if (*row) {
      Result<Floor> there = DecodeFloor((*row)->value);
      if (!there) co_return there.error().In(what);
      floor = std::move(*there);
      expected = Expected::Revision((*row)->revision);
    }
    if (!change(floor)) co_return floor;
    Result<int64_t> written = co_await Write(key, floor, expected);
    if (written) co_return floor;
    if (written.error().kind != ErrorKind::kPrecondition) co_return written.error().In(what);
  }
}

Async<Floor> Floors::Note(std::string key, PendingRequest request) {
  return Change(std::move(key), "note a request without an answer", [this, request](Floor& floor) {
    floor.pending.Add(request, clock_.Now());
    return true;
  });
}

Async<Floor> Floors::End(std::string key, PendingRequest request) {
  return Change(std::move(key), "note the end of a request",
                [this, request](Floor& floor) { return floor.pending.End(request, clock_.Now()); });
}

}  // namespace longhaul
