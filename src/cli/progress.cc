#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"
#include "cli/savings.h"

namespace longhaul {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr milliseconds kTerminalPeriod{200};
constexpr seconds kPlainPeriod{10};
constexpr seconds kRateWindow{10};  // Long enough to smooth parts, short enough to see a stall.

double Seconds(SteadyTime from, SteadyTime to) { return duration<double>(to - from).count(); }
}  // namespace

Progress::Progress(Output& output, Clock& clock, std::string verb, double price_per_gib)
    : output_(output),
      clock_(clock),
      verb_(std::move(verb)),
      price_per_gib_(price_per_gib),
      started_(clock.SteadyNow()),
      drawn_(started_) {
  samples_.push_back({started_, 0, 0});
  output_.set_progress(this);
}

Progress::~Progress() {
  Hide();
  output_.set_progress(nullptr);
}

double Progress::seconds() const { return Seconds(started_, clock_.SteadyNow()); }

void Progress::TakeSample() {
  SteadyTime now = clock_.SteadyNow();
  if (now - samples_.back().when < milliseconds(200)) return;
  samples_.push_back({now, totals.bytes_done, totals.objects_done});
  auto keep = std::find_if(samples_.begin(), samples_.end(),
                           [&](const Sample& sample) { return now - sample.when <= kRateWindow; });
  if (keep != samples_.begin() && keep != samples_.end()) samples_.erase(samples_.begin(), keep);
}

std::string Progress::Line(size_t width) const {
  const ProgressTotals& t = totals;
  const Sample& since = samples_.front();
  double elapsed = Seconds(since.when, clock_.SteadyNow());
  double bytes_rate = 0;
  double objects_rate = 0;
  if (elapsed > 0) {
    bytes_rate = static_cast<double>(t.bytes_done - since.bytes) / elapsed;
    objects_rate = static_cast<double>(t.objects_done - since.objects) / elapsed;
  }
  // In the order of the line; `rank` 0 always stays, the greatest goes first.
  struct Part {
    int rank;
    std::string text;
  };
  std::vector<Part> parts;
  std::string more = t.total_is_final ? "" : "+";
  bool total_known = t.objects_total > 0;
  std::string objects = verb_ + " " + FormatCount(t.objects_done);
  if (total_known) objects += "/" + FormatCount(t.objects_total) + more;
  parts.push_back({0, objects + " objects"});
  std::string bytes = FormatBytes(t.bytes_done);
  if (total_known) bytes += "/" + FormatBytes(t.bytes_total) + more;
  if (t.bytes_total > 0 && t.total_is_final) {
    bytes += fmt::format(" ({:.0f}%)", std::min(100.0, 100.0 * static_cast<double>(t.bytes_done) /
                                                           static_cast<double>(t.bytes_total)));
  }
  parts.push_back({1, bytes});
  parts.push_back({3, FormatBytes(static_cast<uint64_t>(bytes_rate)) + "/s"});
  parts.push_back({6, fmt::format("{:.0f}/s", objects_rate)});
  if (total_known && t.total_is_final) {
    // By bytes where they rule, by objects where those do: the slower of the two.
    double left = 0;
    if (bytes_rate > 0 && t.bytes_total > t.bytes_done) {
      left = static_cast<double>(t.bytes_total - t.bytes_done) / bytes_rate;
    }
    if (objects_rate > 0 && t.objects_total > t.objects_done) {
      left = std::max(left, static_cast<double>(t.objects_total - t.objects_done) / objects_rate);
    }
    if (left > 0) parts.push_back({2, FormatSeconds(left) + " left"});
  }
  if (t.sent_bytes > 0) {
    const Savings savings{
        .plain_bytes = t.plain_bytes, .sent_bytes = t.sent_bytes, .price_per_gib = price_per_gib_};
    parts.push_back({5, fmt::format("{:.2f}x", static_cast<double>(t.plain_bytes) /
                                                   static_cast<double>(t.sent_bytes))});
    if (savings.bytes() > 0) {
      parts.push_back({4, "saved " + FormatBytes(static_cast<uint64_t>(savings.bytes())) + " (" +
                              FormatMoney(savings.money()) + ")"});
    }
  }
  if (t.objects_failed > 0) parts.push_back({0, FormatCount(t.objects_failed) + " failed"});

  while (true) {
    std::string line;
    for (const Part& part : parts) line += (line.empty() ? "" : ", ") + part.text;
    auto least = std::ranges::max_element(parts, {}, &Part::rank);
    if (line.size() <= width || least->rank == 0) return line;
    parts.erase(least);
  }
}

void Progress::Tick() {
  TakeSample();
  if (output_.json() || output_.quiet()) return;
  Console& console = output_.console();
  SteadyTime now = clock_.SteadyNow();
  bool terminal = console.error_is_terminal();
  if (now - drawn_ < (terminal ? std::chrono::nanoseconds(kTerminalPeriod)
                               : std::chrono::nanoseconds(kPlainPeriod))) {
    return;
  }
  drawn_ = now;
  if (!terminal) {
    console.WriteError(Line() + "\n");
    return;
  }
  auto width = static_cast<size_t>(std::max(20, console.width() - 1));
  std::string line = Line(width);
  if (line.size() > width) line.resize(width);
  bool red = WantsColour(console) && totals.objects_failed > 0;
  console.WriteError("\r" + std::string(red ? "\x1b[31m" : "") + line + (red ? "\x1b[0m" : "") +
                     "\x1b[K");
  shown_ = true;
}

void Progress::Hide() {
  if (!shown_) return;
  output_.console().WriteError("\r\x1b[K");
  shown_ = false;
}

Async<void> Progress::Watch() {
  while (!co_await finished_.WaitFor(clock_, kTerminalPeriod)) Tick();
  co_return Ok();
}

void Progress::Finish() {
  Hide();
  finished_.Set();
}

std::string RenderTable(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, value] : rows) {
    if (!out.empty()) out.push_back('\n');
    out += "  " + name + std::string(width - name.size() + 2, ' ') + value;
  }
  return out;
}

}  // namespace longhaul
