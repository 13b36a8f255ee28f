// RelaySource: the bytes of an object at one store as a body for another. A connection that breaks
// is opened again for the rest of the same state of the object, so that nobody pays twice for what
// arrived, and no body holds bytes of two states.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

// The object is not what it was when its copy began: begin anew. kPrecondition.
Error SourceChanged(std::string_view bucket, std::string_view key);
bool IsSourceChanged(const Error& error);

// Get of `request.if_match` (and `version_id`, if set) and of nothing else: the answer's own ETag,
// version and length are compared as well, because not every server heeds If-Match, least of all
// with a range. IsSourceChanged: it is another one, or there is none any more.
Async<ObjectStream> GetPinned(Store& store, GetRequest request);

struct RelayOptions {
  Event* stop = nullptr;                   // Set: reads end with kCancelled while much is left.
  std::function<void(uint64_t)> on_bytes;  // After each read; may be empty.
};

class RelaySource : public ByteSource {
 public:
  // `stream` was opened by `request` at `store`. Reads end with IsSourceChanged when the object has
  // changed under a broken connection, kRetryable when it cannot be opened again, kCorrupt when the
  // store found the bytes wrong.
  RelaySource(Runtime runtime, Store& store, GetRequest request, ObjectStream stream,
              RelayOptions options);

  [[nodiscard]] uint64_t size_bytes() const override { return length_bytes_; }
  Async<size_t> Read(std::span<std::byte> out) override;

  // Whether the source is not what it was when the stream was opened: read it anew.
  [[nodiscard]] bool source_changed() const { return source_changed_; }

 private:
  Async<void> Reopen();

  Runtime runtime_;
  Store& store_;
  GetRequest request_;  // Pinned to what was opened.
  std::unique_ptr<ByteReader> body_;
  RelayOptions options_;
  uint64_t begin_bytes_;
  uint64_t length_bytes_;
  uint64_t done_bytes_ = 0;
  int reopened_ = 0;
  bool source_changed_ = false;
};

// Reads all of `source` into `out`, which must be exactly as long, and its end.
Async<void> ReadExactly(ByteSource& source, std::span<std::byte> out);

}  // namespace longhaul
