#include "cli/store_doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "aws/credentials_failure.h"
#include "storage/restores_objects.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::Fault;
using testing::FaultPlan;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

const Error kAccessDenied{
    .kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied", .http_status = 403};

// One kind of request is denied.
class Denies : public FaultPlan {
 public:
  explicit Denies(std::optional<StoreOperation> operation, Error error = kAccessDenied)
      : operation_(operation), error_(std::move(error)) {}
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    if (operation != operation_) return {};
    return {.error = error_};
  }

 private:
  std::optional<StoreOperation> operation_;
  Error error_;
};

struct Examined {
  std::vector<DoctorCheck> checks;
  std::shared_ptr<MemoryStoreBackend> backend;

  [[nodiscard]] std::set<std::string> Actions(DoctorCheck::State state) const {
    std::set<std::string> actions;
    for (const DoctorCheck& check : checks) {
      if (check.state == state) actions.insert(check.action);
    }
    return actions;
  }
};

Async<void> ExamineAll(StoreDoctor& doctor) {
  Result<bool> reached = co_await doctor.Reach();
  if (!reached || !*reached) co_return Ok();
  Result<void> done = co_await doctor.Versioning();
  if (done) done = co_await doctor.ListUploads();
  if (done) done = co_await doctor.ReadUnknown(true);
  if (done) {
    done = co_await doctor.Write(
        {.kms_key = "alias/copy", .acl = "bucket-owner-full-control", .object_lock = true});
  }
  co_return done;
}

Examined Examine(std::optional<StoreOperation> denied, bool versioned = false,
                 Error error = kAccessDenied) {
  testing::FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["out"].created = world.clock.Now();
  if (versioned) backend->buckets["out"].versioning = MemoryStoreBackend::Versioning::kEnabled;
  Denies faults(denied, std::move(error));
  MemoryStore store(world.runtime, backend, &faults);
  Examined examined{.backend = backend};
  StoreDoctor doctor(world.runtime, store, "target", "out", "in/", examined.checks);
  EXPECT_TRUE(world.Run(ExamineAll(doctor)));
  return examined;
}

// A bucket of replicas holds replicas alone: no trial may leave a key, a version or an upload.
TEST(StoreDoctorTest, TriesEveryRightAndWritesNothing) {
  for (bool versioned : {false, true}) {
    const Examined examined = Examine(std::nullopt, versioned);
    EXPECT_THAT(examined.Actions(DoctorCheck::State::kFailed), ::testing::IsEmpty());
    std::set<std::string> fine = examined.Actions(DoctorCheck::State::kOk);
    for (const char* action :
         {"s3:ListBucket", "s3:GetBucketVersioning", "s3:ListBucketMultipartUploads",
          "s3:GetObject", "s3:GetObjectTagging", "s3:AbortMultipartUpload", "s3:PutObject",
          "s3:PutObjectTagging", "s3:PutObjectAcl", "kms:GenerateDataKey", "s3:PutObjectRetention",
          "s3:PutObjectLegalHold"}) {
      EXPECT_TRUE(fine.contains(action)) << action;
    }
    // Where versions are kept, a delete of what is not there would leave a marker.
    EXPECT_EQ(fine.contains("s3:DeleteObject"), !versioned);
    EXPECT_EQ(examined.Actions(DoctorCheck::State::kWarning).contains("s3:DeleteObject"),
              versioned);
    EXPECT_TRUE(examined.backend->buckets["out"].objects.empty());
    EXPECT_TRUE(examined.backend->buckets["out"].uploads.empty());
  }
}

// The bucket is encrypted under a key of its own: no right of S3 opens it.
TEST(StoreDoctorTest, NamesTheKeyThatIsRefused) {
  const std::string key = "arn:aws:kms:us-east-1:111122223333:key/k";
  for (const auto& [operation, action] :
       {std::pair(StoreOperation::kCreateMultipart, std::string("kms:GenerateDataKey")),
        std::pair(StoreOperation::kGet, std::string("kms:Decrypt"))}) {
    const Examined examined = Examine(
        operation, false,
        {.kind = ErrorKind::kDenied,
         .message = "User: x is not authorized to perform: " + action + " on resource: " + key +
                    " because no identity-based policy allows the " + action + " action",
         .code = "AccessDenied",
         .http_status = 403});
    EXPECT_THAT(examined.Actions(DoctorCheck::State::kFailed), ::testing::ElementsAre(action));
    for (const DoctorCheck& check : examined.checks) {
      if (check.state != DoctorCheck::State::kFailed) continue;
      EXPECT_THAT(check.remedy, ::testing::HasSubstr("allow " + action + " on " + key));
    }
  }
}

