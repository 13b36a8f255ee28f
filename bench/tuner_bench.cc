// tuner_bench CORPUS [ROUNDS]: the corpus as a stream, class by class, ROUNDS times over (20),
// packed by the tuner; beside it the best fixed level of each class, level 12 with random steps as
// the cross-region compressor of AWS Samples takes them, and no compression. Prints a table for
// each price of transfer.
//
// Processor time is that of the thread, taken around zstd alone, so a busy machine and how this
// program is built matter little. What each level makes of each frame is measured before (up to
// level 10 twice, the least time counts), and all ways are charged from that table, so that they
// differ by what they choose and not by chance. The tuner hears what was measured each time, by
// turns; the pieces that it tries are compressed then and there, and it pays for them besides. The
// other rule goes up to level 13 here, which spares it what 14 and 15 cost.

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "archive/frame_codec.h"
#include "archive/writer.h"
#include "base/bytes.h"
#include "base/processor.h"
#include "cost/tuner.h"

namespace longhaul {
namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;
constexpr double kCpuDollars = 0.0000131;  // A second, between Fargate's on ARM and on x86.
constexpr int kLevelMax = 13;
constexpr int kMeasuredTwiceMax = 10;
constexpr uint64_t kFirstBytes = 1ULL << 30;

struct File {
  std::string key;
  std::string content;
};
struct Frame {
  std::string label;
  std::vector<std::byte> bytes;
  uint64_t raw = 0;
  std::map<int, uint64_t> packed;  // By level.
  std::map<int, double> seconds;
  std::map<int, std::vector<std::chrono::nanoseconds>> measured;
};
struct Class {
  std::string name;
  std::vector<File> files;
  std::vector<Frame> frames;
};

class QuietLogger : public Logger {
 protected:
  void Log(LogLevel, std::string_view, Fields) override {}
};

class NoSink : public ArchiveSink {
 public:
  Async<void> Write(std::span<const std::byte>) override { co_return Ok(); }
};

// Frames in the order in which they are cut, at a level that is given.
class FixedLevel : public FrameLevels {
 public:
  FixedLevel(Class& one, int level) : class_(one), level_(level) {}
  LevelChoice Choose(const FrameContent& content) override {
    if (next_ == class_.frames.size()) {
      class_.frames.push_back({.label = std::string(content.label),
                               .bytes = {content.raw.begin(), content.raw.end()},
                               .raw = content.raw.size()});
    }
    return {.kind = std::to_string(next_++), .level = level_, .trial = {}};
  }
  void OnFrame(const LevelChoice& choice, const FrameOutcome& outcome) override {
    Frame& frame = class_.frames[std::stoul(choice.kind)];
    frame.packed[level_] = outcome.frame.packed_bytes;
    const double seconds = std::chrono::duration<double>(outcome.frame.cpu).count();
    frame.measured[level_].push_back(outcome.frame.cpu);
    double& least = frame.seconds[level_];
    least = least == 0 ? seconds : std::min(least, seconds);
  }

 private:
  Class& class_;
  int level_;
  size_t next_ = 0;
};

Compressed Compress(archive::FrameCompressor& compressor, int level, std::span<const std::byte> raw,
                    std::vector<std::byte>& out) {
  compressor.SetLevel(level);
  const std::chrono::nanoseconds before = ThreadCpuTime();
  const Result<size_t> size = compressor.Compress(raw, out);
  return {.packed_bytes = size.value_or(0), .cpu = ThreadCpuTime() - before};
}

Async<void> Pack(Runtime& runtime, const Class& one, FrameLevels& levels) {
  NoSink sink;
  ArchiveOptions options;
  options.levels = &levels;
  options.level_max = kLevelMax;
  options.slots_max = 1;
  auto writer = co_await ArchiveWriter::Open(runtime,
                                             {.id = "01KJM0000000000000000000AR",
                                              .rule_id = "bench",
                                              .site = "east-1",
                                              .source = "east:bench/",
                                              .sites_passed = {},
                                              .created = runtime.clock.Now(),
                                              .writer = "longhaul bench"},
                                             options, sink);
  if (!writer) co_return writer.error();
  for (const File& file : one.files) {
    ArchiveEntry entry{.key = file.key, .size_bytes = file.content.size(), .etag = "a"};
    if (auto added = co_await (*writer)->Add(entry, AsBytes(file.content)); !added) {
      co_await (*writer)->Abort();
      co_return added.error();
    }
  }
  auto summary = co_await (*writer)->Finish();
  if (!summary) co_return summary.error();
  co_return Ok();
}

std::vector<Class> ReadCorpus(const std::string& folder) {
  std::vector<Class> classes;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_directory() || entry.path().filename() == "duplicates") continue;
    Class one{.name = entry.path().filename().string(), .files = {}, .frames = {}};
    for (const auto& item : std::filesystem::recursive_directory_iterator(entry.path())) {
      if (!item.is_regular_file()) continue;
      std::ifstream file(item.path(), std::ios::binary);
      one.files.push_back({.key = std::filesystem::relative(item.path(), folder).string(),
                           .content = std::string(std::istreambuf_iterator<char>(file), {})});
    }
    std::ranges::sort(one.files, {}, &File::key);
    classes.push_back(std::move(one));
  }
  std::ranges::sort(classes, {}, &Class::name);
  return classes;
}

