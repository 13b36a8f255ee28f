#include "cli/store_doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::Fault;
using testing::FaultPlan;
using testing::MemoryStore;
using testing::MemoryStoreBackend;
using testing::StoreOperation;

// One kind of request is denied.
class Denies : public FaultPlan {
 public:
  explicit Denies(std::optional<StoreOperation> operation) : operation_(operation) {}
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    if (operation != operation_) return {};
    return {.error = Error{.kind = ErrorKind::kDenied,
                           .message = "no",
                           .code = "AccessDenied",
                           .http_status = 403}};
  }

 private:
  std::optional<StoreOperation> operation_;
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

Examined Examine(std::optional<StoreOperation> denied, bool versioned = false) {
  testing::FakeWorld world;
  auto backend = std::make_shared<MemoryStoreBackend>();
  backend->buckets["out"].created = world.clock.Now();
  if (versioned) backend->buckets["out"].versioning = MemoryStoreBackend::Versioning::kEnabled;
  Denies faults(denied);
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
