#include "replication/tuning.h"

#include <utility>

#include "cost/tuner_share.h"

namespace longhaul {

void Tuning::LimitLevel(int level_max) {
  if (!context_.tuner) return;
  for (const auto& [id, tuner] : context_.tuner->rules()) tuner->LimitLevel(level_max);
}

asio::awaitable<void> Tuning::Run(Event& stop) {
  if (!context_.tuner || context_.tuner->empty()) co_return;
  Clock& clock = context_.runtime.clock;
  Tuner& tuner = *context_.tuner;
  for (const auto& [id, rule] : tuner.rules()) {
    if (rule->unknown_price().empty()) continue;
    context_.runtime.log.Info("nobody knows a price, so the level stays as it is",
                              {{"rule", id}, {"price", rule->unknown_price()}});
  }
  TunerShare share(context_.state, clock, tuner);
  SteadyTime published = clock.SteadyNow();
  SteadyTime read{};
  bool failing = false;
  for (bool last = false; !last;) {
    const SteadyTime now = clock.SteadyNow();
    Result<void> shared;
    if (read == SteadyTime() || now >= read + TunerShare::kReadInterval) {
      read = now;
      shared = co_await share.Read();
    }
    last = co_await stop.WaitFor(clock, kStatusInterval);
    tuner.Look(clock.Now(), clock.SteadyNow(), sight_);
    if (last || clock.SteadyNow() >= published + TunerShare::kPublishInterval) {
      published = clock.SteadyNow();
      Result<void> done = co_await share.Publish();
      if (shared) shared = done;
    }
    if (!shared && !failing) {
      context_.runtime.log.Warning("what levels were tried is not shared", {shared.error()});
    }
    failing = !shared;
  }
}

}  // namespace longhaul
