#include "server/api.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "replication/life/parked.h"
#include "replication/make_context.h"
#include "server/management_server.h"
#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kOperate = "operate-0123456789";
constexpr std::string_view kView = "view-0123456789abc";

// The API of one rule with a replica and a backup, behind a listener of its own.
class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    Rule rule;
    rule.id = "r";
    rule.source = {"east", "in", ""};
    rule.targets = {
        {.name = "copy", .to = {"west", "out", ""}, .staging = {"west", "stage", ""}},
        {.name = "vault", .to = {"west", "vault", ""}, .staging = {"west", "stage", "v/"}}};
    rule.targets[1].backup = BackupOptions();
    configuration_.rules.push_back(rule);
    // A vault and a staging below a prefix that they do not have for themselves.
    rule.id = "below";
    rule.source.prefix = "below/";
    rule.targets.erase(rule.targets.begin());
    rule.targets[0].to = {"west", "wide", "backups/vault/"};
    rule.targets[0].staging = {"west", "wide", "work/"};
    configuration_.rules.push_back(rule);
    configuration_.stores["east"].name = "east";
    configuration_.stores["west"].name = "west";
    backend_->buckets["in"];
    backend_->buckets["vault"];
    backend_->buckets["wide"];
    backend_->buckets["back"];
    auto made = MakeReplicationContext(world_.runtime, configuration_,
                                       {{"east", &store_}, {"west", &store_}}, queue_, state_,
                                       observer_, {});
    EXPECT_TRUE(made);
    replication_ = std::move(*made);
    api_ = std::make_unique<Api>(ApiContext{
        .runtime = world_.runtime,
        .configuration = configuration_,
        .replication = *replication_,
        .queue = queue_,
        .state = state_,
        .readiness = readiness_,
        .failures = failures_,
        .settings =
            {.tokens = {{.name = "alice", .operate = true, .token = Secret(std::string(kOperate))},
                        {.name = "board", .token = Secret(std::string(kView))}},
             .hosts = {}},
        .migrations = {},
        .prices = {},
        .migrations_queue = {},
        .store_of = [this](const std::string&, const std::string&) -> Result<Store*> {
          return &store_;
        },
        .open_counted = [this](const std::string& name,
                               const std::string&) -> Result<cache::CountedStore> {
          auto counts = std::make_shared<RequestCounts>();
          // A memory store sends nothing, so nothing would be counted.
          counts->OnRequests(0, RequestKind::kGet, "STANDARD", 1000);
          return cache::CountedStore{
              .store = std::make_unique<testing::MemoryStore>(world_.runtime, backend_),
              .counted = {.counts = counts, .name = name, .region = "us-east-1"}};
        }});
    server_ = std::make_unique<ManagementServer>(
        world_.runtime, ManagementServerOptions{.listen = {.host = "127.0.0.1", .port = 0}},
        nullptr, readiness_, api_.get());
    EXPECT_TRUE(world_.Run(server_->Start()));
  }
  ~ApiTest() override { EXPECT_TRUE(world_.Run(server_->Stop(1s))); }

  struct Answer {
    int status = 0;
    std::string text;  // With its head.
  };
  Answer Ask(const std::string& method, const std::string& target, std::string_view token,
             const std::string& headers = "", const std::string& body = "") {
    return AskAtOnce(1, method, target, token, headers, body).front();
  }
  // The same so many times, over as many connections.
  std::vector<Answer> AskAtOnce(size_t count, const std::string& method, const std::string& target,
                                std::string_view token, const std::string& headers = "",
                                const std::string& body = "") {
    std::string request = method + " " + target + " HTTP/1.1\r\nConnection: close\r\n" +
                          "Content-Length: " + std::to_string(body.size()) + "\r\n" + headers;
    if (headers.find("Host:") == std::string::npos) request += "Host: localhost:8787\r\n";
    if (!token.empty()) request += "Authorization: Bearer " + std::string(token) + "\r\n";
    if (!body.empty()) request += "Content-Type: application/json\r\n";
    request += "\r\n" + body;
    const std::string address = server_->address();
    const int port = std::stoi(address.substr(address.rfind(':') + 1));
    std::vector<Answer> answers(count);
    std::atomic<size_t> done = 0;
    std::vector<std::thread> clients;
    for (Answer& answer : answers) {
      clients.emplace_back([&answer, &done, &request, port] {
        answer.text = Exchange(static_cast<uint16_t>(port), request);
        ++done;
      });
    }
    world_.io.restart();
    while (done < count) world_.io.run_one_for(10ms);
    for (std::thread& client : clients) client.join();
    for (Answer& answer : answers) {
      if (answer.text.size() > 12) answer.status = std::stoi(answer.text.substr(9, 3));
    }
    return answers;
  }
  // The newest restore when it has ended, or after a while as it is then.
  std::string Restored() {
    Answer runs;
    for (int i = 0; i < 200; ++i) {
      runs = Ask("GET", "/v1/backups/runs?limit=1", kView);
      if (runs.text.find(R"("phase":"running")") == std::string::npos) break;
      world_.Run(Sleep(50ms));
    }
    return runs.text;
  }
  // What a stream tells while `meanwhile` goes on and for some looks more. Once in a test.
  std::string Streamed(const std::function<void()>& meanwhile) {
    const std::string address = server_->address();
    const auto port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    Event stop;
    world_.Start(api_->Run(stop));
    std::string text;
    std::atomic<bool> over = false;
    std::thread reader([&text, &over, port] {
      text = Exchange(port,
                      "GET /v1/stream HTTP/1.1\r\nHost: localhost:8787\r\n"
                      "Authorization: Bearer " +
                          std::string(kView) + "\r\n\r\n");
      over = true;
    });
    world_.Run(Sleep(3s));
    meanwhile();
    world_.Run(Sleep(9s));
    stop.Set();
    world_.io.restart();
    while (!over) world_.io.run_one_for(10ms);
    reader.join();
    return text;
  }
  asio::awaitable<int> Sleep(std::chrono::milliseconds time) {
    co_await world_.clock.Sleep(time);
    co_return 0;
  }
  // A role that wants all of the memory: comes behind those that ask for it now, gives `held` back,
  // and what it gets as well.
  asio::awaitable<void> WantAll(Reservation held) {
    co_await world_.clock.Sleep(200ms);
    world_.Start(GiveBack(std::move(held)));
    Result<Reservation> all = co_await world_.memory.Reserve(world_.memory.limit_bytes());
    EXPECT_TRUE(all);
    ++got_all_;
  }
  asio::awaitable<void> GiveBack(Reservation held) {
    co_await world_.clock.Sleep(50ms);
    held = Reservation();
  }
  [[nodiscard]] std::vector<AuditEntry> Audit() {
    Result<AuditPage> page = world_.Run(AuditLog(world_.runtime, state_).Read(0, 100));
    EXPECT_TRUE(page);
    return page ? page->entries : std::vector<AuditEntry>();
  }
  [[nodiscard]] bool Paused() {
    return Ask("GET", "/v1/rules/r", kView).text.find(R"("state":"paused")") != std::string::npos;
  }

  testing::RealWorld world_;
  Configuration configuration_;
  std::shared_ptr<testing::MemoryStoreBackend> backend_ =
      std::make_shared<testing::MemoryStoreBackend>();
  testing::MemoryStore store_{world_.runtime, backend_};
  testing::FakeQueue queue_{world_.runtime, std::make_shared<testing::FakeQueueBackend>()};
  testing::FakeFaults faults_{1};
  std::shared_ptr<testing::FakeStateBackend> rows_ = std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state_{world_.runtime, rows_, &faults_};
  Observer observer_;
  Readiness readiness_;
  FailureRing failures_;
  std::unique_ptr<ReplicationContext> replication_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<ManagementServer> server_;
  int got_all_ = 0;

 private:
  // The request as it is over a socket of its own, and the whole answer.
  static std::string Exchange(uint16_t port, const std::string& request) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      size_t at = 0;
      while (at < request.size()) {
        const ssize_t sent = send(fd, request.data() + at, request.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += static_cast<size_t>(sent);
      }
      char buffer[4096];
      for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
        answer.append(buffer, static_cast<size_t>(n));
      }
    }
    close(fd);
    return answer;
  }
};

