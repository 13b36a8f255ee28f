// What changes in a local folder while a store reads or writes there.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/file_store.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

namespace fs = std::filesystem;

class FileChangesTest : public ::testing::Test {
 protected:
  FileChangesTest() {
    fs::create_directory(folder_.file("b"));
    store_ = std::move(*MakeFileStore(world_.runtime, {.root = folder_.path(), .durable = false}));
  }
  Result<PutResult> Put(std::string key) {
    return world_.Run(PutText(*store_, {.bucket = "b", .key = std::move(key)}, "text"));
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    ListRequest request{.bucket = "b", .count_max = 100};
    do {
      Result<ListPage> page = world_.Run(store_->List(request));
      EXPECT_TRUE(page) << page.error().Describe();
      if (!page) return keys;
      for (const ListedObject& object : page->objects) keys.push_back(object.key);
      request.token = page->next_token;
    } while (!request.token.empty());
    return keys;
  }

  testing::TempDir folder_;
  testing::RealWorld world_;
  std::unique_ptr<Store> store_;
};

// tar and rsync put the time of a folder back to what it was, and a folder below, in which the rest
// of a long name is, changes nothing in the one above. A listing that misses keys has them deleted
// where they were copied to.
TEST_F(FileChangesTest, ChangesThatLeaveTheTimeOfAFolderAreListed) {
  const std::string stem(250, 'n');
  for (int i = 0; i < 600; ++i) folder_.Write("b/flat/" + std::to_string(i), "");
  ASSERT_TRUE(Put("flat/" + stem + "-one of them"));
  for (int i = 0; i < 600; ++i) folder_.Write("b/plain/" + std::to_string(i), "");
  const fs::file_time_type time =
      fs::last_write_time(folder_.file("b/plain")) - std::chrono::hours(1);
  fs::last_write_time(folder_.file("b/plain"), time);
  // Kept for the next listing is only what has not changed for a while.
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_EQ(Keys().size(), 1201u);
  folder_.Write("b/plain/late", "x");
  fs::last_write_time(folder_.file("b/plain"), time);
  ASSERT_TRUE(Put("flat/" + stem + "-the other"));
  const std::vector<std::string> keys = Keys();
  EXPECT_EQ(keys.size(), 1203u);
  EXPECT_EQ(std::ranges::count(keys, "plain/late"), 1);
  EXPECT_EQ(std::ranges::count(keys, "flat/" + stem + "-the other"), 1);
}

// Calls `then` when half of it has been read.
class SlowBody : public ByteSource {
 public:
  SlowBody(uint64_t size_bytes, std::function<void()> then)
      : size_bytes_(size_bytes), then_(std::move(then)) {}
  [[nodiscard]] uint64_t size_bytes() const override { return size_bytes_; }
  Async<size_t> Read(std::span<std::byte> out) override {
    if (read_ >= size_bytes_ / 2 && then_) std::exchange(then_, nullptr)();
    const size_t count = std::min<size_t>({out.size(), size_bytes_ - read_, 1000});
    std::ranges::fill(out.first(count), std::byte('x'));
    read_ += count;
    co_return count;
  }

 private:
  uint64_t size_bytes_;
  uint64_t read_ = 0;
  std::function<void()> then_;
};

// Who copies the old object while a large one is sent has it later than the new one's beginning,
// and would take what it has for newer.
TEST_F(FileChangesTest, AnObjectIsAsOldAsTheEndOfItsBody) {
  SystemTime half{};
  SlowBody body(10'000, [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    half = world_.runtime.clock.Now();
  });
  ASSERT_TRUE(world_.Run(store_->Put({.bucket = "b", .key = "k"}, body)));
  Result<ObjectInfo> there = world_.Run(store_->Head({.bucket = "b", .key = "k"}));
  ASSERT_TRUE(there);
  EXPECT_GE(there->last_modified, half);
}

// Of a range there is no checksum: nothing else tells that it is of two states.
TEST_F(FileChangesTest, ARangeThatIsOverwrittenMeanwhileIsAnError) {
  folder_.Write("b/disk", std::string(3 << 20, 'a'));
  Result<ObjectStream> stream =
      world_.Run(store_->Get({.bucket = "b", .key = "disk", .range = ByteRange{0, 2 << 20}}));
  ASSERT_TRUE(stream) << stream.error().Describe();
  std::vector<std::byte> buffer(1 << 20);
  ASSERT_TRUE(world_.Run(stream->body->Read(buffer)));
  std::fstream(folder_.file("b/disk"), std::ios::in | std::ios::out).seekp(1'500'000) << 'b';
  Result<size_t> read = 1;
  while (read && *read > 0) read = world_.Run(stream->body->Read(buffer));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kRetryable);
}

}  // namespace
}  // namespace longhaul
