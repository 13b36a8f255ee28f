#include "transfer/listing/sorted_runs.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "transfer/listing/page_codec.h"

namespace longhaul {

namespace {

constexpr int kLevel = 1;  // 400 MB/s; a higher one saves a tenth of the disk.

Error DiskError(const std::string& what) { return Retryable(what + ": " + std::strerror(errno)); }

}  // namespace

bool ListedBefore(const ListedObject& a, const ListedObject& b) {
  if (int order = a.key.compare(b.key); order != 0) return order < 0;
  if (a.last_modified != b.last_modified) return a.last_modified > b.last_modified;
  return a.version_id < b.version_id;
}

Result<std::unique_ptr<SortedRuns>> SortedRuns::Open(const std::string& folder) {
  std::string where = folder;
  if (where.empty()) {
    const char* temporary = std::getenv("TMPDIR");
    where = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
  }
  int fd = ::open(where.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    // Not every file system has files without a name.
    std::string name = where + "/longhaul-sort-XXXXXX";
    fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) return DiskError("make a file to sort in below " + where);
    ::unlink(name.c_str());
  }
  return std::unique_ptr<SortedRuns>(new SortedRuns(fd));
}

SortedRuns::~SortedRuns() { ::close(fd_); }

Result<void> SortedRuns::Add(std::span<const ListedObject> objects) {
  if (objects.empty()) return Ok();
  std::string raw = EncodeListed(objects);
  std::string packed(ZSTD_compressBound(raw.size()), '\0');
  size_t size = ZSTD_compress(packed.data(), packed.size(), raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size) != 0) return Corrupt("compress a sorted run");
  for (size_t written = 0; written < size;) {
    ssize_t count =
        ::pwrite(fd_, packed.data() + written, size - written, static_cast<off_t>(end_ + written));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return DiskError("write a sorted run");
    written += static_cast<size_t>(count);
  }
  runs_.back().push_back({.offset = end_,
                          .size_bytes = static_cast<uint32_t>(size),
                          .raw_bytes = static_cast<uint32_t>(raw.size())});
  end_ += size;
  return Ok();
}

Result<std::vector<ListedObject>> SortedRuns::Read(const Block& block) const {
  std::string packed(block.size_bytes, '\0');
  for (size_t read = 0; read < packed.size();) {
    ssize_t count = ::pread(fd_, packed.data() + read, packed.size() - read,
                            static_cast<off_t>(block.offset + read));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return DiskError("read a sorted run");
    read += static_cast<size_t>(count);
  }
  std::string raw(block.raw_bytes, '\0');
  size_t size = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
  if (size != raw.size()) return Corrupt("a sorted run on disk is damaged");
  return DecodeListed(raw);
}

std::unique_ptr<SortedRuns::Merge> SortedRuns::OpenMerge() {
  return std::make_unique<Merge>(*this);
}

void SortedRuns::Drop(size_t count) {
  for (size_t run = 0; run < count; ++run) {
    for (const Block& block : runs_[run]) {
      // The space is given back where the file system can.
      static_cast<void>(::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                    static_cast<off_t>(block.offset), block.size_bytes));
    }
  }
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<ptrdiff_t>(count));
}

Result<bool> SortedRuns::Merge::Load(size_t run) {
  Run& open = open_[run];
  if (open.next < open.objects.size()) return true;
  open.objects.clear();
  open.next = 0;
  if (open.block == runs_.runs_[run].size()) return false;
  Result<std::vector<ListedObject>> objects = runs_.Read(runs_.runs_[run][open.block++]);
  if (!objects) return objects.error();
  open.objects = std::move(*objects);
  return !open.objects.empty();
}

Result<std::vector<ListedObject>> SortedRuns::Merge::Next(size_t count) {
  auto after = [this](size_t a, size_t b) {
    const ListedObject& one = open_[a].objects[open_[a].next];
    const ListedObject& two = open_[b].objects[open_[b].next];
    if (ListedBefore(two, one)) return true;
    return !ListedBefore(one, two) && a > b;  // Equal ones as they came.
  };
  if (!started_) {
    started_ = true;
    open_.resize(runs_.count());
    for (size_t run = 0; run < open_.size(); ++run) {
      Result<bool> any = Load(run);
      if (!any) return any.error();
      if (*any) heap_.push_back(run);
    }
    std::ranges::make_heap(heap_, after);
  }
  std::vector<ListedObject> merged;
  while (merged.size() < count && !heap_.empty()) {
    std::ranges::pop_heap(heap_, after);
    const size_t run = heap_.back();
    merged.push_back(std::move(open_[run].objects[open_[run].next++]));
    Result<bool> more = Load(run);
    if (!more) return more.error();
    if (*more) {
      std::ranges::push_heap(heap_, after);
    } else {
      heap_.pop_back();
    }
  }
  return merged;
}

}  // namespace longhaul
