#include "net/client_shards.h"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <exception>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/runtime.h"
#include "base/shards.h"
#include "net/client_body.h"
#include "net/client_gate.h"

namespace longhaul {
namespace {

Error Gone() { return Cancelled("the HTTP client is gone"); }

// What a client has on one shard. shared: with crossings, which may outlive it.
struct Branch {
  explicit Branch(Shard& the_shard) : shard(the_shard) {}
  Shard& shard;
  std::unique_ptr<HttpClient> client;  // Touched on the shard. Null: it is gone.
};

// A request on its way between the caller's thread (home) and a shard. The two take turns: whoever
// has it may touch what both know, and gives it away by a post, which orders what was written
// before and what is read after. Each side's coroutine waits in its own half, is resumed by its own
// thread and destroyed by its own thread.
class Crossing : public HttpBodySource, public std::enable_shared_from_this<Crossing> {
 public:
  Crossing(asio::any_io_executor home, std::shared_ptr<Branch> branch)
      : home_(std::move(home)), branch_(std::move(branch)) {}

  // At home: gives the turn to the shard, and waits until it comes back. What the caller lent must
  // live until then: only ~ShardedHttpClient ends the wait otherwise, when the shard is done with
  // it.
  asio::awaitable<void> Cross() {
    return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
        [this](auto handler) {
          LH_CHECK(!at_home_);
          at_home_ = [handler = std::move(handler)]() mutable { std::move(handler)(); };
          shard().Post([self = shared_from_this()] { self->Arrive(); });
        },
        asio::use_awaitable);
  }
  // At home: destroys the coroutine that waits there, if any does.
  void AbandonHome() { at_home_ = nullptr; }
  // At home, whosever turn it is: nobody wants anything of the shard any more.
  void Drop() {
    shard().Post([self = shared_from_this()] { self->away_ = nullptr; });
  }
  [[nodiscard]] Shard& shard() const { return branch_->shard; }

  // On the shard: what the request's source is there. Home fills `room`.
  Async<size_t> Read(std::span<std::byte> out) override {
    room = out;
    wants_bytes = true;
    co_await Return();
    co_return count;
  }

  // What both know.
  HttpRequest request;
  bool wants_bytes = false;          // Of the source; else this is the answer, or what was read.
  std::span<std::byte> room;         // Of the shard for the source, or of home for the body.
  Result<size_t> count = size_t{0};  // So many came there.
  Result<HttpResponse> answer = Gone();  // Its body is null.
  std::string ahead;                     // Of the body.
  bool ended = false;                    // Of the body nothing follows.
  HttpHeaders trailers;
  std::exception_ptr exception;

 private:
  // On the shard: gives the turn back. Nothing that both know may be touched after it.
  void GiveBack() {
    asio::post(home_, [self = shared_from_this()] {
      if (self->at_home_) std::exchange(self->at_home_, nullptr)();
    });
  }
  asio::awaitable<void> Return() {
    return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
        [this](auto handler) {
          LH_CHECK(!away_);
          away_ = [handler = std::move(handler)]() mutable { std::move(handler)(); };
          GiveBack();
        },
        asio::use_awaitable);
  }
  void Arrive() {
    if (away_) {
      std::exchange(away_, nullptr)();
    } else if (!std::exchange(begun_, true)) {
      asio::co_spawn(shard().executor(), Serve(shared_from_this()),
                     [self = shared_from_this()](std::exception_ptr thrown) {
                       if (!thrown) return;
                       self->exception = thrown;
                       self->GiveBack();
                     });
    }
  }
  static asio::awaitable<void> Serve(std::shared_ptr<Crossing> self) {
    if (!self->branch_->client) co_return;  // It went before this began.
    Result<HttpResponse> answer =
        co_await self->branch_->client->Send(std::exchange(self->request, {}));
    self->wants_bytes = false;
    if (!answer) {
      self->answer = answer.error();
      self->ended = true;
      self->GiveBack();
      co_return;
    }
    std::unique_ptr<HttpBody> owned = std::move(answer->body);
    auto& body = static_cast<ClientBody&>(*owned);  // As all of that client.
    self->answer = std::move(answer);
    self->ahead = body.TakeAhead();
    self->ended = body.ended();
    while (!self->ended) {
      co_await self->Return();
      self->count = co_await body.Read(self->room);
      self->ended = body.ended() || !self->count;
      if (self->ended) self->trailers = body.trailers();
    }
    self->GiveBack();
  }

  asio::any_io_executor home_;
  std::shared_ptr<Branch> branch_;
  std::move_only_function<void()> at_home_;  // Touched at home.
  std::move_only_function<void()> away_;     // Touched on the shard, as is begun_.
  bool begun_ = false;
};

// What home knows of a client. shared: with what is under way, which may outlive it.
struct Home {
  bool open = true;
  std::unordered_set<Crossing*> crossings;
};

// A crossing as its user at home has it.
class Ticket {
 public:
  Ticket(std::shared_ptr<Home> home, std::shared_ptr<Crossing> crossing)
      : home_(std::move(home)), crossing_(std::move(crossing)) {
    home_->crossings.insert(crossing_.get());
    ++crossing_->shard().under_way;
  }
  Ticket(Ticket&&) noexcept = default;
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket() { End(); }

