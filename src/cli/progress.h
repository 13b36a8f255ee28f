// Progress: what a long run shows to a person: objects and bytes done of all, rate, time left,
// ratio and what was saved (cli/savings.h), failures. One line that is redrawn on a terminal, a
// plain line every 10 s elsewhere, nothing with --quiet or --json; at the end a table.
//
// The owner updates `totals` as things happen and calls Tick now and then (Watch does it).

#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"

namespace longhaul {

class Output;

struct ProgressTotals {
  uint64_t objects_total = 0;  // 0 with bytes_total 0: not known.
  uint64_t bytes_total = 0;
  bool total_is_final = false;  // False while the listing goes on: the line says "…+".
  uint64_t objects_done = 0;
  uint64_t bytes_done = 0;
  uint64_t objects_failed = 0;
  uint64_t objects_skipped = 0;
  // Of what archives carried so far; their ratio and savings are shown when anything was sent.
  uint64_t plain_bytes = 0;
  uint64_t sent_bytes = 0;
};

class Progress {
 public:
  // `price_per_gib`: US dollars for a GiB between regions, for the money saved.
  Progress(Output& output, Clock& clock, std::string verb, double price_per_gib);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  ProgressTotals totals;

  // Draws when it is time to.
  void Tick();
  // Takes the line off the terminal, so that something else can be printed.
  void Hide();
  // Ticks five times a second until Finish. Run it beside the work.
  Async<void> Watch();
  // Ends Watch, takes the line away.
  void Finish();

  [[nodiscard]] double seconds() const;

  // The line, without colours. Where `width` columns do not hold all of it, what matters least is
  // left out first; objects done and failures always stay.
  [[nodiscard]] std::string Line(size_t width = SIZE_MAX) const;

 private:
  Output& output_;
  Clock& clock_;
  std::string verb_;
  double price_per_gib_;
  SteadyTime started_;
  SteadyTime drawn_;
  bool shown_ = false;
  Event finished_;
  // Rate over the last seconds: (when, bytes, objects).
  struct Sample {
    SteadyTime when;
    uint64_t bytes;
    uint64_t objects;
  };
  mutable std::vector<Sample> samples_;
  void TakeSample();
};

// Rows of "name: value" with the names aligned.
std::string RenderTable(const std::vector<std::pair<std::string, std::string>>& rows);

}  // namespace longhaul
