#include "replica/floor.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

std::string_view NextField(std::string_view& text) {
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
  Result<std::string> target_etag = DecodeEtag(NextField(rest));
  if (!target_etag) return target_etag.error();
  kept.target_etag = std::move(*target_etag);
  kept.fingerprint = NextField(rest);
  kept.mark.site = NextField(rest);
  Result<SystemTime> stamp = ParseRfc3339(NextField(rest));
  if (!stamp) return stamp.error();
  kept.mark.stamp = *stamp;
  Result<std::string> source_etag = DecodeEtag(NextField(rest));
  if (!source_etag) return source_etag.error();
  kept.mark.source_etag = std::move(*source_etag);
  std::string_view passed = NextField(rest);
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

// "1 <D|F>[U][C][R][W] <stamp>", with U " <create may land until>", with C " <copy may land
// until>", with R " <delete may land until>", with W " <write may land until> <its stamp>", and for
// each mark " <target ETag> <fingerprint> <site> <stamp> <source ETag> <sites passed>".
std::string EncodeFloor(const Floor& floor) {
  const bool creates = floor.create_may_land_until != SystemTime();
  const bool copies = floor.copy_may_land_until != SystemTime();
  const bool deletes = floor.delete_may_land_until != SystemTime();
  const bool writes = floor.write_may_land_until != SystemTime();
  std::string text = std::string("1 ") + (floor.deleted ? "D" : "F") + (creates ? "U" : "") +
                     (copies ? "C" : "") + (deletes ? "R" : "") + (writes ? "W " : " ") +
                     FormatRfc3339(floor.stamp);
  if (creates) text += " " + FormatRfc3339(floor.create_may_land_until);
  if (copies) text += " " + FormatRfc3339(floor.copy_may_land_until);
  if (deletes) text += " " + FormatRfc3339(floor.delete_may_land_until);
  if (writes) {
    text += " " + FormatRfc3339(floor.write_may_land_until);
    text += " " + FormatRfc3339(floor.write_stamp);
  }
  for (const KeptMark& kept : floor.kept_marks) text += " " + EncodeKeptMark(kept);
  return text;
}

Result<Floor> DecodeFloor(std::string_view text) {
  Error bad = Corrupt("State holds a floor that cannot be read: '" + std::string(text) + "'");
  std::string_view rest = text;
  if (NextField(rest) != "1") return bad;
  Floor floor;
  std::string_view kind = NextField(rest);
  if (!kind.starts_with('D') && !kind.starts_with('F')) return bad;
  floor.deleted = kind.starts_with('D');
  kind.remove_prefix(1);
  Result<SystemTime> stamp = ParseRfc3339(NextField(rest));
  if (!stamp) return bad;
  floor.stamp = *stamp;
  for (const auto& [letter, time] :
       {std::pair('U', &floor.create_may_land_until), std::pair('C', &floor.copy_may_land_until),
        std::pair('R', &floor.delete_may_land_until),
        std::pair('W', &floor.write_may_land_until)}) {
    if (!kind.starts_with(letter)) continue;
    kind.remove_prefix(1);
    Result<SystemTime> until = ParseRfc3339(NextField(rest));
    if (!until) return bad;
    *time = *until;
  }
  if (floor.write_may_land_until != SystemTime()) {
    Result<SystemTime> write_stamp = ParseRfc3339(NextField(rest));
    if (!write_stamp) return bad;
    floor.write_stamp = *write_stamp;
  }
  if (!kind.empty()) return bad;
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

Async<std::optional<Floor>> Floors::Get(std::string key) {
  const bool first = rounds_.empty() || !rounds_.back().open;
  if (first && reading_ == 0) co_return co_await GetAlone(std::move(key));
  if (first) rounds_.emplace_back();
  const auto round = std::prev(rounds_.end());
  const size_t index = round->untaken++;
  round->keys.push_back(std::move(key));
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
  if (round->rows) {
    floor = FloorOf((*round->rows)[index]);
  } else {
    floor = round->rows.error().In("read floor");
  }
  if (--round->untaken == 0) rounds_.erase(round);
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
      const bool copies = floor.copy_may_land_until != SystemTime();
      if (copies && there->copy_may_land_until > clock_.Now()) co_return *there;
      // Of the same stamp: what is there stays, unless this only adds to it.
      TakeOver(raised.kept_marks, there->kept_marks);
      raised.create_may_land_until =
          std::max(floor.create_may_land_until, there->create_may_land_until);
      raised.copy_may_land_until = std::max(floor.copy_may_land_until, there->copy_may_land_until);
      raised.delete_may_land_until =
          std::max(floor.delete_may_land_until, there->delete_may_land_until);
      raised.write_may_land_until = there->write_may_land_until;
      raised.write_stamp = there->write_stamp;
      const bool deletes = floor.delete_may_land_until != SystemTime();
      if (deletes && there->delete_may_land_until > clock_.Now()) {
        raised.delete_may_land_until += std::chrono::seconds(1);
      }
      const bool adds =
          there->deleted == floor.deleted && (!floor.kept_marks.empty() || copies || deletes);
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

Async<Floor> Floors::NoteUncertainCreate(std::string key, SystemTime until) {
  return Change(std::move(key), "note an uncertain create", [until](Floor& floor) {
    floor.create_may_land_until = std::max(floor.create_may_land_until, until);
    return true;
  });
}

Async<Floor> Floors::NoteUncertainWrite(std::string key, SystemTime stamp, SystemTime until) {
  return Change(std::move(key), "note an uncertain write", [this, stamp, until](Floor& floor) {
    const bool others = floor.write_may_land_until > clock_.Now() && floor.write_stamp != stamp;
    floor.write_stamp = others ? SystemTime() : stamp;
    floor.write_may_land_until = std::max(floor.write_may_land_until, until);
    return true;
  });
}

Async<Floor> Floors::NoteUncertainDelete(std::string key, SystemTime until) {
  return Change(std::move(key), "note an uncertain delete", [until](Floor& floor) {
    floor.delete_may_land_until = std::max(floor.delete_may_land_until, until);
    return true;
  });
}

Async<Floor> Floors::EndCopy(std::string key, SystemTime until) {
  return Change(std::move(key), "note the end of a copy", [until](Floor& floor) {
    // Another one, that was begun when this one's time was over, may still land.
    if (floor.copy_may_land_until != until) return false;
    floor.copy_may_land_until = SystemTime();
    return true;
  });
}

Async<Floor> Floors::EndDelete(std::string key, SystemTime until) {
  return Change(std::move(key), "note the end of a delete", [this, until](Floor& floor) {
    if (floor.delete_may_land_until != until) return false;  // Of another one as well.
    floor.delete_may_land_until = std::min(until, clock_.Now());
    return true;
  });
}

}  // namespace longhaul
