#include <fmt/format.h>

#include <memory>

#include "base/bytes.h"
#include "base/secret.h"
#include "cache/caching_store.h"
#include "cache/fill.h"
#include "cache/sweep.h"
#include "cli/cache_common.h"
#include "cli/command.h"
#include "cli/transfer_ends.h"
#include "gateway/gateway.h"

namespace longhaul {

namespace {

class CacheServeCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "cache serve",
        .summary = "serve a bucket through a cache, as an S3 endpoint",
        .description =
            "An S3 endpoint (path style, no TLS) that shows the source's bucket under its own "
            "name. What the cache has is read from there, ranges too; what it has not is read "
            "from the source, and copied to the cache meanwhile, to live for --ttl. Listings, "
            "versions and tags come from the source. Copies that fills have made count, and the "
            "other way round: all of them share the state.\n\n"
            "A copy is served until its time to live ends. With --strict the source is asked for "
            "its ETag before each answer, and an old object is never served. Writes are refused, "
            "or with --writes go to the source, and what the cache has of the key counts no "
            "more.\n\n"
            "Requests are signed with one pair of keys: that of --access-key-id and "
            "--secret-access-key, else a random pair that is printed at the start. Copies whose "
            "time has ended are removed as `cache sweep --watch` does.",
        .examples = {{"A bucket near the job",
                      "longhaul cache serve east:logs --to fast:cache --ttl 24h --listen "
                      "127.0.0.1:9000 --config longhaul.yaml"},
                     {"Never an old object",
                      "longhaul cache serve east:logs --to fast:cache --ttl 24h --strict --config "
                      "longhaul.yaml"}},
        .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable,
                       ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("STORE:BUCKET", "The bucket to serve.", source_);
    flags.Text({.name = "to",
                .help = "The bucket that copies lie in, and perhaps a prefix before all keys.",
                .value_name = "STORE:BUCKET",
                .completes = Completes::kAddresses},
               to_);
    flags.Duration({.name = "ttl",
                    .help = "How long a copy is to live from when it is made: one minute to 366 "
                            "days.",
                    .value_name = "DURATION"},
                   ttl_);
    flags.Text({.name = "listen",
                .help = "Where to listen; port 0 takes a free one. Default: 127.0.0.1:9000.",
                .value_name = "ADDRESS"},
               listen_);
    flags.Switch(
        {.name = "strict", .help = "Ask the source for its ETag first; never serve an old object."},
        strict_);
    flags.Switch({.name = "writes", .help = "Take writes, and send them to the source."}, writes_);
    flags.Integer({.name = "transfers",
                   .help = "Objects that are copied to the cache at once. Default: 16.",
                   .value_name = "N"},
                  1, 1024, transfers_);
    flags.Text(
        {.name = "access-key-id", .help = "The key that clients sign with.", .value_name = "ID"},
        access_key_id_);
    flags.Text({.name = "secret-access-key",
                .help = "Its secret. Better given as LONGHAUL_SECRET_ACCESS_KEY: command lines can "
                        "be seen by others.",
                .value_name = "SECRET"},
               secret_access_key_);
    flags.Switch({.name = "take-bucket",
                  .help = "Use a bucket that holds objects of which no fill is known."},
                 take_bucket_);
    state_flag_.Declare(flags);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (to_.empty()) co_return InvalidInput("--to is missing: the bucket that copies lie in");
    if (access_key_id_.empty() != secret_access_key_.empty()) {
      co_return InvalidInput("--access-key-id and --secret-access-key go together");
    }
    Runtime& runtime = context.runtime();
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedAddress> source = opener.OpenBucket(source_, StoreEnd::kSource);
    if (!source) co_return source.error();
    if (!source->address.key.empty()) {
      co_return InvalidInput("'" + source_ + "': a bucket is served as a whole");
    }
    Result<OpenedCache> target = OpenCache(opener, to_);
    if (!target) co_return target.error();
    Result<void> apart = CheckTwoPlaces(*source, *target);
    if (!apart) co_return apart.error();
    Result<void> free = CheckNotInUse(context, target->address, Use::kCache);
    if (!free) co_return free.error();
    Result<std::unique_ptr<State>> state = OpenCacheState(context, state_flag_);
    if (!state) co_return state.error();
    Result<void> sound =
        co_await cache::CheckFill(runtime, **state,
                                  {.source = *source->store,
                                   .source_bucket = source->address.bucket,
                                   .prefixes = {""},
                                   .target = *target->address.store,
                                   .bucket = target->place.bucket,
                                   .ttl = std::chrono::floor<std::chrono::seconds>(ttl_),
                                   .take_bucket = take_bucket_});
    if (!sound) co_return sound.error();
    const std::string name = source->address.store.empty()
                                 ? source->address.bucket
                                 : source->address.store + ":" + source->address.bucket;
    cache::KeyFiller filler(runtime, **state, *source->store, *target->address.store, target->place,
                            {.source_bucket = source->address.bucket,
                             .source_name = name,
                             .target_prefix = target->address.address.key,
                             .ttl = std::chrono::floor<std::chrono::seconds>(ttl_),
                             .stop = &context.stop()});
    Result<void> begun = co_await filler.Begin();
    if (!begun) co_return begun.error();
    Result<ExitCode> code = co_await Serve(context, **state, *source->store, filler, name);
    Result<void> ended = co_await filler.End();
    if (code && !ended) co_return ended.error();
    co_return code;
  }

