#include "storage/file_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <thread>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/file_names.h"
#include "storage/file_object.h"
#include "tests/support/run.h"
#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

namespace fs = std::filesystem;
using testing::RealWorld;

class FileStoreTest : public ::testing::Test {
 protected:
  FileStoreTest() {
    std::string pattern = "/tmp/longhaul-file-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directory(root_ + "/b");
    store_ = Open();
  }
  ~FileStoreTest() override {
    store_.reset();
    fs::remove_all(root_);
  }
  std::unique_ptr<Store> Open() {
    return std::move(*MakeFileStore(world_.runtime, {.root = root_, .durable = false}));
  }
  void WriteForeign(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + "/b/" + path).parent_path());
    std::ofstream(root_ + "/b/" + path, std::ios::binary) << text;
  }
  Result<PutResult> Put(std::string key, std::string text, WriteCondition condition = {}) {
    PutRequest request;
    request.bucket = "b";
    request.key = std::move(key);
    request.metadata = {{"m", "1"}};
    request.condition = std::move(condition);
    return world_.Run(PutText(*store_, request, std::move(text)));
  }
  Result<std::string> Read(std::string key) {
    return world_.Run(GetAll(*store_, {.bucket = "b", .key = std::move(key)}, 64 << 20));
  }
  Result<ObjectInfo> Head(std::string key) {
    return world_.Run(store_->Head({.bucket = "b", .key = std::move(key)}));
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    ListRequest request{.bucket = "b", .count_max = 100};
    while (true) {
      Result<ListPage> page = world_.Run(store_->List(request));
      EXPECT_TRUE(page) << page.error().Describe();
      if (!page) return keys;
      for (const ListedObject& object : page->objects) keys.push_back(object.key);
      if (page->next_token.empty()) return keys;
      request.token = page->next_token;
    }
  }
  size_t FilesBelow(const std::string& path) {
    size_t count = 0;
    if (!fs::exists(root_ + "/b/" + path)) return 0;
    for (const auto& entry : fs::recursive_directory_iterator(root_ + "/b/" + path)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

  RealWorld world_;
  std::string root_;
  std::unique_ptr<Store> store_;
};

// A folder that people use beside longhaul is a bucket as it is.
TEST_F(FileStoreTest, FilesOfOtherProgramsAreObjects) {
  WriteForeign("logs/2026/a.log", "hello");
  EXPECT_EQ(*Read("logs/2026/a.log"), "hello");
  EXPECT_EQ(Keys(), std::vector<std::string>{"logs/2026/a.log"});
  std::string etag = Head("logs/2026/a.log")->etag;
  EXPECT_EQ(etag, HexEncode(Md5("hello")));
  WriteForeign("logs/2026/a.log", "jello");  // The same size.
  EXPECT_EQ(Head("logs/2026/a.log")->etag, HexEncode(Md5("jello")));
}

// A log that is written to all the time must not hide the objects beside it.
TEST_F(FileStoreTest, AFileThatChangesAllTheTimeIsListed) {
  WriteForeign("a", "hello");
  WriteForeign("big.log", std::string(16 << 20, 'x'));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    std::ofstream log(root_ + "/b/big.log", std::ios::binary | std::ios::app);
    while (!done) {
      log << "one more line\n" << std::flush;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  Result<ListPage> page = world_.Run(store_->List({.bucket = "b"}));
  Result<ObjectInfo> head = Head("big.log");
  done = true;
  writer.join();
  ASSERT_TRUE(page) << page.error().Describe();
  ASSERT_EQ(page->objects.size(), 2U);
  EXPECT_EQ(page->objects[0].etag, HexEncode(Md5("hello")));
  EXPECT_EQ(page->objects[1].key, "big.log");
  EXPECT_GE(page->objects[1].size_bytes, 16U << 20);
  EXPECT_TRUE(page->objects[1].etag.starts_with("changing.")) << page->objects[1].etag;
  // Who wants its bytes is told.
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().kind, ErrorKind::kRetryable);
}

// What a listing leaves out is deleted where it was copied to.
TEST_F(FileStoreTest, AListingLeavesNothingOutWhenFilesRunOut) {
  ASSERT_TRUE(Put(std::string(300, 'n'), "text"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  int failed = 0;
  int listed = 0;
  for (rlim_t limit = 3; listed == 0 && limit < before.rlim_cur; ++limit) {
    const rlimit few{.rlim_cur = limit, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    Result<ListPage> page = world_.Run(store_->List({.bucket = "b"}));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    if (!page) {
      ++failed;
      continue;
    }
    ++listed;
    EXPECT_EQ(page->objects.size(), 1U) << "with " << limit << " files";
  }
  EXPECT_GT(failed, 0);
  EXPECT_EQ(listed, 1);
}

// A folder that is only listed may be one that cannot be written.
TEST_F(FileStoreTest, ListingMakesNothing) {
  WriteForeign("photos/a.txt", "hello");
  EXPECT_EQ(Keys(), std::vector<std::string>{"photos/a.txt"});
  Result<std::vector<MultipartUpload>> uploads = world_.Run(store_->ListMultipartUploads("b", ""));
  ASSERT_TRUE(uploads.has_value());
  EXPECT_TRUE(uploads->empty());
  EXPECT_FALSE(fs::exists(root_ + "/b/.longhaul"));
}

// What another program writes over an object must not be shown with the old ETag and metadata.
TEST_F(FileStoreTest, OverwrittenByAnotherProgram) {
  ASSERT_TRUE(Put("x", "ours!"));
  EXPECT_EQ(Head("x")->metadata.size(), 1u);
  WriteForeign("x", "their");
  EXPECT_EQ(Head("x")->metadata.size(), 0u);
  EXPECT_EQ(Head("x")->etag, HexEncode(Md5("their")));
  ASSERT_TRUE(Put("x", "again"));
  EXPECT_EQ(*Read("x"), "again");
  EXPECT_EQ(Head("x")->metadata.size(), 1u);
}

// Whoever looks at a foreign file holds no lock. What is found out must not be written where a PUT
// that comes meanwhile has its record: its metadata would be gone, with 200 for the PUT.
TEST_F(FileStoreTest, AFirstLookLeavesRecordsAlone) {
  ASSERT_TRUE(Put("x", "ours!"));
  ASSERT_EQ(FilesBelow(".longhaul/meta"), 1u);
  std::string path;
  for (const auto& entry : fs::recursive_directory_iterator(root_ + "/b/.longhaul/meta")) {
    if (entry.is_regular_file()) path = entry.path();
  }
  auto record = [&] {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string written = record();
  WriteForeign("x", "their");
  // What was written just now is looked at again; after this it is kept.
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_EQ(Head("x")->etag, HexEncode(Md5("their")));
  EXPECT_EQ(record(), written);
  EXPECT_EQ(FilesBelow(".longhaul/meta"), 2u);
  EXPECT_EQ(Head("x")->etag, HexEncode(Md5("their")));
  ASSERT_TRUE(Put("x", "again"));
  EXPECT_EQ(Head("x")->metadata.size(), 1u);
  EXPECT_EQ(FilesBelow(".longhaul/meta"), 1u);
}

// Tags of a foreign file are a record like any other, and end with it.
TEST_F(FileStoreTest, TagsOfForeignFilesStay) {
  WriteForeign("x", "their");
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  ASSERT_TRUE(Head("x"));
  ASSERT_TRUE(world_.Run(store_->PutTags("b", "x", {{"a", "1"}})));
  EXPECT_EQ(world_.Run(store_->GetTags("b", "x", ""))->size(), 1u);
  EXPECT_EQ(Head("x")->etag, HexEncode(Md5("their")));
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "x"})));
  EXPECT_EQ(FilesBelow(".longhaul/meta"), 0u);
}

// A link in a bucket must not show, or overwrite, what is elsewhere on the machine.
TEST_F(FileStoreTest, LinksAreNotFollowed) {
  std::ofstream(root_ + "/secret") << "secret";
  fs::create_symlink(root_ + "/secret", root_ + "/b/link");
  fs::create_directory(root_ + "/outside");
  fs::create_directory_symlink(root_ + "/outside", root_ + "/b/folder");
  EXPECT_FALSE(Read("link"));
  EXPECT_FALSE(Read("../secret"));
  EXPECT_TRUE(Keys().empty());
  ASSERT_TRUE(Put("folder/x", "x"));
  ASSERT_TRUE(Put("../../escaped-x", "x"));
  EXPECT_TRUE(fs::is_empty(root_ + "/outside"));
  EXPECT_FALSE(fs::exists(root_ + "/escaped-x") || fs::exists(root_ + "/../escaped-x"));
  EXPECT_EQ(Keys(), (std::vector<std::string>{"../../escaped-x", "folder/x"}));
  Result<void> outside = world_.Run(store_->HeadBucket("../b"));
  EXPECT_EQ(outside.error().code, "NoSuchBucket");
}

// A disk that changed a byte must not pass it on as the object.
TEST_F(FileStoreTest, ChangedBytesAreNoticed) {
  std::string text(500'000, 'x');
  ASSERT_TRUE(Put("rot", text));
  fs::file_time_type time = fs::last_write_time(root_ + "/b/rot");
  std::fstream(root_ + "/b/rot", std::ios::in | std::ios::out).seekp(300'000) << 'y';
  fs::last_write_time(root_ + "/b/rot", time);
  Result<std::string> read = Read("rot");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt) << read.error().Describe();
}

// A write that is acknowledged while its bucket is being removed must be there afterwards.
TEST_F(FileStoreTest, ABucketThatIsWrittenToIsNotRemoved) {
  Result<FileTree> tree = FileTree::Open(root_, "b", false);
  ASSERT_TRUE(tree);
  // A writer at its last step: it holds the key's lock, and its file is not in place yet.
  std::optional<Fd> lock = std::move(*tree->Lock("k"));
  Result<void> removed = Ok();
  std::atomic<bool> done = false;
  std::thread remover([&] {
    RealWorld world;
    auto store = MakeFileStore(world.runtime, {.root = root_, .durable = false});
    removed = world.Run((*store)->RemoveBucket("b"));
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_FALSE(done);
  Result<FileTree::Temporary> temporary = tree->NewTemporary();
  if (temporary) {
    EXPECT_TRUE(WriteFile(temporary->file.get(), AsBytes("text")));
    struct stat status;
    EXPECT_EQ(::fstat(temporary->file.get(), &status), 0);
    FileRecord record{.size_bytes = 4, .changed_ns = ChangedNs(status), .etag = "e"};
    record.metadata = {{"m", "1"}};
    EXPECT_TRUE(PrepareRecord(*tree, "k", record));
    EXPECT_TRUE(tree->Place(temporary->path, "k"));
    EXPECT_TRUE(SettleRecord(*tree, "k", record));
  }
  lock.reset();
  remover.join();
  ASSERT_TRUE(temporary) << temporary.error().Describe();
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, "BucketNotEmpty");
  EXPECT_EQ(*Read("k"), "text");
  EXPECT_EQ(Head("k")->metadata.size(), 1u);
}

// Who waited for a lock that went away with its folder would hold off nobody with it: of two
// writers of a key each would think that its condition holds.
TEST_F(FileStoreTest, ALockThatWasRemovedIsNone) {
  Result<FileTree> tree = FileTree::Open(root_, "b", false);
  ASSERT_TRUE(tree);
  Result<std::vector<Fd>> all = tree->LockAll();
  ASSERT_TRUE(all) << all.error().Describe();
  std::optional<Result<Fd>> lock;
  std::thread waiter([&] { lock.emplace(tree->Lock("k")); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  fs::remove_all(root_ + "/b/.longhaul/locks");
  all->clear();
  waiter.join();
  ASSERT_TRUE(*lock) << lock->error().Describe();
  EXPECT_EQ(FilesBelow(".longhaul/locks"), 1u);
}

// What is no object is not ours to remove: a link, or a name that no key has.
TEST_F(FileStoreTest, RemovingABucketRemovesNothingOfOthers) {
  ASSERT_TRUE(Put("a/b", "1"));
  fs::create_directories(root_ + "/b/empty/deep");
  EXPECT_EQ(world_.Run(store_->RemoveBucket("b")).error().code, "BucketNotEmpty");
  EXPECT_EQ(Head("a/b")->metadata.size(), 1u);
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "a/b"})));
  std::ofstream(root_ + "/b/empty/.longhaulier") << "theirs";
  EXPECT_TRUE(Keys().empty());
  EXPECT_EQ(world_.Run(store_->RemoveBucket("b")).error().code, "BucketNotEmpty");
  EXPECT_TRUE(fs::exists(root_ + "/b/empty/.longhaulier"));
  fs::remove(root_ + "/b/empty/.longhaulier");
  ASSERT_TRUE(world_.Run(store_->RemoveBucket("b")));
  EXPECT_FALSE(fs::exists(root_ + "/b"));
  EXPECT_EQ(world_.Run(store_->RemoveBucket("b")).error().code, "NoSuchBucket");
}

// Overwriting and removing must not fill the bucket's own folder, nor leave empty folders.
TEST_F(FileStoreTest, NothingIsLeftBehind) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Put("a/b/c", std::string(10 + i, 'x')));
  EXPECT_EQ(FilesBelow(".longhaul/meta"), 1u);
  EXPECT_EQ(FilesBelow(".longhaul/tmp"), 0u);
  EXPECT_FALSE(Put("a/b/c", "x", {.if_absent = true}));
  EXPECT_EQ(FilesBelow(".longhaul/tmp"), 0u);
  EXPECT_EQ(FilesBelow(".longhaul/meta"), 1u);
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "a/b/c"})));
  EXPECT_EQ(FilesBelow(".longhaul/meta"), 0u);
  EXPECT_FALSE(fs::exists(root_ + "/b/a"));
}

