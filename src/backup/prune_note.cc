#include "backup/prune_note.h"

#include <algorithm>
#include <utility>

#include "archive/json_text.h"

namespace longhaul::backup {

namespace {

constexpr uint64_t kNoteBytesMax = 1 << 20;
constexpr int kPruneNoteTriesMax = 10;

struct PruneNote {
  std::string etag{};  // Empty: there is none yet.
  PrunedSince pruned{};
};

Async<PruneNote> ReadNote(const CatalogSource& source, std::string key) {
  PruneNote note;
  Result<ObjectStream> stream =
      co_await source.store->Get({.bucket = source.vault.bucket, .key = key});
  // A bare 404 proves no absence.
  if (!stream && stream.error().kind == ErrorKind::kNotFound &&
      stream.error().code == "NoSuchKey") {
    co_return note;
  }
  if (!stream) co_return stream.error().In(key);
  Result<std::string> text = co_await ReadAll(*stream->body, kNoteBytesMax);
  if (!text && text.error().kind == ErrorKind::kInvalidInput) {
    co_return Corrupt(key + ": " + text.error().message);
  }
  if (!text) co_return text.error().In(key);
  Result<PrunedSince> pruned = ParsePruneNote(*text);
  if (!pruned) co_return pruned.error().In(key);
  note.etag = std::move(stream->info.etag);
  note.pruned = std::move(*pruned);
  co_return note;
}

}  // namespace

Result<PrunedSince> ParsePruneNote(std::string_view text) {
  PrunedSince pruned;
  archive::JsonCursor cursor(text);
  std::string name;
  bool told = false;
  cursor.Expect('{');
  for (bool first = true; cursor.NextMember(first, name);) {
    if (name != "pruned") {
      cursor.Skip();
      continue;
    }
    told = true;
    cursor.Expect('[');
    for (bool first_of = true; cursor.NextElement(first_of);) {
      std::string prefix;
      std::string since;
      bool has_prefix = false;
      cursor.Expect('{');
      for (bool first_in = true; cursor.NextMember(first_in, name);) {
        if (name == "prefix") {
          cursor.String(&prefix);
          has_prefix = true;
        } else if (name == "since") {
          cursor.String(&since);
        } else {
          cursor.Skip();
        }
      }
      Result<SystemTime> time = ParseRfc3339(since);
      if (!time || !has_prefix) return Corrupt("it is no note of a prune");
      SystemTime& at = pruned.emplace(prefix, *time).first->second;
      at = std::max(at, *time);
    }
  }
  cursor.AtEnd();
  if (!cursor.ok() || !told) return Corrupt("it is no note of a prune");
  return pruned;
}

std::string EncodePruneNote(const PrunedSince& pruned) {
  std::string text = R"({"pruned":[)";
  for (bool first = true; const auto& [prefix, since] : pruned) {
    text += std::exchange(first, false) ? R"({"prefix":)" : R"(,{"prefix":)";
    archive::AppendJsonString(text, prefix);
    text += R"(,"since":")" + FormatRfc3339(since) + R"("})";
  }
  return text + "]}";
}

std::string PruneNoteKey(const VaultPlace& vault, const std::string& source_bucket) {
  return VaultPrefix(vault, "", true) + source_bucket + ".pruned.json";
}

Async<void> CheckNotPruned(CatalogSource source, SystemTime at) {
  Result<PruneNote> note =
      co_await ReadNote(source, PruneNoteKey(source.vault, source.source_bucket));
  if (!note) co_return note.error();
  SystemTime earliest = SystemTime::min();
  for (const auto& [prefix, since] : note->pruned) {
    if (!prefix.starts_with(source.prefix) && !source.prefix.starts_with(prefix)) continue;
    earliest = std::max(earliest, since);
  }
  if (at >= earliest) co_return Ok();
  Error error =
      InvalidInput("the backup was pruned, and what it had at " + FormatRfc3339(at) +
                   " may be gone: the earliest time to ask for is " + FormatRfc3339(earliest));
  error.code = kPrunedCode;
  co_return error;
}

Async<void> NotePruned(CatalogSource source, std::string prefix, SystemTime since,
                       PutRequest request) {
  const Capabilities can = source.store->capabilities();
  request.bucket = source.vault.bucket;
  request.key = PruneNoteKey(source.vault, source.source_bucket);
  request.headers.content_type = "application/json";
  for (int tries = 0;; ++tries) {
    // Also what was written is read: where writes know no conditions, another prune may have
    // written over it.
    Result<PruneNote> note = co_await ReadNote(source, request.key);
    if (!note) co_return note.error();
    SystemTime& noted = note->pruned.emplace(prefix, SystemTime::min()).first->second;
    if (noted >= since) co_return Ok();
    if (tries == kPruneNoteTriesMax)
      co_return Retryable("others write " + request.key + " all the time");
    noted = since;
    request.condition = {};
    if (note->etag.empty()) {
      request.condition.if_absent = can.create_if_absent;
    } else if (can.replace_if_match) {
      request.condition.if_match = note->etag;
    }
    Result<PutResult> put = co_await PutText(*source.store, request, EncodePruneNote(note->pruned));
    if (!put && put.error().kind != ErrorKind::kPrecondition) co_return put.error().In(request.key);
  }
}

}  // namespace longhaul::backup