// Who could not sign was refused nothing by the store.
TEST(StoreDoctorTest, OfCredentialsItNamesWhatGivesThem) {
  auto examine = [](std::string message, std::string code) {
    return Examine(
        StoreOperation::kBucket, false,
        CredentialsFailure(
            {.kind = ErrorKind::kDenied, .message = std::move(message), .code = std::move(code)}));
  };
  const Examined none = examine("profile 'sso': nobody has logged in; run: aws sso login", "");
  EXPECT_THAT(none.Actions(DoctorCheck::State::kFailed), ::testing::ElementsAre(""));
  EXPECT_EQ(none.checks.front().remedy, "correct the credentials, as the message says");
  const Examined role =
      examine("role arn:aws:iam::1:role/far from https://sts.example: no", "AccessDenied");
  EXPECT_THAT(role.Actions(DoctorCheck::State::kFailed), ::testing::ElementsAre("sts:AssumeRole"));
  EXPECT_THAT(role.checks.front().remedy,
              ::testing::HasSubstr("allow sts:AssumeRole on arn:aws:iam::1:role/far"));
}

// `longhaul iam-policy` knows nothing of a database.
TEST(StoreDoctorTest, WhatNamesItsCommandHasNoOtherRemedy) {
  const Error refused{.kind = ErrorKind::kDenied,
                      .message =
                          "db/jobs: the role \"x\" may not write; its owner can allow it: "
                          "GRANT INSERT ON longhaul.state_rows TO \"x\";"};
  EXPECT_EQ(RemedyOf(refused, "", "the table"), "run the command that the message names");
}

// A store that is asked for what is not there.
class ArchivingStore : public MemoryStore, public RestoresObjects {
 public:
  using MemoryStore::MemoryStore;
  Async<void> Restore(RestoreRequest request) override {
    asked.push_back(request.key);
    co_return answer;
  }
  Async<bool> IsBeingRestored(std::string, std::string) override { co_return false; }

  std::vector<std::string> asked;
  Error answer;
};

// A rule with `restore` that may not ask parks each archived object, weeks later.
TEST(StoreDoctorTest, TriesToAskObjectsBack) {
  testing::FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["in"].created = world.clock.Now();
  ArchivingStore store(world.runtime, backend);
  const auto examine = [&](Error answer) {
    store.answer = std::move(answer);
    Examined examined{.backend = backend};
    StoreDoctor doctor(world.runtime, store, "source", "in", "logs/", examined.checks);
    EXPECT_TRUE(world.Run(doctor.AskBack("Bulk")));
    EXPECT_EQ(examined.checks.size(), 1U);
    return examined;
  };
  const Error absent{
      .kind = ErrorKind::kNotFound, .message = "", .code = "NoSuchKey", .http_status = 404};
  EXPECT_THAT(examine(absent).Actions(DoctorCheck::State::kOk),
              ::testing::ElementsAre("s3:RestoreObject"));
  const Examined denied = examine(kAccessDenied);
  EXPECT_THAT(denied.Actions(DoctorCheck::State::kFailed),
              ::testing::ElementsAre("s3:RestoreObject"));
  EXPECT_THAT(denied.checks.front().remedy, ::testing::HasSubstr("allow s3:RestoreObject on "));
  const Error none{.kind = ErrorKind::kInvalidInput,
                   .message = "no",
                   .code = "NotImplemented",
                   .http_status = 501};
  EXPECT_EQ(examine(none).checks.front().state, DoctorCheck::State::kWarning);
  for (const std::string& key : store.asked) {
    EXPECT_THAT(key, ::testing::StartsWith("logs/longhaul-doctor-"));
  }
}

