#include "net/postgres_connection.h"

#include <postgresql/libpq-fe.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

namespace longhaul {

namespace {

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
// At least, before the next server is tried: a first packet that was lost is sent again after one
// second (RFC 6298, 2.1).
constexpr std::chrono::seconds kSilentFor{2};

// libpq's messages end with a line break, and may have several lines.
std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text[at] = ' ';
  return text;
}

// A server that refuses a connection tells a SQLSTATE that libpq does not pass on.
ErrorKind KindOfRefusal(std::string_view message) {
  for (std::string_view denied :
       {"authentication failed", "no password supplied", "no pg_hba.conf entry",
        "permission denied", "is not permitted to log in", "certificate verify failed",
        "does not support SSL", "does not match host name"}) {
    if (message.contains(denied)) return ErrorKind::kDenied;
  }
  if (message.contains("FATAL") && message.contains("does not exist")) {
    return message.contains("role ") ? ErrorKind::kDenied : ErrorKind::kInvalidInput;
  }
  return ErrorKind::kRetryable;
}

}  // namespace

// (PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes".)
ErrorKind PostgresErrorKind(std::string_view sqlstate) {
  const std::string_view group = sqlstate.substr(0, 2);
  if (group == "28" || sqlstate == "42501") return ErrorKind::kDenied;
  if (group == "XX" && sqlstate != "XX000") return ErrorKind::kCorrupt;
  // A connection, a conflict with another transaction, too few resources, an operator, I/O; and
  // what a server says that is a standby by now.
  for (std::string_view passing : {"08", "40", "53", "55", "57", "58"}) {
    if (group == passing) return ErrorKind::kRetryable;
  }
  if (sqlstate == "25006") return ErrorKind::kRetryable;
  return ErrorKind::kInvalidInput;
}

PostgresConnection::PostgresConnection(const Runtime& runtime)
    : runtime_(runtime), descriptor_(runtime.executor) {}

PostgresConnection::~PostgresConnection() { Finish(); }

std::string PostgresConnection::user() const {
  const char* name = connection_ == nullptr ? nullptr : PQuser(connection_);
  return name == nullptr ? "" : name;
}

Error PostgresConnection::Broken(std::string_view code, const std::string& why) {
  usable_ = false;
  Error error = Retryable("the database does not answer: " + OneLine(why));
  error.code = code;
  return error;
}

Async<PostgresConnection::Servers> PostgresConnection::LookUp(Servers named) {
  Servers servers;
  std::string missing;
  asio::ip::tcp::resolver resolver(runtime_.executor);
  for (PostgresServer& server : named) {
    if (server.host.empty() || server.host.starts_with('/') || server.host.starts_with('@')) {
      servers.push_back(std::move(server));  // A socket.
      continue;
    }
    auto [error, found] = co_await resolver.async_resolve(server.host, "", kNoThrow);
    if (error || found.empty()) missing += (missing.empty() ? "" : ", ") + server.host;
    if (error) continue;
    for (const auto& one : found) {
      server.address = one.endpoint().address().to_string();
      servers.push_back(server);
    }
  }
  if (servers.empty()) co_return Broken(kPostgresNotSent, "cannot find the host " + missing);
  co_return servers;
}

Result<void> PostgresConnection::WatchSocket() {
  const int socket = PQsocket(connection_);
  if (descriptor_.is_open()) {
    if (descriptor_.native_handle() == socket) return Ok();
    descriptor_.release();
  }
  if (socket < 0) return Broken(kPostgresNotSent, PQerrorMessage(connection_));
  boost::system::error_code error;
  descriptor_.assign(socket, error);
  if (error) return Broken(kPostgresNotSent, error.message());
  return Ok();
}

asio::awaitable<bool> PostgresConnection::Wait(Descriptor::wait_type what, SteadyTime deadline) {
  const std::chrono::nanoseconds left = deadline - runtime_.clock.SteadyNow();
  if (left.count() <= 0) co_return false;
  std::unique_ptr<Clock::Timer> timer =
      runtime_.clock.StartTimer(left, [this] { descriptor_.cancel(); });
  auto [error] = co_await descriptor_.async_wait(what, kNoThrow);
  co_return !error;
}

