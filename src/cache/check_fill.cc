#include <fmt/format.h>

#include "cache/fill.h"

namespace longhaul::cache {

namespace {

// A source that lets itself be listed, and not be read, is told of by its first object.
Async<void> LookBelow(const FillRequest& request, std::string prefix) {
  Result<ListPage> page = co_await request.source.List(
      {.bucket = request.source_bucket, .prefix = prefix, .count_max = 1});
  if (!page) co_return page.error();
  // A page without objects may have more behind it.
  while (page->objects.empty() && !page->next_token.empty()) {
    page = co_await request.source.List({.bucket = request.source_bucket,
                                         .prefix = prefix,
                                         .token = page->next_token,
                                         .count_max = 1});
    if (!page) co_return page.error();
  }
  if (page->objects.empty()) {
    if (prefix.empty()) co_return Ok();
    co_return NotFound(
        fmt::format("there is no object below {}/{}", request.source_bucket, prefix));
  }
  Result<ObjectInfo> head = co_await request.source.Head(
      {.bucket = request.source_bucket, .key = page->objects.front().key});
  if (!head && head.error().kind != ErrorKind::kNotFound) co_return head.error();
  co_return Ok();
}

Async<void> LookAtCache(State& state, const FillRequest& request) {
  Result<void> there = co_await request.target.HeadBucket(request.bucket);
  if (!there) co_return there.error();
  Result<bool> known = co_await IsKnownPlace(
      state, {.store = request.target.description(), .bucket = request.bucket});
  if (!known) co_return known.error();
  if (*known || request.take_bucket) co_return Ok();
  Result<ListPage> page = co_await request.target.List({.bucket = request.bucket, .count_max = 1});
  if (!page) co_return page.error();
  if (page->objects.empty() && page->next_token.empty()) co_return Ok();
  co_return InvalidInput(
      fmt::format("the bucket {} holds objects that no fill is known to have put there, and a "
                  "cache overwrites and removes what lies under its keys: give an empty bucket, "
                  "or say that it is to be taken (--take-bucket, `take_bucket` of the API)",
                  request.bucket));
}

Result<void> CheckTwoBuckets(const FillRequest& request) {
  if (&request.source != &request.target || request.source_bucket != request.bucket) return Ok();
  return InvalidInput("a bucket cannot be its own cache: " + request.bucket);
}

}  // namespace

Result<void> CheckTtl(std::chrono::seconds ttl) {
  if (ttl >= kTtlMin && ttl <= kTtlMax) return Ok();
  if (ttl.count() == 0) {
    return InvalidInput(fmt::format(
        "a time to live of 0, or none: it has to be one minute to {} days (--ttl, `ttl`)",
        kTtlMax / std::chrono::hours(24)));
  }
  return InvalidInput(fmt::format("a time to live of {} is not between one minute and {} days",
                                  ttl.count() % 3600 == 0 ? fmt::format("{}h", ttl.count() / 3600)
                                                          : fmt::format("{}s", ttl.count()),
                                  kTtlMax / std::chrono::hours(24)));
}

Async<void> CheckSource(const FillRequest& request) {
  for (const std::string& prefix : request.prefixes) {
    Result<void> looked = co_await LookBelow(request, prefix);
    if (!looked) {
      co_return looked.error().In(fmt::format("read {}/{}", request.source_bucket, prefix));
    }
  }
  co_return Ok();
}

Async<void> CheckCache(State& state, const FillRequest& request) {
  Result<void> two = CheckTwoBuckets(request);
  if (!two) co_return two.error();
  Result<void> cache = co_await LookAtCache(state, request);
  if (!cache) co_return cache.error().In("cache " + request.bucket);
  co_return Ok();
}

Async<void> CheckFill(Runtime, State& state, const FillRequest& request) {
  Result<void> ttl = CheckTtl(request.ttl);
  if (!ttl) co_return ttl.error();
  Result<void> two = CheckTwoBuckets(request);
  if (!two) co_return two.error();
  Result<void> source = co_await CheckSource(request);
  if (!source) co_return source.error();
  co_return co_await CheckCache(state, request);
}

}  // namespace longhaul::cache
