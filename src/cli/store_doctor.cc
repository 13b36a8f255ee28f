#include "cli/store_doctor.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "aws/credentials_failure.h"
#include "base/random.h"
#include "storage/reads_locks.h"
#include "storage/restores_objects.h"
#include "transfer/listing/inventory.h"
#include "transfer/listing/newest_inventory.h"
#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {

// Signatures are refused from a difference of 15 minutes on (S3 API Reference,
// RequestTimeTooSkewed); what is less than this may be the way of an answer.
constexpr std::chrono::seconds kClockOff{30};
// They come each day or each week (S3 User Guide, "Configuring Amazon S3 Inventory"), and may take
// a day.
constexpr std::chrono::days kInventoryAgeMax{8};

// What a store says of a key or an upload that is not there: the right is there.
bool SaysAbsent(const Error& error) {
  return error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kPrecondition ||
         (error.kind == ErrorKind::kInvalidInput && error.http_status != 0 &&
          error.http_status != 501);
}

// The ARN that a refusal names ("… on resource: arn:aws:kms:…"); empty: it names none.
std::string ResourceIn(std::string_view message) {
  constexpr std::string_view kBefore = "on resource: ";
  const size_t at = message.find(kBefore);
  if (at == message.npos) return "";
  message.remove_prefix(at + kBefore.size());
  message = message.substr(0, message.find_first_of(" \t,;)"));
  return message.starts_with("arn:") ? std::string(message) : "";
}

}  // namespace

std::string_view ToString(DoctorCheck::State state) {
  switch (state) {
    case DoctorCheck::State::kOk:
      return "ok";
    case DoctorCheck::State::kWarning:
      return "warning";
    case DoctorCheck::State::kFailed:
      return "failed";
  }
  return "failed";
}

std::string ActionOf(const Error& error, std::string tried) {
  if (IsCredentialsFailure(error)) {
    const std::optional<RefusedRight> right = RightOfCredentials(error);
    return right ? right->action : "";
  }
  if (error.kind != ErrorKind::kDenied) return tried;
  // No right mends keys that the store does not know.
  if (IsStoreWide(error)) return "";
  if (tried.starts_with("s3:")) {
    for (const char* action : {"kms:GenerateDataKey", "kms:Decrypt"}) {
      if (error.message.contains(action)) return action;
    }
  }
  return tried;
}

std::string RemedyOf(const Error& error, std::string_view action, std::string_view resource) {
  // What longhaul itself says of its queue and state names the command that mends it.
  for (const char* command : {"longhaul setup", "; to make it: ", "; to mend it: ",
                              "; to allow it: ", "can allow it: "}) {
    if (error.message.contains(command)) return "run the command that the message names";
  }
  constexpr std::string_view kWhole = ": `longhaul iam-policy` prints the whole policy";
  if (IsCredentialsFailure(error)) {
    const std::optional<RefusedRight> right = RightOfCredentials(error);
    if (!right) return "correct the credentials, as the message says";
    if (right->action == "sts:AssumeRoleWithWebIdentity") {
      return "let the trust policy of " + right->resource + " allow " + right->action;
    }
    const bool role = right->action == "sts:AssumeRole";
    return "allow " + right->action + " on " + right->resource +
           (role ? ", and in the role's trust policy to who asks" : "") + std::string(kWhole);
  }
  switch (error.kind) {
    case ErrorKind::kDenied:
      // The keys themselves are refused, and with them every right.
      if (IsStoreWide(error)) return RemedyFor(error);
      if (action.empty()) return "look at the credentials and their rights: `longhaul iam-policy`";
      return "allow " + std::string(action) + " on " + std::string(resource) + std::string(kWhole);
    case ErrorKind::kNotFound:
      return "create it, or correct its name in the configuration";
    case ErrorKind::kRetryable:
    case ErrorKind::kThrottled:
      return "look at endpoint, network and certificates, and try again";
    case ErrorKind::kInvalidInput:
    case ErrorKind::kPrecondition:
    case ErrorKind::kCorrupt:
    case ErrorKind::kCancelled:
      return "correct what the message names";
  }
  return "";
}

std::string AbilitiesText(const Capabilities& can) {
  std::string lacks;
  auto look = [&lacks](bool has, const char* what) {
    if (!has) lacks += (lacks.empty() ? "" : ", ") + std::string(what);
  };
  look(can.create_if_absent && can.replace_if_match && can.complete_if_absent &&
           can.complete_if_match,
       "conditional writes (leases in State stand in)");
  look(can.tags, "tags");
  look(can.checksums, "checksums");
  look(can.sorted_listing, "sorted listings");
  look(can.key_dot_segments && can.key_double_slash && can.key_file_beside_folder &&
           can.key_trailing_slash,
       "some odd keys (they are parked)");
  return lacks.empty() ? "all of it" : "it has no " + lacks;
}