// A file takes the place of a folder and the other way round, without losing either.
TEST_F(FileStoreTest, FilesAndFoldersChangePlaces) {
  ASSERT_TRUE(Put("a/b", "1"));
  ASSERT_TRUE(Put("a", "2"));
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "a/b"})));
  ASSERT_TRUE(Put("a", "3"));
  EXPECT_EQ(Keys(), std::vector<std::string>{"a"});
  ASSERT_TRUE(Put("a/c", "4"));
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "a"})));
  ASSERT_TRUE(Put("a/d", "5"));
  EXPECT_EQ(Keys(), (std::vector<std::string>{"a/c", "a/d"}));
  EXPECT_EQ(*Read("a/c"), "4");
  // Another program makes a folder of the plain name: both are seen, in order.
  WriteForeign("x/2", "foreign");
  ASSERT_TRUE(Put("x", "file"));
  ASSERT_TRUE(Put("x/1", "one"));
  EXPECT_EQ(Keys(), (std::vector<std::string>{"a/c", "a/d", "x", "x/1", "x/2"}));
}

// Two processes that race for a key: one wins, also when they do not share a store object.
TEST_F(FileStoreTest, ConditionsHoldBetweenProcesses) {
  constexpr int kProcesses = 4;
  constexpr int kKeys = 25;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    pid_t child = ::fork();
    if (child == 0) {
      RealWorld world;
      auto store = MakeFileStore(world.runtime, {.root = root_, .durable = false});
      int won = 0;
      for (int i = 0; i < kKeys; ++i) {
        PutRequest request;
        request.bucket = "b";
        request.key = "race/" + std::to_string(i);
        request.condition.if_absent = true;
        won += world.Run(PutText(**store, request, std::to_string(process))) ? 1 : 0;
      }
      ::_exit(won);
    }
    children.push_back(child);
  }
  int won = 0;
  for (pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    won += WEXITSTATUS(status);
  }
  EXPECT_EQ(won, kKeys);
  EXPECT_EQ(Keys().size(), static_cast<size_t>(kKeys));
}

