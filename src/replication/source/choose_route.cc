#include "replication/source/choose_route.h"

#include <algorithm>
#include <string>
#include <utility>

#include "archive/frame_codec.h"

namespace longhaul {

namespace {

// Few: those that come after them profit from what these have taught.
constexpr int kSamplesAtOnce = 4;

// What is known of its kind, or a sample of it.
Async<void> Choose(ReplicationContext& context, const RuleContext& rule,
                   const PendingKeys::Item& item, char& carried) {
  const auto& [key, pending] = item;
  Result<double> share = co_await SampleOf(context, rule, key, *pending.size_bytes);
  if (!share) co_return Ok();
  const bool shrinks = *share <= kShrinksTo;
  context.kinds.Learn(rule.rule->id, key, shrinks);
  carried = shrinks ? 0 : 1;
  co_return Ok();
}

}  // namespace

bool ContentDecides(const ReplicationLimits& limits, const Rule& rule, uint64_t size_bytes) {
  return rule.transport == Transport::kAuto && size_bytes >= limits.carried_object_bytes_min;
}

Async<double> SampleOf(ReplicationContext& context, const RuleContext& rule, std::string key,
                       uint64_t size_bytes) {
  const int level = rule.rule->compression_level;
  const uint64_t size = std::min(context.limits.sample_bytes, size_bytes);
  if (level == 0 || size == 0) co_return 1.0;
  const size_t bound = archive::FrameCompressor::BoundBytes(size);
  Result<Reservation> memory = co_await context.runtime.memory.Reserve(
      static_cast<int64_t>(size + bound + archive::FrameCompressor::ContextBytes(level, size)));
  if (!memory) co_return memory.error();
  Result<ObjectStream> stream = co_await rule.source->Get(
      {.bucket = rule.rule->source.bucket,
       .key = std::move(key),
       .range = ByteRange{.offset_bytes = (size_bytes - size) / 2, .size_bytes = size}});
  if (!stream) co_return stream.error();
  std::vector<std::byte> sample(size);
  size_t filled = 0;
  while (filled < sample.size()) {
    Result<size_t> count = co_await stream->body->Read(std::span(sample).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return Retryable("the body ended early");
    filled += *count;
  }
  stream->body.reset();
  context.bytes_moved += size;
  Result<size_t> compressed = co_await context.runtime.pool.Run([&sample, level, bound] {
    archive::FrameCompressor compressor(level, sample.size());
    std::vector<std::byte> out(bound);
    return compressor.Compress(sample, out);
  });
  if (!compressed) co_return compressed.error();
  co_return static_cast<double>(*compressed) / static_cast<double>(size);
}

asio::awaitable<std::vector<bool>> ChooseRoutes(ReplicationContext& context,
                                                const RuleContext& rule,
                                                std::span<const PendingKeys::Item> items) {
  std::vector<char> carried(items.size(), 0);  // (Bits could not be told apart by reference.)
  TaskGroup samples(context.runtime.executor);
  for (size_t i = 0; i < items.size(); ++i) {
    const auto& [key, pending] = items[i];
    // What is planned of a giant goes on as planned, and attributes have no bytes.
    if (pending.segment || pending.attributes) continue;
    if (!ContentDecides(context.limits, *rule.rule, pending.size_bytes.value_or(0))) continue;
    co_await samples.WaitBelow(kSamplesAtOnce);
    const ContentKinds::Answer answer = context.kinds.Ask(rule.rule->id, key);
    carried[i] = answer == ContentKinds::Answer::kDoesNotShrink ? 1 : 0;
    if (answer != ContentKinds::Answer::kTakeSample) continue;
    samples.Spawn(Choose(context, rule, items[i], carried[i]));
  }
  Result<void> joined = co_await samples.Join();
  static_cast<void>(joined);
  co_return std::vector<bool>(carried.begin(), carried.end());
}

}  // namespace longhaul
