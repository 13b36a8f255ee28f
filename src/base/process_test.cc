#include "base/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace longhaul {
namespace {

// A lease that is thought to be held by a dead process keeps a run from going on; one that is
// thought to be free although its process lives has two of them at work.
TEST(Process, TellsWhoIsGone) {
  const ProcessName self = ThisProcess();
  EXPECT_EQ(LifeOf(self), ProcessLife::kLives);
  ProcessName reused = self;
  ++reused.started;
  EXPECT_EQ(LifeOf(reused), ProcessLife::kGone);

  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(LifeOf({.host = self.host, .pid = child, .started = self.started}), ProcessLife::kGone);
  EXPECT_EQ(LifeOf({.host = "elsewhere", .pid = self.pid, .started = self.started}),
            ProcessLife::kUnknown);
}

TEST(Process, NamesComeBackFromText) {
  const ProcessName self = ThisProcess();
  EXPECT_EQ(ParseProcess(ProcessText(self)), self);
  for (std::string_view text : {"", "host", "host x 1", "host 1 2 3"}) {
    EXPECT_EQ(ParseProcess(text), ProcessName{}) << text;
    EXPECT_EQ(LifeOf(ParseProcess(text)), ProcessLife::kUnknown);
  }
}

}  // namespace
}  // namespace longhaul
