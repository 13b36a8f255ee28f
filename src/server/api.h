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

#include "backup/restore.h"
#include "base/memory_share.h"
#include "base/runtime.h"
#include "cache/fill.h"
#include "cache/fill_bill.h"
#include "cost/accounts.h"
#include "migration/run.h"
#include "net/http_server.h"
#include "queue/queue.h"
#include "replication/context/context.h"
#include "replication/rule_report.h"
#include "rules/api_settings.h"
#include "rules/in_use.h"
#include "rules/migration.h"
#include "rules/price_list.h"
#include "rules/rule.h"
#include "server/api_access.h"
#include "server/api_request.h"
#include "server/audit_log.h"
#include "server/background_runs.h"
#include "server/failure_ring.h"
#include "server/history.h"
#include "server/parked_counts.h"
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
  // A store of the configuration, as this bucket of it is to be spoken to. kInvalidInput: it has no
  // such store.
  std::function<Result<Store*>(const std::string& store, const std::string& bucket)> store_of;
  cache::OpenCountedStore open_counted;  // The same, for one fill of a cache.
  // Where a store is, as whoever started the process knows; empty: as the configuration says.
  PlaceOfStore place_of{};
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
    // shared: the next one is read while this one is still looked at.
    std::shared_ptr<const RuleSights> sights = std::make_shared<RuleSights>();
    std::shared_ptr<RuleControl> control;
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
  RuleReport ReportOfAll(const Rule& rule) const;
  Async<RuleReport> Report(const Rule& rule);
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
  // Which members of the request say what of a run; empty: none does.
  struct RunFields {
    std::string_view source;
    std::string_view target;
    std::string_view id;
  };
  Async<Json> StartRunOf(Migration migration, std::vector<std::string> prefixes, RunFields fields);
  // api_caches.cc
  Async<Json> ListCacheRuns(const ApiRequest& request);
  Async<Json> GetCacheRun(const ApiRequest& request);
  Async<Json> CreateCacheRun(const ApiRequest& request);
  Async<Json> StopCacheRun(const ApiRequest& request);
  struct FoundCacheRun {
    cache::Place place;
    cache::Run run;
  };
  Async<FoundCacheRun> FindCacheRun(const ApiRequest& request);
  struct FillBegun {
    Event known;  // Its number, or why it has none.
    int64_t number = 0;
    std::optional<Error> error;
  };
  struct OwnFill {
    cache::FillStores stores;
    cache::FillRequest request;  // Of these stores.
    cache::FillBill bill;        // The same.
  };
  Result<Address> BucketOf(std::string_view field, const std::string& text) const;
  // kInvalidInput: keys that begin so may be those of a vault or of a staging.
  Result<void> CheckFree(std::string_view field, const Address& place, Use use) const;
  asio::awaitable<void> CarryFill(std::shared_ptr<OwnFill> fill, std::shared_ptr<FillBegun> begun,
                                  Event& stop);
  // api_backups.cc
  struct Backup {
    const Rule* rule = nullptr;
    const Target* target = nullptr;
    backup::CatalogSource source;
  };
  // A listing of a vault that a page has left off in: whoever asks for the next one goes on in it.
  struct OpenVaultList {
    OpenVaultList(const Runtime& of, Reservation held) : memory(of, std::move(held)) {}
    MemoryShare memory;  // Of the listing.
    std::string question;
    std::string cursor;
    backup::CatalogTroubles troubles;
    std::unique_ptr<Listing> listing;
    std::optional<ListedObject> next;  // Which the page had no room for.
    SteadyTime left{};
  };
  Async<std::unique_ptr<OpenVaultList>> OpenList(const Backup& backup, std::string question,
                                                 const std::optional<std::string>& cursor,
                                                 SystemTime at);
  asio::awaitable<void> CloseLists(std::chrono::milliseconds age_min);
  Result<Backup> RequireBackup(const ApiRequest& request) const;
  Json ListBackups() const;
  Async<Json> ListBackupObjects(const ApiRequest& request);
  Async<Json> ListBackupVersions(const ApiRequest& request);
  Async<Json> RestoreBackup(const ApiRequest& request);
  Async<Json> ListRestores(const ApiRequest& request);
  Async<Json> GetRestore(const ApiRequest& request);
  Async<Json> ListRestoreFailures(const ApiRequest& request);
  Async<Json> StopRestore(const ApiRequest& request);
  Async<RunRecord> FindRestore(std::string id);
  Json JsonOfRestore(const RunRecord& run);
  Async<TreeTarget> PlaceOfRestore(const Backup& backup, std::string* destination,
                                   const std::string& prefix);
  asio::awaitable<void> CarryRestore(Backup backup, backup::RestoreOrder order, TreeTarget place,
                                     std::shared_ptr<RunJournal> journal, Event& stop);
  // api_stream.cc
  asio::awaitable<void> ServeStream(HttpServerResponse& response);
  asio::awaitable<void> Feed(Event& stop);
  void Tell(std::string_view event, const Json& data);
  std::string LooksOf(const Rule& rule, SystemTime now) const;
  Async<void> TellRules();
  Async<void> TellRuns();
  struct SeenRun {
    std::string id;
    Json json;
    std::optional<SystemTime> ended;
  };
  using ToldRuns = std::optional<std::map<std::string, std::string>>;  // None: nobody was told yet.
  // Those that have changed since they were told last; to begin with, those that are under way or
  // were so a moment ago.
  void TellChanged(std::string_view event, ToldRuns& told, std::vector<SeenRun> runs);
  // `all`: else those that this process carries, of which it knows more than is written.
  Async<void> TellRestores(bool all);
  // api_caches.cc
  Async<void> TellCacheRuns();

  ApiContext context_;
  ApiAccess access_;
  RateLimit rate_;
  RateLimit wrong_tokens_;
  AuditLog audit_;
  History history_;
  AccountsReader accounts_;
  BackgroundRuns background_;
  int vault_listings_ = 0;                                   // That are read now.
  std::vector<std::unique_ptr<OpenVaultList>> vault_lists_;  // The last used comes last.
  bool restoring_ = false;                   // One restore at a time, from when it is asked for.
  std::map<std::string, RunJournal*> here_;  // Of restores that this process carries.
  Snapshot snapshot_;
  ParkedCounts parked_;
  std::set<Stream*> streams_;
  bool stopping_ = false;
  struct ToldRule {
    std::string looks;  // Of what its JSON is made; "": of what changes by itself.
    std::string json;
  };
  std::map<std::string, ToldRule> told_rules_;  // As the streams were told last.
  ToldRuns told_runs_;
  ToldRuns told_restores_;
  ToldRuns told_cache_runs_;
  bool restores_changed_ = false;    // One has begun or ended here: looked at without waiting.
  bool cache_runs_changed_ = false;  // The same of fills.
  std::string told_health_;
  uint64_t told_failures_ = 0;
};

}  // namespace longhaul
