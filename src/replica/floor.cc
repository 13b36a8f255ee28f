#include "replica/floor.h"

#include <utility>

namespace longhaul {

namespace {

std::string_view NextField(std::string_view& text) {
  size_t end = text.find(' ');
  std::string_view field = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return field;
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }
std::string FromDash(std::string_view text) { return text == "-" ? "" : std::string(text); }

}  // namespace

// "1 <D|F> <stamp>" and, with a mark, " <target ETag> <site> <stamp> <source ETag> <sites passed>".
std::string EncodeFloor(const Floor& floor) {
  std::string text = std::string("1 ") + (floor.deleted ? "D " : "F ") + FormatRfc3339(floor.stamp);
  if (!floor.kept_mark) return text;
  const Mark& mark = floor.kept_mark->mark;
  std::string passed;
  for (const std::string& site : mark.sites_passed) passed += (passed.empty() ? "" : ",") + site;
  return text + " " + OrDash(floor.kept_mark->target_etag) + " " + mark.site + " " +
         FormatRfc3339(mark.stamp) + " " + OrDash(mark.source_etag) + " " + OrDash(passed);
}

Result<Floor> DecodeFloor(std::string_view text) {
  Error bad = Corrupt("State holds a floor that cannot be read: '" + std::string(text) + "'");
  std::string_view rest = text;
  if (NextField(rest) != "1") return bad;
  Floor floor;
  std::string_view kind = NextField(rest);
  if (kind != "D" && kind != "F") return bad;
  floor.deleted = kind == "D";
  Result<SystemTime> stamp = ParseRfc3339(NextField(rest));
  if (!stamp) return bad;
  floor.stamp = *stamp;
  if (rest.empty()) return floor;

  KeptMark kept;
  kept.target_etag = FromDash(NextField(rest));
  kept.mark.site = NextField(rest);
  Result<SystemTime> mark_stamp = ParseRfc3339(NextField(rest));
  if (!mark_stamp) return bad;
  kept.mark.stamp = *mark_stamp;
  kept.mark.source_etag = FromDash(NextField(rest));
  std::string passed = FromDash(NextField(rest));
  for (std::string_view left = passed; !left.empty();) {
    size_t comma = left.find(',');
    kept.mark.sites_passed.emplace_back(left.substr(0, comma));
    left = comma == std::string_view::npos ? std::string_view() : left.substr(comma + 1);
  }
  floor.kept_mark = std::move(kept);
  return floor;
}

Floors::Floors(State& state, Clock& clock, std::string target_name)
    : state_(state), clock_(clock), partition_("floor/" + std::move(target_name)) {}

Async<std::optional<Floor>> Floors::Get(std::string key) {
  Result<std::optional<StateRow>> row = co_await state_.Get(partition_, std::move(key));
  if (!row) co_return row.error().In("read floor");
  if (!*row) co_return std::nullopt;
  Result<Floor> floor = DecodeFloor((*row)->value);
  if (!floor) co_return floor.error();
  co_return std::optional<Floor>(std::move(*floor));
}

Async<std::vector<std::optional<Floor>>> Floors::GetMany(std::vector<std::string> keys) {
  Result<std::vector<std::optional<StateRow>>> rows =
      co_await state_.GetMany(partition_, std::move(keys));
  if (!rows) co_return rows.error().In("read floors");
  std::vector<std::optional<Floor>> floors;
  floors.reserve(rows->size());
  for (const std::optional<StateRow>& row : *rows) {
    if (!row) {
      floors.push_back(std::nullopt);
      continue;
    }
    Result<Floor> floor = DecodeFloor(row->value);
    if (!floor) co_return floor.error();
    floors.emplace_back(std::move(*floor));
  }
  co_return floors;
}

Async<Floor> Floors::Raise(std::string key, Floor floor) {
  while (true) {
    Result<std::optional<StateRow>> row = co_await state_.Get(partition_, key);
    if (!row) co_return row.error().In("raise floor");
    Expected expected = Expected::Absent();
    if (*row) {
      Result<Floor> there = DecodeFloor((*row)->value);
      if (!there) co_return there.error();
      if (there->stamp > floor.stamp) co_return *there;
      // Of the same stamp: what is there stays, unless this only adds a mark to it.
      bool adds_mark =
          floor.kept_mark && floor.kept_mark != there->kept_mark && there->deleted == floor.deleted;
      if (there->stamp == floor.stamp && !adds_mark) co_return *there;
      if (!floor.kept_mark) floor.kept_mark = there->kept_mark;
      expected = Expected::Revision((*row)->revision);
    }
    StateWrite write{.key = key, .value = EncodeFloor(floor), .expected = expected};
    if (!floor.kept_mark) write.expires = clock_.Now() + kFloorLifetime;
    Result<int64_t> written = co_await state_.Write(partition_, std::move(write));
    if (written) co_return floor;
    if (written.error().kind != ErrorKind::kPrecondition)
      co_return written.error().In("raise floor");
  }
}

}  // namespace longhaul