  void End() {
    if (!crossing_) return;
    --crossing_->shard().under_way;
    home_->crossings.erase(crossing_.get());
    if (!at_end_) crossing_->Drop();
    crossing_.reset();
  }
  // Gives the turn to the shard and waits until it is back. An exception there comes out here.
  asio::awaitable<void> Cross() {
    Crossing& crossing = *crossing_;
    co_await crossing.Cross();
    at_end_ = crossing.exception || (crossing.ended && !crossing.wants_bytes);
    if (crossing.exception) std::rethrow_exception(crossing.exception);
  }
  [[nodiscard]] Crossing* crossing() const { return crossing_.get(); }
  // The shard has nothing more of it.
  [[nodiscard]] bool at_end() const { return at_end_; }
  [[nodiscard]] bool client_is_gone() const { return !home_->open; }

 private:
  std::shared_ptr<Home> home_;
  std::shared_ptr<Crossing> crossing_;
  bool at_end_ = false;
};

class ShardBody : public HttpBody {
 public:
  explicit ShardBody(Ticket ticket)
      : ticket_(std::move(ticket)), ahead_(std::move(ticket_.crossing()->ahead)) {
    if (ticket_.at_end()) End();
  }

  Async<size_t> Read(std::span<std::byte> out) override {
    LH_CHECK(!out.empty());
    if (failure_) co_return *failure_;
    const size_t filled = std::min(out.size(), ahead_.size() - taken_);
    std::memcpy(out.data(), ahead_.data() + taken_, filled);
    taken_ += filled;
    Crossing* crossing = ticket_.crossing();
    if (filled == out.size() || crossing == nullptr) co_return filled;
    if (ticket_.client_is_gone() || ticket_.at_end()) co_return Fail(Gone());
    crossing->room = out.subspan(filled);
    co_await ticket_.Cross();
    if (!crossing->count) co_return Fail(crossing->count.error());
    const size_t count = *crossing->count;
    if (ticket_.at_end()) End();
    co_return filled + count;
  }
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  void End() {
    trailers_ = std::move(ticket_.crossing()->trailers);
    ticket_.End();
  }
  // What was cut stays so, however often it is read.
  Error Fail(Error error) {
    failure_ = std::move(error);
    ticket_.End();
    return *failure_;
  }

  Ticket ticket_;
  std::string ahead_;
  size_t taken_ = 0;  // Of them.
  HttpHeaders trailers_;
  std::optional<Error> failure_;
};

class ShardedHttpClient : public HttpClient {
 public:
  ShardedHttpClient(const Runtime& runtime, HttpClientOptions options)
      : executor_(runtime.executor),
        shards_(*options.shards),
        plain_gate_(std::make_shared<ClientGate>(options.requests_max)),
        source_gate_(std::make_shared<ClientGate>(options.requests_max)) {
    options.shards = nullptr;
    for (const std::unique_ptr<Shard>& shard : shards_.all()) {
      // A client takes no more of a runtime than where it is and what time it is.
      const Runtime there{shard->executor(), shard->clock(), runtime.random, runtime.pool,
                          runtime.memory,    runtime.log,    runtime.metrics};
      branches_.push_back(std::make_shared<Branch>(*shard));
      branches_.back()->client = MakeHttpClient(there, options);
    }
  }
  // First the shards: when they are done, nobody reads or writes what the coroutines here lent
  // them.
  ~ShardedHttpClient() override {
    home_->open = false;
    for (const std::shared_ptr<Branch>& branch : branches_) {
      branch->shard.RunAndWait([&branch] { branch->client.reset(); });
    }
    std::vector<std::shared_ptr<Crossing>> crossings;
    for (Crossing* crossing : home_->crossings) crossings.push_back(crossing->shared_from_this());
    for (const std::shared_ptr<Crossing>& crossing : crossings) crossing->AbandonHome();
  }

  Async<HttpResponse> Send(HttpRequest request) override {
    const std::shared_ptr<Home> home = home_;
    std::shared_ptr<ClientGate> gate = request.source ? source_gate_ : plain_gate_;
    if (!gate->TryEnter()) co_await gate.get()->Wait();
    ClientPassage passage(std::move(gate));
    if (!home->open) co_return Gone();
    auto crossing = std::make_shared<Crossing>(executor_, LeastBusy());
    Ticket ticket(home, crossing);
    HttpBodySource* source = request.source;
    if (source != nullptr) request.source = crossing.get();
    crossing->request = std::move(request);
    co_await ticket.Cross();
    while (crossing->wants_bytes) {
      crossing->count = co_await source->Read(crossing->room);
      if (ticket.client_is_gone()) co_return Gone();
      co_await ticket.Cross();
    }
    if (!crossing->answer) co_return crossing->answer.error();
    HttpResponse response = std::move(*crossing->answer);
    response.body = std::make_unique<ShardBody>(std::move(ticket));
    co_return response;
  }

 private:
  std::shared_ptr<Branch> LeastBusy() {
    const Shard* shard = shards_.LeastBusy();
    return *std::ranges::find_if(
        branches_, [shard](const std::shared_ptr<Branch>& one) { return &one->shard == shard; });
  }

  asio::any_io_executor executor_;
  Shards& shards_;
  std::vector<std::shared_ptr<Branch>> branches_;  // As shards_ has them.
  std::shared_ptr<Home> home_ = std::make_shared<Home>();
  std::shared_ptr<ClientGate> plain_gate_;  // shared with what has passed.
  std::shared_ptr<ClientGate> source_gate_;
};

}  // namespace

std::unique_ptr<HttpClient> MakeShardedHttpClient(const Runtime& runtime,
                                                  HttpClientOptions options) {
  return std::make_unique<ShardedHttpClient>(runtime, std::move(options));
}

}  // namespace longhaul
