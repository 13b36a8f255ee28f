// StoreDoctor: tries at a bucket what a role will do there, right by right, and says what works.
//
// Nothing is written under a key of a target: rights to write are tried by multipart uploads that
// are made and aborted at once, rights to read and to delete at a key that is not there. What it
// makes below <staging>/probe/ it removes. Each trial names the action of IAM that it needs, so
// that whoever grants rights knows which one is missing (rules/iam_policy.h names the same).

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "rules/rule.h"
#include "storage/store.h"

namespace longhaul {

struct DoctorCheck {
  enum class State { kOk, kWarning, kFailed };
  std::string place;   // "source east:data/", "queue".
  std::string what;    // "write objects".
  std::string action;  // "s3:PutObject"; empty: no single right.
  State state = State::kOk;
  std::string found;   // What was found where it is worth a word; the error.
  std::string remedy;  // Of what is not kOk.
};
std::string_view ToString(DoctorCheck::State state);

// The action of IAM that is missing, where an error says that it is another than was tried: of KMS,
// or what gives the credentials. Empty where no right would mend it.
std::string ActionOf(const Error& error, std::string tried);
// What to do about an error of a store, a queue or a state. `action`, `resource`: of IAM.
std::string RemedyOf(const Error& error, std::string_view action, std::string_view resource);

// What a store lacks of what its probe looks for: "all of it", or "it has no tags, …".
std::string AbilitiesText(const Capabilities& can);

class StoreDoctor {
 public:
  // Borrows all. `place`: of the lines; `partition`: of the store's region, as in ARNs.
  StoreDoctor(Runtime& runtime, Store& store, std::string place, std::string bucket,
              std::string prefix, std::vector<DoctorCheck>& checks,
              std::string_view partition = "aws")
      : runtime_(runtime),
        store_(store),
        place_(std::move(place)),
        bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        checks_(checks),
        partition_(partition) {}

  // Whether the bucket is there and may be listed. False: there is no sense in going on.
  Async<bool> Reach();
  // Reads the first object below the prefix, which tells of its key's rights, too. `whole`: with
  // its tags, and in its version where there are any. `decrypts`: objects under keys of KMS are
  // read as well; where that one is under none it is said that this was not tried.
  Async<void> ReadFirst(bool whole, bool decrypts = false);
  // Of a target whose objects are written under a key that is named: reads the first that lies
  // there, which may be under another one. Where it is under none, nothing is said.
  Async<void> ReadUnderOtherKeys();
  // The rights to read, at a key that is not there.
  Async<void> ReadUnknown(bool tags);
  // The rights to see the locks of objects, without which they look as if they had none.
  Async<void> ReadLocks();
  // The right to ask objects back from archive classes, at a key that is not there.
  Async<void> AskBack(std::string tier);
  // The newest S3 Inventory below the prefix, to its first rows: that it is there, of this bucket,
  // in a form that can be read, and no older than one that comes each week.
  Async<void> ReadInventory(std::string source_bucket);
  // The right to look at these keys, there or not.
  Async<void> Look(std::vector<std::string> keys);
  struct Writes {
    bool tags = true;
    bool deletes = true;
    std::string storage_class{};
    std::string sse{};
    std::string kms_key{};
    std::optional<bool> bucket_key{};
    std::string acl{};
    std::string bucket_owner{};
    bool object_lock = false;
    std::string lock_mode{};  // Of a vault: it locks, and holds nothing.
  };
  // The rights to write, without an object.
  Async<void> Write(Writes writes);
  // Whether the bucket keeps versions.
  Async<void> Versioning();
  Async<void> ListUploads();
  // Of a bucket that keeps versions: that they may be listed.
  Async<void> ListVersions();

 private:
  void Add(std::string what, std::string action, std::string found = "");
  void Warn(std::string what, std::string action, std::string found, std::string remedy);
  // `remedy`: of errors that are not of rights or of the network.
  void Fail(std::string what, std::string action, const Error& error, std::string remedy = "");
  // kFailed where it is not what a store says of something that is not there.
  bool Judge(std::string what, std::string action, const Result<void>& result);
  void WarnOfKeys(std::string why);
  void CompareClocks(SystemTime server_time);
  void JudgeAge(std::string_view delivered);
  [[nodiscard]] std::string Resource(std::string_view action) const;
  std::string UnknownKey();
  Async<void> CreateAndAbort(std::string what, std::string action, PutRequest request);

  Runtime& runtime_;
  Store& store_;
  std::string place_;
  std::string bucket_;
  std::string prefix_;
  std::vector<DoctorCheck>& checks_;
  std::string partition_;
  std::optional<bool> versioned_;
};

}  // namespace longhaul
