// AlarmBook: tells of an alarm once when it begins, and once when it is over, to a webhook.
//
// What has been told is in State, so that a process that starts anew, or takes over, does not tell
// it again. A row is written after the webhook has taken the message: who dies in between tells it
// twice, never not at all. A webhook that does not answer is tried again at the next look.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/runtime.h"
#include "base/secret.h"
#include "net/http_client.h"
#include "state/state.h"

namespace longhaul {

struct AlarmSight {
  std::string text;  // For a person.
  // False: the cause is there, but not yet for as long as it takes. It begins no alarm and ends
  // none.
  bool due = true;
};

struct AlarmBookOptions {
  std::string site;
  Secret url;          // Often holds a token.
  bool slack = false;  // {"text":…}; else a JSON object with all of it.
};

class AlarmBook {
 public:
  // `http` is borrowed; null: a client of its own.
  AlarmBook(const Runtime& runtime, State& state, AlarmBookOptions options,
            HttpClient* http = nullptr);
  ~AlarmBook();

  // `seen`: all that is wrong now, by name ("parked/main"). Only one process may look at a time.
  // OK: all of it has been told. Errors: of State; kRetryable: the webhook.
  Async<void> Look(std::map<std::string, AlarmSight> seen);

 private:
  Async<void> Tell(const std::string& name, const std::string& text, bool over, SystemTime since);

  Runtime runtime_;
  State& state_;
  AlarmBookOptions options_;
  std::unique_ptr<HttpClient> own_http_;  // Null where one was given.
  HttpClient& http_;
};

}  // namespace longhaul
