#include "transfer/listing/text_lines.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "archive/zstd_reader.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

constexpr size_t kLineBytesMax = 1 << 20;
constexpr size_t kReadBytes = 256 << 10;
constexpr int64_t kMemoryBytes = 2 << 20;

// Gives back what was looked at, and compares the MD5 of all of it at the end.
class CheckedReader : public ByteReader {
 public:
  CheckedReader(Runtime runtime, std::unique_ptr<ByteReader> source, std::string md5_hex,
                std::string name)
      : runtime_(runtime),
        source_(std::move(source)),
        md5_hex_(std::move(md5_hex)),
        name_(std::move(name)),
        hasher_(md5_hex_.empty() ? nullptr : NewHasher(HashKind::kMd5)) {}

  // The first bytes, which Read gives again.
  Async<std::string> Peek(size_t count) {
    std::byte buffer[32];
    while (head_.size() < count) {
      Result<size_t> read = co_await source_->Read(std::span(buffer).first(count - head_.size()));
      if (!read) co_return read.error();
      if (*read == 0) break;
      head_ += AsText(std::span(buffer).first(*read));
    }
    co_return head_;
  }

  Async<size_t> Read(std::span<std::byte> out) override {
    size_t count = 0;
    if (!head_.empty()) {
      count = std::min(head_.size(), out.size());
      std::memcpy(out.data(), head_.data(), count);
      head_.erase(0, count);
    } else {
      Result<size_t> read = co_await source_->Read(out);
      if (!read) co_return read.error().In(name_);
      count = *read;
    }
    if (hasher_ == nullptr) co_return count;
    if (count == 0) {
      std::string md5 = HexEncode(hasher_->Finish());
      hasher_.reset();
      if (md5 != md5_hex_) {
        co_return Corrupt(name_ + ": its MD5 is " + md5 + ", and should be " + md5_hex_);
      }
      co_return count;
    }
    co_await runtime_.pool.Run([&] { hasher_->Update(out.first(count)); });
    co_return count;
  }

 private:
  Runtime runtime_;
  std::unique_ptr<ByteReader> source_;
  std::string md5_hex_;
  std::string name_;
  std::unique_ptr<Hasher> hasher_;
  std::string head_;
};

// The members of a gzip file, one after the other (RFC 1952, 2.2).
class GzipReader : public ByteReader {
 public:
  GzipReader(Runtime runtime, ByteReader& source, std::string name)
      : runtime_(runtime), source_(source), name_(std::move(name)), input_(kReadBytes) {
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  ~GzipReader() override {
    if (ready_) inflateEnd(&stream_);
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  Async<size_t> Read(std::span<std::byte> out) override {
    if (!ready_) co_return Corrupt(name_ + ": zlib does not start");
    while (true) {
      if (stream_.avail_in == 0 && !ended_) {
        Result<size_t> count = co_await source_.Read(input_);
        if (!count) co_return count.error();
        ended_ = *count == 0;
        stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
        stream_.avail_in = static_cast<uInt>(*count);
      }
      if (stream_.avail_in == 0 && !in_member_) co_return size_t{0};
      if (stream_.avail_in == 0) co_return Corrupt(name_ + ": it is cut off");
      in_member_ = true;
      stream_.next_out = reinterpret_cast<Bytef*>(out.data());
      stream_.avail_out = static_cast<uInt>(out.size());
      const int code = co_await runtime_.pool.Run([this] { return inflate(&stream_, Z_NO_FLUSH); });
      if (code == Z_STREAM_END) {
        in_member_ = false;
        if (inflateReset(&stream_) != Z_OK) co_return Corrupt(name_ + ": zlib does not start");
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        co_return Corrupt(name_ + ": it does not decompress");
      }
      const size_t made = out.size() - stream_.avail_out;
      if (made > 0) co_return made;
    }
  }

 private:
  Runtime runtime_;
  ByteReader& source_;
  std::string name_;
  std::vector<std::byte> input_;
  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
  bool in_member_ = false;
};

// A ZstdReader that owns what it borrows and names the file.
class NamedZstdReader : public ByteReader {
 public:
  NamedZstdReader(Runtime runtime, ByteReader& source, std::string name)
      : runtime_(runtime), reader_(runtime_, source), name_(std::move(name)) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    Result<size_t> count = co_await reader_.Read(out);
    if (!count) co_return count.error().In(name_);
    co_return count;
  }

 private:
  Runtime runtime_;
  archive::ZstdReader reader_;
  std::string name_;
};

}  // namespace