 private:
  static Async<void> KeepSweeping(RunContext& context, State& state, cache::KeyFiller& filler,
                                  Event& stop) {
    co_await cache::KeepSweeping(context.runtime(), state, filler.target(), filler.place(), stop);
    co_return Ok();
  }

  Async<ExitCode> Serve(RunContext& context, State& state, Store& source, cache::KeyFiller& filler,
                        const std::string& name) {
    Runtime& runtime = context.runtime();
    context.troubles().UseLog();
    const bool random_keys = access_key_id_.empty();
    if (random_keys) {
      access_key_id_ = "LH" + NewUlid(runtime.clock.Now(), runtime.random);
      std::string bytes;
      SystemRandom random;
      for (int i = 0; i < 30; ++i) bytes.push_back(static_cast<char>(random.Next()));
      secret_access_key_ = Base64Encode(bytes);
    }
    cache::CachingStore store(
        runtime, source, filler,
        {.strict = strict_, .writes = writes_, .fills_max = static_cast<int>(transfers_)});
    Gateway gateway(
        runtime, store,
        {.access_key_id = access_key_id_, .secret_access_key = Secret(secret_access_key_)});
    Result<void> started = co_await gateway.Start(listen_);
    if (!started) co_return started.error().In(listen_);
    Message message("listening");
    message.With("endpoint", gateway.endpoint()).With("source", name).With("cache", to_);
    std::string text = fmt::format("serving {} through {} at {}", Printable(name), Printable(to_),
                                   gateway.endpoint());
    if (random_keys) {
      message.With("access_key_id", access_key_id_).With("secret_access_key", secret_access_key_);
      text += "\n  access key id      " + access_key_id_ + "\n  secret access key  " +
              secret_access_key_;
    }
    context.output().Print(message.Says(text));
    Event over;
    TaskGroup sweeping(runtime.executor);
    sweeping.Spawn(KeepSweeping(context, state, filler, over));
    co_await context.stop().Wait();
    Result<void> stopped = co_await gateway.Stop(context.flags().grace);
    co_await store.Stop();
    over.Set();
    Result<void> swept = co_await sweeping.Join();
    static_cast<void>(swept);
    const cache::CachingCounts& counts = store.counts();
    context.output().Print(
        Message("summary")
            .With("hits", counts.hits)
            .With("misses", counts.misses)
            .With("hit_bytes", counts.hit_bytes)
            .With("copied", filler.counts().copied)
            .With("not_copied", counts.skipped)
            .Says(fmt::format("{}, {}, {} copied",
                              Counted(static_cast<uint64_t>(counts.hits), "hit"),
                              Counted(static_cast<uint64_t>(counts.misses), "miss", "misses"),
                              FormatCount(static_cast<uint64_t>(filler.counts().copied)))));
    if (!stopped) co_return stopped.error();
    co_return ExitCode::kInterrupted;  // Or whichever signal it was.
  }

  std::string source_;
  std::string to_;
  std::chrono::milliseconds ttl_{0};
  std::string listen_ = "127.0.0.1:9000";
  bool strict_ = false;
  bool writes_ = false;
  int64_t transfers_ = 16;
  std::string access_key_id_;
  std::string secret_access_key_;
  bool take_bucket_ = false;
  StateFlag state_flag_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCacheServeCommand() { return std::make_unique<CacheServeCommand>(); }

}  // namespace longhaul