// A list ends counting early, and must not call what it has counted all there is.
TEST_F(ApiTest, AListSaysThatMoreAreParkedThanItCounted) {
  for (int number = 0; number < ParkedCounts::kCountMax + 5; ++number) {
    ASSERT_TRUE(world_.Run(WriteParked(
        state_, "r",
        {.key = std::to_string(number), .target = "copy", .op = "put", .reason = "denied"})));
  }
  const Answer answer = Ask("GET", "/v1/rules", kView);
  EXPECT_NE(answer.text.find("\"parked\":1000,\"parked_more\":true"), std::string::npos)
      << answer.text;
  EXPECT_NE(answer.text.find("\"parked\":0,\"parked_more\":false"), std::string::npos)
      << answer.text;
}

// Every path that changes something: who may only look must be refused by each of them, or a board
// on the wall restores over a bucket.
TEST_F(ApiTest, WhoMayOnlyLookChangesNothing) {
  int changes = 0;
  for (const ApiRoute& route : ApiRoutes()) {
    if (route.method != "POST") continue;
    ++changes;
    std::string path(route.path);
    for (size_t at; (at = path.find('{')) != std::string::npos;) {
      const size_t end = path.find('}', at);
      const std::string what = path.substr(at, end - at + 1);
      path.replace(at, what.size(), what == "{target}" ? "vault" : what == "{rule}" ? "r" : "1");
    }
    EXPECT_EQ(Ask("POST", path, kView, "", "{}").status, 403) << path;
    EXPECT_EQ(Ask("POST", path, "", "", "{}").status, 401) << path;
  }
  EXPECT_GE(changes, 10);
  EXPECT_FALSE(Paused());
  EXPECT_TRUE(Audit().empty());
  EXPECT_EQ(Ask("POST", "/v1/rules/r/pause", kOperate, "", "{}").status, 200);
  EXPECT_TRUE(Paused());
}

