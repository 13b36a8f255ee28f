// longhaul_sim: runs the simulation.
//
//   longhaul_sim --seed N          one seed, told in full
//   longhaul_sim --seeds N         N seeds from --first on (default: from the clock)
//   longhaul_sim --seconds S       as many new seeds as fit
//   longhaul_sim --kept FILE       the seeds in a file, one a line; # begins a comment
//
// Every run is a child process, so a crash is the failure of its seed alone. Exit 0: all as it
// should be; 1: a seed failed, and is printed.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace {

using Clock = std::chrono::steady_clock;

// The dead processes of a run keep what they held: that is what being killed means.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

int RunHere(uint64_t seed, bool verbose) {
  // Never destroyed, as the process ends with it.
  auto* world = new longhaul::sim::World(seed);
  world->verbose = verbose;
  const std::string wrong = world->Run();
  if (!wrong.empty()) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
  }
  std::fflush(stdout);
  return wrong.empty() ? 0 : 1;
}

bool RunInChild(uint64_t seed) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);  // A run takes a fraction of a second; one that hangs fails.
    _exit(RunHere(seed, false));
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (!WIFEXITED(status)) {
    std::printf("seed %llu: ended by signal %d\n", static_cast<unsigned long long>(seed),
                WTERMSIG(status));
  }
  std::printf("replay it with: ./dev test sim --seed %llu\n",
              static_cast<unsigned long long>(seed));
  return false;
}

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
  std::vector<uint64_t> seeds;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const char* value = argv[i + 1];
    if (flag == "--seed") return RunHere(std::strtoull(value, nullptr, 10), true);
    if (flag == "--seeds") {
      count = std::strtoull(value, nullptr, 10);
    } else if (flag == "--first") {
      first = std::strtoull(value, nullptr, 10);
    } else if (flag == "--seconds") {
      seconds = std::strtod(value, nullptr);
    } else if (flag == "--kept") {
      seeds = ReadSeeds(value);
    } else {
      std::fprintf(stderr, "longhaul_sim: unknown flag %s\n", argv[i]);
      return 2;
    }
  }
  int failed = 0;
  uint64_t ran = 0;
  const auto start = Clock::now();
  auto spent = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  if (!seeds.empty()) {
    for (uint64_t seed : seeds) failed += RunInChild(seed) ? 0 : 1;
    ran = seeds.size();
  } else {
    if (count == UINT64_MAX && seconds == 0) seconds = 10;
    for (; ran < count && (seconds == 0 || spent() < seconds) && failed < 5; ++ran) {
      failed += RunInChild(first + ran) ? 0 : 1;
    }
  }
  std::printf("%llu seeds from %llu in %.1f s, %d failed\n", static_cast<unsigned long long>(ran),
              static_cast<unsigned long long>(seeds.empty() ? first : seeds.front()), spent(),
              failed);
  return failed == 0 ? 0 : 1;
}
