#include "events/folder_watch.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/directory_reader.h"
#include "events/hint.h"
#include "storage/file_names.h"

namespace longhaul {

namespace {

constexpr uint32_t kMask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                           IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW |
                           IN_EXCL_UNLINK;
// About 20 MB of keys. With more than that a listing is the better way.
constexpr size_t kPendingMax = 100'000;
constexpr std::chrono::seconds kQueueRetry{2};

// A watched folder: where it is below the bucket's, and what keys of things in it begin with.
struct Folder {
  std::string path;  // Empty: the bucket's own; else "a/b".
  std::string key_prefix;
};

struct Scan {
  std::vector<std::pair<int, Folder>> watched;
  std::vector<std::string> keys;
  bool too_many = false;
  std::optional<Error> error;
};

Error WatchError(int error_number, const std::string& path) {
  std::string message = "watch " + path + ": " + std::strerror(error_number);
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return NotFound(message, "NoSuchBucket");
    case EACCES:
      return {.kind = ErrorKind::kDenied, .message = message};
    case ENOSPC:
      return InvalidInput("watch " + path +
                          ": the system allows no more watched folders: raise the sysctl "
                          "fs.inotify.max_user_watches, or use intake.listing instead");
    case EMFILE:
      return InvalidInput("watch " + path +
                          ": the system allows no more watches: raise the sysctl "
                          "fs.inotify.max_user_instances");
    default:
      return Retryable(message);
  }
}

// What a folder named `name` adds to the beginning of its keys; nullopt: it is not part of any.
std::optional<std::string> FolderText(std::string_view name) {
  DecodedName decoded = DecodeName(name, true);
  switch (decoded.kind) {
    case DecodedName::Kind::kSegment:
      return std::string(decoded.segment) + "/";
    case DecodedName::Kind::kContinued:
      return std::string(decoded.segment);
    case DecodedName::Kind::kPrivate:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> FileText(std::string_view name) {
  DecodedName decoded = DecodeName(name, false);
  if (decoded.kind != DecodedName::Kind::kSegment) return std::nullopt;
  return std::string(decoded.segment);
}

// Blocks. Watches `start` and all folders below, and collects the keys of the files there if
// `with_keys`. Each folder is watched before it is read, so nothing falls between. A folder that
// vanishes meanwhile is no error, unless it is the bucket's own.
Scan ScanFolders(int inotify, const std::string& root, Folder start, bool with_keys) {
  Scan scan;
  std::vector<Folder> left{std::move(start)};
  while (!left.empty()) {
    Folder folder = std::move(left.back());
    left.pop_back();
    std::string path = folder.path.empty() ? root : root + "/" + folder.path;
    int watch = inotify_add_watch(inotify, path.c_str(), kMask);
    if (watch < 0) {
      if ((errno == ENOENT || errno == ENOTDIR) && !folder.path.empty()) continue;
      scan.error = WatchError(errno, path);
      return scan;
    }
    scan.watched.emplace_back(watch, folder);
    DirectoryReader directory(path);
    while (const dirent* entry = directory.Next()) {
      std::string_view name = entry->d_name;
      if (directory.TypeOf(*entry) == DT_DIR) {
        std::optional<std::string> text = FolderText(name);
        if (!text) continue;
        left.push_back({.path = (folder.path.empty() ? "" : folder.path + "/") + std::string(name),
                        .key_prefix = folder.key_prefix + *text});
      } else if (with_keys && !scan.too_many) {
        std::optional<std::string> text = FileText(name);
        if (text) scan.keys.push_back(folder.key_prefix + *text);
        scan.too_many = scan.keys.size() > kPendingMax;
      }
    }
    if (directory.error() != 0 && (directory.error() != ENOENT || folder.path.empty())) {
      scan.error = WatchError(directory.error(), path);
      return scan;
    }
  }
  return scan;
}

}  // namespace

struct FolderWatch::Impl : std::enable_shared_from_this<FolderWatch::Impl> {
  Impl(Runtime runtime, FolderWatchOptions options, Queue& queue)
      : runtime(runtime), options(std::move(options)), queue(queue) {}

  Async<void> Run();
  Result<void> Open();
  void Arm();
  // Reads what the kernel has to say; new folders are left in `to_scan`.
  Result<void> ReadKernel();
  Result<void> Take(const inotify_event& event, std::string_view name);
  Async<void> ScanNow(Folder start, bool with_keys);
  Async<void> Flush();
  void Add(std::string key);
  void Forget(const std::string& path);
  void AskForListing(std::string_view reason) {
    runtime.log.Info("folder watch asks for a listing",
                     {{"folder", options.folder}, {"reason", reason}});
    if (options.on_listing_needed) options.on_listing_needed(reason);
  }

  Runtime runtime;
  FolderWatchOptions options;
  Queue& queue;
  std::optional<asio::posix::stream_descriptor> descriptor;
  bool armed = false;
  bool stopping = false;
  Event wake;

  std::unordered_map<int, Folder> folders;  // By watch descriptor.
  std::vector<Folder> to_scan;
  bool rescan = false;  // The kernel dropped something.
  std::unordered_set<std::string> pending;
  SteadyTime flush_at{};
};

Result<void> FolderWatch::Impl::Open() {
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return WatchError(errno, options.folder);
  folders.clear();
  to_scan.clear();
  pending.clear();
  rescan = false;
  descriptor.emplace(runtime.executor, fd);
  armed = false;
  return Ok();
}

void FolderWatch::Impl::Arm() {
  if (armed) return;
  armed = true;
  descriptor->async_wait(asio::posix::stream_descriptor::wait_read,
                         [weak = weak_from_this()](const boost::system::error_code& error) {
                           if (error == asio::error::operation_aborted) return;
                           if (std::shared_ptr<Impl> self = weak.lock()) {
                             self->armed = false;
                             self->wake.Set();
                           }
                         });
}

void FolderWatch::Impl::Add(std::string key) {
  if (options.wanted && !options.wanted(key)) return;
  if (pending.empty()) flush_at = runtime.clock.SteadyNow() + options.gather;
  if (pending.size() >= kPendingMax) {
    pending.clear();
    AskForListing("too many changes at once");
  }
  pending.insert(std::move(key));
}

void FolderWatch::Impl::Forget(const std::string& path) {
  for (auto at = folders.begin(); at != folders.end();) {
    if (at->second.path == path || at->second.path.starts_with(path + "/")) {
      inotify_rm_watch(descriptor->native_handle(), at->first);
      at = folders.erase(at);
    } else {
      ++at;
    }
  }
}

Result<void> FolderWatch::Impl::Take(const inotify_event& event, std::string_view name) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    rescan = true;
    return Ok();
  }
  auto found = folders.find(event.wd);
  if (found == folders.end()) return Ok();
  const Folder folder = found->second;
  if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
    if (folder.path.empty()) {
      return NotFound("watch " + options.folder + ": the folder is gone", "NoSuchBucket");
    }
    // A folder that was moved is told by its parent, too; what is still below has been seen there.
    if ((event.mask & IN_MOVE_SELF) == 0) folders.erase(found);
    return Ok();
  }
  if ((event.mask & IN_ISDIR) == 0) {
    std::optional<std::string> text = FileText(name);
    if (text) Add(folder.key_prefix + *text);
    return Ok();
  }
  std::optional<std::string> text = FolderText(name);
  if (!text) return Ok();
  std::string path = (folder.path.empty() ? "" : folder.path + "/") + std::string(name);
  if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    to_scan.push_back({.path = std::move(path), .key_prefix = folder.key_prefix + *text});
  } else if ((event.mask & IN_MOVED_FROM) != 0) {
    Forget(path);
    AskForListing("a folder was moved away");
  }
  return Ok();
}

