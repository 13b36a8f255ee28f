#include "events/folder_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "events/hint.h"
#include "tests/support/fake_queue.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class FolderWatchTest : public ::testing::Test {
 protected:
  void Begin() {
    watch_ = std::make_unique<FolderWatch>(
        world_.runtime,
        FolderWatchOptions{
            .folder = dir_.file("b"),
            .store = "disk",
            .bucket = "b",
            .wanted = [](std::string_view key) { return !key.ends_with(".skip"); },
            .on_listing_needed = [this](std::string_view reason) { reasons_.emplace_back(reason); },
            .gather = 20ms},
        queue_);
    world_.Start(RunAndNote(*watch_, &ended_));
    WaitUntil([&] { return !reasons_.empty() || ended_; });
  }
  ~FolderWatchTest() override {
    if (!watch_) return;
    watch_->Stop();
    WaitUntil([&] { return ended_.has_value(); });
  }
  static asio::awaitable<void> RunAndNote(FolderWatch& watch, std::optional<Result<void>>* ended) {
    Result<void> result = co_await watch.Run();
    *ended = std::move(result);
  }
  template <class Condition>
  bool WaitUntil(Condition condition) {
    auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      world_.io.restart();
      world_.io.run_one_for(5ms);
    }
    EXPECT_TRUE(condition());
    return condition();
  }
  void WriteFile(const std::string& name, const std::string& text = "x") {
    fs::create_directories(fs::path(dir_.file("b/" + name)).parent_path());
    std::ofstream(dir_.file("b/" + name)) << text;
  }
  // Waits until these keys have been hinted, and forgets what was hinted so far.
  void ExpectHints(const std::set<std::string>& keys) {
    std::set<std::string> hinted;
    WaitUntil([&] {
      for (const std::string& body : backend_->Bodies()) {
        Result<HintMessage> message = DecodeHints(body);
        if (!message) return false;
        EXPECT_EQ(message->store, "disk");
        EXPECT_EQ(message->origin, HintOrigin::kWatch);
        for (const Hint& hint : message->hints) hinted.insert(hint.key);
      }
      return hinted.size() >= keys.size();
    });
    EXPECT_EQ(hinted, keys);
    backend_->rows.clear();
  }

  testing::TempDir dir_;
  testing::RealWorld world_;
  std::shared_ptr<testing::FakeQueueBackend> backend_ =
      std::make_shared<testing::FakeQueueBackend>();
  testing::FakeFaults faults_{1};
  testing::FakeQueue queue_{world_.runtime, backend_, &faults_};
  std::vector<std::string> reasons_;
  std::optional<Result<void>> ended_;
  std::unique_ptr<FolderWatch> watch_;
};

TEST_F(FolderWatchTest, HintsWhatIsWrittenRenamedAndRemoved) {
  WriteFile("old/there.txt");
  Begin();
  EXPECT_EQ(reasons_, std::vector<std::string>{"the watch begins"});
  EXPECT_EQ(watch_->folders(), 2u);
  WriteFile("top.txt");
  WriteFile("old/below.txt");
  WriteFile("not.skip");
  ExpectHints({"top.txt", "old/below.txt"});
  fs::rename(dir_.file("b/top.txt"), dir_.file("b/old/moved.txt"));
  fs::remove(dir_.file("b/old/there.txt"));
  ExpectHints({"top.txt", "old/moved.txt", "old/there.txt"});
}

// What is written into a new folder before the kernel knows that we watch it must not be missed.
TEST_F(FolderWatchTest, HintsWhatIsInNewFolders) {
  fs::create_directories(dir_.file("b"));
  Begin();
  for (int i = 0; i < 20; ++i) WriteFile("n" + std::to_string(i) + "/deep/er/file");
  std::set<std::string> keys;
  for (int i = 0; i < 20; ++i) keys.insert("n" + std::to_string(i) + "/deep/er/file");
  ExpectHints(keys);
  EXPECT_EQ(watch_->folders(), 61u);
  WriteFile("n7/deep/er/later");
  ExpectHints({"n7/deep/er/later"});
  // One that arrives with what is in it.
  fs::create_directories(dir_.file("outside/sub"));
  std::ofstream(dir_.file("outside/sub/f")) << "x";
  fs::rename(dir_.file("outside"), dir_.file("b/inside"));
  ExpectHints({"inside/sub/f"});
}

// Names that stand for keys a file system cannot hold are keys; the store's own files are not.
TEST_F(FolderWatchTest, KnowsTheNamesOfTheStore) {
  fs::create_directories(dir_.file("b/.longhaul/tmp"));
  Begin();
  EXPECT_EQ(watch_->folders(), 1u);
  WriteFile(".longhaul/tmp/upload");
  WriteFile(".longhaul/new/side");
  WriteFile("a/.longhaul=..");
  WriteFile("a/.longhaul+/b");
  ExpectHints({"a/..", "a//b"});
}

// A queue that fails for a while must cost time only.
TEST_F(FolderWatchTest, KeepsHintsWhileTheQueueFails) {
  fs::create_directories(dir_.file("b"));
  Begin();
  faults_.fail_before_at = 1;
  WriteFile("one");
  WaitUntil([&] { return faults_.failures == 1; });
  WriteFile("two");
  ExpectHints({"one", "two"});
}

// Keys below a folder that was moved away are gone, and only a listing knows which they were.
TEST_F(FolderWatchTest, AsksForAListingWhenAFolderIsMovedAway) {
  WriteFile("dir/sub/file");
  Begin();
  fs::rename(dir_.file("b/dir"), dir_.file("away"));
  WaitUntil([&] { return reasons_.size() == 2; });
  EXPECT_EQ(watch_->folders(), 1u);
  std::ofstream(dir_.file("away/sub/not-ours")) << "x";
  WriteFile("ours");
  ExpectHints({"ours"});
}

TEST_F(FolderWatchTest, EndsWhenTheFolderIsGone) {
  fs::create_directories(dir_.file("b"));
  Begin();
  fs::remove_all(dir_.file("b"));
  WaitUntil([&] { return ended_.has_value(); });
  ASSERT_FALSE(*ended_);
  EXPECT_EQ(ended_->error().kind, ErrorKind::kNotFound);
  ended_.reset();
  world_.Start(RunAndNote(*watch_, &ended_));
  WaitUntil([&] { return ended_.has_value(); });
  EXPECT_EQ(ended_->error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace longhaul
