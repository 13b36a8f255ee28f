// Reading: what the source found under a key when it looked: an object or nothing, with a stamp.

#pragma once

#include <string_view>
#include <vector>

#include "archive/entry.h"
#include "replication/context/context.h"
#include "replication/source/pack.h"

namespace longhaul {

// An object as it was found, or its absence.
struct Reading {
  PackedKey::State state = PackedKey::State::kStaged;
  ArchiveEntry entry;
  std::vector<std::byte> content;
  bool unverified = false;     // As in PackedKey.
  std::vector<size_t> wanted;  // Of kSplit: those of the targets to which this rule carries it.
  Error error;
};

// Those of `targets` (indexes into rule.targets) to which this rule carries `key`, as far as
// `facts` tell: no rule of higher priority is known to do so.
std::vector<size_t> WantedTargets(const RuleContext& rule, const std::vector<size_t>& targets,
                                  std::string_view key, const ObjectFacts& facts);

// Of an object with these headers; `stamp` is the time of the answer.
ArchiveEntry EntryOf(const std::string& key, const ObjectInfo& info);

// Whether ObjectInfo::tag_count of a source can be relied upon: that of a GET can.
enum class TagCount { kTold, kUnknown };

// Reads what belongs to an object besides its headers and bytes (tags), and says what becomes of
// it on the way to `targets`: `reading.state`. Errors are those of the store, and kRetryable when
// it changed meanwhile.
Async<void> CompleteReading(const RuleContext& rule, const std::vector<size_t>& targets,
                            const ObjectInfo& info, const PackItem& item, std::string_view site,
                            Reading& reading, TagCount tag_count = TagCount::kTold);

// What a failed Get says: an absence, or a failure. What lies in an archive class is asked back
// where the rule says so; it is a failure all the same, until it is there.
asio::awaitable<Reading> ReadingOfError(const RuleContext& rule, const std::vector<size_t>& targets,
                                        const PackItem& item, const Error& error,
                                        SystemTime absent_at);

}  // namespace longhaul
