#include "archive/inspect.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "archive/folder_writer.h"
#include "archive/manifest.h"
#include "archive/member_path.h"
#include "archive/tar.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

using archive::FolderWriter;

Async<std::span<const std::byte>> FrameWindow::Bytes(ContentPiece piece) {
  if (piece.frame != number_) {
    frame_ = ArchiveFrame();  // First give back, then take.
    number_ = SIZE_MAX;
    auto read = co_await reader_.ReadFrame(piece.frame);
    if (!read) co_return read.error();
    frame_ = std::move(*read);
    number_ = piece.frame;
  }
  co_return frame_.bytes().subspan(piece.offset_bytes, piece.size_bytes);
}

Async<void> CopyContent(ArchiveReader& reader, FrameWindow& window, size_t entry,
                        ContentSink& sink) {
  for (const ContentPiece& piece : reader.Pieces(entry)) {
    auto bytes = co_await window.Bytes(piece);
    if (!bytes) co_return bytes.error();
    if (auto written = co_await sink.Write(*bytes); !written) co_return written.error();
  }
  co_return Ok();
}

namespace {

// A file of a FolderWriter, written on the pool.
class FileSink : public ContentSink {
 public:
  FileSink(Runtime& runtime, FolderWriter::File& file) : runtime_(runtime), file_(file) {}
  Async<void> Write(std::span<const std::byte> bytes) override {
    co_return co_await runtime_.pool.Run([this, bytes] { return file_.Write(bytes); });
  }

 private:
  Runtime& runtime_;
  FolderWriter::File& file_;
};

// The path below the folder. Renamed members get a name that no key can have.
std::string PathBelowFolder(std::string path) {
  constexpr std::string_view kObjects = "objects/";
  if (path.starts_with(kObjects)) return path.substr(kObjects.size());
  return "%" + path;
}

Async<void> ExtractOne(Runtime& runtime, ArchiveReader& reader, FrameWindow& window, size_t entry,
                       FolderWriter& folder, std::string path, bool overwrite) {
  auto file = co_await runtime.pool.Run([&] { return folder.Create(path, overwrite); });
  if (!file) co_return file.error();
  FileSink sink(runtime, **file);
  if (auto copied = co_await CopyContent(reader, window, entry, sink); !copied) {
    co_return copied.error();  // The file goes away: it was not closed.
  }
  const SystemTime stamp = reader.entries()[entry].stamp;
  co_return co_await runtime.pool.Run([&] { return (*file)->Close(stamp); });
}

// What tells more about the reader's surroundings than about the archive.
bool SaysNothingOfTheArchive(const Error& error) { return error.kind != ErrorKind::kCorrupt; }

}  // namespace

Async<ExtractSummary> ExtractArchive(
    Runtime& runtime, ArchiveReader& reader, ExtractOptions options,
    std::function<void(const ArchiveEntry&, const std::string& path, const Result<void>&)> told) {
  auto folder = co_await runtime.pool.Run([&] { return FolderWriter::Open(options.folder); });
  if (!folder) co_return folder.error();
  ExtractSummary summary;
  archive::MemberPaths paths;
  FrameWindow window(reader);
  for (size_t i = 0; i < reader.entries().size(); ++i) {
    const ArchiveEntry& entry = reader.entries()[i];
    if (entry.op != EntryOp::kPut || !entry.key.starts_with(options.prefix)) continue;
    const std::string path = PathBelowFolder(paths.PathFor(archive::MemberKey(entry), i));
    const Result<void> extracted =
        co_await ExtractOne(runtime, reader, window, i, **folder, path, options.overwrite);
    if (extracted) {
      ++summary.files;
      summary.bytes += entry.size_bytes;
    } else {
      ++summary.failed;
    }
    told(entry, path, extracted);
    if (!extracted && extracted.error().Transient()) co_return extracted.error().In(entry.key);
  }
  co_return summary;
}

namespace {

class Verifier {
 public:
  Verifier(Runtime& runtime, ArchiveReader& reader,
           const std::function<void(const std::string&)>& told)
      : runtime_(runtime), reader_(reader), told_(told), window_(reader) {}

  Async<VerifySummary> Run();

 private:
  void Tell(const std::string& problem) {
    ++summary_.problems;
    told_(problem);
  }
  // Which frames are sound; the others are told once and not read again.
  Async<void> CheckFrames();
  Async<void> CheckManifest();
  Async<void> CheckEntry(size_t entry);
  void CheckHeaders(size_t entry, std::span<const std::byte> bytes);
  [[nodiscard]] bool Sound(const std::vector<ContentPiece>& pieces) const {
    return std::ranges::all_of(pieces, [this](const auto& piece) { return sound_[piece.frame]; });
  }

