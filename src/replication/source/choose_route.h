// Which way an object of a rule with `transport: auto` goes: in an archive, or carried by the
// source (carry.h). A wrong choice costs money and time; what arrives is the same.
//
// An object leaves the archives when it is not small and a sample of it does not shrink. What an
// archive costs beside the bytes is then paid for nothing: processor time on both sides, and a part
// in staging for each 8 MiB, written and read, about a tenth of the price of sending them a long
// way ($0.000005 and less, to $0.02 for a GiB). Small objects stay: an archive carries thousands of
// them in one request's round trip, and each by itself would wait for two.

#pragma once

#include <optional>
#include <span>
#include <vector>

#include "replication/context/context.h"
#include "replication/source/pending_keys.h"

namespace longhaul {

// What a sample has to shrink to, at the rule's level, so that its object goes by archive.
inline constexpr double kShrinksTo = 0.95;

// For each of `items`: whether it is carried by the source. Samples what is not known of its kind,
// which takes a request each; what cannot be read goes by archive, where that is dealt with.
asio::awaitable<std::vector<bool>> ChooseRoutes(ReplicationContext& context,
                                                const RuleContext& rule,
                                                std::span<const PendingKeys::Item> items);

// By its size alone: whether the content decides.
bool ContentDecides(const ReplicationLimits& limits, const Rule& rule, uint64_t size_bytes);

// The share of its size that a sample from the middle of an object has when it is compressed as the
// rule says (many formats begin unlike the rest). Errors are those of the store, and of memory.
Async<double> SampleOf(ReplicationContext& context, const RuleContext& rule, std::string key,
                       uint64_t size_bytes);

}  // namespace longhaul
