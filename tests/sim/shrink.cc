#include "tests/sim/shrink.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace longhaul::sim {

namespace {

struct Told {
  bool failed = false;
  int events = 0;
  std::string wrong;
};

// A run that crashes fails, too. One that takes longer than any run should does not count.
Told RunChild(uint64_t seed, const Cut& cut) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    alarm(60);
    auto* world = new World(PlanOf(seed, cut), cut.left_out);
    const std::string wrong = world->Run();
    const std::string text = std::to_string(world->events()) + " " + wrong;
    const bool written =
        write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(written && wrong.empty() ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  Told told;
  if (!WIFEXITED(status)) {
    told.failed = WTERMSIG(status) != SIGALRM;
    told.wrong = "ended by signal " + std::to_string(WTERMSIG(status));
    return told;
  }
  told.failed = WEXITSTATUS(status) != 0;
  told.events = std::atoi(text.c_str());
  told.wrong = text.substr(std::min(text.size(), text.find(' ') + 1));
  return told;
}

// Leaves out runs of events, long ones first, as long as it still fails.
void ShrinkEvents(uint64_t seed, int events, Cut& cut) {
  for (int length = std::max(1, events / 2); length > 0; length /= 2) {
    for (int begin = 0; begin < events; begin += length) {
      Cut less = cut;
      for (int i = begin; i < std::min(events, begin + length); ++i) less.left_out.insert(i);
      if (less.left_out.size() == cut.left_out.size()) continue;
      if (RunChild(seed, less).failed) cut = std::move(less);
    }
  }
}

}  // namespace

std::string Cut::ToString() const {
  std::string text;
  for (const std::string& name : without) text += (text.empty() ? " --without " : ",") + name;
  std::string numbers;
  for (auto at = left_out.begin(); at != left_out.end();) {
    const int first = *at;
    int last = first;
    while (++at != left_out.end() && *at == last + 1) last = *at;
    numbers += (numbers.empty() ? " --leave-out " : ",") + std::to_string(first);
    if (last > first) numbers += "-" + std::to_string(last);
  }
  return text + numbers;
}

bool ParseNumbers(const std::string& text, std::set<int>& numbers) {
  std::istringstream in(text);
  for (std::string range; std::getline(in, range, ',');) {
    int first = 0;
    int last = 0;
    char rest = 0;
    const int read = std::sscanf(range.c_str(), "%d-%d%c", &first, &last, &rest);
    if (read == 1) last = first;
    if (read < 1 || read > 2 || first < 0 || last < first || last > 1'000'000) return false;
    for (int i = first; i <= last; ++i) numbers.insert(i);
  }
  return true;
}

Plan PlanOf(uint64_t seed, const Cut& cut) {
  Plan plan(seed);
  for (const std::string& name : cut.without) plan.Without(name);
  return plan;
}

int Shrink(uint64_t seed) {
  Cut cut;
  Told told = RunChild(seed, cut);
  if (!told.failed) {
    std::printf("seed %llu does not fail\n", static_cast<unsigned long long>(seed));
    return 0;
  }
  std::printf("%d events: %s\n", told.events, told.wrong.c_str());
  for (const std::string& name : Plan::Troubles()) {
    Plan plan = PlanOf(seed, cut);
    if (!plan.Without(name)) continue;
    Cut less = cut;
    less.without.push_back(name);
    const Told now = RunChild(seed, less);
    std::printf("without %s: %s\n", name.c_str(), now.failed ? "fails as well" : "does not fail");
    if (!now.failed) continue;
    cut = std::move(less);
    told = now;
  }
  // Twice: what one event was needed for may have gone with another.
  for (int pass = 0; pass < 2; ++pass) ShrinkEvents(seed, told.events, cut);
  told = RunChild(seed, cut);
  std::printf("%zu of %d events are left: %s\nreplay it with: longhaul_sim --seed %llu%s\n",
              static_cast<size_t>(told.events) - std::min<size_t>(cut.left_out.size(), told.events),
              told.events, told.wrong.c_str(), static_cast<unsigned long long>(seed),
              cut.ToString().c_str());
  return 1;
}

}  // namespace longhaul::sim
