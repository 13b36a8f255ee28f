#include "cli/store_troubles.h"

#include <chrono>
#include <utility>

namespace longhaul {

namespace {

using std::chrono::seconds;

constexpr seconds kLong{30};
constexpr seconds kBrief{2};  // A retry that works within this was no outage.

// What makes two failures the same for a person: the texts differ by milliseconds and keys.
std::string KindOf(const Error& error) {
  return std::string(ToString(error.kind)) + " " + error.code + " " +
         std::to_string(error.http_status);
}

double Seconds(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

std::function<void(const Error*)> StoreTroubles::For(const std::string& store) {
  std::unique_ptr<Store>& entry = stores_[store];
  if (entry == nullptr) {
    entry = std::make_unique<Store>();
    entry->name = store;
  }
  return [this, known = entry.get()](const Error* failure) {
    if (failure != nullptr) {
      Failed(*known, *failure);
    } else {
      Succeeded(*known);
    }
  };
}

std::function<void(seconds)> StoreTroubles::ClockOff(const std::string& store) {
  return [this, store](seconds ahead) {
    if (std::exchange(clock_told_, true)) return;
    if (use_log_) {
      log_.Warning("this machine's clock is off",
                   {{"by_that_of", store}, {"seconds_ahead", -ahead.count()}});
      return;
    }
    output_.Problem(Message("clock_off")
                        .With("store", store)
                        .With("seconds_ahead", -ahead.count())
                        .Says("this machine's clock is " +
                              FormatSeconds(static_cast<double>(std::chrono::abs(ahead).count())) +
                              (ahead.count() > 0 ? " behind" : " ahead of") + " that of " +
                              Printable(store) + "; all works, but set it right"));
  };
}

void StoreTroubles::Failed(Store& store, const Error& failure) {
  const SteadyTime now = clock_.SteadyNow();
  if (!store.away) {
    store.away = true;
    store.since = now;
    store.long_told = false;
  }
  const bool is_new = store.told.insert(KindOf(failure)).second;
  const bool is_long = !store.long_told && now - store.since >= kLong;
  if (is_long) store.long_told = true;
  if (!is_new && !is_long) return;
  if (use_log_) {
    log_.Warning("a store fails, trying again", {{"store", store.name}, failure});
    return;
  }
  std::string text = store.name + ": ";
  if (is_long) text += "for " + FormatSeconds(Seconds(store.since, now)) + " now: ";
  output_.Problem(Message("store_trouble")
                      .With("store", store.name)
                      .With("kind", ToString(failure.kind))
                      .With("message", failure.Describe())
                      .With("seconds", Seconds(store.since, now))
                      .Says(Printable(text + failure.Describe()) + "; trying again"));
}

void StoreTroubles::Succeeded(Store& store) {
  store.away = false;
  const SteadyTime now = clock_.SteadyNow();
  if (now - store.since < kBrief) return;
  store.told.clear();
  if (use_log_) {
    log_.Info("a store answers again", {{"store", store.name}});
    return;
  }
  output_.Note(Message("store_recovered")
                   .With("store", store.name)
                   .With("seconds", Seconds(store.since, now))
                   .Says(store.name + ": answers again"));
}

}  // namespace longhaul