void StoreDoctor::Add(std::string what, std::string action, std::string found) {
  checks_.push_back({.place = place_,
                     .what = std::move(what),
                     .action = std::move(action),
                     .found = std::move(found)});
}

void StoreDoctor::Warn(std::string what, std::string action, std::string found,
                       std::string remedy) {
  checks_.push_back({.place = place_,
                     .what = std::move(what),
                     .action = std::move(action),
                     .state = DoctorCheck::State::kWarning,
                     .found = std::move(found),
                     .remedy = std::move(remedy)});
}

void StoreDoctor::Fail(std::string what, std::string action, const Error& error,
                       std::string remedy) {
  const bool elsewhere =
      error.kind == ErrorKind::kDenied || error.Transient() || IsCredentialsFailure(error);
  action = ActionOf(error, std::move(action));
  std::string resource = action.starts_with("kms:") ? ResourceIn(error.message) : "";
  if (resource.empty()) resource = Resource(action);
  if (elsewhere || remedy.empty()) remedy = RemedyOf(error, action, resource);
  checks_.push_back({.place = place_,
                     .what = std::move(what),
                     .action = std::move(action),
                     .state = DoctorCheck::State::kFailed,
                     .found = error.Describe(),
                     .remedy = std::move(remedy)});
}

std::string StoreDoctor::Resource(std::string_view action) const {
  if (action.starts_with("kms:")) return "the key";
  const bool of_bucket = action.contains("Bucket");
  return "arn:" + partition_ + ":s3:::" + bucket_ + (of_bucket ? "" : "/" + prefix_ + "*");
}

bool StoreDoctor::Judge(std::string what, std::string action, const Result<void>& result) {
  if (result || SaysAbsent(result.error())) {
    Add(std::move(what), std::move(action));
    return true;
  }
  Fail(std::move(what), std::move(action), result.error());
  return false;
}

void StoreDoctor::CompareClocks(SystemTime server_time) {
  if (server_time == SystemTime{}) return;
  const auto ahead = std::chrono::round<std::chrono::seconds>(server_time - runtime_.clock.Now());
  if (std::chrono::abs(ahead) < kClockOff) return Add("clock", "");
  Warn("clock", "",
       "the store's clock is " + std::to_string(std::abs(ahead.count())) + " s " +
           (ahead.count() > 0 ? "ahead of" : "behind") + " this machine's",
       "have this machine's clock set by NTP; longhaul goes by the store's meanwhile");
}

std::string StoreDoctor::UnknownKey() {
  return prefix_ + "longhaul-doctor-" + NewUlid(runtime_.clock.Now(), runtime_.random);
}

Async<bool> StoreDoctor::Reach() {
  Result<void> there = co_await store_.HeadBucket(bucket_);
  if (!there &&
      (there.error().kind == ErrorKind::kDenied || there.error().kind == ErrorKind::kNotFound)) {
    // The answer to a HEAD has no body: wrong keys look like a missing right, or (versitygw) like a
    // missing bucket. That of a listing says which it is.
    Result<ListPage> page =
        co_await store_.List({.bucket = bucket_, .prefix = prefix_, .count_max = 1});
    if (!page && page.error().kind == ErrorKind::kDenied) there = page.error();
  }
  if (!there) {
    Fail("reach the bucket", "s3:ListBucket", there.error());
    co_return false;
  }
  Add("reach the bucket", "s3:ListBucket");
  Result<ListPage> page =
      co_await store_.List({.bucket = bucket_, .prefix = prefix_, .count_max = 1});
  co_return Judge("list objects", "s3:ListBucket",
                  page ? Result<void>() : Result<void>(page.error()));
}

Async<void> StoreDoctor::Versioning() {
  if (!store_.capabilities().versions) co_return Ok();
  Result<bool> versioned = co_await store_.GetVersioning(bucket_);
  if (versioned) versioned_ = *versioned;
  if (Judge("ask for versioning", "s3:GetBucketVersioning",
            versioned ? Result<void>() : Result<void>(versioned.error()))) {
    if (versioned) checks_.back().found = *versioned ? "versions are kept" : "no versions are kept";
  }
  co_return Ok();
}