// A vault that locks nothing was called good, and each of its archives failed.
TEST(StoreDoctorTest, TriesTheLockOfAVault) {
  for (const bool locks : {true, false}) {
    testing::FakeWorld world;
    auto backend = std::make_shared<MemoryStoreBackend>();
    backend->options.locks_objects = locks;
    backend->buckets["vault"].created = world.clock.Now();
    MemoryStore store(world.runtime, backend);
    Examined examined{.backend = backend};
    StoreDoctor doctor(world.runtime, store, "target", "vault", "", examined.checks);
    ASSERT_TRUE(
        world.Run(doctor.Write({.tags = false, .deletes = false, .lock_mode = "COMPLIANCE"})));
    const auto state = locks ? DoctorCheck::State::kOk : DoctorCheck::State::kFailed;
    EXPECT_TRUE(examined.Actions(state).contains("s3:PutObjectRetention"));
    for (const DoctorCheck& check : examined.checks) {
      EXPECT_NE(check.action, "s3:PutObjectLegalHold");
    }
    EXPECT_TRUE(backend->buckets["vault"].uploads.empty());
    EXPECT_TRUE(backend->buckets["vault"].objects.empty());
  }
}

// What was not tried must not look as if it had worked.
TEST(StoreDoctorTest, SaysThatKeysOfKmsWereNotTried) {
  testing::FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["in"].created = world.clock.Now();
  MemoryStore store(world.runtime, backend, nullptr);
  for (bool decrypts : {false, true}) {
    std::vector<DoctorCheck> checks;
    StoreDoctor doctor(world.runtime, store, "source", "in", "", checks);
    ASSERT_TRUE(world.Run(doctor.ReadFirst(true, decrypts)));
    const auto of_keys = std::ranges::count_if(
        checks, [](const DoctorCheck& check) { return check.action == "kms:Decrypt"; });
    EXPECT_EQ(of_keys, decrypts ? 1 : 0);
  }
}

// A replica of before, under another key than the rule writes with, has to be looked at.
TEST(StoreDoctorTest, WhatLiesAtATargetMayBeUnderAnotherKey) {
  testing::FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["out"].created = world.clock.Now();
  const Error denied{.kind = ErrorKind::kDenied,
                     .message = "not authorized to perform: kms:Decrypt on resource: arn:aws:kms:a",
                     .code = "AccessDenied",
                     .http_status = 403};
  auto read = [&](std::optional<StoreOperation> denies) {
    Denies plan(denies, denied);
    MemoryStore store(world.runtime, backend, &plan);
    std::vector<DoctorCheck> checks;
    StoreDoctor doctor(world.runtime, store, "target", "out", "", checks);
    EXPECT_TRUE(world.Run(doctor.ReadUnderOtherKeys()));
    return checks;
  };
  EXPECT_TRUE(read({}).empty()) << "nothing lies there";
  MemoryStore store(world.runtime, backend, nullptr);
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = "out", .key = "a"}, "text")));
  EXPECT_TRUE(read({}).empty()) << "under no key";
  PutRequest under_key{.bucket = "out", .key = "a"};
  under_key.kms_key = "other";
  ASSERT_TRUE(world.Run(PutText(store, under_key, "text")));
  std::vector<DoctorCheck> checks = read({});
  ASSERT_EQ(checks.size(), 1u);
  EXPECT_EQ(checks[0].action + " " + std::string(ToString(checks[0].state)), "kms:Decrypt ok");
  checks = read(StoreOperation::kGet);
  ASSERT_EQ(checks.size(), 1u);
  EXPECT_EQ(checks[0].action + " " + std::string(ToString(checks[0].state)), "kms:Decrypt failed");
}

// Who is told "access denied" without a word of what cannot mend it.
TEST(StoreDoctorTest, NamesTheRightThatIsMissing) {
  const std::pair<StoreOperation, const char*> kRights[] = {
      {StoreOperation::kList, "s3:ListBucket"},
      {StoreOperation::kGet, "s3:GetObject"},
      {StoreOperation::kGetTags, "s3:GetObjectTagging"},
      {StoreOperation::kCreateMultipart, "s3:PutObject"},
      {StoreOperation::kAbortMultipart, "s3:AbortMultipartUpload"},
      {StoreOperation::kListMultipartUploads, "s3:ListBucketMultipartUploads"},
      {StoreOperation::kRemove, "s3:DeleteObject"},
      {StoreOperation::kBucket, "s3:ListBucket"}};
  for (const auto& [operation, action] : kRights) {
    const Examined examined = Examine(operation);
    EXPECT_THAT(examined.Actions(DoctorCheck::State::kFailed), ::testing::ElementsAre(action));
    for (const DoctorCheck& check : examined.checks) {
      if (check.state == DoctorCheck::State::kFailed) {
        EXPECT_THAT(check.remedy, ::testing::HasSubstr(std::string("allow ") + action));
      }
    }
    // An upload that could not be aborted again must not be made.
    EXPECT_TRUE(examined.backend->buckets["out"].uploads.empty());
  }
}

