// Migration runs, by the API.

#include <algorithm>

#include "migration/request.h"
#include "migration/start.h"
#include "migration/status.h"
#include "server/api.h"
#include "server/api_json.h"

namespace longhaul {

namespace {

constexpr size_t kRunPrefixesMax = 1000;

boost::json::object JsonOf(const migration::RunStatus& status) {
  const migration::Run& run = status.run;
  boost::json::array failed;
  for (const migration::FindRow& find : status.finds) {
    if (find.failure.empty()) continue;
    failed.emplace_back(boost::json::object{{"prefix", find.prefix}, {"reason", find.failure}});
  }
  const std::optional<std::chrono::seconds> left = status.time_left();
  return {{"id", run.id},
          {"state", status.state()},
          {"source", run.source.ToString()},
          {"target", run.target.ToString()},
          {"started", FormatRfc3339(run.started)},
          {"started_by", run.started_by},
          {"starts", run.starts},
          {"finished", JsonTime(run.finished)},
          {"listing", !status.all_listed},
          {"listed", status.listed},
          {"listed_bytes", status.listed_bytes},
          {"equal", status.there_before + status.done.equal},
          {"named_by_events", status.named},
          {"copied", status.done.copied},
          {"copied_bytes", status.done.bytes},
          {"running", status.running},
          {"running_bytes", status.running_bytes},
          {"pending", status.pending},
          {"pending_bytes", status.pending_bytes},
          {"tasks_running", status.tasks_running},
          {"tasks_waiting", status.tasks_waiting},
          {"failed", status.failed},
          {"gone", status.gone},
          {"workers", status.workers.size()},
          {"objects_per_second", status.objects_per_second},
          {"bytes_per_second", status.bytes_per_second},
          {"seconds_left", left ? boost::json::value(left->count()) : boost::json::value(nullptr)},
          {"prefixes_failed", std::move(failed)}};
}

Result<void> ReadOptions(const boost::json::object& object, MigrationOptions& options) {
  ApiBody body(object);
  Result<std::optional<bool>> size_only = body.Boolean("size_only");
  if (!size_only) return size_only.error();
  Result<std::optional<bool>> checksum = body.Boolean("checksum");
  if (!checksum) return checksum.error();
  Result<std::optional<bool>> update = body.Boolean("update");
  if (!update) return update.error();
  Result<std::optional<std::string>> storage_class = body.Text("storage_class", 64);
  if (!storage_class) return storage_class.error();
  Result<std::optional<std::string>> kms_key = body.Text("kms_key");
  if (!kms_key) return kms_key.error();
  Result<std::optional<int64_t>> tries = body.Integer("tries", 1, 100);
  if (!tries) return tries.error();
  options.compare.size_only = size_only->value_or(false);
  options.compare.checksum = checksum->value_or(false);
  options.compare.update = update->value_or(false);
  options.storage_class = storage_class->value_or("");
  options.kms_key = kms_key->value_or("");
  if (*tries) options.tries_max = static_cast<int>(**tries);
  return body.Finish();
}

// `field`: empty where the request has none for it.
Error OfField(std::string_view field, const Error& error) {
  return field.empty() ? InvalidInput(error.Describe()) : FieldError(field, error.Describe());
}

}  // namespace

Api::Json Api::ListMigrations() const {
  boost::json::array migrations;
  for (const Migration& one : context_.migrations) {
    migrations.emplace_back(Json{{"id", one.id},
                                 {"source", one.source.ToString()},
                                 {"target", one.target.ToString()},
                                 {"schedule", JsonText(one.triggers.schedule)},
                                 {"after", JsonText(one.triggers.after)}});
  }
  boost::json::array stores;
  for (const auto& [name, settings] : context_.configuration.stores) stores.emplace_back(name);
  return {{"migrations", std::move(migrations)}, {"stores", std::move(stores)}};
}

Async<Api::Json> Api::MigrationRun(std::string id) {
  migration::RunBook book(context_.runtime, context_.state);
  Result<std::optional<migration::Run>> run = co_await book.Find(id);
  if (!run) co_return run.error();
  if (!*run) co_return NotFound("there is no run '" + id + "'");
  Result<migration::RunStatus> status =
      co_await migration::ReadStatus(context_.state, context_.runtime.clock, std::move(**run));
  if (!status) co_return status.error();
  co_return JsonOf(*status);
}

Async<Api::Json> Api::ListMigrationRuns(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<std::string> after = query.Cursor();
  if (!after) co_return after.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  migration::RunBook book(context_.runtime, context_.state);
  Result<std::vector<migration::Run>> runs = co_await book.All();
  if (!runs) co_return runs.error();
  std::ranges::sort(*runs, {}, &migration::Run::id);
  boost::json::array list;
  std::optional<std::string> next;
  std::string last;
  for (migration::Run& run : *runs) {
    if (run.id <= *after) continue;
    if (std::cmp_equal(list.size(), *limit)) {
      next = EncodeCursor({last});
      break;
    }
    last = run.id;
    Result<migration::RunStatus> status =
        co_await migration::ReadStatus(context_.state, context_.runtime.clock, std::move(run));
    if (!status) co_return status.error();
    list.emplace_back(JsonOf(*status));
  }
  co_return Json{{"runs", std::move(list)}, {"next", JsonCursor(next)}};
}

Async<Api::Json> Api::StartRunOf(Migration migration, std::vector<std::string> prefixes,
                                 RunFields fields) {
  Result<migration::Run> run = migration::RunOf(context_.configuration, migration,
                                                context_.runtime.clock.Now(), context_.place_of);
  if (!run) co_return run.error();
  // What is wrong with a bucket as a whole is told here, not by each object.
  for (const Address* end : {&run->source, &run->target}) {
    Result<void> checked =
        co_await migration::CheckEnd(*end, *context_.replication.stores.at(end->store),
                                     end == &run->source && !run->options.events);
    if (checked) continue;
    if (checked.error().Transient()) co_return checked.error();
    // Whoever asked named it: nothing here is missing or away.
    co_return OfField(end == &run->source ? fields.source : fields.target, checked.error());
  }
  Result<Queue*> queue = co_await context_.migrations_queue();
  if (!queue) co_return queue.error();
  const std::string id = migration.id;
  Result<migration::Run> started =
      co_await migration::StartRun(context_.runtime, **queue, context_.state,
                                   {.migration = std::move(migration),
                                    .source_place = run->source_place,
                                    .target_place = run->target_place,
                                    .prefixes = std::move(prefixes)});
  if (!started && started.error().kind == ErrorKind::kInvalidInput) {
    co_return OfField(fields.id, started.error());
  }
  if (!started) co_return started.error();
  co_return co_await MigrationRun(id);
}

Async<Api::Json> Api::CreateMigrationRun(const ApiRequest& request) {
  ApiBody body(request.body);
  Result<std::optional<std::string>> named = body.Text("migration");
  if (!named) co_return named.error();
  Result<std::optional<std::string>> source = body.Text("source");
  if (!source) co_return source.error();
  Result<std::optional<std::string>> target = body.Text("target");
  if (!target) co_return target.error();
  Result<std::optional<std::string>> id = body.Text("id", 64);
  if (!id) co_return id.error();
  Result<std::vector<std::string>> prefixes = body.Texts("prefixes", kRunPrefixesMax, 1024);
  if (!prefixes) co_return prefixes.error();
  Result<const boost::json::object*> options = body.Object("options");
  if (!options) co_return options.error();
  Result<void> known = body.Finish();
  if (!known) co_return known.error();
  if (*named) {
    if (*source || *target || *id || *options != nullptr) {
      co_return FieldError("migration", "says all but prefixes; leave the rest out");
    }
    const Migration* found = FindMigration(context_.migrations, **named);
    if (found == nullptr) co_return FieldError("migration", "is none of the configuration");
    co_return co_await StartRunOf(
        *found, std::move(*prefixes),
        {.source = "migration", .target = "migration", .id = "migration"});
  }
  if (!*source) co_return FieldError("source", "is missing; write NAME:bucket/prefix");
  if (!*target) co_return FieldError("target", "is missing; write NAME:bucket/prefix");
  Result<Migration> migration = migration::MigrationBetween(
      context_.configuration, context_.migrations, **source, **target, *id);
  if (!migration) {
    if (migration.error().code.empty()) co_return migration.error();
    co_return FieldError(migration.error().code, migration.error().message);
  }
  if (*options != nullptr) {
    Result<void> read = ReadOptions(**options, migration->options);
    if (!read) co_return read.error();
  }
  co_return co_await StartRunOf(std::move(*migration), std::move(*prefixes),
                                {.source = "source", .target = "target", .id = "id"});
}

Async<Api::Json> Api::StartMigrationRun(const ApiRequest& request) {
  const std::string& id = request.arguments[0];
  Result<void> known = ApiBody(request.body).Finish();
  if (!known) co_return known.error();
  if (const Migration* listed = FindMigration(context_.migrations, id)) {
    co_return co_await StartRunOf(*listed, {}, {});
  }
  migration::RunBook book(context_.runtime, context_.state);
  Result<std::optional<migration::Run>> run = co_await book.Find(id);
  if (!run) co_return run.error();
  if (!*run) co_return NotFound("there is no run '" + id + "'");
  for (const Address* address : {&(*run)->source, &(*run)->target}) {
    if (context_.configuration.stores.contains(address->store)) continue;
    co_return PreconditionFailed("this configuration has no store '" + address->store + "'");
  }
  Migration again{
      .id = id, .source = (*run)->source, .target = (*run)->target, .options = (*run)->options};
  co_return co_await StartRunOf(std::move(again), {}, {});
}

Async<Api::Json> Api::StopMigrationRun(const ApiRequest& request) {
  Result<void> known = ApiBody(request.body).Finish();
  if (!known) co_return known.error();
  Result<migration::Run> stopped =
      co_await migration::StopRun(context_.runtime, context_.state, request.arguments[0]);
  if (!stopped) co_return stopped.error();
  co_return co_await MigrationRun(request.arguments[0]);
}

Async<Api::Json> Api::RetryMigrationRun(const ApiRequest& request) {
  Result<void> known = ApiBody(request.body).Finish();
  if (!known) co_return known.error();
  Result<Queue*> queue = co_await context_.migrations_queue();
  if (!queue) co_return queue.error();
  Result<migration::Retried> retried =
      co_await migration::RetryRun(context_.runtime, **queue, context_.state, request.arguments[0]);
  if (!retried) co_return retried.error();
  co_return Json{{"run", request.arguments[0]},
                 {"objects", retried->objects},
                 {"prefixes", retried->prefixes}};
}

Async<Api::Json> Api::ListMigrationObjects(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  const std::string state = query.Text("state").value_or("any");
  if (state != "any" && state != "pending" && state != "running" && state != "failed" &&
      state != "gone") {
    co_return FieldError("state", "is none of any, pending, running, failed, gone");
  }
  Result<size_t> skip = query.Skip();
  if (!skip) co_return skip.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  const std::string& id = request.arguments[0];
  migration::RunBook book(context_.runtime, context_.state);
  Result<std::optional<migration::Run>> run = co_await book.Find(id);
  if (!run) co_return run.error();
  if (!*run) co_return NotFound("there is no run '" + id + "'");
  boost::json::array list;
  std::optional<std::string> next;
  size_t seen = 0;
  Result<void> read = co_await migration::ReadObjects(
      context_.state, context_.runtime.clock, id, [&](const migration::ObjectStatus& object) {
        if (state != "any" && state != ToString(object.state)) return true;
        if (seen++ < *skip) return true;
        if (std::cmp_equal(list.size(), *limit)) {
          next = EncodeCursor({std::to_string(*skip + list.size())});
          return false;
        }
        list.emplace_back(Json{{"name", object.object.name},
                               {"state", ToString(object.state)},
                               {"size", object.object.size_bytes},
                               {"tries", object.object.tries},
                               {"reason", JsonText(object.reason)}});
        return true;
      });
  if (!read) co_return read.error();
  co_return Json{{"objects", std::move(list)}, {"next", JsonCursor(next)}};
}

}  // namespace longhaul