Result<void> FolderWatch::Impl::ReadKernel() {
  alignas(inotify_event) char buffer[64 << 10];
  while (true) {
    ssize_t size = read(descriptor->native_handle(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return Ok();
    if (size <= 0) return WatchError(errno, options.folder);
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer + at, sizeof event);
      const char* name = buffer + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      Result<void> taken = Take(event, std::string_view(name, strnlen(name, event.len)));
      if (!taken) return taken;
    }
  }
}

Async<void> FolderWatch::Impl::ScanNow(Folder start, bool with_keys) {
  int inotify = descriptor->native_handle();
  std::string root = options.folder;
  Scan scan = co_await runtime.pool.Run(
      [inotify, root, start, with_keys] { return ScanFolders(inotify, root, start, with_keys); });
  if (scan.error) co_return *scan.error;
  for (auto& [watch, folder] : scan.watched) folders[watch] = std::move(folder);
  if (scan.too_many) AskForListing("a large folder appeared");
  if (!scan.too_many) {
    for (std::string& key : scan.keys) Add(std::move(key));
  }
  co_return Ok();
}

Async<void> FolderWatch::Impl::Flush() {
  HintMessage message{.store = options.store,
                      .bucket = options.bucket,
                      .rule = options.rule,
                      .target = {},
                      .origin = HintOrigin::kWatch,
                      .hints = {}};
  SystemTime now = runtime.clock.Now();
  for (const std::string& key : pending) {
    message.hints.push_back({.key = key, .time = now, .size_bytes = std::nullopt});
  }
  size_t count = pending.size();
  Result<void> sent = co_await queue.Send(EncodeHints(message), std::chrono::milliseconds(0));
  if (!sent) {
    // They stay, and are sent with what comes meanwhile.
    runtime.log.Warning("hints of a folder watch wait for the queue",
                        {{"folder", options.folder}, sent.error()});
    flush_at = runtime.clock.SteadyNow() + kQueueRetry;
    co_return Ok();
  }
  pending.clear();
  runtime.metrics
      .counter("longhaul_hints_queued_total", "Hints put into the queue, by origin.",
               {{"origin", "watch"}})
      .Add(static_cast<double>(count));
  co_return Ok();
}