// A token that is nearly right, or that of another scheme, opens nothing.
TEST_F(ApiTest, WrongTokensSeeNothing) {
  for (std::string wrong : {std::string(kOperate.substr(1)), std::string(kOperate) + "x",
                            std::string(kView.substr(0, 5)), std::string("x")}) {
    const Answer answer = Ask("GET", "/v1/rules", wrong);
    EXPECT_EQ(answer.status, 401) << wrong;
    EXPECT_EQ(answer.text.find("east"), std::string::npos);
  }
  EXPECT_EQ(Ask("GET", "/v1/rules", kView).status, 200);
  EXPECT_EQ(Ask("GET", "/v1/rules?token=" + std::string(kOperate), "").status, 401);
}

// A page of somebody else in the same browser must not pause a rule, whatever it sends along.
TEST_F(ApiTest, PagesOfOtherOriginsAreRefused) {
  for (const char* origin : {"http://evil.example", "null", "http://localhost:8788",
                             "http://localhost:8787.evil.example"}) {
    const std::string header = "Origin: " + std::string(origin) + "\r\n";
    EXPECT_EQ(Ask("POST", "/v1/rules/r/pause", kOperate, header, "{}").status, 403) << origin;
    EXPECT_EQ(Ask("GET", "/v1/backups", kOperate, header).status, 403) << origin;
  }
  EXPECT_EQ(Ask("GET", "/v1/backups", kOperate, "Host: evil.example\r\n").status, 421);
  EXPECT_FALSE(Paused());
  EXPECT_TRUE(Audit().empty());
  EXPECT_EQ(Ask("GET", "/v1/backups", kOperate, "Origin: http://localhost:8787\r\n").status, 200);
}

