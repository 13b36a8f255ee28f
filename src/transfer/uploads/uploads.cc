#include "transfer/uploads/uploads.h"

#include <boost/json.hpp>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

constexpr char kUploads[] = "uploads";
constexpr char kProcesses[] = "process";
constexpr char kNoProcess[] = "";  // The owner of uploads that outlive the one that created them.
// Servers' clocks may be behind ours by this much when an upload's time is compared.
constexpr std::chrono::minutes kClockTolerance{15};
constexpr std::chrono::minutes kCreationPatience{2};

struct UploadRow {
  std::string owner;
  std::string store;
  std::string bucket;
  std::string key;
  std::string upload_id;  // Empty: it may or may not have been created.
  SystemTime created{};
};

std::string Encode(const UploadRow& row) {
  return boost::json::serialize(boost::json::object{{"owner", row.owner},
                                                    {"store", row.store},
                                                    {"bucket", row.bucket},
                                                    {"key", row.key},
                                                    {"upload_id", row.upload_id},
                                                    {"created", FormatRfc3339(row.created)}});
}

std::optional<UploadRow> Decode(std::string_view text) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  auto field = [&](const char* name) -> std::string {
    const boost::json::value* found = value.as_object().if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
  };
  Result<SystemTime> created = ParseRfc3339(field("created"));
  if (!created) return std::nullopt;
  return UploadRow{.owner = field("owner"),
                   .store = field("store"),
                   .bucket = field("bucket"),
                   .key = field("key"),
                   .upload_id = field("upload_id"),
                   .created = *created};
}

std::string KeptRow(const std::string& store, const MultipartUpload& upload) {
  const std::string text = store + '\n' + upload.bucket + '\n' + upload.upload_id;
  return "kept/" + HexEncode(Digest(HashKind::kSha256, AsBytes(text))).substr(0, 32);
}

}  // namespace

UploadLedger::UploadLedger(Runtime& runtime, State& state, std::string owner,
                           std::map<std::string, Store*> stores,
                           std::chrono::milliseconds process_lease)
    : runtime_(runtime),
      state_(state),
      owner_(std::move(owner)),
      stores_(std::move(stores)),
      process_lease_(process_lease) {}

std::string UploadLedger::NameOf(const Store& store) const {
  for (const auto& [name, known] : stores_) {
    if (known == &store) return name;
  }
  return "";
}

Async<MultipartUpload> UploadLedger::Create(Store& store, PutRequest request) {
  UploadRow row{.owner = owner_,
                .store = NameOf(store),
                .bucket = request.bucket,
                .key = request.key,
                .created = runtime_.clock.Now()};
  const std::string row_key = owner_ + "/" + std::to_string(next_++);
  StateWrite intention{.key = row_key, .value = Encode(row)};
  Result<int64_t> written = co_await state_.Write(kUploads, std::move(intention));
  if (!written) co_return written.error().In("record upload");

  // A second one would get another id, and with it the row: nobody would look for the first.
  request.at_most_once = true;
  Result<MultipartUpload> upload = co_await store.CreateMultipart(std::move(request));
  if (!upload) {
    // It may have been created all the same; the row stays for Sweep unless it cannot have been.
    if (!upload.error().Transient()) {
      StateWrite removal{.key = row_key};
      Result<int64_t> removed = co_await state_.Write(kUploads, std::move(removal));
      static_cast<void>(removed);
    }
    co_return upload.error();
  }
  row.upload_id = upload->upload_id;
  StateWrite named{.key = row_key, .value = Encode(row)};
  written = co_await state_.Write(kUploads, std::move(named));
  if (!written) {
    Result<void> aborted = co_await store.AbortMultipart(*upload);
    static_cast<void>(aborted);
    co_return written.error().In("record upload");
  }
  rows_[{&store, upload->upload_id}] = row_key;
  co_return upload;
}

