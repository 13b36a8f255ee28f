#include "cache/use_notes.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace longhaul::cache {

namespace {

constexpr std::chrono::minutes kUsedAge{1};
constexpr std::chrono::seconds kWriteEvery{5};
constexpr size_t kRowsPerWrite = 500;
// While State is away: some 20 MB. What does not fit counts as used earlier.
constexpr size_t kNotesMax = 100'000;

}  // namespace

UseNotes::UseNotes(Runtime runtime, State& state, Place place)
    : runtime_(runtime),
      state_(state),
      place_(std::move(place)),
      one_at_a_time_(std::make_shared<Semaphore>(1)) {}

void UseNotes::Note(const EntryRow& row) {
  const SystemTime now = runtime_.clock.Now();
  if (now - row.entry.used < kUsedAge) return;
  if (notes_.size() < kNotesMax || notes_.contains(row.key)) notes_[row.key] = now;
}

Async<void> UseNotes::Write() {
  co_await one_at_a_time_->Acquire();
  Permit permit(one_at_a_time_);
  std::map<std::string, SystemTime> notes = std::exchange(notes_, {});
  while (!notes.empty()) {
    Result<void> written = co_await WriteSome(notes);
    if (written) continue;
    if (written.error().Transient()) notes_.merge(notes);
    co_return written.error();
  }
  co_return Ok();
}

// The first of `notes`; they are gone from it then.
Async<void> UseNotes::WriteSome(std::map<std::string, SystemTime>& notes) {
  const auto end =
      std::next(notes.begin(), static_cast<ptrdiff_t>(std::min(kRowsPerWrite, notes.size())));
  std::vector<std::string> keys;
  for (auto note = notes.begin(); note != end; ++note) keys.push_back(note->first);
  Result<std::vector<std::optional<StateRow>>> rows =
      co_await state_.GetMany(place_.Entries(), keys);
  if (!rows) co_return rows.error();
  std::vector<StateWrite> writes;
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::optional<StateRow>& row = (*rows)[i];
    if (!row) continue;
    Result<Entry> entry = DecodeEntry(*row);
    if (!entry) continue;  // Whoever needs it tells.
    const SystemTime used = notes.at(keys[i]);
    // Others may have written it, or done something else with the copy.
    if (entry->state != EntryState::kReady || used - entry->used < kUsedAge) continue;
    entry->used = used;
    writes.push_back({.key = keys[i],
                      .value = EncodeEntry(*entry),
                      .expected = Expected::Revision(row->revision)});
  }
  if (!writes.empty()) {
    Result<std::vector<Result<int64_t>>> written =
        co_await state_.WriteMany(place_.Entries(), writes);
    if (!written) co_return written.error();
    for (size_t i = 0; i < writes.size(); ++i) {
      const Result<int64_t>& one = (*written)[i];
      // A row that somebody has changed since is left as it is.
      if (one || !one.error().Transient()) continue;
      notes_.try_emplace(writes[i].key, notes.at(writes[i].key));
    }
  }
  notes.erase(notes.begin(), end);
  co_return Ok();
}

Async<void> UseNotes::KeepWriting(Event& stop) {
  while (!co_await stop.WaitFor(runtime_.clock, kWriteEvery)) {
    Result<void> written = co_await Write();
    static_cast<void>(written);  // The next time.
  }
  co_return Ok();
}

}  // namespace longhaul::cache
