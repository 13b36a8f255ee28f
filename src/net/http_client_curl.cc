#include "net/http_client_curl.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "net/curl_engine.h"

namespace longhaul {
namespace {

class CurlBody : public HttpBody {
 public:
  explicit CurlBody(CurlLease lease) : lease_(std::move(lease)) {}

  Async<size_t> Read(std::span<std::byte> out) override {
    LH_CHECK(!out.empty());
    if (lease_.engine().expired()) co_return Cancelled("the HTTP client is gone");
    CurlSlot* slot = lease_.slot();
    size_t filled = TakeSpill(slot, out);
    if (filled < out.size() && !slot->done) {
      Target target(lease_, out.subspan(filled));
      if (slot->receive_paused) {
        slot->receive_paused = false;
        lease_.engine().lock()->ApplyPause(slot);
      }
      while (slot->out_filled < slot->out.size() && !slot->done) co_await slot->Park();
      filled += slot->out_filled;
    }
    if (slot->done && slot->error && filled < out.size()) co_return *slot->error;
    co_return filled;
  }

  [[nodiscard]] const HttpHeaders& trailers() const override { return lease_.slot()->trailers; }

 private:
  // Where curl writes while the reader waits; taken back whatever becomes of the reader.
  class Target {
   public:
    Target(const CurlLease& lease, std::span<std::byte> out)
        : engine_(lease.engine()), slot_(lease.slot()), generation_(slot_->generation) {
      slot_->out = out;
      slot_->out_filled = 0;
    }
    ~Target() {
      if (engine_.expired() || slot_->generation != generation_) return;
      slot_->out = {};
      slot_->out_filled = 0;
    }

   private:
    std::weak_ptr<CurlEngine> engine_;
    CurlSlot* slot_;
    uint64_t generation_;
  };

  static size_t TakeSpill(CurlSlot* slot, std::span<std::byte> out) {
    size_t count = std::min(out.size(), slot->spilled());
    if (count == 0) return 0;
    std::memcpy(out.data(), slot->spill.data() + slot->spill_begin, count);
    slot->spill_begin += count;
    if (slot->spilled() == 0) {
      slot->spill.clear();
      slot->spill_begin = 0;
    }
    return count;
  }

  CurlLease lease_;
};

class CurlClient : public HttpClient {
 public:
  CurlClient(const Runtime& runtime, const HttpClientOptions& options)
      : engine_(std::make_shared<CurlEngine>(runtime, options)),
        plain_gate_(std::make_shared<Semaphore>(options.requests_max)),
        source_gate_(std::make_shared<Semaphore>(options.requests_max)) {}

  Async<HttpResponse> Send(HttpRequest request) override {
    std::shared_ptr<Semaphore> gate = request.source ? source_gate_ : plain_gate_;
    co_await gate.get()->Acquire();
    Permit permit(std::move(gate));
    bool retried = false;
    while (true) {
      CurlLease lease(engine_);
      CurlSlot* slot = lease.slot();
      Result<void> started = engine_->Start(slot, request);
      if (!started) co_return started.error();
      while (!slot->SendFinished()) {
        if (!slot->NeedsBody() || slot->head_done) {
          co_await slot->Park();
          continue;
        }
        Result<size_t> count = co_await request.source->Read(slot->upload_buffer);
        if (!count) co_return count.error();
        slot->upload = std::span<const std::byte>(slot->upload_buffer).first(*count);
        slot->upload_ended = *count == 0;
        if (slot->send_paused) {
          slot->send_paused = false;
          engine_->ApplyPause(slot);
        }
      }
      slot->upload_ended = true;  // The body is the caller's again.
      slot->upload = slot->rewind = {};
      if (slot->error && !slot->head_done) {
        bool stale = slot->connection_was_reused && slot->header_bytes == 0 && slot->done;
        if (!stale || retried || request.source || request.once || !slot->error->Transient()) {
          co_return *slot->error;
        }
        retried = true;
        continue;
      }
      HttpResponse response;
      response.status = slot->status;
      response.headers = std::move(slot->headers);
      response.body = std::make_unique<CurlBody>(std::move(lease));
      co_return response;
    }
  }

 private:
  std::shared_ptr<CurlEngine> engine_;
  // shared: a permit may outlive the client, in a coroutine that is being destroyed.
  std::shared_ptr<Semaphore> plain_gate_;
  std::shared_ptr<Semaphore> source_gate_;
};

}  // namespace

std::unique_ptr<HttpClient> MakeCurlHttpClient(const Runtime& runtime,
                                               const HttpClientOptions& options) {
  return std::make_unique<CurlClient>(runtime, options);
}

}  // namespace longhaul
