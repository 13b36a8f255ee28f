#include "net/postgres_client.h"

#include <postgresql/libpq-fe.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace longhaul {

namespace {

constexpr std::chrono::milliseconds kPauseMin{100};
constexpr std::chrono::milliseconds kPauseMax{2'000};
// What is notified while there is no connection is not heard of.
constexpr std::chrono::milliseconds kDeafPause{1'000};
constexpr size_t kSchemaNameMax = 40;

// Whether a failed statement surely had no effect.
bool HadNoEffect(const Error& error) { return error.code != kPostgresNoAnswer; }

// Missing: a schema, a table, a function, a type. (PostgreSQL, Appendix A.)
bool IsMissing(const Error& error) {
  return error.code == "3F000" || error.code == "42P01" || error.code == "42883" ||
         error.code == "42704";
}

}  // namespace

bool IsPostgresSchemaName(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  return !name.empty() && name.size() <= kSchemaNameMax && letter(name.front()) &&
         !name.starts_with("pg_") &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string PostgresName(std::string_view name) {
  std::string quoted = "\"";
  for (char byte : name) quoted.append(byte == '"' ? 2 : 1, byte);
  return quoted + "\"";
}

namespace {

struct ParsedUrl {
  PostgresKeywords keywords;
  std::string schema = "longhaul";
};

// Takes our own parameter out of the query of a URL.
std::optional<std::string> TakeSchema(std::string& url) {
  constexpr std::string_view kName = "schema=";
  const size_t query = url.find('?');
  if (query == std::string::npos) return std::nullopt;
  for (size_t at = query + 1; at < url.size();) {
    const size_t end = std::min(url.find('&', at), url.size());
    if (std::string_view(url).substr(at).starts_with(kName)) {
      std::string schema = url.substr(at + kName.size(), end - at - kName.size());
      url.erase(at, end - at + (end < url.size() ? 1 : 0));
      if (url.ends_with('&') || url.ends_with('?')) url.pop_back();
      return schema;
    }
    at = end + 1;
  }
  return std::nullopt;
}

Result<ParsedUrl> Parse(const Secret& secret) {
  ParsedUrl parsed;
  std::string url = secret.Reveal();
  if (std::optional<std::string> schema = TakeSchema(url)) parsed.schema = *schema;
  if (!IsPostgresSchemaName(parsed.schema)) {
    return InvalidInput("'" + parsed.schema +
                        "' cannot be the name of a schema: use a-z, 0-9 and _");
  }
  char* why = nullptr;
  PQconninfoOption* options = PQconninfoParse(url.c_str(), &why);
  if (options == nullptr) {
    PQfreemem(why);  // It quotes what it was given.
    return InvalidInput(
        "not a URL that PostgreSQL understands, like "
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full");
  }
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) parsed.keywords.emplace_back(option->keyword, option->val);
  }
  PQconninfoFree(options);
  return parsed;
}

}  // namespace

Result<void> CheckPostgresUrl(const Secret& url) {
  Result<ParsedUrl> parsed = Parse(url);
  if (!parsed) return parsed.error();
  return Ok();
}

Result<std::shared_ptr<PostgresClient>> PostgresClient::Make(const Runtime& runtime,
                                                             PostgresOptions options) {
  Result<ParsedUrl> parsed = Parse(options.url);
  if (!parsed) return parsed.error();
  PostgresKeywords keywords = std::move(parsed->keywords);
  auto set = [&keywords](const std::string& name, const std::string& value) {
    auto known = [&name](const auto& pair) { return pair.first == name; };
    if (std::ranges::none_of(keywords, known)) keywords.emplace_back(name, value);
  };
  // Of several hosts the one that takes writes; a connection through a dead network ends.
  set("target_session_attrs", "read-write");
  set("application_name", "longhaul");
  set("keepalives_idle", "15");
  set("keepalives_interval", "5");
  set("keepalives_count", "3");
  set("tcp_user_timeout", "30000");
  return std::shared_ptr<PostgresClient>(new PostgresClient(
      runtime, std::move(options), std::move(keywords), std::move(parsed->schema)));
}

PostgresClient::PostgresClient(const Runtime& runtime, PostgresOptions options,
                               PostgresKeywords keywords, std::string schema)
    : runtime_(runtime),
      options_(std::move(options)),
      keywords_(std::move(keywords)),
      schema_(std::move(schema)) {
  for (const auto& [name, value] : keywords_) {
    if (name == "user") user_ = value;
  }
}

PostgresClient::~PostgresClient() = default;

std::string PostgresClient::GrantsTo(std::string_view role) const {
  if (options_.grants) return options_.grants(schema_, role);
  return "GRANT USAGE ON SCHEMA " + schema_ + " TO " + PostgresName(role) + ";";
}

std::string PostgresClient::description() const {
  std::string host = "localhost";
  std::string port;
  std::string database;
  for (const auto& [name, value] : keywords_) {
    if (name == "host") host = value;
    if (name == "port") port = ":" + value;
    if (name == "dbname") database = "/" + value;
  }
  return host + port + database;
}

Async<std::unique_ptr<PostgresConnection>> PostgresClient::Connect() {
  auto connection = std::make_unique<PostgresConnection>(runtime_);
  Result<void> connected = co_await connection->Connect(keywords_, options_.connect_timeout);
  if (!connected) co_return connected.error();
  user_ = connection->user();
  // A statement whose client is gone holds locks until the server notices.
  const std::string settings = "SET search_path = " + schema_ + "; SET statement_timeout = " +
                               std::to_string(options_.statement_timeout.count()) +
                               "; SET client_min_messages = warning"
                               // Each statement of a function sees what was committed before it:
                               // all of longhaul's count on that, whatever a role's default is.
                               "; SET default_transaction_isolation = 'read committed'";
  Result<void> set = co_await connection->Execute(settings, options_.connect_timeout);
  if (!set) {
    Error error = set.error();
    if (error.Transient()) error.code = kPostgresNotSent;
    co_return error;
  }
  co_return std::move(connection);
}

Async<std::unique_ptr<PostgresConnection>> PostgresClient::Take() {
  while (idle_.empty() && taken_ >= options_.connections_max) co_await free_.Wait();
  ++taken_;
  if (!idle_.empty()) {
    std::unique_ptr<PostgresConnection> connection = std::move(idle_.back());
    idle_.pop_back();
    co_return std::move(connection);
  }
  Result<std::unique_ptr<PostgresConnection>> connection = co_await Connect();
  if (!connection) GiveBack(nullptr);
  co_return connection;
}

void PostgresClient::GiveBack(std::unique_ptr<PostgresConnection> connection) {
  --taken_;
  if (connection != nullptr && connection->usable()) {
    idle_.push_back(std::move(connection));
  } else if (connection != nullptr) {
    idle_.clear();  // The others are of the same server, and as old.
  }
  free_.NotifyOne();
}

Error PostgresClient::Explain(Error error) const {
  if (IsMissing(error)) {
    error.kind = ErrorKind::kInvalidInput;
    error.message = "the schema '" + schema_ + "' in " + description() +
                    " is missing or incomplete: run 'longhaul setup'";
  }
  if (error.code == kPostgresRefused) {
    error.message = error.Describe() + "; the owner of the schema '" + schema_ + "' in " +
                    description() + " can allow it: " + GrantsTo(user_);
    error.code.clear();  // The command is to be the end of it.
  }
  return error;
}

template <class Attempt>
auto PostgresClient::Repeating(PostgresRepeat repeat, Attempt attempt)
    -> decltype(attempt(nullptr)) {
  const SteadyTime deadline = runtime_.clock.SteadyNow() + options_.patience;
  std::chrono::nanoseconds pause = kPauseMin;
  while (true) {
    Result<std::unique_ptr<PostgresConnection>> connection = co_await Take();
    Error error;
    if (connection) {
      auto done = co_await attempt(connection->get());
      GiveBack(std::move(*connection));
      if (done) co_return done;
      error = done.error();
    } else {
      error = connection.error();
    }
    const bool repeatable = repeat == PostgresRepeat::kSafe || HadNoEffect(error);
    if (!error.Transient() || !repeatable || runtime_.clock.SteadyNow() + pause >= deadline) {
      co_return error;
    }
    co_await runtime_.clock.Sleep(pause / 2 + std::chrono::nanoseconds(runtime_.random.Below(
                                                  static_cast<uint64_t>(pause.count()))));
    pause = std::min<std::chrono::nanoseconds>(2 * pause, kPauseMax);
  }
}

Async<PostgresRows> PostgresClient::Run(const char* sql, const PostgresArguments& arguments,
                                        PostgresRepeat repeat) {
  auto attempt = [&](PostgresConnection* connection) {
    return connection->Run(sql, arguments, options_.statement_timeout);
  };
  Result<PostgresRows> rows = co_await Repeating(repeat, attempt);
  if (!rows) co_return Explain(rows.error());
  co_return rows;
}

Async<void> PostgresClient::Execute(const std::string& sql) {
  auto attempt = [&](PostgresConnection* connection) {
    return connection->Execute(sql, options_.statement_timeout);
  };
  co_return co_await Repeating(PostgresRepeat::kNever, attempt);
}

Async<void> PostgresClient::Listen() {
  if (listener_ != nullptr && listener_->usable()) co_return Ok();
  listener_.reset();
  Result<std::unique_ptr<PostgresConnection>> connection = co_await Connect();
  if (!connection) co_return connection.error();
  Result<void> listens =
      co_await (*connection)->Execute("LISTEN " + schema_, options_.connect_timeout);
  if (!listens) co_return listens;
  listener_ = std::move(*connection);
  ++notices_;  // Some may have been missed.
  co_return Ok();
}

asio::awaitable<uint64_t> PostgresClient::Notices() {
  if (!listening_ && (listener_ == nullptr || !listener_->usable())) {
    listening_ = true;
    Result<void> listens = co_await Listen();
    if (!listens) runtime_.log.Debug("the database does not notify", {listens.error()});
    listening_ = false;
    noticed_.NotifyAll();
  }
  co_return notices_;
}

asio::awaitable<void> PostgresClient::WaitForNotices(uint64_t seen,
                                                     std::chrono::nanoseconds timeout) {
  const SteadyTime deadline = runtime_.clock.SteadyNow() + timeout;
  while (notices_ == seen) {
    const std::chrono::nanoseconds left = deadline - runtime_.clock.SteadyNow();
    if (left.count() <= 0) co_return;
    if (listening_) {
      co_await noticed_.WaitFor(runtime_.clock, left);
      continue;
    }
    listening_ = true;
    Result<void> listens = co_await Listen();
    if (listens && notices_ == seen) {
      Result<bool> noticed = co_await listener_->WaitForNotice(left);
      if (noticed && *noticed) ++notices_;
    } else if (!listens) {
      co_await runtime_.clock.Sleep(std::min<std::chrono::nanoseconds>(left, kDeafPause));
      ++notices_;
    }
    listening_ = false;
    noticed_.NotifyAll();
  }
}

}  // namespace longhaul
