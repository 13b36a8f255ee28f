// TextLines: the lines of a file from outside, plain or compressed (gzip or zstd, by its first
// bytes), read in bounded memory.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/memory_share.h"
#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

// A file that lists objects: an object of some store, or a local file (a LocalFolder's).
struct ListingFile {
  Store* store = nullptr;  // Borrowed for as long as a listing made of it is open.
  std::string bucket;
  std::string key;
  std::string name;    // For messages.
  std::string etag{};  // Its state that is to be read; empty: that of now.
};

// Opens `file`. kPrecondition: it is in another state, also where the server does not heed
// If-Match.
Async<ObjectStream> GetListingFile(ListingFile file);

class TextLines {
 public:
  // Opens `file`. Waits for all the memory that reading it takes, which is taken in one step.
  // kInvalidInput: there is not so much (the message says how much); kPrecondition: the file is in
  // another state. `md5_hex`: that of its bytes as they are stored, checked at the end; empty:
  // none.
  static Async<std::unique_ptr<TextLines>> Open(Runtime runtime, ListingFile file,
                                                std::string md5_hex = "");
  // The same of any bytes. `name`: for messages.
  static Async<std::unique_ptr<TextLines>> Of(Runtime runtime, std::unique_ptr<ByteReader> bytes,
                                              std::string name, std::string md5_hex = "");
  ~TextLines();
  TextLines(const TextLines&) = delete;
  TextLines& operator=(const TextLines&) = delete;

  // The next line without its end ("\n" or "\r\n"); the last one need not have one. nullopt: the
  // file has ended as it should. kInvalidInput: a line of more than 1 MiB; kCorrupt: damaged or cut
  // off, as far as its compression or MD5 tells. Valid until the next call.
  Async<std::optional<std::string_view>> Next();
  // The beginning of the first line, which Next gives all the same; before the first Next.
  Async<std::string> Peek();
  // The same as Next without waiting; false when Next has to be asked.
  bool TakeReady(std::string_view& line);
  [[nodiscard]] uint64_t number() const { return number_; }  // Of the last line; 1 is the first.
  // "FILE line 12: what".
  [[nodiscard]] Error Wrong(std::string_view what) const;
  [[nodiscard]] bool compressed() const { return compressed_; }

 private:
  TextLines() = default;
  Async<bool> Fill();

  std::string name_;
  std::unique_ptr<ByteReader> raw_;      // Counts and hashes.
  std::unique_ptr<ByteReader> reader_;   // What the lines come from.
  std::unique_ptr<MemoryShare> memory_;  // Of the reader, and of the lines.
  std::string buffer_;
  size_t at_ = 0;
  bool ended_ = false;
  bool compressed_ = false;
  uint64_t number_ = 0;
};

// The whole text, up to `size_bytes_max`.
Async<std::string> ReadListingFile(ListingFile file, uint64_t size_bytes_max);

}  // namespace longhaul
