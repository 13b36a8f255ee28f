#include "backup/drill_note.h"

#include <gtest/gtest.h>

#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul::backup {
namespace {

using namespace std::chrono_literals;
using Outcome = DrillNote::Outcome;

class DrillNoteTest : public ::testing::Test {
 protected:
  DrillNote Note(SystemTime at, Outcome outcome) {
    return {.rule = "main",
            .target = "vault",
            .at = at,
            .outcome = outcome,
            .objects = 7,
            .bytes = 7000,
            .reason = outcome == Outcome::kProven ? "" : "a/b differs"};
  }
  void Write(SystemTime at, Outcome outcome) {
    Result<void> written = world.Run(WriteDrillNote(state, Note(at, outcome)));
    ASSERT_TRUE(written) << written.error().Describe();
  }
  std::optional<DrillNote> Read() {
    Result<std::optional<DrillNote>> read = world.Run(ReadDrillNote(state, "main", "vault"));
    EXPECT_TRUE(read);
    return read ? *read : std::nullopt;
  }

  testing::FakeWorld world;
  std::shared_ptr<testing::FakeStateBackend> backend =
      std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state{world.runtime, backend};
  const SystemTime begin = *ParseRfc3339("2026-11-24T10:00:00Z");
};

// A drill that fails says nothing of the one before it: whoever asks when a restore was last proven
// is told that one's time, and that the last has failed.
TEST_F(DrillNoteTest, AFailureLeavesWhatWasProven) {
  EXPECT_FALSE(Read());
  Write(begin, Outcome::kFailed);
  ASSERT_TRUE(Read());
  EXPECT_FALSE(Read()->proven);
  Write(begin + 1h, Outcome::kProven);
  EXPECT_EQ(Read()->proven, begin + 1h);
  EXPECT_EQ(Read()->reason, "");
  Write(begin + 2h, Outcome::kDiffers);
  DrillNote wanted = Note(begin + 2h, Outcome::kDiffers);
  wanted.proven = begin + 1h;
  EXPECT_EQ(Read(), wanted);
  // One that began earlier and is slow to say so.
  Write(begin + 90min, Outcome::kProven);
  wanted.proven = begin + 90min;
  EXPECT_EQ(Read(), wanted);
}

// A row of somebody else, or a torn one, must not stop whoever watches, nor the next drill.
TEST_F(DrillNoteTest, ARowThatMakesNoSenseIsNone) {
  for (const char* value : {"", "{}", "[]", "{\"at\":\"yesterday\",\"outcome\":\"proven\"}"}) {
    ASSERT_TRUE(
        world.Run(state.Write("drills", {.key = "main/vault", .value = value, .expected = {}})));
    EXPECT_FALSE(Read()) << value;
  }
  Write(begin, Outcome::kProven);
  EXPECT_EQ(Read()->proven, begin);
}

// An alarm is set on this figure: a backup that was never proven has to be in it.
TEST_F(DrillNoteTest, IsShownForEachBackup) {
  Configuration configuration;
  configuration.rules.push_back({.id = "main"});
  configuration.rules[0].targets.push_back({.name = "vault", .backup = BackupOptions()});
  configuration.rules[0].targets.push_back({.name = "copy"});
  configuration.rules.push_back({.id = "other"});
  configuration.rules[1].targets.push_back({.name = "vault", .backup = BackupOptions()});
  Write(begin, Outcome::kProven);
  Write(begin + 1h, Outcome::kFailed);
  ASSERT_TRUE(world.Run(PublishDrillsOnce(world.runtime, configuration, state)));
  const std::string text = world.runtime.metrics.RenderPrometheus();
  const std::string name = "longhaul_last_proven_restore_timestamp_seconds";
  const auto has = [&](const std::string& line) { return text.find(line) != std::string::npos; };
  EXPECT_TRUE(has(name + "{rule=\"main\",target=\"vault\"} 1795514400\n")) << text;
  EXPECT_TRUE(has(name + "{rule=\"other\",target=\"vault\"} 0\n")) << text;
  EXPECT_FALSE(has("target=\"copy\"")) << text;
}

}  // namespace
}  // namespace longhaul::backup