class FileUploadTest : public FileStoreTest {
 protected:
  // An upload of "k" with one part.
  CompleteRequest Begin(const std::string& text) {
    CompleteRequest request;
    request.upload = *world_.Run(store_->CreateMultipart({.bucket = "b", .key = "k"}));
    MemorySource body(AsBytes(text));
    request.parts = {*world_.Run(store_->UploadPart(request.upload, 1, body))};
    folder_ = root_ + "/b/.longhaul/uploads/" + request.upload.upload_id;
    return request;
  }
  Result<PutResult> Complete(CompleteRequest request) {
    return world_.Run(store_->CompleteMultipart(std::move(request)));
  }
  std::string PartFile() {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().filename() != "upload.json") return entry.path();
    }
    return "";
  }
  // Completes while another one, who has seen all of the upload, waits for its part; `between` runs
  // before that one goes on. Returns its answer.
  Result<PutResult> CompleteTwice(const CompleteRequest& request, std::function<void()> between) {
    const std::string part = PartFile();
    fs::rename(part, root_ + "/part");
    EXPECT_EQ(::mkfifo(part.c_str(), 0600), 0);
    Result<PutResult> late = Retryable("");
    std::thread other([&] {
      RealWorld world;
      auto store = MakeFileStore(world.runtime, {.root = root_, .durable = false});
      late = world.Run((*store)->CompleteMultipart(request));
    });
    while (FilesBelow(".longhaul/tmp") == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    fs::rename(part, root_ + "/pipe");
    fs::rename(root_ + "/part", part);
    Result<PutResult> first = Complete(request);
    EXPECT_TRUE(first) << first.error().Describe();
    between();
    Fd pipe(::open((root_ + "/pipe").c_str(), O_WRONLY));
    other.join();
    return late;
  }

  std::string folder_;
};

