#include "cli/local_state.h"

#include <filesystem>
#include <system_error>

#include "cli/backends.h"

namespace longhaul {

namespace {

// A file of such a name would be made, and nobody would find in it what another host has begun.
Result<void> CheckIsFile(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.starts_with("sqlite:")) return Ok();
  const std::string_view scheme = text.substr(0, colon);
  if (!text.substr(colon).starts_with("://") && !scheme.starts_with("postgres")) return Ok();
  return InvalidInput("a file is meant, and no " + std::string(scheme) +
                      ": address; what a configuration (--config) has as its state counts here, "
                      "too");
}

}  // namespace

void StateFlag::Declare(FlagSet& flags) {
  flags.Parsed({.name = "state",
                .help = "File that remembers runs and unfinished uploads, so that they go on. "
                        "Default: the configuration's state, else "
                        "$XDG_STATE_HOME/longhaul/state.db (~/.local/state/longhaul/state.db).",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               [this](std::string_view text) -> Result<void> {
                 Result<void> file = CheckIsFile(text);
                 if (!file) return file;
                 path = text;
                 return Ok();
               });
}

std::optional<DatabasePlace> LocalStatePlace(RunContext& context, const StateFlag& flag) {
  if (flag.path && !flag.path->empty()) {
    const bool has_scheme = flag.path->starts_with("sqlite:");
    return DatabasePlace{.sqlite_path = has_scheme ? flag.path->substr(7) : *flag.path};
  }
  if (context.configuration() != nullptr) return context.configuration()->state;
  const Console& console = context.console();
  std::optional<std::string> folder = console.Environment("XDG_STATE_HOME");
  // A relative path there is to be ignored. (XDG Base Directory Specification.)
  if (!folder || !folder->starts_with('/')) {
    folder = console.Environment("HOME");
    if (!folder || folder->empty()) return std::nullopt;
    *folder += "/.local/state";
  }
  return DatabasePlace{.sqlite_path = *folder + "/longhaul/state.db"};
}

Async<void> LocalState::OpenNow() {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(place_.sqlite_path).parent_path();
  if (!parent.empty()) {
    std::filesystem::create_directories(parent, error);
    if (error) {
      co_return Error{.kind = ErrorKind::kDenied,
                      .message = parent.string() + ": " + error.message()};
    }
  }
  Result<std::unique_ptr<State>> state = co_await OpenState(runtime_, place_, on_request_);
  if (!state) co_return state.error();
  state_ = std::move(*state);
  co_return Ok();
}

Async<State*> LocalState::Opened() {
  while (opening_) co_await opened_.Wait();
  if (state_ != nullptr) co_return state_.get();
  if (failure_) co_return *failure_;
  opening_ = true;
  Result<void> opened = co_await OpenNow();
  opening_ = false;
  opened_.NotifyAll();
  if (!opened) {
    failure_ = opened.error().In("state");
    co_return *failure_;
  }
  co_return state_.get();
}

Async<std::optional<StateRow>> LocalState::Get(std::string partition, std::string key) {
  Result<State*> state = co_await Opened();
  if (!state) co_return state.error();
  co_return co_await (*state)->Get(std::move(partition), std::move(key));
}

Async<std::vector<std::optional<StateRow>>> LocalState::GetMany(std::string partition,
                                                                std::vector<std::string> keys) {
  Result<State*> state = co_await Opened();
  if (!state) co_return state.error();
  co_return co_await (*state)->GetMany(std::move(partition), std::move(keys));
}

Async<int64_t> LocalState::Write(std::string partition, StateWrite write) {
  Result<State*> state = co_await Opened();
  if (!state) co_return state.error();
  co_return co_await (*state)->Write(std::move(partition), std::move(write));
}

Async<std::vector<Result<int64_t>>> LocalState::WriteMany(std::string partition,
                                                          std::vector<StateWrite> writes) {
  Result<State*> state = co_await Opened();
  if (!state) co_return state.error();
  co_return co_await (*state)->WriteMany(std::move(partition), std::move(writes));
}

Async<int64_t> LocalState::Add(std::string partition, std::string key, int64_t amount) {
  Result<State*> state = co_await Opened();
  if (!state) co_return state.error();
  co_return co_await (*state)->Add(std::move(partition), std::move(key), amount);
}

Async<std::vector<StateRow>> LocalState::Scan(std::string partition, std::string after,
                                              int count_max) {
  Result<State*> state = co_await Opened();
  if (!state) co_return state.error();
  co_return co_await (*state)->Scan(std::move(partition), std::move(after), count_max);
}

}  // namespace longhaul
