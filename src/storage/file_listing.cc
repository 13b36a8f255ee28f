#include "storage/file_listing.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <random>

#include "base/directory_reader.h"
#include "storage/file_names.h"
#include "storage/file_object.h"

namespace longhaul {
namespace {

constexpr size_t kListedKeyBytesMax = 1024;
constexpr size_t kKeepEntriesMin = 500;        // Smaller folders are read again.
constexpr size_t kKeepEntriesMax = 4'000'000;  // Of all that are kept.
constexpr size_t kKeepAnywayEntriesMin = 20'000;
constexpr int64_t kKeepAnywayNs = 5'000'000'000;

// Of a file that other programs write to; whoever wants its bytes reads it more often.
constexpr int kReadsMax = 2;

bool HasGone(int number) { return number == ENOENT || number == ENOTDIR || number == ELOOP; }

int64_t SystemNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

int64_t SteadyNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// A folder of the bucket; more than one path where it has two names.
struct Folder {
  std::vector<std::string> paths;  // Below the bucket: "" or "a/b".
  std::string text;                // What its keys begin with: "" or "a/b/".
};

class Lister {
 public:
  Lister(const FileTree& tree, const ListRequest& request, FolderCache& cache)
      : tree_(tree),
        request_(request),
        cache_(cache),
        count_max_(static_cast<size_t>(std::clamp(request.count_max, 1, 1000))) {}

  Result<ListPage> Run() {
    if (!request_.delimiter.empty() && request_.delimiter != "/") {
      return InvalidInput("a file store knows the delimiter \"/\" alone");
    }
    after_ = request_.start_after;
    if (!request_.token.empty()) {
      std::string_view place = ReadBeginning(request_.token);
      if (!place.starts_with('k') && !place.starts_with('p')) {
        return InvalidInput("not a token of this listing");
      }
      after_ = place.substr(1);
      if (place.starts_with('p')) after_prefix_ = after_;
    }
    Result<bool> more = Walk({.paths = {""}, .text = ""});
    if (!more) return more.error();
    if (*more) {
      page_.next_token.clear();
    } else {
      page_.next_token =
          "@" + cache_.id() + "." + std::to_string(begun_ns_) + ":" + page_.next_token;
    }
    return std::move(page_);
  }

  // Whether there is any key below `folder` that comes after `after_`.
  Result<bool> HasAny(const Folder& folder) {
    Result<std::shared_ptr<const FolderEntries>> entries = Load(folder);
    if (!entries) return entries.error();
    for (size_t i = 0; i < (*entries)->size(); ++i) {
      std::string text = folder.text + std::string((*entries)->text(i));
      if (!(*entries)->is_folder(i)) {
        if (text > after_ && text.size() <= kListedKeyBytesMax) return true;
        continue;
      }
      if (after_ >= text && !after_.starts_with(text)) continue;
      Result<bool> below = HasAny(Below(folder, **entries, i));
      if (!below || *below) return below;
    }
    return false;
  }

 private:
  // Tokens begin with "@<process>.<when the listing began>:"; returns what follows. To another
  // process the time says nothing: for that the listing begins now.
  std::string_view ReadBeginning(std::string_view token) {
    const size_t end = token.find(':');
    if (!token.starts_with('@') || end == std::string_view::npos) return token;
    const std::string_view beginning = token.substr(1, end - 1);
    token.remove_prefix(end + 1);
    if (!beginning.starts_with(cache_.id() + ".")) return token;
    const std::string_view time = beginning.substr(cache_.id().size() + 1);
    int64_t begun_ns = 0;
    auto [rest, failed] = std::from_chars(time.data(), time.data() + time.size(), begun_ns);
    if (failed == std::errc() && rest == time.data() + time.size()) begun_ns_ = begun_ns;
    return token;
  }

