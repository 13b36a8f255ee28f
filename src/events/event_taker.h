// EventTaker: who is interested in events of which keys, and makes durable what they ask for.
//
// Implemented by the rules of a configuration (RuleEvents, events/webhook.h) and by its migrations
// (migration/event_intake.h). It belongs to one shard.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/result.h"
#include "events/s3_event.h"

namespace longhaul {

// What an event is of: several stores may have a bucket of one name.
struct StoreEvent {
  std::string store;
  S3EventRecord record;
};

class EventTaker {
 public:
  struct Source {
    std::string store;
    std::string bucket;
    auto operator<=>(const Source&) const = default;
  };

  virtual ~EventTaker() = default;
  // Where events are wanted from; may name a place twice.
  [[nodiscard]] virtual std::vector<Source> Sources() const = 0;
  // What a message that names no bucket is of; empty: nobody can tell. `store`: where it is known
  // which one sends; empty: any.
  [[nodiscard]] virtual std::string NamelessBucket(std::string_view store) const {
    return OnlyBucket(Sources(), store);
  }
  // Empty: it is wanted. Else why not, as a label of the metric of ignored events.
  [[nodiscard]] virtual std::string_view Unwanted(const StoreEvent& event) const = 0;
  // OK: what these ask for is durable. How many hints, or objects, that were. Errors: it is to be
  // sent again.
  virtual Async<size_t> Take(std::vector<StoreEvent> events) = 0;
  // "no rule replicates", "rules replicate".
  struct Words {
    std::string_view nobody;
    std::string_view everybody;
  };
  [[nodiscard]] virtual Words words() const = 0;

 protected:
  // The bucket of the only source; empty: there are several, or none.
  static std::string OnlyBucket(const std::vector<Source>& sources, std::string_view store) {
    const Source* only = nullptr;
    for (const Source& source : sources) {
      if (!store.empty() && source.store != store) continue;
      if (only != nullptr && *only != source) return {};
      only = &source;
    }
    return only == nullptr ? std::string() : only->bucket;
  }
};

}  // namespace longhaul