// Wrong keys, as a server tells of them: the answer to a HEAD has no body that could say it.
class WrongKeys : public FaultPlan {
 public:
  WrongKeys(std::string code, ErrorKind of_head) : code_(std::move(code)), of_head_(of_head) {}
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Error error{.kind = ErrorKind::kDenied, .message = "no", .http_status = 403};
    if (operation == StoreOperation::kBucket) {
      error.kind = of_head_;
    } else {
      error.code = code_;
    }
    return {.error = std::move(error)};
  }

 private:
  std::string code_;
  ErrorKind of_head_;
};

// Of archives that are taken over nobody asks for tags or versions; of an object that is there the
// key counts, too.
TEST(StoreDoctorTest, AnArchiveIsReadWithoutWhatNobodyNeeds) {
  testing::FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["in"].created = world.clock.Now();
  MemoryStore direct(world.runtime, backend);
  ASSERT_TRUE(world.Run(PutText(direct, {.bucket = "in", .key = "a.tar.zst"}, "text")));
  for (StoreOperation denied : {StoreOperation::kGetTags, StoreOperation::kGet}) {
    Denies faults(denied, kAccessDenied);
    MemoryStore store(world.runtime, backend, &faults);
    Examined examined{.backend = backend};
    StoreDoctor doctor(world.runtime, store, "take_over", "in", "", examined.checks);
    ASSERT_TRUE(world.Run(doctor.ReadFirst(false)));
    EXPECT_EQ(examined.Actions(DoctorCheck::State::kFailed).empty(),
              denied == StoreOperation::kGetTags);
  }
}

// Whoever is told to allow an action looks for hours at a policy that is right.
TEST(StoreDoctorTest, WrongKeysAreNoMissingRight) {
  const std::pair<const char*, ErrorKind> kRefusals[] = {
      {"InvalidAccessKeyId", ErrorKind::kDenied},
      {"SignatureDoesNotMatch", ErrorKind::kDenied},
      {"XAdminUserNotFound", ErrorKind::kNotFound},
      {"AccessDenied", ErrorKind::kDenied}};
  for (const auto& [code, of_head] : kRefusals) {
    testing::FakeWorld world;
    WrongKeys faults(code, of_head);
    MemoryStore store(world.runtime, std::make_shared<MemoryStoreBackend>(), &faults);
    std::vector<DoctorCheck> checks;
    StoreDoctor doctor(world.runtime, store, "target", "out", "in/", checks);
    ASSERT_TRUE(world.Run(ExamineAll(doctor)));
    ASSERT_EQ(checks.size(), 1U) << code;
    const bool keys = std::string_view(code) != "AccessDenied";
    EXPECT_EQ(checks[0].action, keys ? "" : "s3:ListBucket");
    EXPECT_THAT(checks[0].found, ::testing::HasSubstr(code));
    EXPECT_THAT(checks[0].remedy,
                ::testing::HasSubstr(keys ? "check the access key" : "allow s3:ListBucket"));
  }
}

// What the doctor says of an inventory below "in/", by what it looks at.
class InventoryDoctorTest : public ::testing::Test {
 protected:
  InventoryDoctorTest() { backend->buckets["out"].created = world.clock.Now(); }

  void Write(const std::string& key, const std::string& text) {
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = "out", .key = key}, text)));
  }
  void Deliver(const std::string& bucket, const std::string& format = "CSV",
               const std::string& schema = "Bucket, Key, Size, LastModifiedDate, ETag") {
    Write("in/" + delivered + "/manifest.json",
          R"({"sourceBucket":")" + bucket + R"(","destinationBucket":"arn:aws:s3:::out",)" +
              R"("fileFormat":")" + format + R"(","fileSchema":")" + schema +
              R"(","files":[{"key":"in/data/1.csv","size":1}]})");
  }
  // The state, what was found and the remedy of one check.
  DoctorCheck Look(const std::string& what, FaultPlan* faults = nullptr) {
    MemoryStore looked(world.runtime, backend, faults);
    std::vector<DoctorCheck> checks;
    StoreDoctor doctor(world.runtime, looked, "inventory", "out", "in/", checks);
    EXPECT_TRUE(world.Run(doctor.ReadInventory("data")));
    for (const DoctorCheck& check : checks) {
      if (check.what == what) return check;
    }
    ADD_FAILURE() << "nothing was said of: " << what;
    return {};
  }

  testing::FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore store{world.runtime, backend};
  // Of an hour ago.
  std::string delivered = [this] {
    std::string time = FormatRfc3339(
        std::chrono::floor<std::chrono::minutes>(world.clock.Now() - std::chrono::hours(1)));
    return time.substr(0, 13) + "-" + time.substr(14, 2) + "Z";
  }();
};