  Runtime& runtime_;
  ArchiveReader& reader_;
  const std::function<void(const std::string&)>& told_;
  FrameWindow window_;
  std::vector<bool> sound_;
  std::map<size_t, std::string> owner_paths_;  // Of entries that others link to.
  VerifySummary summary_;
};

Async<void> Verifier::CheckFrames() {
  for (size_t i = 0; i < reader_.frames().size(); ++i) {
    auto frame = co_await reader_.ReadFrame(i);
    if (!frame && SaysNothingOfTheArchive(frame.error())) co_return frame.error();
    if (!frame) Tell(frame.error().message);
    sound_.push_back(frame.has_value());
    ++summary_.frames;
    if (frame) summary_.raw_bytes += frame->bytes().size();
  }
  co_return Ok();
}

Async<void> Verifier::CheckManifest() {
  if (reader_.frames().empty() || !sound_[0]) co_return Ok();
  auto frame = co_await window_.Bytes(
      {.frame = 0, .offset_bytes = 0, .size_bytes = reader_.frames()[0].raw_size_bytes});
  if (!frame) co_return frame.error();
  const auto member = archive::ParseTarHeaders(*frame);
  if (!member || member->member.path != archive::kManifestPath ||
      member->member.size_bytes > frame->size() - member->header_bytes) {
    Tell("the first member of the tar is not the manifest");
    co_return Ok();
  }
  const auto manifest = archive::ParseManifest(
      AsText(frame->subspan(member->header_bytes, member->member.size_bytes)));
  if (!manifest || *manifest != reader_.manifest()) {
    Tell("the manifest in the tar is not that of the index");
  }
  co_return Ok();
}

void Verifier::CheckHeaders(size_t number, std::span<const std::byte> bytes) {
  const ArchiveEntry& entry = reader_.entries()[number];
  const size_t owner = reader_.ContentOwner(number);
  const auto parsed = archive::ParseTarHeaders(bytes);
  if (!parsed) return Tell(entry.key + ": " + parsed.error().message);
  if (parsed->header_bytes != bytes.size()) return Tell(entry.key + ": wrong length of headers");
  const archive::TarMember& member = parsed->member;
  if (owner == number) {
    if (!member.link.empty() || member.size_bytes != entry.size_bytes) {
      return Tell(entry.key + ": the tar has another size than the index");
    }
  } else if (const auto path = owner_paths_.find(owner);
             path == owner_paths_.end() || member.link != path->second) {
    return Tell(entry.key + ": the tar links it to another member than the index");
  }
  const auto key = archive::KeyFromPath(member.path);
  if (key && *key != archive::MemberKey(entry))
    Tell(entry.key + ": the tar has another key: " + *key);
}

Async<void> Verifier::CheckEntry(size_t number) {
  const ArchiveEntry& entry = reader_.entries()[number];
  if (entry.op != EntryOp::kPut) co_return Ok();
  const ContentPiece header = reader_.TarHeader(number);
  if (!sound_[header.frame]) co_return Ok();
  auto bytes = co_await window_.Bytes(header);
  if (!bytes) co_return bytes.error();
  if (owner_paths_.contains(number)) {
    if (const auto parsed = archive::ParseTarHeaders(*bytes); parsed) {
      owner_paths_[number] = parsed->member.path;
    }
  }
  CheckHeaders(number, *bytes);

  // What the archive holds of digests; the rest is vouched for by the frames. Of a segment it holds
  // those of the whole object.
  const std::vector<ContentPiece> pieces = reader_.Pieces(number);
  std::vector<HashKind> kinds;
  std::vector<std::pair<std::string, std::string>> expected;  // What, and its raw value.
  if (entry.etag_is_md5 && IsPlainMd5Etag(entry.etag)) {
    kinds.push_back(HashKind::kMd5);
    expected.emplace_back("MD5", *HexDecode(entry.etag));
  }
  if (entry.checksum && !entry.checksum->composite) {
    static constexpr std::pair<ChecksumAlgorithm, HashKind> kKinds[] = {
        {ChecksumAlgorithm::kCrc32, HashKind::kCrc32},
        {ChecksumAlgorithm::kCrc32c, HashKind::kCrc32c},
        {ChecksumAlgorithm::kCrc64Nvme, HashKind::kCrc64Nvme},
        {ChecksumAlgorithm::kSha1, HashKind::kSha1},
        {ChecksumAlgorithm::kSha256, HashKind::kSha256}};
    for (const auto& [algorithm, kind] : kKinds) {
      if (algorithm == entry.checksum->algorithm) kinds.push_back(kind);
    }
    auto value = Base64Decode(entry.checksum->value);
    expected.emplace_back("checksum", value ? *value : "not base64");
  }
  if (kinds.empty() || entry.segment || !Sound(pieces)) co_return Ok();
  HashSet hashes(kinds);
  for (const ContentPiece& piece : pieces) {
    auto content = co_await window_.Bytes(piece);
    if (!content) co_return content.error();
    co_await runtime_.pool.Run([&] { hashes.Update(*content); });
  }
  const auto digests = hashes.Finish();
  for (size_t i = 0; i < digests.size(); ++i) {
    if (digests[i].second != expected[i].second) {
      Tell(entry.key + ": the content does not have the " + expected[i].first + " of the index");
    }
  }
  co_return Ok();
}

Async<VerifySummary> Verifier::Run() {
  if (auto checked = co_await CheckFrames(); !checked) co_return checked.error();
  if (auto checked = co_await CheckManifest(); !checked) co_return checked.error();
  for (size_t i = 0; i < reader_.entries().size(); ++i) {
    if (reader_.ContentOwner(i) != i) owner_paths_[reader_.ContentOwner(i)] = "";
  }
  for (size_t i = 0; i < reader_.entries().size(); ++i) {
    if (auto checked = co_await CheckEntry(i); !checked) co_return checked.error();
    ++summary_.entries;
  }
  co_return summary_;
}

}  // namespace

Async<VerifySummary> VerifyArchive(Runtime& runtime, ArchiveReader& reader,
                                   std::function<void(const std::string& problem)> told) {
  Verifier verifier(runtime, reader, told);
  co_return co_await verifier.Run();
}

}  // namespace longhaul
