// Api: the HTTP API of a running `replicate`, as openapi.yaml says. It belongs to one shard.
//
// What it shows is read from State, as commands read it, by the code that they share. Every change
// is in the audit log before it is made.

#pragma once

#include <boost/json.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/run.h"
#include "net/http_server.h"
#include "queue/queue.h"
#include "replication/context/context.h"
#include "replication/rule_report.h"
#include "rules/api_settings.h"
#include "rules/migration.h"
#include "rules/price_list.h"
#include "rules/rule.h"
#include "server/api_access.h"
#include "server/api_request.h"
#include "server/audit_log.h"
#include "server/failure_ring.h"
#include "server/history.h"
#include "server/readiness.h"
#include "state/state.h"

namespace longhaul {

// What it is made of. All that is borrowed lives until the server has stopped.
struct ApiContext {
  Runtime& runtime;
  const Configuration& configuration;
  ReplicationContext& replication;
  Queue& queue;
  State& state;
  const Readiness& readiness;
  const FailureRing& failures;
  bool source = false;  // Roles of this process.
  bool target = false;
  ApiSettings settings;
  std::vector<Migration> migrations;
  PriceList prices;
  // The Queue of migrations, opened when it is first needed.
  std::function<Async<Queue*>()> migrations_queue;
};

class Api {
 public:
  explicit Api(ApiContext context);
  ~Api();

  // Whether a path is the API's.
  static bool Owns(std::string_view path);
  asio::awaitable<void> Handle(HttpServerRequest& request, HttpServerResponse& response);
  // Whether Host and Origin are such as a browser sends to us; else answers and says no. For the
  // files of the dashboard, too.
  asio::awaitable<bool> CheckOrigin(HttpServerRequest& request, HttpServerResponse& response);

  // Writes history and feeds streams until `stop`. Run it once.
  asio::awaitable<void> Run(Event& stop);

 private:
  using Json = boost::json::object;
  struct Stream;
  struct Snapshot {
    SystemTime time{};
    RuleSights sights;
    std::unique_ptr<RuleControl> control;
  };

  asio::awaitable<void> Serve(HttpServerRequest& request, HttpServerResponse& response,
                              ApiRequest& asked, const ApiCaller& caller);
  Async<Json> Dispatch(const ApiRequest& request, const ApiCaller& caller);

  // api.cc
  Json Version(const ApiCaller& caller) const;
  Json Health(const RuleSights& sights) const;
  Async<Json> ListMembers(const ApiRequest& request);
  Async<Json> ListFailures(const ApiRequest& request);
  Async<Json> ListAudit(const ApiRequest& request);
  // api_rules.cc
  Async<void> Refresh(std::chrono::milliseconds age_max);
  Async<RuleReport> Report(const Rule& rule);
  Async<void> CountAllParked();
  Json CountsByHealth();
  Async<Json> ListRules(const ApiRequest& request);
  Async<Json> GetRule(const ApiRequest& request);
  Async<Json> PauseOrResume(const ApiRequest& request, bool pause);
  Async<Json> Backfill(const ApiRequest& request);
  Async<Json> Retry(const ApiRequest& request);
  Async<Json> ListParked(const ApiRequest& request);
  Async<Json> ListDeadLetters(const ApiRequest& request);
  Async<Json> Redrive();
  Result<const Rule*> RequireRule(const std::string& id) const;
  // api_objects.cc
  Async<Json> ExplainObject(const ApiRequest& request);
  Async<Json> GetSavings(const ApiRequest& request);
  Async<Json> GetHistory(const ApiRequest& request);
  // api_runs.cc
  Json ListMigrations() const;
  Async<Json> ListMigrationRuns(const ApiRequest& request);
  Async<Json> MigrationRun(std::string id);
  Async<Json> CreateMigrationRun(const ApiRequest& request);
  Async<Json> StartMigrationRun(const ApiRequest& request);
  Async<Json> StopMigrationRun(const ApiRequest& request);
  Async<Json> RetryMigrationRun(const ApiRequest& request);
  Async<Json> ListMigrationObjects(const ApiRequest& request);
  Async<Json> StartRunOf(Migration migration, std::vector<std::string> prefixes);
  Async<Json> ListCacheRuns(const ApiRequest& request);
  Async<Json> GetCacheRun(const ApiRequest& request);
  // api_stream.cc
  asio::awaitable<void> ServeStream(HttpServerResponse& response);
  asio::awaitable<void> Feed(Event& stop);
  void Tell(std::string_view event, const Json& data);
  Async<void> TellRules();
  Async<void> TellRuns();

  ApiContext context_;
  ApiAccess access_;
  RateLimit rate_;
  RateLimit wrong_tokens_;
  AuditLog audit_;
  History history_;
  Snapshot snapshot_;
  std::map<std::string, std::map<std::string, uint64_t>> parked_;  // By rule and target.
  std::optional<SteadyTime> parked_counted_;
  std::set<Stream*> streams_;
  bool stopping_ = false;
  std::map<std::string, std::string> told_rules_;  // As JSON, as the streams were told last.
  std::map<std::string, std::string> told_runs_;
  std::string told_health_;
  uint64_t told_failures_ = 0;
};

}  // namespace longhaul