  Result<std::shared_ptr<const FolderEntries>> Load(const Folder& folder) {
    std::string name;
    FolderCache::Reading reading{.begun_ns = SteadyNs(), .changed_ns = 0, .settled = true};
    const int64_t now_ns = SystemNs();
    std::vector<Fd> fds;
    for (const std::string& path : folder.paths) {
      Fd fd = OpenFolderPath(tree_.bucket_fd(), path);
      struct stat status;
      if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) continue;  // Removed meanwhile.
        return FileError(errno, "open folder " + path);
      }
      name += path + '\0' + std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
      // Not by the time that a program may set: tar and rsync put a folder's back to what it was.
      const int64_t changed_ns =
          int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec;
      reading.changed_ns += changed_ns;
      reading.settled = reading.settled && now_ns - changed_ns > kSettledNs;
      fds.push_back(std::move(fd));
    }
    name += tree_.bucket_path();
    if (auto kept = cache_.Find(name, reading.changed_ns, begun_ns_)) return kept;
    auto entries = std::make_shared<FolderEntries>();
    for (size_t i = 0; i < fds.size(); ++i) {
      Result<void> added = entries->Add(fds[i].get(), "", "");
      if (!added) return added.error();
    }
    entries->Sort();
    // What changes in a folder below changes nothing here.
    reading.settled = reading.settled && !entries->reaches_below();
    if (entries->size() >= kKeepEntriesMin) cache_.Keep(name, reading, entries);
    return std::shared_ptr<const FolderEntries>(std::move(entries));
  }

  static Folder Below(const Folder& folder, const FolderEntries& entries, size_t i) {
    Folder below{.paths = {}, .text = folder.text + std::string(entries.text(i))};
    for (const std::string& parent : folder.paths) {
      for (const std::string& path : entries.paths(i)) {
        below.paths.push_back(parent.empty() ? path : parent + "/" + path);
      }
    }
    return below;
  }

  // The first entry that can matter: that of the greater of `after_` and the prefix, or the folder
  // that holds it.
  size_t FirstOf(const Folder& folder, const FolderEntries& entries) const {
    const std::string& bound = std::max(after_, request_.prefix);
    if (!bound.starts_with(folder.text)) return bound < folder.text ? 0 : entries.size();
    std::string_view rest = std::string_view(bound).substr(folder.text.size());
    size_t slash = rest.find('/');
    return entries.LowerBound(slash == std::string_view::npos ? rest : rest.substr(0, slash + 1));
  }

  [[nodiscard]] bool Full() const {
    return page_.objects.size() + page_.common_prefixes.size() >= count_max_;
  }

  // False when the page is full.
  Result<bool> Walk(const Folder& folder) {
    Result<std::shared_ptr<const FolderEntries>> loaded = Load(folder);
    if (!loaded) return loaded.error();
    const FolderEntries& entries = **loaded;
    const std::string& prefix = request_.prefix;
    for (size_t i = FirstOf(folder, entries); i < entries.size(); ++i) {
      std::string text = folder.text + std::string(entries.text(i));
      bool inside = text.starts_with(prefix);
      bool around = entries.is_folder(i) && prefix.starts_with(text);
      if (!inside && !around) {
        if (text > prefix) break;
        continue;
      }
      if (!after_prefix_.empty() && text.starts_with(after_prefix_)) continue;
      if (!entries.is_folder(i)) {
        if (text <= after_ || text.size() > kListedKeyBytesMax) continue;
        if (Full()) return false;
        Result<void> added = AddObject(folder, entries, i, text);
        if (!added) return added.error();
        continue;
      }
      if (after_ >= text && !after_.starts_with(text)) continue;
      Folder below = Below(folder, entries, i);
      if (!request_.delimiter.empty() && inside && text.size() > prefix.size()) {
        Result<bool> any = HasAny(below);
        if (!any) return any.error();
        if (!*any) continue;
        if (Full()) return false;
        page_.common_prefixes.push_back(text);
        page_.next_token = "p" + text;
        continue;
      }
      Result<bool> more = Walk(below);
      if (!more || !*more) return more;
    }
    return true;
  }

