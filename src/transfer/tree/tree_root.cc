#include "transfer/tree/tree_root.h"

#include <fmt/format.h>

#include <utility>

#include "archive/json_text.h"
#include "base/bytes.h"
#include "transfer/listing/page_check.h"
#include "transfer/local/local_folder.h"
#include "transfer/tree/same_bytes.h"

namespace longhaul {

namespace {

constexpr size_t kBatch = 1024;
constexpr std::string_view kHeadBegins = R"({"longhaul_tree":1,)";

std::string_view NameOf(TreeMode mode) { return mode == TreeMode::kFull ? "full" : "listing"; }

class RootJob {
 public:
  RootJob(Runtime runtime, TreeSource source, Listing& listing, TreeRootOptions options,
          TreeSink& sink)
      : runtime_(runtime),
        source_(source),
        listing_(listing),
        options_(std::move(options)),
        sink_(sink),
        tree_(options_.mode, [this](const ObjectTree::Node& node) { sink_.OnPrefix(node); }) {}

  Async<std::string> Run() {
    while (true) {
      Result<std::vector<ListedObject>> batch = co_await ReadBatch();
      if (!batch) co_return batch.error();
      if (batch->empty()) co_return failed_ ? std::string() : tree_.Finish();
      Result<void> hashed = co_await HashBatch(*batch);
      if (!hashed) co_return hashed.error();
    }
  }

 private:
  Async<std::vector<ListedObject>> ReadBatch() {
    std::vector<ListedObject> batch;
    while (batch.size() < kBatch) {
      ListedObject object;
      if (!listing_.TakeReady(object)) {
        if (options_.stop != nullptr && options_.stop->is_set()) {
          co_return Cancelled("stopped on request");
        }
        Result<std::optional<ListedObject>> next = co_await listing_.Next();
        if (!next) co_return next.error();
        if (!*next) co_return batch;
        object = std::move(**next);
      }
      if (options_.filter.Matches(NameIn(object), object)) {
        batch.push_back(std::move(object));
      } else {
        sink_.OnExcluded(NameIn(object), object);
      }
    }
    co_return batch;
  }

  [[nodiscard]] std::string_view NameIn(const ListedObject& object) const {
    return std::string_view(object.key).substr(source_.prefix.size());
  }

  Async<void> HashBatch(const std::vector<ListedObject>& batch) {
    std::vector<TreeEntry> entries(batch.size());
    TaskGroup looks(runtime_.executor);
    for (size_t i = 0; i < batch.size(); ++i) {
      entries[i].name = NameIn(batch[i]);
      entries[i].size_bytes = batch[i].size_bytes;
      if (options_.mode == TreeMode::kListing && !IsLocalEtag(batch[i].etag)) {
        entries[i].hash = HashListed(batch[i]);
        continue;
      }
      co_await looks.WaitBelow(options_.in_flight);
      looks.Spawn(Look(batch[i], entries[i]));
    }
    Result<void> joined = co_await looks.Join();
    if (!joined) co_return joined;
    std::erase_if(entries, [](const TreeEntry& entry) { return entry.hash.empty(); });
    for (const TreeEntry& entry : entries) tree_.Add(entry.name, entry.hash, entry.size_bytes);
    co_return co_await sink_.Take(std::move(entries));
  }

  Async<void> Look(const ListedObject& object, TreeEntry& entry) {
    Result<std::string> hash = co_await HashOf(object, entry.size_bytes);
    if (hash) {
      entry.hash = std::move(*hash);
      co_return Ok();
    }
    if (hash.error().kind == ErrorKind::kInvalidInput && IsLocalEtag(object.etag)) {
      co_return hash.error();
    }
    failed_ = true;
    sink_.OnFailed(entry.name, hash.error());
    co_return Ok();
  }

  Async<std::string> HashOf(ListedObject object, uint64_t& size_bytes) {
    Result<ObjectInfo> info =
        co_await source_.store.Head({.bucket = source_.bucket, .key = object.key});
    if (!info) co_return info.error();
    if (IsLocalEtag(info->etag)) {
      if (!options_.download) {
        co_return InvalidInput(
            "files of a local folder have no checksums: --download reads them for their MD5");
      }
      Result<std::string> md5 = co_await Md5Of(
          runtime_, {.store = source_.store, .bucket = source_.bucket, .key = object.key});
      if (!md5) co_return md5.error();
      info->etag = std::move(*md5);
    }
    size_bytes = info->size_bytes;
    if (options_.mode == TreeMode::kListing) {
      object.etag = info->etag;
      object.size_bytes = size_bytes;
      co_return HashListed(object);
    }
    Tags tags;
    if (info->tag_count > 0 && source_.store.capabilities().tags) {
      Result<Tags> read = co_await source_.store.GetTags(source_.bucket, object.key, "");
      if (!read) co_return read.error();
      tags = std::move(*read);
    }
    co_return HashFull(info->size_bytes, TreeContent(*info), *info, tags);
  }