double CostOf(const Frame& frame, int level, double transfer) {
  return static_cast<double>(frame.packed.at(level)) / kGib * transfer +
         frame.seconds.at(level) * kCpuDollars;
}

double CostOf(const Class& one, int level, double transfer) {
  double cost = 0;
  for (const Frame& frame : one.frames) cost += CostOf(frame, level, transfer);
  return cost;
}

uint64_t RawOf(const Class& one) {
  uint64_t raw = 0;
  for (const Frame& frame : one.frames) raw += frame.raw;
  return raw;
}

// The other one's rule: the level with at least ten trials and the most benefit for each object,
// else 12; a quarter of the batches, and less and less, step off by up to three.
class OtherRule {
 public:
  int Choose() {
    int best = 12;
    double most = 0;
    for (const auto& [level, stats] : stats_) {
      if (stats.trials >= 10 && stats.benefit / stats.objects > most) {
        most = stats.benefit / stats.objects;
        best = level;
      }
    }
    const double rate = 0.25 * (1 - std::min(0.5, batches_ / 1000.0 * 0.02));
    if (random_.Unit() < rate) {
      const double kind = random_.Unit();
      const int step = kind < 0.6 ? 1 : kind < 0.85 ? 2 : 3;
      best += random_.Below(2) == 0 ? step : -step;
    }
    return std::clamp(best, 1, kLevelMax);
  }
  void Learn(const Class& one, int level, double transfer) {
    double benefit = 0;
    for (const Frame& frame : one.frames) {
      const double saved =
          static_cast<double>(frame.raw) - static_cast<double>(frame.packed.at(level));
      benefit += std::max(0.0, saved) / kGib * transfer - frame.seconds.at(level) * kCpuDollars;
    }
    Stats& stats = stats_[level];
    ++stats.trials;
    stats.objects += static_cast<double>(one.files.size());
    stats.benefit += benefit;
    ++batches_;
  }

 private:
  struct Stats {
    int trials = 0;
    double objects = 0;
    double benefit = 0;
  };
  std::map<int, Stats> stats_;
  double batches_ = 0;
  SeededRandom random_{1};
};

struct Sums {
  double tuner = 0;
  double trials = 0;
  double best = 0;
  double other = 0;
  double raw_bytes = 0;
};

void Stream(const std::vector<Class>& classes, double transfer, int rounds) {
  Rule rule;
  rule.id = "bench";
  rule.tuner = TunerBounds{.level_min = 1, .level_max = kLevelMax};
  RuleTuner tuner(rule, {.transfer_gib = transfer, .cpu_second = kCpuDollars, .unknown = ""},
                  ProcessorName(), nullptr);
  tuner.LimitLevel(kLevelMax);
  OtherRule other;
  std::map<std::string, Sums> sums;  // After the first GiB, by class.
  Sums all;
  Sums first;
  std::map<std::string, std::map<int, uint64_t>> levels;
  uint64_t seen = 0;
  const ArchiveOptions options;
  archive::FrameCompressor compressor(options.level, options.frame_size_bytes);
  std::vector<std::byte> out(archive::FrameCompressor::BoundBytes(RuleTuner::kTrialBytes));
  for (int round = 0; round < rounds; ++round) {
    for (const Class& one : classes) {
      Sums now;
      for (const Frame& frame : one.frames) {
        const LevelChoice choice = tuner.Choose({.label = frame.label, .raw = frame.bytes});
        const auto& measured = frame.measured.at(choice.level);
        FrameOutcome outcome{
            .raw_bytes = frame.raw,
            .frame = {.packed_bytes = frame.packed.at(choice.level),
                      .cpu = measured[static_cast<size_t>(round) % measured.size()]}};
        if (choice.trial) {
          const std::span<const std::byte> piece =
              std::span(frame.bytes).subspan(choice.trial->offset_bytes, choice.trial->size_bytes);
          outcome.reference = Compress(compressor, choice.trial->reference_level, piece, out);
          outcome.trial = Compress(compressor, choice.trial->level, piece, out);
          now.trials +=
              std::chrono::duration<double>(outcome.trial.cpu + outcome.reference.cpu).count() *
              kCpuDollars;
        }
        tuner.OnFrame(choice, outcome);
        now.tuner += CostOf(frame, choice.level, transfer);
        if (seen >= kFirstBytes) levels[one.name][choice.level] += frame.raw;
      }
      now.best = 1e9;
      for (int level = 0; level <= kLevelMax; ++level) {
        now.best = std::min(now.best, CostOf(one, level, transfer));
      }
      const int others = other.Choose();
      other.Learn(one, others, transfer);
      now.other = CostOf(one, others, transfer);
      now.raw_bytes = static_cast<double>(RawOf(one));
      auto add = [&](Sums& to) {
        to.tuner += now.tuner + now.trials;
        to.trials += now.trials;
        to.best += now.best;
        to.other += now.other;
        to.raw_bytes += now.raw_bytes;
      };
      if (seen >= kFirstBytes) {
        add(sums[one.name]);
        add(all);
      } else {
        add(first);
      }
      seen += RawOf(one);
    }
  }
  fmt::print("\n### ${} a GiB\n\n", transfer);
  fmt::print(
      "| class | best level | $/GiB at it | tuner's levels | tuner $/GiB | over best | "
      "level 12 and steps | of uncompressed |\n| --- | --: | --: | --- | --: | --: | --: | "
      "--: |\n");
  auto row = [&](const std::string& name, const std::string& best, const Sums& sum,
                 const std::string& taken) {
    const double gib = sum.raw_bytes / kGib;
    fmt::print("| {} | {} | {:.5f} | {} | {:.5f} | {:+.1f} % | {:.5f} | {:.3f} |\n", name, best,
               sum.best / gib, taken, sum.tuner / gib, (sum.tuner / sum.best - 1) * 100,
               sum.other / gib, sum.tuner / gib / transfer);
  };
  for (const Class& one : classes) {
    int best = 0;
    for (int level = 1; level <= kLevelMax; ++level) {
      if (CostOf(one, level, transfer) < CostOf(one, best, transfer)) best = level;
    }
    std::string taken;
    for (const auto& [level, bytes] : levels[one.name]) {
      taken += fmt::format("{}{} ({:.0f} %)", taken.empty() ? "" : ", ", level,
                           100.0 * static_cast<double>(bytes) / sums[one.name].raw_bytes);
    }
    row(one.name, std::to_string(best), sums[one.name], taken);
  }
  row("**all, after the first GiB**", "", all, "");
  row("the first GiB", "", first, "");
  fmt::print(
      "\nTuner / other rule: {:.3f}; trials {:.2f} % of the bytes and {:.2f} % of the "
      "money.\n",
      all.tuner / all.other,
      100.0 * static_cast<double>(tuner.trial_bytes()) / static_cast<double>(seen),
      100 * all.trials / all.tuner);
}