  Result<void> AddObject(const Folder& folder, const FolderEntries& entries, size_t i,
                         const std::string& key) {
    Result<ListedObject> listed = Describe(folder, entries, i, key);
    if (!listed) {
      // Removed since the folder was read.
      return listed.error().kind == ErrorKind::kNotFound ? Ok() : Result<void>(listed.error());
    }
    page_.objects.push_back(std::move(*listed));
    page_.next_token = "k" + key;
    return Ok();
  }

  Result<ListedObject> Describe(const Folder& folder, const FolderEntries& entries, size_t i,
                                const std::string& key) {
    // Without opening the file, where its record is there.
    std::string path = entries.paths(i).front();
    if (!folder.paths.front().empty()) path = folder.paths.front() + "/" + path;
    size_t slash = path.rfind('/');
    Fd in = OpenFolderPath(tree_.bucket_fd(), slash == std::string::npos
                                                  ? std::string_view()
                                                  : std::string_view(path).substr(0, slash));
    std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    struct stat status;
    if (in.valid() && ::fstatat(in.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode)) {
      Result<std::optional<FileRecord>> record = LoadRecord(tree_, key, status);
      if (!record) return record.error();
      if (*record) return Line(key, static_cast<uint64_t>(status.st_size), **record);
    }
    Result<FileObject> object = OpenFileObject(tree_, key, kReadsMax);
    // One file that is appended to must not keep all others from being listed.
    if (!object && object.error().code == kFileChanges) return LineOfChanging(key);
    if (!object) return object.error();
    return Line(key, static_cast<uint64_t>(object->found.status.st_size), object->record);
  }

  // As it is now, with a text for an ETag that no state of an object has.
  Result<ListedObject> LineOfChanging(const std::string& key) {
    Result<FoundFile> found = tree_.Find(key);
    if (!found) return found.error();
    FileRecord record;
    record.changed_ns = ChangedNs(found->status);
    record.etag = "changing." + std::to_string(record.changed_ns);
    return Line(key, static_cast<uint64_t>(found->status.st_size), record);
  }

  static ListedObject Line(const std::string& key, uint64_t size, const FileRecord& record) {
    return {.key = key,
            .size_bytes = size,
            .etag = record.etag,
            .storage_class = record.storage_class,
            .last_modified = SystemTime(std::chrono::microseconds(record.changed_ns / 1000)),
            .version_id = ""};
  }

  const FileTree& tree_;
  const ListRequest& request_;
  FolderCache& cache_;
  size_t count_max_;
  int64_t begun_ns_ = SteadyNs();  // The listing.
  std::string after_;
  std::string after_prefix_;
  ListPage page_;
};

}  // namespace

Result<void> FolderEntries::Add(int fd, const std::string& path, const std::string& text_before) {
  DirectoryReader reader(fd);
  while (const dirent* entry = reader.Next()) {
    const std::string_view name = entry->d_name;
    const unsigned char type = reader.TypeOf(*entry);
    if (type == DT_UNKNOWN && !HasGone(errno)) return FileError(errno, "read folder");
    const bool is_folder = type == DT_DIR;
    if (!is_folder && type != DT_REG) continue;  // Links and devices are no objects.
    DecodedName decoded = DecodeName(name, is_folder);
    if (decoded.kind == DecodedName::Kind::kPrivate) continue;
    std::string text = text_before + std::string(decoded.segment);
    if (text.size() > kListedKeyBytesMax) continue;
    if (decoded.kind == DecodedName::Kind::kContinued) {
      reaches_below_ = true;
      Fd below(::openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below.valid()) {
        if (HasGone(errno)) continue;
        return FileError(errno, "open folder " + path + std::string(name));
      }
      Result<void> added = Add(below.get(), path + std::string(name) + "/", text);
      if (!added) return added;
      continue;
    }
    bool plain = path.empty() && decoded.segment == name;
    if (is_folder) text += '/';
    if (!plain) odd_paths_[text].push_back(path + std::string(name));
    if (texts_.size() + text.size() > UINT32_MAX) return InvalidInput("the folder is too large");
    entries_.push_back({.offset = static_cast<uint32_t>(texts_.size()),
                        .length = static_cast<uint16_t>(text.size()),
                        .is_folder = is_folder,
                        .is_plain = plain});
    texts_ += text;
  }
  if (reader.error() != 0) return FileError(reader.error(), "read folder");
  return Ok();
}