// A client that repeats a completion must not put the parts over what was written since.
TEST_F(FileUploadTest, ALateCompletionLeavesWhatIsNewer) {
  CompleteRequest request = Begin("old");
  Result<PutResult> late = CompleteTwice(request, [&] { EXPECT_TRUE(Put("k", "new")); });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, "NoSuchUpload");
  EXPECT_EQ(*Read("k"), "new");
}

// Nor be told that its own object is in the way.
TEST_F(FileUploadTest, ALateCompletionHearsOfItsSuccess) {
  CompleteRequest request = Begin("text");
  request.condition.if_absent = true;
  Result<PutResult> late = CompleteTwice(request, [] {});
  ASSERT_TRUE(late) << late.error().Describe();
  EXPECT_EQ(late->etag, Head("k")->etag);
  EXPECT_EQ(*Read("k"), "text");
}

// A process that died with the object in place has left the upload: it is completed all the same.
TEST_F(FileUploadTest, WhatADeadCompletionLeftReplacesNothing) {
  CompleteRequest request = Begin("old");
  request.condition.if_absent = true;
  fs::copy(folder_, root_ + "/left", fs::copy_options::recursive);
  ASSERT_TRUE(Complete(request));
  fs::copy(root_ + "/left", folder_, fs::copy_options::recursive);
  Result<PutResult> again = Complete(request);
  EXPECT_TRUE(again) << again.error().Describe();
  EXPECT_FALSE(fs::exists(folder_));

  request.condition = {};
  fs::copy(root_ + "/left", folder_, fs::copy_options::recursive);
  ASSERT_TRUE(Put("k", "new"));
  again = Complete(request);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, "NoSuchUpload");
  EXPECT_EQ(*Read("k"), "new");

  request = Begin("old");
  fs::copy(folder_, root_ + "/left too", fs::copy_options::recursive);
  ASSERT_TRUE(Complete(request));
  fs::copy(root_ + "/left too", folder_, fs::copy_options::recursive);
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "k"})));
  EXPECT_EQ(Complete(request).error().code, "NoSuchUpload");
  EXPECT_FALSE(Head("k"));
}