// What stands before the rest, or is long, must not push what was asked out of the entry.
TEST_F(ApiTest, TheAuditLogHasAllThatWasAsked) {
  EXPECT_EQ(Ask("POST", "/v1/rules/r/pause", kOperate, "",
                std::string(2'000, ' ') + R"({ "for_seconds" : 60 })")
                .status,
            200);
  std::string keys;
  for (int i = 0; i < 500; ++i) keys += "\"key-" + std::to_string(i) + "\",";
  EXPECT_EQ(Ask("POST", "/v1/rules/r/pause", kOperate, "",
                "{\"keys\":[" + keys + "\"last\"],\"text\":\"" + std::string(5'000, 'x') +
                    "\",\"for_seconds\":61}")
                .status,
            400);
  const std::vector<AuditEntry> audit = Audit();
  ASSERT_EQ(audit.size(), 2u);
  EXPECT_EQ(audit[1].detail, R"({"for_seconds":60})");
  EXPECT_TRUE(audit[0].detail.ends_with("x… (5000)\",\"for_seconds\":61}")) << audit[0].detail;
  EXPECT_NE(audit[0].detail.find("… (501)"), std::string::npos) << audit[0].detail;
}

// Who did what must be known afterwards, also of what was refused as senseless.
TEST_F(ApiTest, ChangesAreInTheAuditLog) {
  EXPECT_EQ(Ask("POST", "/v1/rules/r/pause", kOperate, "", R"({"for_seconds":60})").status, 200);
  EXPECT_EQ(Ask("POST", "/v1/backups/r/vault/restore", kOperate, "",
                R"({"prefix":"","destination":"north:x/"})")
                .status,
            400);
  EXPECT_EQ(Ask("GET", "/v1/rules", kOperate).status, 200);
  const std::vector<AuditEntry> audit = Audit();
  ASSERT_EQ(audit.size(), 2u);
  EXPECT_EQ(audit[1].who, "alice");
  EXPECT_EQ(audit[1].role, "operate");
  EXPECT_EQ(audit[1].action, "pauseRule");
  EXPECT_EQ(audit[1].subject, "r");
  EXPECT_NE(audit[1].detail.find("60"), std::string::npos);
  EXPECT_EQ(audit[1].status, 200);
  EXPECT_EQ(audit[0].action, "restoreBackup");
  EXPECT_EQ(audit[0].subject, "r/vault");
  EXPECT_EQ(audit[0].status, 400);
}

// A restore into the vault it reads from, or into staging, would be read as what it is not; so
// would one whose keys may come to lie there.
TEST_F(ApiTest, ARestoreGoesNeitherIntoAVaultNorIntoStaging) {
  const auto restore = [this](const std::string& prefix, const std::string& place) {
    return Ask("POST", "/v1/backups/r/vault/restore", kOperate, "",
               R"({"prefix":")" + prefix + R"(","destination":")" + place + R"("})");
  };
  for (const char* place : {"west:vault/", "west:vault/x/", "west:stage/", "west:stage/v/y/",
                            "west:wide/", "west:wide/backups/", "west:wide/backups/vault/2026/",
                            "west:wide/work/", "north:in/", "west:none/", "west"}) {
    const Answer answer = restore("", place);
    EXPECT_EQ(answer.status, 400) << place;
    EXPECT_NE(answer.text.find(R"("field":"destination")"), std::string::npos) << answer.text;
  }
  EXPECT_EQ(restore("wor", "west:wide/").status, 400) << "keys like work/x lie in staging";
  EXPECT_EQ(restore("other/", "west:wide/other/").status, 202);
  Restored();
  EXPECT_EQ(Ask("GET", "/v1/backups/r/copy/objects", kView).status, 404);
}

// Copies in a vault or a staging would be read, and swept away, as what they are not.
TEST_F(ApiTest, AFillGoesNeitherIntoAVaultNorIntoStaging) {
  const auto fill = [this](const std::string& to) {
    return Ask("POST", "/v1/cache/runs", kOperate, "",
               R"({"ttl":1,"bucket":"east:in","prefixes":[""],"force_copy":false,)"
               R"("directory_bucket":")" +
                   to + R"("})");
  };
  for (const char* place : {"west:vault", "west:vault/x/", "west:stage/y/", "west:wide",
                            "west:wide/backups/", "west:wide/work/x/", "west:out/x/", "east:in"}) {
    const Answer answer = fill(place);
    EXPECT_EQ(answer.status, 400) << place;
    EXPECT_NE(answer.text.find("overlaps the"), std::string::npos) << answer.text;
  }
}

// Whoever begins a fill here is never told what it cost.
TEST_F(ApiTest, AFillSaysWhatItCost) {
  ASSERT_TRUE(world_.Run(PutText(store_, {.bucket = "in", .key = "a"}, "text")));
  EXPECT_EQ(Ask("POST", "/v1/cache/runs", kOperate, "",
                R"({"ttl":1,"bucket":"east:in","prefixes":[""],"force_copy":false,)"
                R"("directory_bucket":"west:back"})")
                .status,
            202);
  Answer run;
  for (int i = 0; i < 200; ++i) {
    run = Ask("GET", "/v1/cache/runs/1", kView);
    if (run.text.find(R"("phase":"running")") == std::string::npos) break;
    world_.Run(Sleep(50ms));
  }
  EXPECT_NE(run.text.find(R"("paid_items":{"requests at east":400000000,)"
                          R"("requests at west":400000000})"),
            std::string::npos)
      << run.text;
  EXPECT_NE(run.text.find(R"("paid_pico_dollars":800000000)"), std::string::npos) << run.text;
  EXPECT_NE(run.text.find(R"("unknown_prices":[])"), std::string::npos) << run.text;
  // Sweeps and endpoints are runs of a cache, too, and no fills.
  const cache::Place place{.store = store_.description(), .bucket = "back"};
  cache::RunBook book(world_.runtime, state_, place);
  ASSERT_TRUE(world_.Run(book.Begin({.kind = cache::RunKind::kSweep})));
  EXPECT_EQ(Ask("GET", "/v1/cache/runs", kView).text.find(R"("number":2)"), std::string::npos);
}

// A page would show what was, or be told the same again and again.
TEST_F(ApiTest, TheStreamTellsOfFillsAndRestoresWhenTheyChange) {
  ASSERT_TRUE(world_.Run(PutText(store_, {.bucket = "in", .key = "a"}, "text")));
  const std::string text = Streamed([this] {
    Ask("POST", "/v1/cache/runs", kOperate, "",
        R"({"ttl":1,"bucket":"east:in","prefixes":[""],"force_copy":false,)"
        R"("directory_bucket":"west:back"})");
    Ask("POST", "/v1/backups/r/vault/restore", kOperate, "",
        R"({"prefix":"","destination":"west:back/x/"})");
    Restored();
  });
  const auto count = [&text](const std::string& event, const std::string& what) {
    int told = 0;
    for (size_t at = 0; (at = text.find("event: " + event + "\n", at)) != std::string::npos; ++at) {
      told += text.substr(at, text.find("\n\n", at) - at).contains(what) ? 1 : 0;
    }
    return told;
  };
  EXPECT_EQ(count("cache_runs", R"("phase":"done")"), 1) << text;
  EXPECT_EQ(count("restores", R"("phase":"done")"), 1) << text;
  EXPECT_LE(count("cache_runs", ""), 2) << text;
  EXPECT_LE(count("restores", ""), 2) << text;
}

// What is wrong with one end of a run would stand somewhere below the form.
TEST_F(ApiTest, ARunSaysWhichOfItsEndsIsWrong) {
  const auto start = [this](const std::string& from, const std::string& to) {
    return Ask("POST", "/v1/migrations/runs", kOperate, "",
               R"({"source":")" + from + R"(","target":")" + to + R"("})");
  };
  const Answer source = start("east:nowhere/", "west:back/");
  EXPECT_EQ(source.status, 400);
  EXPECT_NE(source.text.find(R"("field":"source")"), std::string::npos) << source.text;
  const Answer target = start("east:in/", "west:nowhere/");
  EXPECT_EQ(target.status, 400);
  EXPECT_NE(target.text.find(R"("field":"target")"), std::string::npos) << target.text;
}

// Nor does a migration, and not to where replication writes.
TEST_F(ApiTest, AMigrationGoesNotWhereRulesWrite) {
  for (const char* place :
       {"west:vault", "west:vault/x/", "west:stage/y/", "west:wide/", "west:out", "west:out/x/"}) {
    const Answer answer = Ask("POST", "/v1/migrations/runs", kOperate, "",
                              R"({"source":"east:in/","target":")" + std::string(place) + R"("})");
    EXPECT_EQ(answer.status, 400) << place << answer.text;
    EXPECT_NE(answer.text.find("overlaps the"), std::string::npos) << answer.text;
  }
}

// A form whose field was left empty must not restore over the live bucket.
TEST_F(ApiTest, ARestoreToNowhereIsRefused) {
  ASSERT_TRUE(world_.Run(PutText(store_, {.bucket = "in", .key = "a"}, "live")));
  for (const char* more : {"", R"(,"overwrite":true)"}) {
    const Answer answer = Ask("POST", "/v1/backups/r/vault/restore", kOperate, "",
                              R"({"prefix":"","destination":"")" + std::string(more) + "}");
    EXPECT_EQ(answer.status, 400) << answer.text;
    EXPECT_NE(answer.text.find(R"("field":"destination")"), std::string::npos) << answer.text;
  }
  EXPECT_EQ(Ask("POST", "/v1/backups/r/vault/restore", kOperate, "",
                R"({"prefix":"","destination":null})")
                .status,
            202);
  Restored();
}

// A directory bucket is what this document was made for; rules alone take none.
TEST_F(ApiTest, AFillTakesADirectoryBucket) {
  const std::string name = "fast--use1-az4--x-s3";
  backend_->buckets[name];
  ASSERT_TRUE(world_.Run(PutText(store_, {.bucket = "in", .key = "a"}, "text")));
  for (const std::string& to : {"west:" + name, "west:" + name + "/below/"}) {
    const Answer answer = Ask("POST", "/v1/cache/runs", kOperate, "",
                              R"({"ttl":1,"bucket":"east:in","prefixes":[""],"force_copy":false,)"
                              R"("directory_bucket":")" +
                                  to + R"("})");
    EXPECT_EQ(answer.status, 202) << answer.text;
    EXPECT_NE(answer.text.find(name), std::string::npos) << answer.text;
    for (int i = 0; i < 200; ++i) {
      if (Ask("GET", "/v1/cache/runs", kView).text.find(R"("running")") == std::string::npos) break;
      world_.Run(Sleep(50ms));
    }
  }
  EXPECT_EQ(backend_->Keys(name), (std::vector<std::string>{"a", "below/a"}));
}

