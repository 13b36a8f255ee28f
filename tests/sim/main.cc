// longhaul_sim: runs the simulation.
//
//   longhaul_sim --seed N          one seed, told in full
//       [--without NAMES] [--leave-out NUMBERS]   with less in it, as --shrink says
//   longhaul_sim --shrink N        the least of a failing seed that still fails
//   longhaul_sim --seeds N         N seeds from --first on (default: from the clock)
//   longhaul_sim --seconds S       as many seeds from --first on as begin within S seconds
//   longhaul_sim --kept FILE       the seeds in a file, one a line; # begins a comment
//   --jobs N                       so many runs at once (default: one for each core)
//
// Every run is a child process, so a crash is the failure of its seed alone. Exit 0: all as it
// should be; 1: a seed failed, and is printed.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/sim/shrink.h"
#include "tests/sim/world.h"

namespace {

using Clock = std::chrono::steady_clock;

// A run takes a fraction of a second. One that runs in circles is ended by its CPU time, which does
// not depend on how busy the machine is; one that waits for ever, by the clock on the wall.
constexpr rlim_t kCpuSecondsMax = 60;
constexpr unsigned kWallSecondsMax = 600;

// After so many failures the rest would not say more.
constexpr int kFailuresMax = 5;

// The dead processes of a run keep what they held: that is what being killed means.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

int RunHere(uint64_t seed, bool verbose, const longhaul::sim::Cut& cut = {}) {
  // Never destroyed, as the process ends with it.
  auto* world = new longhaul::sim::World(longhaul::sim::PlanOf(seed, cut), cut.left_out);
  world->verbose = verbose;
  const std::string wrong = world->Run();
  if (!wrong.empty()) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
  }
  std::fflush(stdout);
  return wrong.empty() ? 0 : 1;
}

// Runs of seeds in child processes, `jobs` at once.
class Runs {
 public:
  explicit Runs(size_t jobs) : jobs_(jobs) {}

  // Waits until there is room, then begins a run.
  void Begin(uint64_t seed) {
    while (children_.size() >= jobs_) AwaitOne();
    std::fflush(stdout);
    const pid_t child = fork();
    if (child < 0) {
      std::perror("longhaul_sim: fork");
      std::exit(2);
    }
    if (child == 0) {
      const rlimit limit{.rlim_cur = kCpuSecondsMax, .rlim_max = kCpuSecondsMax + 1};
      setrlimit(RLIMIT_CPU, &limit);
      alarm(kWallSecondsMax);
      _exit(RunHere(seed, false));
    }
    children_.emplace(child, seed);
    ++begun_;
  }

  void AwaitAll() {
    while (!children_.empty()) AwaitOne();
  }

  [[nodiscard]] uint64_t begun() const { return begun_; }
  [[nodiscard]] int failed() const { return failed_; }

 private:
  void AwaitOne() {
    int status = 0;
    const auto child = children_.find(waitpid(-1, &status, 0));
    if (child == children_.end()) return;
    const uint64_t seed = child->second;
    children_.erase(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    ++failed_;
    if (!WIFEXITED(status)) {
      const int signal = WTERMSIG(status);
      const char* what = signal == SIGXCPU   ? ": it took more CPU time than any run should"
                         : signal == SIGALRM ? ": it hung"
                                             : "";
      std::printf("seed %llu: ended by signal %d%s\n", static_cast<unsigned long long>(seed),
                  signal, what);
    }
    std::printf("replay it with: ./dev test sim --seed %llu (or find the least of it: --shrink)\n",
                static_cast<unsigned long long>(seed));
  }

  const size_t jobs_;
  std::map<pid_t, uint64_t> children_;
  uint64_t begun_ = 0;
  int failed_ = 0;
};

std::vector<uint64_t> ReadSeeds(const char* path) {
  std::vector<uint64_t> seeds;
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "longhaul_sim: cannot read %s\n", path);
    std::exit(2);
  }
  for (std::string line; std::getline(file, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    if (line.find_first_of("0123456789") != std::string::npos) seeds.push_back(std::stoull(line));
  }
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t first =
      static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count() / 1000);
  uint64_t count = UINT64_MAX;
  double seconds = 0;
  size_t jobs = std::max(1U, std::thread::hardware_concurrency());
  std::vector<uint64_t> kept;
  std::optional<uint64_t> one;
  longhaul::sim::Cut cut;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc) {
      std::fprintf(stderr, "longhaul_sim: %s needs a value\n", flag.c_str());
      return 2;
    }
    const char* value = argv[i + 1];
    if (flag == "--shrink") return longhaul::sim::Shrink(std::strtoull(value, nullptr, 10));
    if (flag == "--seed") {
      one = std::strtoull(value, nullptr, 10);
    } else if (flag == "--without") {
      std::istringstream names(value);
      const std::vector<std::string> known = longhaul::sim::Plan::Troubles();
      for (std::string name; std::getline(names, name, ',');) {
        if (std::find(known.begin(), known.end(), name) == known.end()) {
          std::fprintf(stderr, "longhaul_sim: --without does not know %s\n", name.c_str());
          return 2;
        }
        cut.without.push_back(name);
      }
    } else if (flag == "--leave-out") {
      if (!longhaul::sim::ParseNumbers(value, cut.left_out)) {
        std::fprintf(stderr, "longhaul_sim: --leave-out takes numbers: 0-17,19\n");
        return 2;
      }
    } else if (flag == "--seeds") {
      count = std::strtoull(value, nullptr, 10);
    } else if (flag == "--first") {
      first = std::strtoull(value, nullptr, 10);
    } else if (flag == "--seconds") {
      seconds = std::strtod(value, nullptr);
    } else if (flag == "--jobs") {
      jobs = std::max(1ULL, std::strtoull(value, nullptr, 10));
    } else if (flag == "--kept") {
      kept = ReadSeeds(value);
    } else {
      std::fprintf(stderr, "longhaul_sim: unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  if (one) return RunHere(*one, true, cut);
  if (count == UINT64_MAX && seconds == 0) seconds = 10;

  Runs runs(jobs);
  const auto start = Clock::now();
  auto spent = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  if (!kept.empty()) {
    for (uint64_t seed : kept) runs.Begin(seed);
  } else {
    while (runs.begun() < count && (seconds == 0 || spent() < seconds) &&
           runs.failed() < kFailuresMax) {
      runs.Begin(first + runs.begun());
    }
  }
  runs.AwaitAll();
  std::printf(
      "%llu seeds from %llu in %.1f s, %d failed\n", static_cast<unsigned long long>(runs.begun()),
      static_cast<unsigned long long>(kept.empty() ? first : kept.front()), spent(), runs.failed());
  return runs.failed() == 0 ? 0 : 1;
}