// Two bodies of one part at once: each would remove the other's, and the upload have none.
TEST_F(FileUploadTest, OneOfTwoBodiesOfAPartStays) {
  CompleteRequest request = Begin("first");
  Result<FileTree> tree = FileTree::Open(root_, "b", false);
  ASSERT_TRUE(tree);
  std::optional<Fd> lock = std::move(*tree->Lock("k"));
  const auto send = [&](const std::string& text) {
    RealWorld world;
    auto store = MakeFileStore(world.runtime, {.root = root_, .durable = false});
    MemorySource body(AsBytes(text));
    EXPECT_TRUE(world.Run((*store)->UploadPart(request.upload, 1, body)));
  };
  const auto part_files = [&] {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      std::string name = entry.path().filename().string();
      if (name.starts_with("00001.")) names.push_back(std::move(name));
    }
    return names;
  };
  const std::vector<std::string> first = part_files();
  std::thread one([&] { send("one"); });
  std::thread two([&] { send("two"); });
  // Neither is put there before what it replaces is removed as well.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(part_files(), first);
  lock.reset();
  one.join();
  two.join();
  EXPECT_EQ(part_files().size(), 1U);
  Result<std::vector<UploadedPart>> parts = world_.Run(store_->ListParts(request.upload));
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 1u);
  request.parts = *parts;
  EXPECT_TRUE(Complete(request));
}