// Memory goes to whoever came first. A restore that held some and asked for more would wait behind
// a role that wants all of it, and that one for the restore: the process would stand still.
TEST_F(ApiTest, ARestoreAsksOnceForItsMemory) {
  std::optional<Reservation> held = world_.memory.TryReserve(world_.memory.limit_bytes());
  ASSERT_TRUE(held);
  EXPECT_EQ(Ask("POST", "/v1/backups/r/vault/restore", kOperate, "",
                R"({"prefix":"","destination":"west:back/"})")
                .status,
            202);
  world_.Start(WantAll(std::move(*held)));
  EXPECT_NE(Restored().find(R"("phase":"done")"), std::string::npos);
  EXPECT_EQ(got_all_, 1);
}

// So would a list of what a backup has.
TEST_F(ApiTest, AListAsksOnceForItsMemory) {
  for (const char* list : {"objects", "versions?key=a"}) {
    std::optional<Reservation> held = world_.memory.TryReserve(world_.memory.limit_bytes());
    ASSERT_TRUE(held);
    world_.Start(WantAll(std::move(*held)));
    const int status = Ask("GET", "/v1/backups/r/vault/" + std::string(list), kView).status;
    EXPECT_EQ(status, list[0] == 'o' ? 200 : 404) << list;
    world_.Run(Sleep(100ms));
  }
  EXPECT_EQ(got_all_, 2);
}

