// LocalFolder: a plain folder as a Store, for `cp` and its like: what is in it are files, not
// objects of ours. A bucket is the path of a folder, a key the path of a file below it.
//
// Writing makes the file and the folders above it and nothing else: no side files. Headers, user
// metadata and tags go into an extended attribute of the file (user.longhaul), so that a copy out
// and back loses nothing; where the file system has none, or no room for them, they are not kept (a
// `file` store of the configuration always keeps them): LostOf tells. A file without it
// has the content type guessed from its name.
//
// The time of a file survives a trip to a store and back: reading adds the user metadata entry
// "mtime", as rclone does, and writing gives the file that time, else the object's LastModified.
// In listings the LastModified of a file that was written here, and not touched since, is that of
// the object it was written from; of any other it is the file's own time. (Both need extended
// attributes; without them the file's time is LastModified.) So a listing is enough to tell whether
// the object or the file is newer.
//
// The ETag is a text made of size, time and inode (IsLocalEtag): it changes when the file does and
// is no MD5. A file that changes while it is read ends its
// stream with kPrecondition. Writes go to a hidden file beside the target and are renamed; they are
// not waited for until they are on the disk, unless somebody asks (MakeDurable).
//
// Listings are in byte order of keys, hold regular files (also behind symbolic links), and follow
// no link to a folder; those are counted (storage/left_out_links.h). A folder that may not be read
// ends a listing, unless somebody has asked for it to go on (storage/left_out_folders.h). Keys that
// would leave the folder or that no file can have (empty, "." and ".." segments, a trailing '/',
// NUL, segments over 255 bytes) are refused with KeyNotStorable, and so are those below a folder
// .longhaul, which is a `file` store's own and is not listed. Where the file system takes two
// spellings for one name, writing under the second is refused with KeyNotStorable, too
// (spelling.h), and so is writing or removing behind a link to a folder. Versions, tags, buckets:
// kInvalidInput, code NotImplemented; capabilities().put_size_bytes_max is UINT64_MAX, which says
// that one PUT carries everything.
//
// What is large comes in parts all the same, so that it goes on where it broke off: OpenPlaced
// (placed_parts.h) in place of CreateMultipart, which is NotImplemented. The parts lie in a hidden
// folder beside the file to be (local_upload.h), and become it without being written again.

#pragma once

#include <dirent.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/runtime.h"
#include "storage/left_out_folders.h"
#include "storage/left_out_links.h"
#include "storage/makes_durable.h"
#include "storage/part_rules.h"
#include "storage/placed_parts.h"
#include "storage/store.h"

namespace longhaul {

class LocalUpload;

class LocalFolder : public Store,
                    public PlacesParts,
                    public HasPlacedParts,
                    public HasPartRules,
                    public LeavesOutFolders,
                    public LeavesOutLinks,
                    public MakesDurable {
 public:
  // `sync`: fsync, `read`: readdir, but for tests. They are called on several threads, as is `fold`
  // (spelling.h).
  explicit LocalFolder(Runtime runtime, std::function<int(int)> sync = ::fsync,
                       std::function<std::string(const std::string&)> fold = {},
                       std::function<dirent*(DIR*)> read = ::readdir);
  ~LocalFolder() override;

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] std::string description() const override;
  Async<ListPage> List(ListRequest request) override;
  Async<ObjectInfo> Head(HeadRequest request) override;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override;
  Async<PutResult> Put(PutRequest request, ByteSource& body) override;
  [[nodiscard]] PlacesParts* placed_parts() override { return this; }
  [[nodiscard]] PartRules part_rules() const override { return {.etags_of_md5 = false}; }
  [[nodiscard]] uint64_t links_left_out(const std::string& bucket) const override;
  void LeaveOutUnreadable(const std::string& bucket, const std::string& prefix) override;
  std::vector<LeftOutFolder> TakeUnreadable(const std::string& bucket,
                                            const std::string& prefix) override;
  // The folders above the file as well: any of them may have been made for it.
  Async<void> MakeDurable(std::string bucket, std::string key) override;
  // All of its file system; other file systems that are mounted below it are not.
  Async<void> MakeAllDurable(std::string bucket) override;
  Async<PlacedUpload> OpenPlaced(PutRequest request, PartPlaces places) override;
  void Leave(const MultipartUpload& upload) override;
  Async<MultipartUpload> CreateMultipart(PutRequest request) override;
  Async<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                 ByteSource& body) override;
  Async<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) override;
  Async<PutResult> CompleteMultipart(CompleteRequest request) override;
  Async<void> AbortMultipart(const MultipartUpload& upload) override;
  Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string bucket,
                                                           std::string prefix) override;
  Async<PutResult> Copy(CopyRequest request) override;
  Async<void> Remove(RemoveRequest request) override;
  Async<std::vector<RemoveFailure>> RemoveMany(std::string bucket,
                                               std::vector<RemoveRequest> requests) override;
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override;
  Async<void> PutTags(std::string bucket, std::string key, Tags tags) override;
  Async<void> HeadBucket(std::string bucket) override;
  Async<void> CreateBucket(std::string bucket) override;
  Async<void> RemoveBucket(std::string bucket) override;
  Async<std::vector<BucketInfo>> ListBuckets() override;
  Async<bool> GetVersioning(std::string bucket) override;
  Async<void> SetVersioning(std::string bucket, bool enabled) override;

 private:
  class Walk;
  // Notes that CheckFolderSpelling has found nothing wrong with a folder.
  void NoteSpelled(const std::string& folder);
  // An upload of this process. Shared with the parts that are being written: an abort may come
  // between.
  struct Opened {
    std::shared_ptr<LocalUpload> upload;
    PutRequest request;
    SystemTime modified{};
  };
  Runtime runtime_;
  const std::function<int(int)> sync_;
  const std::function<std::string(const std::string&)> fold_;
  const std::function<dirent*(DIR*)> read_;
  // Of which each name below the bucket is spelled as in the keys.
  std::set<std::string> spelled_folders_;
  // Of which the names are on the disk, up to the root.
  std::set<std::string> durable_folders_;
  uint64_t next_id_ = 1;
  // Listings under way, by their next token: going on needs no second look at what was listed.
  std::unordered_map<std::string, std::unique_ptr<Walk>> walks_;
  std::unordered_map<std::string, Opened> uploads_;                // By id.
  std::map<std::string, uint64_t> links_left_out_;                 // By bucket.
  std::map<std::string, std::set<std::string>> leaves_out_below_;  // Prefixes, by bucket.
  std::map<std::string, std::vector<LeftOutFolder>> unreadable_;   // By bucket.
};

// A user metadata entry of a PutRequest that says when the object was last modified where it comes
// from. A plain folder takes it out and gives the file that time; nobody else may see it.
inline constexpr const char* kModifiedEntry = "longhaul-last-modified";
// Takes it out: the time, if there is one.
SystemTime TakeModified(PutRequest& request);
// Whether a store is one of these, told by what it can do: it may stand behind another Store.
bool IsPlainFolder(const Capabilities& can);

// What of `source` the file that was written from it lacks, by a HEAD of it (`copy`): "its tags",
// for messages; empty: nothing. `given`: user metadata that was written in place of the source's. A
// Content-Type that says nothing may become another, the time of a file that of a coarser clock.
std::string LostOf(const ObjectInfo& copy, const ObjectInfo& source, const UserMetadata& given);

// Whether an ETag is one of these: it cannot be compared with that of another store.
bool IsLocalEtag(std::string_view etag);

}  // namespace longhaul
