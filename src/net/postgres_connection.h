// PostgresConnection: one connection to PostgreSQL by libpq, without a blocking call on the shard.
//
// Internal to PostgresClient. One statement at a time. Once it has failed it is not usable any
// more.

#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/runtime.h"
#include "net/postgres_servers.h"
#include "net/postgres_values.h"

struct pg_conn;

namespace longhaul {

// Codes of errors that tell nothing of a statement's effect: it was not sent; no answer came.
inline constexpr std::string_view kPostgresNotSent = "NotSent";
inline constexpr std::string_view kPostgresNoAnswer = "NoAnswer";
// "insufficient_privilege".
inline constexpr std::string_view kPostgresRefused = "42501";

class PostgresConnection {
 public:
  explicit PostgresConnection(const Runtime& runtime);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  // Names of hosts are looked up here, so libpq does not wait for them; one that has no address is
  // left out, and each address of the others is tried. One that is silent takes its share of the
  // time. kDenied: the server refuses us. kInvalidInput: there is no such database. kRetryable: all
  // else.
  Async<void> Connect(PostgresKeywords keywords, std::chrono::nanoseconds timeout);

  // `sql` must live for ever (a literal): it is prepared once, and kept under its address. The
  // error's code is the SQLSTATE, or one of those above.
  Async<PostgresRows> Run(const char* sql, const PostgresArguments& arguments,
                          std::chrono::nanoseconds timeout);
  // Several statements as text, in one transaction unless they say otherwise.
  Async<void> Execute(const std::string& sql, std::chrono::nanoseconds timeout);

  // Waits until the server has notified us of something we LISTEN to; false: not in that time.
  Async<bool> WaitForNotice(std::chrono::nanoseconds timeout);

  [[nodiscard]] bool usable() const { return usable_; }
  // Who the server takes us for; empty: not connected.
  [[nodiscard]] std::string user() const;

 private:
  using Descriptor = asio::posix::stream_descriptor;

  using Servers = std::vector<PostgresServer>;
  Async<Servers> LookUp(Servers named);
  // Until it is connected or has failed. False: the one of `servers` that is being tried is silent,
  // and was removed with those before it.
  Async<bool> TryServers(const PostgresKeywords& keywords, Servers& servers, SteadyTime deadline);
  void Finish();
  // What libpq waits on, which may change while it connects.
  Result<void> WatchSocket();
  asio::awaitable<bool> Wait(Descriptor::wait_type what, SteadyTime deadline);
  Async<void> Flush(SteadyTime deadline);
  // The answers to what was sent: the last of them, or the first that failed.
  Async<PostgresRows> Answer(SteadyTime deadline);
  Error Broken(std::string_view code, const std::string& why);

  const Runtime& runtime_;
  pg_conn* connection_ = nullptr;
  Descriptor descriptor_;  // Of libpq's socket, which libpq closes.
  bool usable_ = false;
  std::unordered_map<const char*, std::string> prepared_;
};

// What to do about a SQLSTATE.
ErrorKind PostgresErrorKind(std::string_view sqlstate);

}  // namespace longhaul