// A copy of an object in parts has an ETag of its own: of damaged bytes it would call them good.
TEST_F(FileUploadTest, ADamagedObjectIsNotCopied) {
  ASSERT_TRUE(Complete(Begin(std::string(500'000, 'x'))));
  const CopyRequest copy{.source_bucket = "b", .source_key = "k", .bucket = "b", .key = "copy"};
  ASSERT_TRUE(world_.Run(store_->Copy(copy)));
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "copy"})));
  fs::file_time_type time = fs::last_write_time(root_ + "/b/k");
  std::fstream(root_ + "/b/k", std::ios::in | std::ios::out).seekp(300'000) << 'y';
  fs::last_write_time(root_ + "/b/k", time);
  Result<PutResult> copied = world_.Run(store_->Copy(copy));
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().kind, ErrorKind::kCorrupt) << copied.error().Describe();
  EXPECT_FALSE(Head("copy"));
}

// A flat folder of many files is read once for a listing, not once for each page.
TEST_F(FileStoreTest, LargeFoldersArePagedInOrder) {
  constexpr int kFiles = testing::kSanitized ? 1100 : 3000;
  for (int i = 0; i < kFiles; ++i) WriteForeign("flat/" + std::to_string(i), "");
  std::vector<std::string> keys = Keys();
  EXPECT_EQ(keys.size(), static_cast<size_t>(kFiles));
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  // And what comes while it is kept is seen.
  ASSERT_TRUE(Put("flat/~new", "x"));
  EXPECT_EQ(Keys().back(), "flat/~new");
}