Async<bool> PostgresConnection::TryServers(const PostgresKeywords& keywords, Servers& servers,
                                           SteadyTime deadline) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : keywords) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_ = PQconnectStartParams(names.data(), values.data(), 0);
  if (connection_ == nullptr) co_return Broken(kPostgresNotSent, "out of memory");
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  // libpq goes on to the next one by itself where one refuses, and waits for ever for one that is
  // silent.
  auto trying = servers.begin();
  SteadyTime share = deadline;
  auto begin_at = [&](Servers::iterator server) {
    trying = server;
    const SteadyTime now = runtime_.clock.SteadyNow();
    const auto left = std::max<ptrdiff_t>(servers.end() - trying, 1);
    share = left == 1 ? deadline
                      : now + std::max<SteadyTime::duration>((deadline - now) / left, kSilentFor);
  };
  begin_at(servers.begin());
  PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
  while (PQstatus(connection_) != CONNECTION_BAD && wants != PGRES_POLLING_OK) {
    if (wants == PGRES_POLLING_FAILED) break;
    // A socket that libpq has opened for the next server may have the number of the last one.
    if (descriptor_.is_open()) descriptor_.release();
    Result<void> watched = WatchSocket();
    if (!watched) co_return watched.error();
    const bool ready = co_await Wait(
        wants == PGRES_POLLING_READING ? Descriptor::wait_read : Descriptor::wait_write,
        std::min(deadline, share));
    if (!ready && share < deadline && runtime_.clock.SteadyNow() < deadline) {
      servers.erase(servers.begin(), trying + 1);
      co_return false;
    }
    if (!ready) co_return Broken(kPostgresNotSent, "no connection within its time");
    // One that has answered may take its time for the rest: logins wait for a server that is busy.
    if (wants == PGRES_POLLING_READING) share = deadline;
    wants = PQconnectPoll(connection_);
    const std::string_view address = PQhostaddr(connection_);
    const std::string_view port = PQport(connection_);
    const auto now_at = std::find_if(trying, servers.end(), [&](const PostgresServer& server) {
      return server.address == address && (server.port.empty() || server.port == port);
    });
    if (now_at != trying && now_at != servers.end()) begin_at(now_at);
  }
  co_return true;
}

void PostgresConnection::Finish() {
  if (descriptor_.is_open()) descriptor_.release();
  PQfinish(std::exchange(connection_, nullptr));
}

Async<void> PostgresConnection::Connect(PostgresKeywords keywords,
                                        std::chrono::nanoseconds timeout) {
  const SteadyTime deadline = runtime_.clock.SteadyNow() + timeout;
  Servers servers = PostgresServersOf(keywords);
  if (!servers.empty()) {
    Result<Servers> found = co_await LookUp(std::move(servers));
    if (!found) co_return found.error();
    servers = std::move(*found);
  }
  while (true) {
    if (!servers.empty()) SetPostgresServers(keywords, servers);
    Result<bool> tried = co_await TryServers(keywords, servers, deadline);
    if (!tried) co_return tried.error();
    if (*tried) break;
    Finish();
  }
  if (PQstatus(connection_) != CONNECTION_OK) {
    const std::string why = OneLine(PQerrorMessage(connection_));
    Error refused = Broken(kPostgresNotSent, why);
    refused.kind = KindOfRefusal(why);
    if (refused.kind != ErrorKind::kRetryable) refused.message = "the database refuses us: " + why;
    co_return refused;
  }
  if (PQsetnonblocking(connection_, 1) != 0) co_return Broken(kPostgresNotSent, "not non-blocking");
  Result<void> watched = WatchSocket();
  if (!watched) co_return watched;
  usable_ = true;
  co_return Ok();
}

Async<void> PostgresConnection::Flush(SteadyTime deadline) {
  while (true) {
    const int flushed = PQflush(connection_);
    if (flushed == 0) co_return Ok();
    if (flushed < 0) co_return Broken(kPostgresNoAnswer, PQerrorMessage(connection_));
    if (!co_await Wait(Descriptor::wait_write, deadline)) {
      co_return Broken(kPostgresNoAnswer, "it took nothing within the time for a statement");
    }
  }
}

