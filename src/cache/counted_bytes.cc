#include "cache/counted_bytes.h"

#include <charconv>

namespace longhaul::cache {

namespace {

constexpr char kBytes[] = "cache/bytes";
constexpr int kCountTriesMax = 5;

}  // namespace

Async<int64_t> CountedBytes::Take(int64_t bytes) {
  Result<int64_t> now = co_await state_.Add(kBytes, place_.Text(), bytes);
  for (int tries = 1; !now && now.error().Transient() && tries < kCountTriesMax; ++tries) {
    co_await runtime_.clock.Sleep(std::chrono::milliseconds(100 * tries));
    now = co_await state_.Add(kBytes, place_.Text(), bytes);
  }
  co_return now;
}

Async<void> CountedBytes::Give(int64_t bytes) {
  if (bytes == 0) co_return Ok();
  Result<int64_t> now = co_await state_.Add(kBytes, place_.Text(), -bytes);
  if (!now && !now.error().Transient()) co_return now.error();
  co_return Ok();
}

Async<int64_t> CountedBytes::Now() {
  Result<std::optional<StateRow>> row = co_await state_.Get(kBytes, place_.Text());
  if (!row) co_return row.error();
  int64_t bytes = 0;
  if (*row) {
    const std::string& text = (*row)->value;
    std::from_chars(text.data(), text.data() + text.size(), bytes);
  }
  co_return bytes;
}

Async<void> CountedBytes::Recount(int64_t own) {
  // Its revision changes with each Take: what is taken from now on makes the write below fail.
  Result<std::optional<StateRow>> before = co_await state_.Get(kBytes, place_.Text());
  if (!before) co_return before.error();
  RunBook book(runtime_, state_, place_);
  Result<std::vector<Run>> runs = co_await book.All();
  if (!runs) co_return runs.error();
  for (const Run& run : *runs) {
    if (run.number != own && IsAlive(run, runtime_.clock.Now())) co_return Ok();
  }
  uint64_t sum = 0;
  Result<void> added =
      co_await EachEntry(state_, place_, "", [&sum](const std::string&, const Entry& entry) {
        sum += entry.counted_bytes;
        return true;
      });
  if (!added) co_return added.error();
  Result<int64_t> written = co_await state_.Write(
      kBytes, {.key = place_.Text(),
               .value = std::to_string(sum),
               .expected = *before ? Expected::Revision((*before)->revision) : Expected::Absent()});
  if (!written && written.error().kind != ErrorKind::kPrecondition) co_return written.error();
  co_return Ok();
}

}  // namespace longhaul::cache