asio::awaitable<void> UploadLedger::Forget(Store& store, const MultipartUpload& upload) {
  auto node = rows_.extract({&store, upload.upload_id});
  if (node.empty()) co_return;
  StateWrite removal{.key = node.mapped()};
  Result<int64_t> removed = co_await state_.Write(kUploads, std::move(removal));
  if (!removed) runtime_.log.Warning("an upload stays recorded", {removed.error()});
}

asio::awaitable<void> UploadLedger::Abort(Store& store, const MultipartUpload& upload) {
  Result<void> aborted = co_await store.AbortMultipart(upload);
  if (!aborted && aborted.error().kind != ErrorKind::kNotFound) {
    runtime_.log.Warning("an upload could not be aborted; it is swept later",
                         {{"bucket", upload.bucket}, {"key", upload.key}, aborted.error()});
    rows_.erase({&store, upload.upload_id});
    co_return;
  }
  co_await Forget(store, upload);
}

asio::awaitable<void> UploadLedger::Keep(Store& store, const MultipartUpload& upload) {
  UploadRow row{.owner = kNoProcess,
                .store = NameOf(store),
                .bucket = upload.bucket,
                .key = upload.key,
                .upload_id = upload.upload_id,
                .created = runtime_.clock.Now()};
  StateWrite kept{.key = KeptRow(row.store, upload), .value = Encode(row)};
  Result<int64_t> written = co_await state_.Write(kUploads, std::move(kept));
  if (!written) runtime_.log.Warning("an upload is not recorded as kept", {written.error()});
  co_await Forget(store, upload);
}

Async<void> UploadLedger::Release(Store& store, const MultipartUpload& upload) {
  StateWrite removal{.key = KeptRow(NameOf(store), upload)};
  Result<int64_t> removed = co_await state_.Write(kUploads, std::move(removal));
  if (!removed) co_return removed.error().In("release an upload");
  co_return Ok();
}

Async<void> UploadLedger::Heartbeat() {
  StateWrite write{
      .key = owner_, .value = "alive", .expires = runtime_.clock.Now() + process_lease_};
  Result<int64_t> written = co_await state_.Write(kProcesses, std::move(write));
  if (!written) co_return written.error().In("heartbeat");
  co_return Ok();
}

struct UploadLedger::Row {
  StateRow state;
  UploadRow upload;
};

Async<std::vector<UploadLedger::Row>> UploadLedger::Rows() {
  std::vector<Row> rows;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> page = co_await state_.Scan(kUploads, after, 100);
    if (!page) co_return page.error().In("sweep uploads");
    if (page->empty()) co_return rows;
    for (StateRow& row : *page) {
      after = row.key;
      std::optional<UploadRow> upload = Decode(row.value);
      if (upload) {
        rows.push_back({.state = std::move(row), .upload = std::move(*upload)});
      } else {
        runtime_.log.Failure("State holds an upload that cannot be read", {{"row", row.key}});
      }
    }
  }
}

Async<bool> UploadLedger::Lives(std::string owner, SystemTime heard) {
  if (owner == owner_ || runtime_.clock.Now() < heard + process_lease_) co_return true;
  Result<std::optional<StateRow>> alive = co_await state_.Get(kProcesses, std::move(owner));
  if (!alive) co_return alive.error().In("look for a process");
  co_return alive->has_value();
}

Async<bool> UploadLedger::InUse(const Row& row) {
  if (row.upload.owner == kNoProcess) co_return true;
  if (row.upload.owner == owner_) {
    for (const auto& [id, key] : rows_) {
      if (key == row.state.key) co_return true;
    }
    // Ours, but not open: an abort that failed, or a creation with an unknown end. Creations under
    // way are young.
    co_return runtime_.clock.Now() < row.upload.created + process_lease_;
  }
  Result<std::optional<StateRow>> alive = co_await state_.Get(kProcesses, row.upload.owner);
  if (!alive) co_return alive.error().In("sweep uploads");
  co_return alive->has_value();
}