void StoreDoctor::WarnOfKeys(std::string why) {
  Warn("read objects under a key of KMS", "kms:Decrypt", "not tried: " + std::move(why),
       "see that kms:Decrypt is allowed on the keys of what is encrypted there, if anything is");
}

Async<void> StoreDoctor::ReadFirst(bool whole, bool decrypts) {
  Result<ListPage> page =
      co_await store_.List({.bucket = bucket_, .prefix = prefix_, .count_max = 1});
  if (!page || page->objects.empty()) {
    if (decrypts) WarnOfKeys("there is no object");
    co_return co_await ReadUnknown(whole && store_.capabilities().tags);
  }
  const ListedObject& object = page->objects.front();
  GetRequest get{.bucket = bucket_, .key = object.key};
  if (object.size_bytes > 0) get.range = ByteRange{.offset_bytes = 0, .size_bytes = 1};
  Result<ObjectStream> stream = co_await store_.Get(get);
  const ObjectInfo info = stream ? stream->info : ObjectInfo{};
  if (!Judge("read objects", "s3:GetObject",
             stream ? Result<void>() : Result<void>(stream.error()))) {
    co_return Ok();
  }
  if (stream) stream->body.reset();
  if (decrypts && info.kms_encrypted) Add("read objects under a key of KMS", "kms:Decrypt");
  if (decrypts && !info.kms_encrypted) WarnOfKeys(object.key + " is under none");
  CompareClocks(info.server_time);
  if (!whole) co_return Ok();
  if (!info.version_id.empty()) {
    get.version_id = info.version_id;
    Result<ObjectStream> version = co_await store_.Get(get);
    Judge("read versions of objects", "s3:GetObjectVersion",
          version ? Result<void>() : Result<void>(version.error()));
  }
  if (!store_.capabilities().tags) co_return Ok();
  Result<Tags> tags = co_await store_.GetTags(bucket_, object.key, "");
  const bool none_there = !tags && tags.error().code == "NotImplemented";
  if (none_there) {
    Add("read tags", "", "this store has none");
    co_return Ok();
  }
  Judge("read tags", "s3:GetObjectTagging", tags ? Result<void>() : Result<void>(tags.error()));
  if (info.version_id.empty()) co_return Ok();
  Result<Tags> of_version = co_await store_.GetTags(bucket_, object.key, info.version_id);
  Judge("read tags of versions", "s3:GetObjectVersionTagging",
        of_version ? Result<void>() : Result<void>(of_version.error()));
  co_return Ok();
}

Async<void> StoreDoctor::ReadUnderOtherKeys() {
  Result<ListPage> page =
      co_await store_.List({.bucket = bucket_, .prefix = prefix_, .count_max = 1});
  if (!page || page->objects.empty()) co_return Ok();
  const ListedObject& object = page->objects.front();
  GetRequest get{.bucket = bucket_, .key = object.key};
  if (object.size_bytes > 0) get.range = ByteRange{.offset_bytes = 0, .size_bytes = 1};
  Result<ObjectStream> stream = co_await store_.Get(get);
  if (!stream && !SaysAbsent(stream.error())) {
    Fail("read what lies there already", "s3:GetObject", stream.error());
  }
  if (stream && stream->info.kms_encrypted) Add("read what lies there already", "kms:Decrypt");
  co_return Ok();
}

Async<void> StoreDoctor::ReadUnknown(bool tags) {
  const std::string key = UnknownKey();
  SystemTime answered{};
  Result<ObjectStream> stream = co_await store_.Get({.bucket = bucket_, .key = key}, &answered);
  const bool may_read =
      Judge("read objects", "s3:GetObject", stream ? Result<void>() : Result<void>(stream.error()));
  if (may_read) CompareClocks(answered);
  if (!tags || !store_.capabilities().tags) co_return Ok();
  Result<Tags> found = co_await store_.GetTags(bucket_, key, "");
  if (!found && found.error().code == "NotImplemented") {
    Add("read tags", "", "this store has none");
    co_return Ok();
  }
  Judge("read tags", "s3:GetObjectTagging", found ? Result<void>() : Result<void>(found.error()));
  co_return Ok();
}

// `delivered`: "2026-11-24T01-00Z".
void StoreDoctor::JudgeAge(std::string_view delivered) {
  std::string text(delivered);
  Result<SystemTime> time = ParseRfc3339(text.replace(text.rfind('-'), 1, ":").insert(16, ":00"));
  if (!time || runtime_.clock.Now() - *time <= kInventoryAgeMax) {
    return Add("find the newest inventory", "s3:ListBucket", "that of " + std::string(delivered));
  }
  Warn("find the newest inventory", "s3:ListBucket",
       "that of " + std::string(delivered) + " is older than a week",
       "see that the inventory's configuration is enabled and delivers to this folder");
}