Async<ObjectStream> GetListingFile(ListingFile file) {
  Result<ObjectStream> stream =
      co_await file.store->Get({.bucket = file.bucket, .key = file.key, .if_match = file.etag});
  if (!stream) co_return stream.error().In(file.name);
  if (!file.etag.empty() && stream->info.etag != file.etag) {
    co_return PreconditionFailed(file.name +
                                 ": it has been changed since this run began to read it");
  }
  co_return stream;
}

TextLines::~TextLines() {
  reader_.reset();  // It reads from the other one.
}

Async<std::unique_ptr<TextLines>> TextLines::Open(Runtime runtime, ListingFile file,
                                                  std::string md5_hex) {
  Result<ObjectStream> stream = co_await GetListingFile(file);
  if (!stream) co_return stream.error();
  co_return co_await Of(runtime, std::move(stream->body), file.name, std::move(md5_hex));
}

Async<std::unique_ptr<TextLines>> TextLines::Of(Runtime runtime, std::unique_ptr<ByteReader> bytes,
                                                std::string name, std::string md5_hex) {
  std::unique_ptr<TextLines> lines(new TextLines());
  lines->name_ = name;
  auto raw = std::make_unique<CheckedReader>(runtime, std::move(bytes), std::move(md5_hex), name);
  Result<std::string> head = co_await raw->Peek(archive::ZstdReader::kHeadBytes);
  if (!head) co_return head.error().In(name);
  const bool zstd = head->starts_with("\x28\xB5\x2F\xFD");
  int64_t needed = kMemoryBytes;
  if (zstd) {
    needed += archive::ZstdReader::MemoryNeeded(std::as_bytes(std::span<const char>(*head)));
  }
  // All at once: several that each held a part of it would wait for each other.
  Result<Reservation> memory = co_await runtime.memory.Reserve(needed);
  if (!memory) co_return memory.error().In(name);
  lines->memory_ = std::make_unique<MemoryShare>(runtime, std::move(*memory), kMemoryBytes);
  lines->compressed_ = true;
  if (head->starts_with("\x1F\x8B")) {
    lines->reader_ = std::make_unique<GzipReader>(runtime, *raw, name);
  } else if (zstd) {
    lines->reader_ = std::make_unique<NamedZstdReader>(lines->memory_->runtime(), *raw, name);
  } else {
    lines->compressed_ = false;
  }
  lines->raw_ = std::move(raw);
  co_return lines;
}

Error TextLines::Wrong(std::string_view what) const {
  return InvalidInput(name_ + " line " + std::to_string(number_) + ": " + std::string(what));
}

bool TextLines::TakeReady(std::string_view& line) {
  const size_t end = buffer_.find('\n', at_);
  if (end == std::string::npos) return false;
  line = std::string_view(buffer_).substr(at_, end - at_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  at_ = end + 1;
  ++number_;
  return true;
}

Async<bool> TextLines::Fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  const size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  ByteReader& reader = reader_ != nullptr ? *reader_ : *raw_;
  Result<size_t> count =
      co_await reader.Read(std::as_writable_bytes(std::span(buffer_).subspan(before)));
  if (!count) co_return count.error();
  buffer_.resize(before + *count);
  co_return *count > 0;
}

Async<std::string> TextLines::Peek() {
  while (!ended_ && buffer_.size() < 64 && !buffer_.contains('\n')) {
    Result<bool> more = co_await Fill();
    if (!more) co_return more.error();
    ended_ = !*more;
  }
  co_return buffer_.substr(0, std::min<size_t>(buffer_.find('\n'), 64));
}

Async<std::optional<std::string_view>> TextLines::Next() {
  while (true) {
    std::string_view line;
    if (TakeReady(line)) co_return line;
    if (ended_) {
      if (at_ == buffer_.size()) co_return std::nullopt;
      line = std::string_view(buffer_).substr(at_);
      at_ = buffer_.size();
      ++number_;
      co_return line;
    }
    if (buffer_.size() - at_ > kLineBytesMax) {
      ++number_;
      co_return Wrong("longer than " + std::to_string(kLineBytesMax) + " bytes");
    }
    Result<bool> more = co_await Fill();
    if (!more) co_return more.error();
    ended_ = !*more;
  }
}

Async<std::string> ReadListingFile(ListingFile file, uint64_t size_bytes_max) {
  Result<ObjectStream> stream = co_await GetListingFile(file);
  if (!stream) co_return stream.error();
  Result<std::string> text = co_await ReadAll(*stream->body, size_bytes_max);
  if (!text) co_return text.error().In(file.name);
  co_return text;
}

}  // namespace longhaul
