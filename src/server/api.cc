#include "server/api.h"

#include <algorithm>

#include "base/json.h"
#include "base/version.h"
#include "replication/rule_orders.h"
#include "server/api_json.h"
#include "server/openapi.h"
#include "server/static_files.h"

namespace longhaul {

namespace {

constexpr double kRequestsPerSecond = 100;
constexpr double kRequestsBurst = 300;
// Of one address; then it waits, whatever token it sends.
constexpr double kWrongTokensPerSecond = 0.2;
constexpr double kWrongTokensBurst = 20;

struct Problem {
  int status;
  std::string_view code;
};

Problem ProblemOf(const Error& error) {
  if (error.http_status == 405) return {405, "MethodNotAllowed"};
  if (error.code == "EntityTooLarge") return {413, "TooLarge"};
  switch (error.kind) {
    case ErrorKind::kInvalidInput:
      return {400, "InvalidInput"};
    case ErrorKind::kNotFound:
      return {404, "NotFound"};
    case ErrorKind::kPrecondition:
      return {409, "Conflict"};
    case ErrorKind::kRetryable:
    case ErrorKind::kThrottled:
    case ErrorKind::kDenied:
    case ErrorKind::kCorrupt:
    case ErrorKind::kCancelled:
      return {503, "Unavailable"};
  }
  return {500, "Internal"};
}

asio::awaitable<void> Send(HttpServerResponse& response, int status, std::string_view type,
                           std::string body) {
  response.status = status;
  SetSecurityHeaders(response.headers);
  response.headers.Set("Content-Type", std::string(type));
  response.headers.Set("Cache-Control", "no-store");
  // A client that has gone away needs no answer.
  Result<void> sent = co_await response.Send(std::move(body));
  static_cast<void>(sent);
}

asio::awaitable<void> Refuse(HttpServerResponse& response, int status, std::string_view code,
                             const std::string& message, boost::json::value field = nullptr) {
  boost::json::object error{{"code", code}, {"message", message}, {"field", std::move(field)}};
  co_await Send(response, status, "application/json",
                WriteJson(boost::json::object{{"error", std::move(error)}}) + "\n");
}

asio::awaitable<void> Refuse(HttpServerResponse& response, const Error& error) {
  const Problem problem = ProblemOf(error);
  boost::json::value field = nullptr;
  if (error.code.starts_with("field:")) field = boost::json::value(error.code.substr(6));
  Error shown = error;
  if (!field.is_null() || error.code == kNotBelowRule) shown.code.clear();
  if (problem.status == 503 && error.retry_after.count() == 0) {
    response.headers.Set("Retry-After", "2");
  }
  co_await Refuse(response, problem.status, problem.code,
                  problem.status == 400 ? shown.message : shown.Describe(), std::move(field));
}

std::string AddressOf(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

bool IsJson(std::string_view type) {
  return type.substr(0, type.find_first_of("; ")) == "application/json";
}

}  // namespace

Api::Api(ApiContext context)
    : context_(std::move(context)),
      access_(context_.settings,
              context_.configuration.listen.value_or(ListenAddress{.host = "127.0.0.1"}),
              context_.configuration.token),
      rate_(kRequestsPerSecond, kRequestsBurst),
      wrong_tokens_(kWrongTokensPerSecond, kWrongTokensBurst),
      audit_(context_.runtime, context_.state),
      history_(context_.runtime, context_.state, context_.configuration,
               context_.replication.owner),
      accounts_(context_.state, context_.configuration),
      background_(context_.runtime),
      parked_(context_.runtime.clock, context_.state, context_.configuration) {}

Api::~Api() = default;

bool Api::Owns(std::string_view path) { return path == "/v1" || path.starts_with("/v1/"); }

asio::awaitable<bool> Api::CheckOrigin(HttpServerRequest& request, HttpServerResponse& response) {
  const std::string_view host = request.headers().Get("Host");
  if (!access_.HostFits(host)) {
    co_await Refuse(response, 421, "Misdirected",
                    "this process is not known by that name of a host; list it under api.hosts");
    co_return false;
  }
  if (!ApiAccess::OriginFits(request.headers().Get("Origin"), host)) {
    co_await Refuse(response, 403, "Forbidden", "a page of another origin has no access");
    co_return false;
  }
  co_return true;
}

asio::awaitable<void> Api::Handle(HttpServerRequest& request, HttpServerResponse& response) {
  if (!co_await CheckOrigin(request, response)) co_return;
  const std::string peer = AddressOf(request.peer);
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  if (!rate_.Take(peer, now) || !wrong_tokens_.Take(peer, now, 0)) {
    response.headers.Set("Retry-After", "5");
    co_return co_await Refuse(response, 429, "TooManyRequests", "too many requests; wait a little");
  }
  std::string allowed;
  Result<ApiRequest> asked =
      ParseApiTarget(request.method(), request.path(), request.query(), &allowed);
  if (!asked) {
    if (asked.error().http_status == 405) response.headers.Set("Allow", allowed);
    co_return co_await Refuse(response, asked.error());
  }
  if (asked->route->operation == "getOpenApi") {
    co_return co_await Send(response, 200, "application/yaml", std::string(OpenApiText()));
  }
  const ApiCaller caller = access_.CallerOf(request.headers().Get("Authorization"));
  if (!caller.known) {
    if (!request.headers().Get("Authorization").empty()) wrong_tokens_.Take(peer, now);
    response.headers.Set("WWW-Authenticate", "Bearer");
    co_return co_await Refuse(response, 401, "Unauthorized",
                              "send 'Authorization: Bearer <token>' with a token of the "
                              "configuration");
  }
  co_await Serve(request, response, *asked, caller);
}

asio::awaitable<void> Api::Serve(HttpServerRequest& request, HttpServerResponse& response,
                                 ApiRequest& asked, const ApiCaller& caller) {
  if (asked.route->operation == "getStream") {
    if (request.method() == "HEAD") co_return co_await Send(response, 200, "text/event-stream", "");
    co_return co_await ServeStream(response);
  }
  std::optional<AuditEntry> entry;
  if (asked.route->method == "POST") {
    if (!caller.operate) {
      co_return co_await Refuse(response, 403, "Forbidden",
                                "the token may only look; this needs one with role: operate");
    }
    Result<std::string> body = co_await request.ReadBody(kApiBodyBytesMax);
    if (!body) {
      response.close = true;
      co_return co_await Refuse(response, body.error());
    }
    if (!body->empty() && !IsJson(request.headers().Get("Content-Type"))) {
      co_return co_await Refuse(response, 415, "UnsupportedMediaType",
                                "send JSON, with Content-Type: application/json");
    }
    Result<void> parsed = ParseApiBody(*body, asked);
    if (!parsed) co_return co_await Refuse(response, parsed.error());
    std::string subject;
    for (const std::string& one : asked.arguments) subject += (subject.empty() ? "" : "/") + one;
    Result<AuditEntry> begun = co_await audit_.Begin({.who = caller.who,
                                                      .role = caller.operate ? "operate" : "view",
                                                      .peer = AddressOf(request.peer),
                                                      .action = std::string(asked.route->operation),
                                                      .subject = std::move(subject),
                                                      .detail = AuditDetail(asked.body)});
    if (!begun) co_return co_await Refuse(response, begun.error());
    entry = std::move(*begun);
  }
  Result<Json> answer = co_await Dispatch(asked, caller);
  if (entry) {
    entry->status = answer ? asked.route->status : ProblemOf(answer.error()).status;
    Result<void> noted = co_await audit_.End(*entry);
    static_cast<void>(noted);  // The entry is there, without what came of it.
    Tell("audit", JsonOf(*entry));
    snapshot_.time = {};  // What was changed is to be seen at once.
  }
  if (!answer) co_return co_await Refuse(response, answer.error());
  co_await Send(response, asked.route->status, "application/json", WriteJson(*answer) + "\n");
}

Async<Api::Json> Api::Dispatch(const ApiRequest& request, const ApiCaller& caller) {
  const std::string_view operation = request.route->operation;
  if (operation == "getVersion") co_return Version(caller);
  if (operation == "getHealth") {
    Result<void> fresh = co_await Refresh(std::chrono::seconds(2));
    if (!fresh) co_return fresh.error();
    co_return Health(*snapshot_.sights);
  }
  if (operation == "listMembers") co_return co_await ListMembers(request);
  if (operation == "listFailures") co_return co_await ListFailures(request);
  if (operation == "listAudit") co_return co_await ListAudit(request);
  if (operation == "listRules") co_return co_await ListRules(request);
  if (operation == "getRule") co_return co_await GetRule(request);
  if (operation == "pauseRule") co_return co_await PauseOrResume(request, true);
  if (operation == "resumeRule") co_return co_await PauseOrResume(request, false);
  if (operation == "backfillRule") co_return co_await Backfill(request);
  if (operation == "retryParked") co_return co_await Retry(request);
  if (operation == "listParked") co_return co_await ListParked(request);
  if (operation == "listDeadLetters") co_return co_await ListDeadLetters(request);
  if (operation == "redriveDeadLetters") co_return co_await Redrive();
  if (operation == "explainObject") co_return co_await ExplainObject(request);
  if (operation == "getSavings") co_return co_await GetSavings(request);
  if (operation == "getHistory") co_return co_await GetHistory(request);
  if (operation == "listMigrations") co_return ListMigrations();
  if (operation == "listMigrationRuns") co_return co_await ListMigrationRuns(request);
  if (operation == "createMigrationRun") co_return co_await CreateMigrationRun(request);
  if (operation == "getMigrationRun") co_return co_await MigrationRun(request.arguments[0]);
  if (operation == "startMigrationRun") co_return co_await StartMigrationRun(request);
  if (operation == "stopMigrationRun") co_return co_await StopMigrationRun(request);
  if (operation == "retryMigrationRun") co_return co_await RetryMigrationRun(request);
  if (operation == "listMigrationObjects") co_return co_await ListMigrationObjects(request);
  if (operation == "listBackups") co_return ListBackups();
  if (operation == "listBackupObjects") co_return co_await ListBackupObjects(request);
  if (operation == "listBackupVersions") co_return co_await ListBackupVersions(request);
  if (operation == "restoreBackup") co_return co_await RestoreBackup(request);
  if (operation == "listRestores") co_return co_await ListRestores(request);
  if (operation == "getRestore") co_return co_await GetRestore(request);
  if (operation == "listRestoreFailures") co_return co_await ListRestoreFailures(request);
  if (operation == "stopRestore") co_return co_await StopRestore(request);
  if (operation == "createCacheRun") co_return co_await CreateCacheRun(request);
  if (operation == "stopCacheRun") co_return co_await StopCacheRun(request);
  if (operation == "listCacheRuns") co_return co_await ListCacheRuns(request);
  if (operation == "getCacheRun") co_return co_await GetCacheRun(request);
  co_return NotFound("no such operation");
}

Api::Json Api::Version(const ApiCaller& caller) const {
  boost::json::array roles;
  if (context_.source) roles.emplace_back("source");
  if (context_.target) roles.emplace_back("target");
  return {{"version", kVersion},
          {"api", 1},
          {"site", context_.configuration.site},
          {"time", FormatRfc3339(context_.runtime.clock.Now())},
          {"role", caller.operate ? "operate" : "view"},
          {"who", caller.who},
          {"token_needed", access_.token_needed()},
          {"roles", std::move(roles)}};
}

Api::Json Api::Health(const RuleSights& sights) const {
  Json reasons;
  for (const auto& [name, reason] : context_.readiness.reasons()) reasons[name] = reason;
  // What processes say of "source" and "target NAME"; a listing that failed tells of its rule
  // alone.
  std::map<std::string, std::string> troubles;
  for (const Rule& rule : context_.configuration.rules) {
    const auto running = sights.running.find(rule.id);
    if (running == sights.running.end()) continue;
    for (const RuleNow& process : running->second) {
      for (const auto& [part, reason] : process.troubles) {
        const auto target = std::ranges::find_if(
            rule.targets, [&](const Target& one) { return part == "target " + one.name; });
        if (target != rule.targets.end()) {
          troubles.try_emplace(target->to.store, reason);
        } else if (part == "source") {
          troubles.try_emplace(rule.source.store, reason);
        }
      }
      for (const Target& target : rule.targets) {
        const auto seen = process.targets.find(target.name);
        if (seen != process.targets.end() && seen->second.open) {
          troubles.try_emplace(target.to.store, seen->second.open->reason);
        }
      }
    }
  }
  boost::json::array stores;
  for (const auto& [name, settings] : context_.configuration.stores) {
    const auto trouble = troubles.find(name);
    const bool bad = trouble != troubles.end();
    stores.emplace_back(Json{{"name", name},
                             {"place", settings.Place()},
                             {"health", bad ? "bad" : "ok"},
                             {"reason", bad ? JsonText(trouble->second) : nullptr}});
  }
  const bool ready = reasons.empty();
  return {{"ready", ready}, {"reasons", std::move(reasons)}, {"stores", std::move(stores)}};
}

Async<Api::Json> Api::ListMembers(const ApiRequest& request) {
  Result<void> known = ApiQuery(request).Finish();
  if (!known) co_return known.error();
  Result<void> fresh = co_await Refresh(std::chrono::seconds(2));
  if (!fresh) co_return fresh.error();
  std::map<std::string, Member> members;
  for (const auto& [rule, running] : snapshot_.sights->running) AddMembers(members, running);
  boost::json::array list;
  for (const auto& [process, member] : members) list.emplace_back(JsonOf(member, process));
  co_return Json{{"members", std::move(list)}};
}

Async<Api::Json> Api::ListFailures(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  boost::json::array list;
  const auto& failures = context_.failures.failures();
  for (auto one = failures.rbegin(); one != failures.rend(); ++one) {
    if (std::cmp_equal(list.size(), *limit)) break;
    list.emplace_back(JsonOf(*one));
  }
  co_return Json{{"failures", std::move(list)}};
}

Async<Api::Json> Api::ListAudit(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  int64_t before = 0;
  if (const std::optional<std::string> cursor = query.Text("cursor")) {
    Result<std::vector<std::string>> parts = DecodeCursor(*cursor, 1);
    if (!parts) co_return parts.error();
    const std::string& text = (*parts)[0];
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != text.npos) {
      co_return FieldError("cursor", "is not of this list");
    }
    before = std::stoll(text);
  }
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  Result<AuditPage> page = co_await audit_.Read(before, static_cast<int>(*limit));
  if (!page) co_return page.error();
  boost::json::array list;
  for (const AuditEntry& entry : page->entries) list.emplace_back(JsonOf(entry));
  std::optional<std::string> next;
  if (page->before > 0) next = EncodeCursor({std::to_string(page->before)});
  co_return Json{{"entries", std::move(list)}, {"next", JsonCursor(next)}};
}

}  // namespace longhaul