  Runtime runtime_;
  TreeSource source_;
  Listing& listing_;
  TreeRootOptions options_;
  TreeSink& sink_;
  ObjectTree tree_;
  bool failed_ = false;
};

}  // namespace

Async<std::string> ComputeRoot(Runtime runtime, TreeSource source, std::unique_ptr<Listing> listing,
                               TreeRootOptions options, TreeSink& sink) {
  RootJob job(runtime, source, *listing, std::move(options), sink);
  Result<std::string> root = co_await job.Run();
  co_await listing->Close();
  co_return root;
}

TreeFileWriter::TreeFileWriter(Runtime runtime, std::string path, TreeMode mode,
                               std::string_view place)
    : file_(runtime, std::move(path)) {
  std::string line = fmt::format("{}\"mode\":\"{}\",\"place\":", kHeadBegins, NameOf(mode));
  archive::AppendJsonString(line, place);
  file_.Add(line + "}\n");
}

Async<void> TreeFileWriter::Add(const std::vector<TreeEntry>& entries) {
  std::string text;
  for (const TreeEntry& entry : entries) {
    text += "{\"name\":";
    archive::AppendJsonString(text, entry.name);
    fmt::format_to(std::back_inserter(text), ",\"size\":{},\"hash\":\"{}\"}}\n", entry.size_bytes,
                   HexEncode(entry.hash));
  }
  count_ += entries.size();
  file_.Add(text);
  if (!file_.full()) co_return Ok();
  co_return co_await file_.Write();
}

Async<void> TreeFileWriter::Finish(std::string_view root) {
  file_.Add(fmt::format("{{\"end\":true,\"objects\":{},\"root\":\"{}\"}}\n", count_, root));
  co_return co_await file_.Finish();
}

Async<std::unique_ptr<TreeFileReader>> TreeFileReader::Open(std::unique_ptr<TextLines> lines,
                                                            TreeMode mode) {
  Result<std::optional<std::string_view>> head = co_await lines->Next();
  if (!head) co_return head.error();
  if (!*head || !(*head)->starts_with(kHeadBegins)) {
    co_return lines->Wrong("not the head of a tree (check --root --save writes one)");
  }
  const std::string wanted = fmt::format("{}\"mode\":\"{}\",", kHeadBegins, NameOf(mode));
  if (!(*head)->starts_with(wanted)) {
    co_return lines->Wrong(std::string("it is a tree of the other mode; ") +
                           (mode == TreeMode::kFull ? "add" : "leave out") +
                           " --no-metadata to compare with it");
  }
  co_return std::unique_ptr<TreeFileReader>(new TreeFileReader(std::move(lines), mode));
}

Result<std::optional<TreeEntry>> TreeFileReader::Parse(std::string_view line) {
  archive::JsonCursor json(line);
  TreeEntry entry;
  std::string hex;
  std::string root;
  std::string name;
  int64_t size = -1;
  int64_t count = -1;
  bool end = false;
  json.Expect('{');
  for (bool first = true; json.ok() && json.NextMember(first, name);) {
    if (name == "name") {
      json.String(&entry.name);
    } else if (name == "size") {
      size = json.Integer();
    } else if (name == "hash") {
      json.String(&hex);
    } else if (name == "end") {
      end = true;
      json.Skip();
    } else if (name == "objects") {
      count = json.Integer();
    } else if (name == "root") {
      json.String(&root);
    } else {
      json.Skip();
    }
  }
  json.AtEnd();
  if (!json.ok()) return lines_->Wrong("not a line of a tree");
  if (end) {
    root_ = tree_.Finish();
    if (root_ != root || static_cast<uint64_t>(count) != count_) {
      return Corrupt(lines_->Wrong("its entries do not make the root that it names").message);
    }
    return std::nullopt;
  }
  Result<std::string> hash = HexDecode(hex);
  if (!hash || hash->size() != 32 || size < 0 || entry.name.size() > kListedKeyBytesMax) {
    return lines_->Wrong("an entry without hash or size");
  }
  if (count_ > 0 && entry.name <= last_name_) {
    return Corrupt(lines_->Wrong("it is not in order").message);
  }
  ++count_;
  last_name_ = entry.name;
  entry.size_bytes = static_cast<uint64_t>(size);
  entry.hash = std::move(*hash);
  tree_.Add(entry.name, entry.hash, entry.size_bytes);
  return entry;
}

Async<std::optional<TreeEntry>> TreeFileReader::Next() {
  Result<std::optional<std::string_view>> line = co_await lines_->Next();
  if (!line) co_return line.error();
  if (!*line) co_return Corrupt(lines_->Wrong("the tree is cut off: it has no end").message);
  co_return Parse(**line);
}

}  // namespace longhaul