// The uploads that a creation without an answer may have left. Several processes may write one key
// of a target: whatever may be another's is left alone.
Async<std::optional<std::vector<MultipartUpload>>> UploadLedger::Orphans(Store& store,
                                                                         const Row& orphan) {
  const UploadRow& lost = orphan.upload;
  Result<std::vector<MultipartUpload>> listed =
      co_await store.ListMultipartUploads(lost.bucket, lost.key);
  std::vector<MultipartUpload> orphans;
  if (!listed) {
    if (listed.error().kind == ErrorKind::kNotFound) co_return orphans;  // The bucket is gone.
    co_return listed.error().In("sweep uploads");
  }
  // After the listing: whoever created one of these had his row in State before that.
  Result<std::vector<Row>> rows = co_await Rows();
  if (!rows) co_return rows.error();
  std::set<std::string> others;
  bool still_lost = false;
  for (const Row& row : *rows) {
    if (row.upload.bucket != lost.bucket || row.upload.key != lost.key) continue;
    if (row.state.key == orphan.state.key) {
      still_lost = row.state.revision == orphan.state.revision;
      continue;
    }
    if (!row.upload.upload_id.empty()) {
      others.insert(row.upload.upload_id);
      continue;
    }
    Result<bool> in_use = co_await InUse(row);
    if (!in_use) co_return in_use.error();
    if (*in_use) co_return std::nullopt;  // One of them may be his, and he does not know it yet.
  }
  if (!still_lost) co_return std::nullopt;  // A slow creation came to its end meanwhile.
  for (MultipartUpload& found : *listed) {
    if (found.key == lost.key && found.initiated >= lost.created - kClockTolerance &&
        found.initiated <= lost.created + kCreationPatience + kClockTolerance &&
        !others.contains(found.upload_id)) {
      orphans.push_back(std::move(found));
    }
  }
  co_return orphans;
}

Async<int> UploadLedger::Sweep() {
  int swept = 0;
  std::optional<Error> failure;  // One store that is away does not keep the others from it.
  Result<std::vector<Row>> rows = co_await Rows();
  if (!rows) co_return rows.error();
  for (const Row& row : *rows) {
    const UploadRow& lost = row.upload;
    auto store = stores_.find(lost.store);
    if (store == stores_.end()) continue;  // Of another configuration; that one sweeps it.
    Result<bool> in_use = co_await InUse(row);
    if (!in_use) co_return in_use.error();
    if (*in_use) continue;

    std::vector<MultipartUpload> doomed;
    if (!lost.upload_id.empty()) {
      doomed.push_back({.bucket = lost.bucket, .key = lost.key, .upload_id = lost.upload_id});
    } else {
      Result<std::optional<std::vector<MultipartUpload>>> orphans =
          co_await Orphans(*store->second, row);
      if (!orphans && !failure) failure = orphans.error();
      if (!orphans || !*orphans) continue;
      doomed = std::move(**orphans);
    }
    bool clean = true;
    for (const MultipartUpload& victim : doomed) {
      Result<void> aborted = co_await store->second->AbortMultipart(victim);
      if (!aborted && aborted.error().kind != ErrorKind::kNotFound) {
        runtime_.log.Warning("an upload of a dead process could not be aborted",
                             {{"bucket", victim.bucket}, {"key", victim.key}, aborted.error()});
        clean = false;
      } else {
        ++swept;
      }
    }
    // A creation without an answer may still happen: the row stays until that is out of question,
    // also when something was found: that may have been what another such creation left.
    const bool settled =
        !lost.upload_id.empty() || runtime_.clock.Now() > lost.created + kCreationPatience;
    if (!clean || !settled) continue;
    StateWrite removal{.key = row.state.key, .expected = Expected::Revision(row.state.revision)};
    Result<int64_t> removed = co_await state_.Write(kUploads, std::move(removal));
    static_cast<void>(removed);  // Else the next sweep finds the row again.
  }
  if (failure) co_return *failure;
  co_return swept;
}

}  // namespace longhaul
