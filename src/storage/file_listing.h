// Listing a bucket of files: keys in byte order, a page at a time.
//
// The order of keys is not the order of a tree's names ("a.b" < "a/c" < "a0"), so each folder's
// entries are sorted by what their keys begin with. Only the folders on the way to a page are read.
// Large ones are kept for the next page, within a bound; a kept one is used while the folder has
// not changed. One of more than 20,000 entries is used for five seconds even so, by the listing
// during which it was read, or a listing of a folder that is being filled would read it anew for
// each page. So a listing has all that was there when it began, that is when its first page was
// asked for: tokens say when that was. A page without a token is a first page, also behind a key.

#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "storage/file_tree.h"
#include "storage/store.h"

namespace longhaul {

// The sorted entries of one folder, long names flattened. One text holds all names.
class FolderEntries {
 public:
  struct Entry {
    uint32_t offset = 0;
    uint16_t length = 0;
    bool is_folder = false;  // Then the text ends with "/".
    bool is_plain = true;    // The name in the folder is the text.
  };
  // Adds what is in the folder `path` (open as `fd`) below the folder this is for.
  Result<void> Add(int fd, const std::string& path, const std::string& text_before);
  void Sort();

  [[nodiscard]] size_t size() const { return entries_.size(); }
  // What keys of this entry go on with: "name" or "name/".
  [[nodiscard]] std::string_view text(size_t i) const {
    return std::string_view(texts_).substr(entries_[i].offset, entries_[i].length);
  }
  [[nodiscard]] bool is_folder(size_t i) const { return entries_[i].is_folder; }
  // Where it is, relative to the folder; several for a folder with two names.
  [[nodiscard]] std::vector<std::string> paths(size_t i) const;
  // Whether some of it is in folders below, as long names are.
  [[nodiscard]] bool reaches_below() const { return reaches_below_; }
  // The first entry whose text is not less than `text`.
  [[nodiscard]] size_t LowerBound(std::string_view text) const;

 private:
  std::vector<Entry> entries_;
  std::string texts_;
  std::map<std::string, std::vector<std::string>, std::less<>> odd_paths_;  // By text.
  bool reaches_below_ = false;
};

// Thread-safe: the jobs of a store share one.
class FolderCache {
 public:
  FolderCache();

  // When a folder was read, and what its time of change said then.
  struct Reading {
    int64_t begun_ns = 0;    // Steady.
    int64_t changed_ns = 0;  // The folder's status (ctime), or the sum where it has two names.
    // The change was long enough before it for the next one to have another time.
    bool settled = false;
  };
  // What was read of a folder that has changed last at `changed_ns`, with all that was there when
  // the listing began; null: it is to be read.
  std::shared_ptr<const FolderEntries> Find(const std::string& path, int64_t changed_ns,
                                            int64_t listing_begun_ns);
  void Keep(const std::string& path, const Reading& reading,
            std::shared_ptr<const FolderEntries> entries);
  // Tells the tokens of this process's listings from those of another's.
  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  struct Kept {
    std::string path;
    Reading reading;
    int64_t kept_at_ns = 0;
    std::shared_ptr<const FolderEntries> entries;  // shared with listings under way.
  };
  std::string id_;
  Mutex mutex_;
  std::list<Kept> kept_ LH_GUARDED_BY(mutex_);  // The last used first.
};

// Blocks. kInvalidInput: a delimiter other than "/", or a token that is not ours.
Result<ListPage> ListFiles(const FileTree& tree, const ListRequest& request, FolderCache& cache);

// Whether the bucket holds no object.
Result<bool> IsEmptyBucket(const FileTree& tree);

}  // namespace longhaul