Async<PostgresRows> PostgresConnection::Answer(SteadyTime deadline) {
  Result<void> flushed = co_await Flush(deadline);
  if (!flushed) co_return flushed.error();
  std::optional<Error> failure;
  PostgresRows rows(nullptr);
  while (true) {
    while (PQisBusy(connection_) != 0) {
      if (!co_await Wait(Descriptor::wait_read, deadline)) {
        co_return Broken(kPostgresNoAnswer, "nothing came within the time for a statement");
      }
      if (PQconsumeInput(connection_) == 0) {
        co_return Broken(kPostgresNoAnswer, PQerrorMessage(connection_));
      }
    }
    pg_result* result = PQgetResult(connection_);
    if (result == nullptr) break;
    PostgresRows answer(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !failure) {
      const char* code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
      const std::string_view state = code == nullptr ? "08000" : code;
      // A connection was lost: ours, or that of a pooler to the server, which may have done all of
      // it by then. (PgBouncer says 08P01, "server conn crashed?".)
      const bool no_answer = state.starts_with("08");
      failure =
          Error{.kind = PostgresErrorKind(state),
                .message = "the database: " +
                           OneLine(message == nullptr ? PQresultErrorMessage(result) : message),
                .code = std::string(no_answer ? kPostgresNoAnswer : state)};
    }
    rows = std::move(answer);
  }
  if (PQstatus(connection_) != CONNECTION_OK) usable_ = false;
  if (failure) {
    // Another server may be the one that takes writes by now.
    if (failure->code == "25006" || failure->code.starts_with("57P")) usable_ = false;
    if (failure->code == kPostgresNoAnswer) usable_ = false;
    co_return *failure;
  }
  co_return rows;
}

Async<PostgresRows> PostgresConnection::Run(const char* sql, const PostgresArguments& arguments,
                                            std::chrono::nanoseconds timeout) {
  const SteadyTime deadline = runtime_.clock.SteadyNow() + timeout;
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const PostgresArguments::Value& value : arguments.values_) {
    types.push_back(value.type);
    values.push_back(value.bytes.data());
    lengths.push_back(static_cast<int>(value.bytes.size()));
  }
  const auto count = static_cast<int>(values.size());
  auto known = prepared_.find(sql);
  if (known == prepared_.end()) {
    std::string name = "s" + std::to_string(prepared_.size());
    if (PQsendPrepare(connection_, name.c_str(), sql, count, types.data()) == 0) {
      co_return Broken(kPostgresNotSent, PQerrorMessage(connection_));
    }
    Result<PostgresRows> prepared = co_await Answer(deadline);
    if (!prepared) {
      Error error = prepared.error();
      if (error.code == kPostgresNoAnswer) error.code = kPostgresNotSent;
      co_return error;
    }
    known = prepared_.emplace(sql, std::move(name)).first;
  }
  const std::vector<int> binary(values.size(), 1);
  if (PQsendQueryPrepared(connection_, known->second.c_str(), count, values.data(), lengths.data(),
                          binary.data(), 1) == 0) {
    co_return Broken(kPostgresNotSent, PQerrorMessage(connection_));
  }
  co_return co_await Answer(deadline);
}

Async<void> PostgresConnection::Execute(const std::string& sql, std::chrono::nanoseconds timeout) {
  const SteadyTime deadline = runtime_.clock.SteadyNow() + timeout;
  if (PQsendQuery(connection_, sql.c_str()) == 0) {
    co_return Broken(kPostgresNotSent, PQerrorMessage(connection_));
  }
  Result<PostgresRows> answer = co_await Answer(deadline);
  if (!answer) co_return answer.error();
  co_return Ok();
}

Async<bool> PostgresConnection::WaitForNotice(std::chrono::nanoseconds timeout) {
  const SteadyTime deadline = runtime_.clock.SteadyNow() + timeout;
  bool noticed = false;
  while (true) {
    while (PGnotify* notice = PQnotifies(connection_)) {
      PQfreemem(notice);
      noticed = true;
    }
    if (noticed) co_return true;
    if (!co_await Wait(Descriptor::wait_read, deadline)) co_return false;
    if (PQconsumeInput(connection_) == 0) {
      co_return Broken(kPostgresNoAnswer, PQerrorMessage(connection_));
    }
  }
}

}  // namespace longhaul
