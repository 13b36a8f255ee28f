// FillBill: what a fill has cost, by what its stores were asked for, and what the same work would
// have cost by S3 Batch Operations. FillStores: stores that one fill has for itself, so that what
// it asks for can be told from what others ask.
//
// It belongs to one shard.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "cache/run_book.h"
#include "cost/batch_copy.h"
#include "cost/prices.h"
#include "cost/request_counts.h"
#include "rules/rule.h"
#include "storage/store.h"

namespace longhaul::cache {

class FillBill {
 public:
  struct End {
    std::shared_ptr<const RequestCounts> counts;  // shared with the store, whose streams keep it.
    std::string name;                             // As people name it.
    std::string region;                           // "": nobody says it.
    bool directory = false;                       // What it is asked for is of directory buckets.
  };
  // Where both ends are one store, they have the same counts.
  FillBill(End source, End target, Prices prices);

  // Of what was done until now. `ttl`: how long the copies are to live.
  [[nodiscard]] RunCost Reckon(const BatchCopyWork& work, std::chrono::seconds ttl) const;

 private:
  End source_;
  End target_;
  Prices prices_;
};

struct CountedStore {
  std::unique_ptr<Store> store;
  FillBill::End counted;
};
// Opens a store of a configuration for one fill. kInvalidInput: there is none of this name.
using OpenCountedStore =
    std::function<Result<CountedStore>(const std::string& store, const std::string& bucket)>;

class FillStores {
 public:
  explicit FillStores(OpenCountedStore open) : open_(std::move(open)) {}

  // The source first. Errors are those of opening.
  Result<void> OpenSource(const Address& address);
  // The same store where that can be, so that a copy is left to its server.
  Result<void> OpenTarget(const Address& address);

  [[nodiscard]] Store& source() const { return *source_.store; }
  [[nodiscard]] Store& target() const { return target_.store ? *target_.store : *source_.store; }
  [[nodiscard]] FillBill BillAt(Prices prices) const;

 private:
  OpenCountedStore open_;
  std::string source_name_;
  bool source_directory_ = false;
  CountedStore source_;
  CountedStore target_;
};

}  // namespace longhaul::cache
