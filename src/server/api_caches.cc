// Fills of caches, by the API: in the words of Amazon's caching solution, whose clients send the
// same document here.

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cache/fill.h"
#include "cache/run_book.h"
#include "rules/cache_settings.h"
#include "server/api.h"
#include "server/api_json.h"
#include "transfer/object/upload_records.h"

namespace longhaul {

namespace {

constexpr size_t kCachePrefixesMax = 1000;
constexpr int kFillsMax = 8;  // Of this process at once.
constexpr int kInFlight = 32;
constexpr double kTtlHoursMax = 1e6;  // What is more than the greatest is told by the fill's check.

std::string FillId(const std::string& cache, int64_t number) {
  return "fill " + cache + " " + std::to_string(number);
}

// The result as that solution's clients read it.
boost::json::object ResultOf(const cache::Place& place, const cache::Run& run, SystemTime now) {
  boost::json::array waiting;
  boost::json::array failed;
  for (const cache::Run::OfPrefix& of : run.unfinished) {
    if (of.waiting > 0) waiting.emplace_back(of.prefix);
    if (of.failed == 0 && of.not_listed.empty()) continue;
    failed.emplace_back(
        boost::json::object{{"prefix", of.prefix},
                            {"numberOfTasksFailed", of.failed},
                            {"jobReport", "/v1/cache/runs/" + std::to_string(run.number)},
                            {"sk", std::to_string(run.number)},
                            {"reason", JsonText(of.not_listed)}});
  }
  const bool running = run.phase == RunPhase::kRunning && cache::IsAlive(run, now);
  if (running) {
    for (const std::string& prefix : run.prefixes) waiting.emplace_back(prefix);
  }
  boost::json::object result;
  if (run.ttl.count() % 3600 == 0) {
    result["ttl"] = run.ttl.count() / 3600;
  } else {
    result["ttl"] = static_cast<double>(run.ttl.count()) / 3600;
  }
  result["bucket"] = run.source_name;
  result["prefixes"] = waiting;
  result["directory_bucket"] = place.bucket;
  result["force_copy"] = run.force;
  result["WaitingForJobs"] = !waiting.empty();
  if (!failed.empty()) {
    result["Error"] = "Some of the Jobs failed";
  } else if (run.phase == RunPhase::kStopped) {
    result["Error"] = run.reason.empty() ? "the run was stopped" : run.reason;
  } else if (run.phase == RunPhase::kRunning && !running) {
    result["Error"] = "the process of the run is gone";
  } else {
    result["Error"] = nullptr;
  }
  result["FailedJobs"] = std::move(failed);
  result["start_time"] = FormatRfc3339(run.started);
  result["main_workflow"] = std::to_string(run.number);
  return result;
}

boost::json::object JsonOf(const cache::RunCost::Items& items) {
  boost::json::object json;
  for (const auto& [item, pico] : items) json[item] = JsonOfPico(pico);
  return json;
}

boost::json::value JsonOf(const std::optional<cache::RunCost>& cost) {
  if (!cost) return nullptr;
  return boost::json::object{
      {"paid_pico_dollars", JsonOfPico(cache::RunCost::SumOf(cost->items))},
      {"paid_items", JsonOf(cost->items)},
      {"unknown_prices", boost::json::array(cost->unknown.begin(), cost->unknown.end())},
      {"batch_pico_dollars", JsonOfPico(cache::RunCost::SumOf(cost->batch))},
      {"batch_items", JsonOf(cost->batch)},
      {"storage_pico_dollars",
       cost->storage ? JsonOfPico(*cost->storage) : boost::json::value(nullptr)}};
}

boost::json::object JsonOf(const cache::Place& place, const cache::Run& run, SystemTime now) {
  const bool killed = run.phase == RunPhase::kRunning && !cache::IsAlive(run, now);
  boost::json::array prefixes;
  for (const std::string& prefix : run.prefixes) prefixes.emplace_back(prefix);
  boost::json::array waits_for(run.waits_for.begin(), run.waits_for.end());
  return {{"cache", place.Text()},
          {"number", run.number},
          {"phase", killed ? std::string_view("killed") : ToString(run.phase)},
          {"source", run.source_name},
          {"prefixes", std::move(prefixes)},
          {"force", run.force},
          {"ttl_seconds", run.ttl.count()},
          {"started", FormatRfc3339(run.started)},
          {"ended", JsonTime(run.ended)},
          {"reason", JsonText(run.reason)},
          {"hits", run.counts.hits},
          {"copied", run.counts.copied},
          {"bytes", run.counts.bytes},
          {"gone", run.counts.gone},
          {"failed", run.counts.failed},
          {"inherited", run.counts.inherited},
          {"waiting", run.counts.waiting},
          {"waits_for", std::move(waits_for)},
          {"cost", JsonOf(run.cost)}};
}

boost::json::object DetailOf(const cache::Place& place, const cache::Run& run, SystemTime now) {
  boost::json::object json = JsonOf(place, run, now);
  boost::json::array failures;
  for (const cache::Run::Failure& failure : run.failures) {
    failures.emplace_back(boost::json::object{{"key", failure.key}, {"reason", failure.reason}});
  }
  json["failures"] = std::move(failures);
  json["result"] = ResultOf(place, run, now);
  return json;
}

// What a store said of a part of the request; what may be better in a moment stays what it is.
Error AtField(std::string_view field, const Error& error) {
  return error.Transient() ? error : FieldError(field, error.Describe());
}

}  // namespace

Async<Api::Json> Api::ListCacheRuns(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<size_t> skip = query.Skip();
  if (!skip) co_return skip.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  Result<std::vector<cache::Place>> places = co_await cache::AllPlaces(context_.state);
  if (!places) co_return places.error();
  const SystemTime now = context_.runtime.clock.Now();
  std::vector<std::pair<SystemTime, Json>> all;
  for (const cache::Place& place : *places) {
    cache::RunBook book(context_.runtime, context_.state, place);
    Result<std::vector<cache::Run>> runs = co_await book.All();
    if (!runs) co_return runs.error();
    for (const cache::Run& run : *runs) {
      if (run.kind == cache::RunKind::kFill) all.emplace_back(run.started, JsonOf(place, run, now));
    }
  }
  std::ranges::sort(all, std::ranges::greater(), &std::pair<SystemTime, Json>::first);
  boost::json::array list;
  for (size_t i = *skip; i < all.size() && std::cmp_less(list.size(), *limit); ++i) {
    list.emplace_back(std::move(all[i].second));
  }
  std::optional<std::string> next;
  if (*skip + list.size() < all.size()) {
    next = EncodeCursor({std::to_string(*skip + list.size())});
  }
  co_return Json{{"runs", std::move(list)}, {"next", JsonCursor(next)}};
}

Async<void> Api::TellCacheRuns() {
  cache_runs_changed_ = false;
  Result<std::vector<cache::Place>> places = co_await cache::AllPlaces(context_.state);
  if (!places) co_return places.error();
  const SystemTime now = context_.runtime.clock.Now();
  std::vector<SeenRun> seen;
  for (const cache::Place& place : *places) {
    cache::RunBook book(context_.runtime, context_.state, place);
    Result<std::vector<cache::Run>> runs = co_await book.All();
    if (!runs) co_return runs.error();
    for (const cache::Run& run : *runs) {
      if (run.kind != cache::RunKind::kFill) continue;
      seen.push_back({.id = FillId(place.Text(), run.number),
                      .json = JsonOf(place, run, now),
                      .ended = run.ended});
    }
  }
  TellChanged("cache_runs", told_cache_runs_, std::move(seen));
  co_return Ok();
}

Async<Api::FoundCacheRun> Api::FindCacheRun(const ApiRequest& request) {
  ApiQuery query(request);
  const std::optional<std::string> wanted = query.Text("cache");
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  int64_t number = 0;
  const std::string& text = request.arguments[0];
  auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (bad != std::errc() || end != text.data() + text.size() || number < 1) {
    co_return NotFound("there is no run '" + text + "'");
  }
  Result<std::vector<cache::Place>> places = co_await cache::AllPlaces(context_.state);
  if (!places) co_return places.error();
  if (wanted) {
    std::erase_if(*places, [&](const cache::Place& place) { return place.Text() != *wanted; });
  }
  if (places->empty()) co_return NotFound("no such cache is known to this state");
  if (places->size() > 1) co_return FieldError("cache", "there are several caches; name one");
  cache::RunBook book(context_.runtime, context_.state, places->front());
  Result<cache::Run> run = co_await book.Find(number);
  if (!run) co_return run.error();
  co_return FoundCacheRun{.place = std::move(places->front()), .run = std::move(*run)};
}

Async<Api::Json> Api::GetCacheRun(const ApiRequest& request) {
  Result<FoundCacheRun> found = co_await FindCacheRun(request);
  if (!found) co_return found.error();
  co_return DetailOf(found->place, found->run, context_.runtime.clock.Now());
}

Async<Api::Json> Api::StopCacheRun(const ApiRequest& request) {
  Result<void> known = ApiBody(request.body).Finish();
  if (!known) co_return known.error();
  Result<FoundCacheRun> found = co_await FindCacheRun(request);
  if (!found) co_return found.error();
  if (!background_.Stop(FillId(found->place.Text(), found->run.number))) {
    const SystemTime now = context_.runtime.clock.Now();
    const bool lives = found->run.phase == RunPhase::kRunning && cache::IsAlive(found->run, now);
    co_return PreconditionFailed(lives ? "another process is at work on it; stop that one"
                                       : "the run has ended");
  }
  co_return DetailOf(found->place, found->run, context_.runtime.clock.Now());
}

// A plain name is a bucket of the one store that there is.
Result<Address> Api::BucketOf(std::string_view field, const std::string& text) const {
  const std::map<std::string, StoreSettings>& stores = context_.configuration.stores;
  std::string whole = text;
  if (text.find(':') == std::string::npos && stores.size() == 1) {
    whole = stores.begin()->first + ":" + text;
  }
  Result<Address> address = ParseCachePlace(whole);
  if (!address || !stores.contains(address->store)) {
    std::string names;
    for (const auto& [name, settings] : stores) names += (names.empty() ? "" : ", ") + name;
    return FieldError(field,
                      "write STORE:BUCKET with a store of the configuration (" + names + ")");
  }
  return address;
}

Result<void> Api::CheckFree(std::string_view field, const Address& place, Use use) const {
  const std::optional<std::string> taken =
      FindInUse(context_.configuration,
                SpaceOf(context_.configuration.stores.at(place.store), place, context_.place_of),
                use, context_.place_of);
  return taken ? Result<void>(FieldError(field, "overlaps " + *taken)) : Ok();
}

Async<Api::Json> Api::CreateCacheRun(const ApiRequest& request) {
  ApiBody body(request.body);
  Result<std::optional<double>> ttl = body.Number("ttl");
  if (!ttl) co_return ttl.error();
  Result<std::optional<std::string>> bucket = body.Text("bucket");
  if (!bucket) co_return bucket.error();
  Result<std::vector<std::string>> prefixes = body.Texts("prefixes", kCachePrefixesMax, 1024);
  if (!prefixes) co_return prefixes.error();
  Result<std::optional<std::string>> to = body.Text("directory_bucket");
  if (!to) co_return to.error();
  Result<std::optional<bool>> force = body.Boolean("force_copy");
  if (!force) co_return force.error();
  Result<std::optional<bool>> take = body.Boolean("take_bucket");
  if (!take) co_return take.error();
  Result<void> known = body.Finish();
  if (!known) co_return known.error();
  if (!*ttl) co_return FieldError("ttl", "is missing: hours that the copies live");
  if (!*bucket) co_return FieldError("bucket", "is missing: where the objects are");
  if (prefixes->empty()) {
    co_return FieldError("prefixes",
                         "is missing: what keys begin with; [\"\"] is the whole bucket");
  }
  if (!*to) co_return FieldError("directory_bucket", "is missing: where the copies go");
  if (!*force) co_return FieldError("force_copy", "is missing: true copies what is there, too");
  const std::chrono::seconds lifetime{
      std::llround(std::clamp(**ttl, -kTtlHoursMax, kTtlHoursMax) * 3600)};
  Result<void> lives = cache::CheckTtl(lifetime);
  if (!lives) co_return FieldError("ttl", lives.error().message);
  Result<Address> from = BucketOf("bucket", **bucket);
  if (!from) co_return from.error();
  if (!from->prefix.empty())
    co_return FieldError("bucket", "has a prefix; give those by `prefixes`");
  Result<Address> target = BucketOf("directory_bucket", **to);
  if (!target) co_return target.error();
  Result<void> free = CheckFree("directory_bucket", *target, Use::kCache);
  if (!free) co_return free.error();
  cache::FillStores stores(context_.open_counted);
  Result<void> opened = stores.OpenSource(*from);
  if (!opened) co_return AtField("bucket", opened.error());
  opened = stores.OpenTarget(*target);
  if (!opened) co_return AtField("directory_bucket", opened.error());
  cache::FillRequest wanted{.source = stores.source(),
                            .source_bucket = from->bucket,
                            .prefixes = std::move(*prefixes),
                            .target = stores.target(),
                            .bucket = target->bucket,
                            .target_prefix = target->prefix,
                            .ttl = lifetime,
                            .force = **force,
                            .wait = true,
                            .take_bucket = take->value_or(false),
                            .source_name = from->store + ":" + from->bucket};
  Result<void> there = co_await wanted.source.HeadBucket(from->bucket);
  if (!there) co_return AtField("bucket", there.error());
  Result<void> cached = co_await cache::CheckCache(context_.state, wanted);
  if (!cached) co_return AtField("directory_bucket", cached.error());
  Result<void> listed = co_await cache::CheckSource(wanted);
  if (!listed) co_return AtField("prefixes", listed.error());
  if (background_.Count("fill ") >= kFillsMax) {
    co_return PreconditionFailed(std::to_string(kFillsMax) +
                                 " fills are under way in this process; wait until one has ended");
  }
  const cache::Place place{.store = wanted.target.description(), .bucket = wanted.bucket};
  cache::FillBill bill = stores.BillAt(Prices(context_.prices));
  auto fill = std::make_shared<OwnFill>(
      OwnFill{.stores = std::move(stores), .request = std::move(wanted), .bill = std::move(bill)});
  // Known by its number when it has one: until then by what nobody asks for.
  auto begun = std::make_shared<FillBegun>();
  const std::string id = "fill " + NewUlid(context_.runtime.clock.Now(), context_.runtime.random);
  const bool started = background_.Start(
      id, [this, fill, begun](Event& stop) { return CarryFill(fill, begun, stop); });
  if (!started) co_return Retryable("this process ends");
  co_await begun->known.Wait();
  if (begun->error) co_return *begun->error;
  background_.Rename(id, FillId(place.Text(), begun->number));
  cache::RunBook book(context_.runtime, context_.state, place);
  Result<cache::Run> run = co_await book.Find(begun->number);
  if (!run) co_return run.error();
  co_return DetailOf(place, *run, context_.runtime.clock.Now());
}

asio::awaitable<void> Api::CarryFill(std::shared_ptr<OwnFill> fill,
                                     std::shared_ptr<FillBegun> begun, Event& stop) {
  Runtime& runtime = context_.runtime;
  UploadRecords uploads(runtime, context_.state, ThisProcess(), "", fill->request.target_prefix);
  cache::FillOptions options{
      .in_flight = kInFlight, .uploads = &uploads, .stop = &stop, .bill = &fill->bill};
  options.on_begin = [this, &begun](const cache::Run& run) {
    cache_runs_changed_ = true;
    begun->number = run.number;
    begun->known.Set();
  };
  Result<cache::FillResult> filled =
      co_await cache::Fill(runtime, context_.state, fill->request, std::move(options));
  cache_runs_changed_ = true;
  if (filled) co_return;
  if (!begun->known.is_set()) {
    begun->error = filled.error();
    begun->known.Set();
  }
  if (!stop.is_set()) runtime.log.Warning("a fill has ended", {filled.error()});
}

}  // namespace longhaul