constexpr char kRow[] = "\"data\",\"k\",\"4\",\"2020-11-01T00:00:00.000Z\",\"e\"\n";

// A right that is there and an inventory that nobody can read would pass for well, until the first
// comparison fails.
TEST_F(InventoryDoctorTest, IsReadToItsRows) {
  using State = DoctorCheck::State;
  EXPECT_EQ(Look("find the newest inventory").state, State::kWarning);
  Write("in/data/1.csv", kRow);
  Deliver("data");
  EXPECT_EQ(Look("find the newest inventory").state, State::kOk);
  EXPECT_EQ(Look("read its manifest").state, State::kOk);
  EXPECT_EQ(Look("read its rows").state, State::kOk);
  Deliver("other");
  DoctorCheck check = Look("read its manifest");
  EXPECT_EQ(check.state, State::kFailed);
  EXPECT_THAT(check.found, ::testing::HasSubstr("inventory of the bucket 'other'"));
  EXPECT_THAT(check.remedy, ::testing::HasSubstr("of the bucket data"));
  Deliver("data", "Parquet");
  check = Look("read its manifest");
  EXPECT_EQ(check.state, State::kFailed);
  EXPECT_THAT(check.found, ::testing::HasSubstr("only CSV can be read"));
  Deliver("data", "CSV", "Bucket, Key");
  EXPECT_EQ(Look("read its manifest").state, State::kFailed);
  Deliver("data");
  backend->buckets["out"].objects.erase("in/data/1.csv");
  check = Look("read its rows");
  EXPECT_EQ(check.state, State::kFailed);
  EXPECT_THAT(check.remedy, ::testing::HasSubstr("intake.inventory"));
}

// An inventory that is delivered no more says what was there weeks ago, and nothing else tells.
TEST_F(InventoryDoctorTest, OneThatIsOldIsAWarning) {
  Write("in/data/1.csv", kRow);
  Deliver("data");
  world.clock.Advance(std::chrono::days(7));
  EXPECT_EQ(Look("find the newest inventory").state, DoctorCheck::State::kOk);
  world.clock.Advance(std::chrono::days(1));
  const DoctorCheck check = Look("find the newest inventory");
  EXPECT_EQ(check.state, DoctorCheck::State::kWarning);
  EXPECT_THAT(check.found, ::testing::HasSubstr("older than a week"));
}

TEST_F(InventoryDoctorTest, WhatMayNotBeReadIsDeniedOnce) {
  Write("in/data/1.csv", kRow);
  Deliver("data");
  Denies faults(StoreOperation::kGet);
  const DoctorCheck check = Look("read objects", &faults);
  EXPECT_EQ(check.state, DoctorCheck::State::kFailed);
  EXPECT_THAT(check.remedy, ::testing::HasSubstr("allow s3:GetObject"));
}

// A policy of another partition names other ARNs: one that is copied from here must fit.
TEST(StoreDoctorTest, ARemedyIsOfTheStoresPartition) {
  testing::FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["out"].created = world.clock.Now();
  Denies faults(StoreOperation::kGet);
  MemoryStore store(world.runtime, backend, &faults);
  std::vector<DoctorCheck> checks;
  StoreDoctor doctor(world.runtime, store, "target", "out", "in/", checks, "aws-cn");
  ASSERT_TRUE(world.Run(doctor.ReadUnknown(false)));
  ASSERT_EQ(checks.size(), 1U);
  EXPECT_THAT(checks[0].remedy, ::testing::HasSubstr("on arn:aws-cn:s3:::out/in/*"));
}

}  // namespace
}  // namespace longhaul