Async<void> FolderWatch::Impl::Run() {
  Result<void> opened = Open();
  if (!opened) co_return opened;
  Result<void> scanned = co_await ScanNow(Folder{}, false);
  if (!scanned) co_return scanned;
  AskForListing("the watch begins");
  while (!stopping) {
    Arm();
    if (pending.empty()) {
      co_await wake.Wait();
    } else {
      auto left = flush_at - runtime.clock.SteadyNow();
      if (left.count() > 0) co_await wake.WaitFor(runtime.clock, left);
    }
    wake.Reset();
    Result<void> taken = ReadKernel();
    if (!taken) co_return taken;
    // Scanning can wait for the pool while more folders come: one after the other.
    while (!to_scan.empty()) {
      Folder folder = std::move(to_scan.back());
      to_scan.pop_back();
      Result<void> found = co_await ScanNow(std::move(folder), true);
      if (!found) co_return found;
    }
    if (rescan) {
      rescan = false;
      Result<void> again = co_await ScanNow(Folder{}, false);
      if (!again) co_return again;
      AskForListing("the kernel's queue of changes ran over");
    }
    if (!pending.empty() && (stopping || runtime.clock.SteadyNow() >= flush_at)) {
      Result<void> flushed = co_await Flush();
      if (!flushed) co_return flushed;
    }
  }
  co_return Ok();
}

FolderWatch::FolderWatch(Runtime runtime, FolderWatchOptions options, Queue& queue)
    : impl_(std::make_shared<Impl>(runtime, std::move(options), queue)) {}

FolderWatch::~FolderWatch() = default;

Async<void> FolderWatch::Run() {
  Result<void> ran = co_await impl_->Run();
  impl_->descriptor.reset();
  co_return ran;
}

void FolderWatch::Stop() {
  impl_->stopping = true;
  impl_->wake.Set();
}

size_t FolderWatch::folders() const { return impl_->folders.size(); }

}  // namespace longhaul