Async<void> StoreDoctor::ReadInventory(std::string source_bucket) {
  Result<void> tried = co_await ReadUnknown(false);
  if (!tried) co_return tried;
  if (checks_.back().state == DoctorCheck::State::kFailed) co_return Ok();
  Result<std::string> newest = co_await FindNewestInventory(runtime_, store_, bucket_, prefix_);
  if (!newest && newest.error().kind == ErrorKind::kNotFound) {
    Warn("find the newest inventory", "s3:ListBucket", newest.error().message,
         "see that the inventory is delivered to this folder; nothing is compared until it is");
    co_return Ok();
  }
  if (!newest) {
    Fail("find the newest inventory", "s3:ListBucket", newest.error());
    co_return Ok();
  }
  JudgeAge(DeliveryTimeOfManifest(*newest));
  const std::string remedy =
      "put the inventory right (CSV, of the bucket " + source_bucket +
      ", with Size, LastModifiedDate and ETag), or remove intake.inventory of the rule";
  Result<std::unique_ptr<Listing>> listing = co_await OpenInventory(
      runtime_, {.store = &store_, .bucket = bucket_, .key = *newest, .name = *newest},
      source_bucket, "");
  if (!listing) {
    Fail("read its manifest", "s3:GetObject", listing.error(), remedy);
    co_return Ok();
  }
  Add("read its manifest", "s3:GetObject");
  Result<std::optional<ListedObject>> row = co_await (*listing)->Next();
  co_await (*listing)->Close();
  if (row) {
    Add("read its rows", "s3:GetObject", *row ? "" : "it lists no object");
  } else {
    Fail("read its rows", "s3:GetObject", row.error(), remedy);
  }
  co_return Ok();
}

Async<void> StoreDoctor::ReadLocks() {
  auto* locks = dynamic_cast<ReadsLocks*>(&store_);
  if (locks == nullptr) co_return Ok();
  const std::string key = UnknownKey();
  Result<void> retention = co_await locks->ReadLock(LockPart::kRetention, bucket_, key);
  if (!retention && retention.error().kind == ErrorKind::kInvalidInput) {
    Warn("see retentions", "s3:GetObjectRetention",
         "the bucket has no Object Lock: " + retention.error().Describe(),
         "take object_lock from the targets, or lock objects here");
    co_return Ok();
  }
  Judge("see retentions", "s3:GetObjectRetention", retention);
  Judge("see legal holds", "s3:GetObjectLegalHold",
        co_await locks->ReadLock(LockPart::kLegalHold, bucket_, key));
  co_return Ok();
}

Async<void> StoreDoctor::AskBack(std::string tier) {
  auto* archives = dynamic_cast<RestoresObjects*>(&store_);
  if (archives == nullptr) co_return Ok();
  Result<void> asked = co_await archives->Restore(
      {.bucket = bucket_, .key = UnknownKey(), .version_id = {}, .tier = std::move(tier)});
  if (!asked && (asked.error().http_status == 501 || asked.error().http_status == 405)) {
    Warn("ask objects back", "", "the store restores nothing: " + asked.error().Describe(),
         "remove restore from the rule");
    co_return Ok();
  }
  Judge("ask objects back", "s3:RestoreObject", asked);
  co_return Ok();
}

Async<void> StoreDoctor::Look(std::vector<std::string> keys) {
  for (const std::string& key : keys) {
    Result<ObjectInfo> info = co_await store_.Head({.bucket = bucket_, .key = key});
    Judge("look at " + key + ", above its prefix", "s3:GetObject",
          info ? Result<void>() : Result<void>(info.error()));
  }
  co_return Ok();
}

Async<void> StoreDoctor::CreateAndAbort(std::string what, std::string action, PutRequest request) {
  request.bucket = bucket_;
  request.key = UnknownKey();
  request.at_most_once = true;  // Repeated, it might leave an upload that nobody knows of.
  Result<MultipartUpload> upload = co_await store_.CreateMultipart(std::move(request));
  Result<void> made = upload ? Result<void>() : Result<void>(upload.error());
  if (upload) {
    Result<void> aborted = co_await store_.AbortMultipart(*upload);
    if (!aborted) made = aborted.error().In("an upload was left");
  } else if (upload.error().kind == ErrorKind::kInvalidInput) {
    // Here nothing is absent: the store does not take it.
    Fail(std::move(what), std::move(action), upload.error());
    co_return Ok();
  }
  Judge(std::move(what), std::move(action), made);
  co_return Ok();
}

