#include "replication/uploads.h"

#include <boost/json.hpp>
#include <utility>

namespace longhaul {

namespace {

constexpr char kUploads[] = "uploads";
constexpr char kProcesses[] = "process";
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

}  // namespace

UploadLedger::UploadLedger(Runtime& runtime, State& state, std::string owner,
                           std::map<std::string, Store*> stores,
                           std::chrono::milliseconds process_lease)
    : runtime_(runtime),
      state_(state),
      owner_(std::move(owner)),
      stores_(std::move(stores)),
      process_lease_(process_lease) {}

Async<MultipartUpload> UploadLedger::Create(Store& store, PutRequest request) {
  UploadRow row{.owner = owner_,
                .bucket = request.bucket,
                .key = request.key,
                .created = runtime_.clock.Now()};
  for (const auto& [name, known] : stores_) {
    if (known == &store) row.store = name;
  }
  const std::string row_key = owner_ + "/" + std::to_string(next_++);
  StateWrite intention{.key = row_key, .value = Encode(row)};
  Result<int64_t> written = co_await state_.Write(kUploads, std::move(intention));
  if (!written) co_return written.error().In("record upload");

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
  if (!aborted) {
    runtime_.log.Warning("an upload could not be aborted; it is swept later",
                         {{"bucket", upload.bucket}, {"key", upload.key}, aborted.error()});
    rows_.erase({&store, upload.upload_id});
    co_return;
  }
  co_await Forget(store, upload);
}

Async<void> UploadLedger::Heartbeat() {
  StateWrite write{
      .key = owner_, .value = "alive", .expires = runtime_.clock.Now() + process_lease_};
  Result<int64_t> written = co_await state_.Write(kProcesses, std::move(write));
  if (!written) co_return written.error().In("heartbeat");
  co_return Ok();
}

Async<int> UploadLedger::Sweep() {
  int swept = 0;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state_.Scan(kUploads, after, 100);
    if (!rows) co_return rows.error().In("sweep uploads");
    if (rows->empty()) co_return swept;
    for (const StateRow& state_row : *rows) {
      after = state_row.key;
      std::optional<UploadRow> row = Decode(state_row.value);
      if (!row) {
        runtime_.log.Failure("State holds an upload that cannot be read", {{"row", state_row.key}});
        continue;
      }
      if (row->owner == owner_) {
        bool open = false;
        for (const auto& [id, key] : rows_) open = open || key == state_row.key;
        // Ours, but not open: an abort that failed, or a creation with an unknown end. Creations
        // under way are young.
        if (open || runtime_.clock.Now() < row->created + process_lease_) continue;
      } else {
        Result<std::optional<StateRow>> alive = co_await state_.Get(kProcesses, row->owner);
        if (!alive) co_return alive.error().In("sweep uploads");
        if (*alive) continue;
      }
      auto store = stores_.find(row->store);
      if (store == stores_.end()) continue;  // Of another configuration; that one sweeps it.

      MultipartUpload upload{.bucket = row->bucket, .key = row->key, .upload_id = row->upload_id};
      std::vector<MultipartUpload> doomed;
      if (!row->upload_id.empty()) {
        doomed.push_back(upload);
      } else {
        Result<std::vector<MultipartUpload>> listed =
            co_await store->second->ListMultipartUploads(row->bucket, row->key);
        if (!listed) {
          if (listed.error().kind == ErrorKind::kNotFound) continue;
          co_return listed.error().In("sweep uploads");
        }
        for (MultipartUpload& found : *listed) {
          // Younger than the row and known to nobody else.
          if (found.key == row->key && found.initiated >= row->created - kClockTolerance &&
              !rows_.contains({store->second, found.upload_id})) {
            doomed.push_back(std::move(found));
          }
        }
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
      // A creation without an answer may still happen: the row stays until that is out of question.
      const bool settled = !row->upload_id.empty() || !doomed.empty() ||
                           runtime_.clock.Now() > row->created + kCreationPatience;
      if (!clean || !settled) continue;
      StateWrite removal{.key = state_row.key, .expected = Expected::Revision(state_row.revision)};
      Result<int64_t> removed = co_await state_.Write(kUploads, std::move(removal));
      static_cast<void>(removed);  // Else the next sweep finds the row again.
    }
  }
}

}  // namespace longhaul
