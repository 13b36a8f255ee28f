// AlarmBook: tells of an alarm once when it begins, and once when it is over, by every channel.
//
// What has been told is in State, by channel, so that a process that starts anew, or takes over,
// does not tell it again, and a channel that fails holds no other up. A row is written after the
// channel has taken the message: who dies in between tells it twice, never not at all. What a
// channel does not take is told again at the next look.
//
//   partition "alarms" (the webhook), "alarms/email", "alarms/sns": key NAME, value "SINCE TEXT"

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "observe/alarm_channel.h"
#include "state/state.h"

namespace longhaul {

struct AlarmSight {
  std::string text;  // For a person.
  // False: the cause is there, but not yet for as long as it takes. It begins no alarm and ends
  // none.
  bool due = true;
};

// Whether `name` is one of `names`, or begins with one that ends in "/".
bool IsAmong(const std::vector<std::string>& names, std::string_view name);

class AlarmBook {
 public:
  // `of_others`: names of alarms that somebody else looks at, who has the same State; they are left
  // alone. Null: none.
  AlarmBook(const Runtime& runtime, State& state, std::string site,
            std::vector<std::unique_ptr<AlarmChannel>> channels,
            std::function<bool(std::string_view name)> of_others = nullptr);

  // `seen`: all that is wrong now, by name ("parked/main"). Of those who look at the same names
  // only one may look at a time. `unknown`: names of which nothing is known now, or beginnings of
  // names, with "/" at their end; where they are not seen they end no alarm. Channels are told side
  // by side. One that fails is asked no more this time, unless it refuses one message for good.
  // None begins a message after `stop`, and one that is under way then has three seconds; after
  // that it is given up (kCancelled) and logged, and the next process tells it again. OK: all of it
  // has been told, as far as `stop` let it. Errors: of State; those of channels, the first one of
  // several.
  Async<void> Look(std::map<std::string, AlarmSight> seen, const Event& stop,
                   std::vector<std::string> unknown = {});

 private:
  // shared: with a message that is given up.
  using Channel = std::shared_ptr<AlarmChannel>;
  Async<void> LookBy(const Channel& channel, const std::map<std::string, AlarmSight>& seen,
                     const std::vector<std::string>& unknown, const Event& stop);
  // OK: `channel` has taken it, and State says so.
  Async<void> Tell(const Channel& channel, AlarmMessage message, const Event& stop);

  Runtime runtime_;
  State& state_;
  std::string site_;
  std::function<bool(std::string_view name)> of_others_;
  std::vector<Channel> channels_;
};

}  // namespace longhaul