Async<void> Bench(Runtime& runtime, std::string folder, int rounds) {
  std::vector<Class> classes = ReadCorpus(folder);
  if (classes.empty()) co_return NotFound("no classes in " + folder);
  for (int level = 0; level <= kLevelMax; ++level) {
    for (int i = 0; i < (level > kMeasuredTwiceMax ? 1 : 2); ++i) {
      for (Class& one : classes) {
        FixedLevel fixed(one, level);
        Result<void> packed = co_await Pack(runtime, one, fixed);
        if (!packed) co_return packed;
      }
    }
  }
  fmt::print(
      "Processor: {}. Medians over the classes as multiples of level 6:\n\n| level | bytes | "
      "seconds | $/GiB at $0.02 |\n| --: | --: | --: | --: |\n",
      ProcessorName());
  for (int level = 0; level <= kLevelMax; ++level) {
    std::vector<double> packed;
    std::vector<double> seconds;
    double cost = 0;
    double raw = 0;
    for (const Class& one : classes) {
      std::array<double, 4> sums{};
      for (const Frame& frame : one.frames) {
        sums[0] += static_cast<double>(frame.packed.at(level));
        sums[1] += static_cast<double>(frame.packed.at(6));
        sums[2] += frame.seconds.at(level);
        sums[3] += frame.seconds.at(6);
      }
      packed.push_back(sums[0] / sums[1]);
      seconds.push_back(sums[2] / sums[3]);
      cost += CostOf(one, level, 0.02);
      raw += static_cast<double>(RawOf(one));
    }
    std::ranges::sort(packed);
    std::ranges::sort(seconds);
    fmt::print("| {} | {:.3f} | {:.2f} | {:.5f} |\n", level, packed[packed.size() / 2],
               seconds[seconds.size() / 2], cost / raw * kGib);
  }
  for (const double transfer : {0.02, 0.06, 0.147}) {
    Stream(classes, transfer, rounds);
  }
  co_return Ok();
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: tuner_bench CORPUS [ROUNDS]\n", stderr);
    return 2;
  }
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SystemRandom random;
  CpuPool pool(1);
  MemoryBudget memory(int64_t{1} << 30);
  QuietLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  std::optional<Result<void>> result;
  const auto run = [](Runtime& runtime, std::string folder, int rounds,
                      std::optional<Result<void>>& result) -> asio::awaitable<void> {
    result = co_await Bench(runtime, folder, rounds);
  };
  SpawnDetached(io.get_executor(),
                run(runtime, argv[1], argc > 2 ? std::atoi(argv[2]) : 20, result));
  auto keep_running = asio::make_work_guard(io);
  while (!result) io.run_one();
  if (!*result) {
    std::fprintf(stderr, "%s\n", result->error().Describe().c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