// A job that lists what its tasks have written commits without what is missing. S3 lists what has
// been acknowledged; a large folder that is listed by pages need not be read anew for each of them.
TEST_F(FileStoreTest, AListingHasAllThatWasThereWhenItBegan) {
  for (int i = 0; i <= 20'000; ++i) WriteForeign("flat/" + std::to_string(i), "");
  auto keys = [&](std::string start_after, std::string token) {
    Result<ListPage> page = world_.Run(store_->List({.bucket = "b",
                                                     .start_after = std::move(start_after),
                                                     .token = std::move(token),
                                                     .count_max = 2}));
    EXPECT_TRUE(page) << page.error().Describe();
    return page ? *page : ListPage();
  };
  ListPage first = keys("", "");
  ASSERT_EQ(first.objects.size(), 2u);
  ASSERT_TRUE(Put("flat/~new", "x"));
  // The listing that has begun before may go on with what it has read.
  const std::string later = first.next_token.substr(0, first.next_token.find(':') + 1) + "kflat/~";
  EXPECT_TRUE(keys("", later).objects.empty());
  // Each that begins now has it, as has what goes on with a token of another process.
  EXPECT_EQ(keys("flat/~", "").objects.size(), 1u);
  ASSERT_TRUE(world_.Run(store_->Remove({.bucket = "b", .key = "flat/~new"})));
  first = keys("", "");
  ASSERT_TRUE(Put("flat/~new", "x"));
  EXPECT_EQ(
      keys("", "@1-2." + first.next_token.substr(first.next_token.find('.') + 1, 3) + ":kflat/~")
          .objects.size(),
      1u);
  EXPECT_EQ(keys("", "kflat/~").objects.size(), 1u);
  EXPECT_FALSE(world_.Run(store_->List({.bucket = "b", .token = "@1-2.3:x"})));
}

// The clock of a file system ticks: a folder that has changed twice within a tick looks unchanged.
TEST_F(FileStoreTest, TwoChangesWithinATickAreSeen) {
  for (int i = 0; i < 600; ++i) WriteForeign("flat/" + std::to_string(i), "");
  EXPECT_EQ(Keys().size(), 600u);
  fs::file_time_type time = fs::last_write_time(root_ + "/b/flat");
  ASSERT_TRUE(Put("flat/~new", "x"));
  fs::last_write_time(root_ + "/b/flat", time);
  EXPECT_EQ(Keys().back(), "flat/~new");
}

// Whoever asks for encryption must not get plain files in silence.
TEST_F(FileStoreTest, EncryptionIsRefused) {
  for (int which = 0; which < 3; ++which) {
    PutRequest request{.bucket = "b", .key = "k"};
    if (which == 0) request.sse = "AES256";
    if (which == 1) request.kms_key = "k";
    if (which == 2) request.bucket_key = false;
    Result<PutResult> put = world_.Run(PutText(*store_, request, "text"));
    ASSERT_FALSE(put) << which;
    EXPECT_EQ(put.error().code, "NotImplemented");
    EXPECT_FALSE(world_.Run(store_->CreateMultipart(request))) << which;
  }
  EXPECT_TRUE(Keys().empty());
}

// "No such folder" when the program starts is better than an empty store for ever.
TEST_F(FileStoreTest, TheRootMustBeThere) {
  auto missing = MakeFileStore(world_.runtime, {.root = root_ + "/none"});
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(MakeFileStore(world_.runtime, {.root = root_ + "/new/deep", .create_root = true}));
}

// One file system takes "README" for "Readme". (A link makes the bucket's own folder look so.)
TEST_F(FileStoreTest, ADiskThatFoldsNamesIsRefused) {
  ASSERT_TRUE(world_.Run(PutText(*store_, {.bucket = "b", .key = "Readme"}, "text")));
  fs::create_directory(root_ + "/new");
  for (const char* bucket : {"b", "new"}) {
    fs::create_symlink(".longhaul", root_ + "/" + bucket + "/.LONGHAUL");
    auto put = world_.Run(PutText(*store_, {.bucket = bucket, .key = "README"}, "other"));
    ASSERT_FALSE(put) << bucket;
    EXPECT_EQ(put.error().code, "FoldsNames") << bucket;
  }
  auto read = world_.Run(GetAll(*store_, {.bucket = "b", .key = "README"}, 100));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, "FoldsNames");
  // A key of that name is none of it.
  fs::remove(root_ + "/b/.LONGHAUL");
  EXPECT_TRUE(world_.Run(PutText(*store_, {.bucket = "b", .key = ".LONGHAUL/a"}, "text")));
  EXPECT_TRUE(world_.Run(PutText(*store_, {.bucket = "b", .key = "README"}, "other")));
}

// Every name decodes to the segment it was made of: else a key would come back as another.
TEST(FileNamesTest, NamesAreReversible) {
  for (const std::string& segment :
       {std::string(), std::string("."), std::string(".."), std::string("plain"),
        std::string(".longhaul"), std::string(".longhaul=x"), std::string(".longhaul~x"),
        std::string(300, 'a'), std::string(900, 'b')}) {
    for (bool folder : {false, true}) {
      for (const std::string& path : folder ? FolderNamesOf(segment) : FileNamesOf(segment)) {
        std::string decoded;
        std::vector<std::string> names = *SegmentsOf(path);
        for (const std::string& name : names) {
          EXPECT_LE(name.size(), 255u);
          bool last = path.ends_with(name);
          DecodedName part = DecodeName(name, folder || !last);
          EXPECT_NE(part.kind, DecodedName::Kind::kPrivate) << name;
          decoded += part.segment;
        }
        EXPECT_EQ(decoded, segment);
      }
    }
  }
}

}  // namespace
}  // namespace longhaul