// Two that are asked for in one moment must not both begin: each counts on the other's memory.
TEST_F(ApiTest, OneRestoreAtATime) {
  std::optional<Reservation> held = world_.memory.TryReserve(world_.memory.limit_bytes());
  ASSERT_TRUE(held);
  faults_.slow = 1;
  faults_.delay_max = 50ms;
  int begun = 0;
  for (const Answer& answer : AskAtOnce(6, "POST", "/v1/backups/r/vault/restore", kOperate, "",
                                        R"({"prefix":"","destination":"west:back/"})")) {
    begun += answer.status == 202 ? 1 : 0;
    EXPECT_TRUE(answer.status == 202 || answer.status == 409) << answer.text;
  }
  EXPECT_EQ(begun, 1);
  faults_.slow = 0;
  held.reset();
  EXPECT_NE(Restored().find(R"("phase":"done")"), std::string::npos);
  // One that could not begin keeps no other from it.
  rows_->read_only = "runs";
  const auto restore = [this] {
    return Ask("POST", "/v1/backups/r/vault/restore", kOperate, "",
               R"({"prefix":"","destination":"west:back/"})");
  };
  EXPECT_NE(restore().status, 202);
  rows_->read_only.clear();
  EXPECT_EQ(restore().status, 202);
  Restored();
}

}  // namespace
}  // namespace longhaul