Async<void> StoreDoctor::Write(Writes writes) {
  // First of all: what is made must be removed again.
  Result<void> aborted = co_await store_.AbortMultipart(
      {.bucket = bucket_, .key = UnknownKey(), .upload_id = "longhaul-doctor-no-such-upload"});
  if (!Judge("abort uploads", "s3:AbortMultipartUpload", aborted)) co_return Ok();
  PutRequest plain{.storage_class = writes.storage_class, .bucket_owner = writes.bucket_owner};
  if (writes.kms_key.empty()) plain.sse = writes.sse;
  const size_t before = checks_.size();
  Result<void> done = co_await CreateAndAbort("write objects", "s3:PutObject", plain);
  if (!done) co_return done.error();
  // Without it every further one fails for the same reason.
  const bool may_write =
      checks_.size() > before && checks_.back().state != DoctorCheck::State::kFailed;
  if (may_write && writes.tags && store_.capabilities().tags) {
    PutRequest tagged = plain;
    tagged.tags = {{"longhaul", "doctor"}};
    done = co_await CreateAndAbort("write tags", "s3:PutObjectTagging", std::move(tagged));
    if (!done) co_return done.error();
  }
  if (may_write && !writes.acl.empty()) {
    PutRequest with_acl = plain;
    with_acl.acl = writes.acl;
    done = co_await CreateAndAbort("write ACLs", "s3:PutObjectAcl", std::move(with_acl));
    if (!done) co_return done.error();
  }
  if (may_write && !writes.kms_key.empty()) {
    PutRequest encrypted = plain;
    encrypted.sse = writes.sse;
    encrypted.kms_key = writes.kms_key;
    encrypted.bucket_key = writes.bucket_key;
    done = co_await CreateAndAbort("encrypt by the KMS key", "kms:GenerateDataKey",
                                   std::move(encrypted));
    if (!done) co_return done.error();
  }
  if (writes.object_lock) writes.lock_mode = "GOVERNANCE";
  if (may_write && !writes.lock_mode.empty()) {
    PutRequest locked = plain;
    locked.lock = ObjectLock{.mode = writes.lock_mode,
                             .until = std::chrono::floor<std::chrono::seconds>(
                                 runtime_.clock.Now() + std::chrono::days(1))};
    done = co_await CreateAndAbort("lock objects", "s3:PutObjectRetention", std::move(locked));
    if (!done) co_return done.error();
  }
  if (may_write && writes.object_lock) {
    PutRequest held = plain;
    held.lock = ObjectLock{.legal_hold = true};
    done = co_await CreateAndAbort("hold objects", "s3:PutObjectLegalHold", std::move(held));
    if (!done) co_return done.error();
  }
  if (!writes.deletes) co_return Ok();
  RemoveRequest removal{
      .bucket = bucket_, .key = UnknownKey(), .bucket_owner = writes.bucket_owner};
  if (store_.capabilities().versions && versioned_.value_or(true)) {
    // A delete of what is not there would leave a delete marker.
    Warn("delete objects", "s3:DeleteObject",
         "not tried: the bucket keeps versions, and a trial would leave a delete marker",
         "see that s3:DeleteObject is allowed on " + Resource("s3:DeleteObject"));
    co_return Ok();
  }
  Judge("delete objects", "s3:DeleteObject", co_await store_.Remove(std::move(removal)));
  co_return Ok();
}

Async<void> StoreDoctor::ListUploads() {
  Result<std::vector<MultipartUpload>> uploads =
      co_await store_.ListMultipartUploads(bucket_, UnknownKey());
  Judge("list uploads", "s3:ListBucketMultipartUploads",
        uploads ? Result<void>() : Result<void>(uploads.error()));
  co_return Ok();
}

Async<void> StoreDoctor::ListVersions() {
  if (!versioned_.value_or(false)) co_return Ok();
  Result<ListPage> page = co_await store_.List(
      {.bucket = bucket_, .prefix = prefix_, .count_max = 1, .versions = true});
  Judge("list versions", "s3:ListBucketVersions",
        page ? Result<void>() : Result<void>(page.error()));
  // A version that is not there: nothing can come of it.
  Result<void> removed = co_await store_.Remove(
      {.bucket = bucket_, .key = UnknownKey(), .version_id = "longhaul-doctor-no-version"});
  Judge("delete versions", "s3:DeleteObjectVersion", removed);
  co_return Ok();
}

}  // namespace longhaul