void FolderEntries::Sort() {
  auto text = [&](const Entry& entry) {
    return std::string_view(texts_).substr(entry.offset, entry.length);
  };
  std::ranges::sort(entries_, [&](const Entry& a, const Entry& b) {
    int order = text(a).compare(text(b));
    return order != 0 ? order < 0 : a.is_plain && !b.is_plain;
  });
  // A file or folder with two names is one entry; the plain one, if any, comes first and stays.
  auto twice = std::ranges::unique(
      entries_, [&](const Entry& a, const Entry& b) { return text(a) == text(b); });
  entries_.erase(twice.begin(), twice.end());
  entries_.shrink_to_fit();
  texts_.shrink_to_fit();
}

std::vector<std::string> FolderEntries::paths(size_t i) const {
  std::vector<std::string> paths;
  std::string_view name = text(i);
  if (entries_[i].is_plain) {
    paths.emplace_back(is_folder(i) ? name.substr(0, name.size() - 1) : name);
  }
  if (auto odd = odd_paths_.find(name); odd != odd_paths_.end()) {
    for (const std::string& path : odd->second) {
      if (std::ranges::find(paths, path) == paths.end()) paths.push_back(path);
    }
  }
  return paths;
}

size_t FolderEntries::LowerBound(std::string_view wanted) const {
  auto found = std::ranges::lower_bound(entries_, wanted, {}, [&](const Entry& entry) {
    return std::string_view(texts_).substr(entry.offset, entry.length);
  });
  return static_cast<size_t>(found - entries_.begin());
}

FolderCache::FolderCache() {
  std::random_device random;
  id_ = std::to_string(random()) + "-" + std::to_string(random());
}

std::shared_ptr<const FolderEntries> FolderCache::Find(const std::string& path, int64_t changed_ns,
                                                       int64_t listing_begun_ns) {
  MutexLock lock(mutex_);
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept->path != path) continue;
    const bool since = kept->reading.begun_ns >= listing_begun_ns;
    const bool unchanged =
        kept->reading.changed_ns == changed_ns && (kept->reading.settled || since);
    const bool anyway = since && kept->entries->size() >= kKeepAnywayEntriesMin &&
                        SteadyNs() - kept->kept_at_ns < kKeepAnywayNs;
    if (!unchanged && !anyway) {
      kept_.erase(kept);
      return nullptr;
    }
    kept_.splice(kept_.begin(), kept_, kept);
    return kept_.front().entries;
  }
  return nullptr;
}

void FolderCache::Keep(const std::string& path, const Reading& reading,
                       std::shared_ptr<const FolderEntries> entries) {
  MutexLock lock(mutex_);
  std::erase_if(kept_, [&](const Kept& kept) { return kept.path == path; });
  kept_.push_front({path, reading, SteadyNs(), std::move(entries)});
  size_t total = 0;
  for (auto kept = kept_.begin(); kept != kept_.end();) {
    total += kept->entries->size();
    kept = total > kKeepEntriesMax && kept != kept_.begin() ? kept_.erase(kept) : std::next(kept);
  }
}

Result<ListPage> ListFiles(const FileTree& tree, const ListRequest& request, FolderCache& cache) {
  return Lister(tree, request, cache).Run();
}

Result<bool> IsEmptyBucket(const FileTree& tree) {
  FolderCache cache;
  ListRequest request;
  Lister lister(tree, request, cache);
  Result<bool> any = lister.HasAny({.paths = {""}, .text = ""});
  if (!any) return any.error();
  return !*any;
}

}  // namespace longhaul
