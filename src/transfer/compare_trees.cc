#include "transfer/compare_trees.h"

#include <cstring>
#include <memory>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/listing.h"
#include "transfer/local_folder.h"

namespace longhaul {

namespace {

constexpr std::string_view kMarkName = "longhaul";
constexpr size_t kPieceBytes = 1 << 20;

enum class Bytes { kEqual, kDifferent, kUnknown };

// By what both heads say.
Bytes CompareHeads(const ObjectInfo& one, const ObjectInfo& two) {
  if (!one.etag.empty() && one.etag == two.etag) return Bytes::kEqual;
  for (const Checksum& left : one.checksums) {
    for (const Checksum& right : two.checksums) {
      if (left.algorithm != right.algorithm || left.composite || right.composite) continue;
      return left.value == right.value ? Bytes::kEqual : Bytes::kDifferent;
    }
  }
  // Two MD5s that differ mean different bytes (or SSE-KMS, where ETags are no MD5s: look then).
  if (IsPlainMd5Etag(one.etag) && IsPlainMd5Etag(two.etag)) return Bytes::kDifferent;
  return Bytes::kUnknown;
}

class Comparison {
 public:
  Comparison(Runtime runtime, TreeSource source, TreeTarget target, CompareOptions options,
             CompareObserver& observer, CompareTotals& totals)
      : runtime_(runtime),
        source_(source),
        target_(target),
        options_(std::move(options)),
        observer_(observer),
        totals_(totals) {}

  Async<void> Run() {
    if (!source_.store.capabilities().sorted_listing ||
        !target_.store.capabilities().sorted_listing) {
      co_return InvalidInput("a store that does not list in order of keys cannot be checked");
    }
    Listing left(runtime_, source_.store, source_.bucket, source_.prefix);
    Listing right(runtime_, target_.store, target_.bucket, target_.prefix);
    TaskGroup group(runtime_.executor);
    Result<void> merged = co_await Merge(left, right, group);
    Result<void> joined = co_await group.Join();
    co_await left.Close();
    co_await right.Close();
    if (!merged) co_return merged;
    co_return joined;
  }

 private:
  Async<void> Merge(Listing& left, Listing& right, TaskGroup& group) {
    Result<std::optional<ListedObject>> one = co_await left.Next();
    if (!one) co_return one.error();
    Result<std::optional<ListedObject>> two = co_await right.Next();
    if (!two) co_return two.error();
    while (*one || *two) {
      if (options_.stop != nullptr && options_.stop->is_set()) {
        co_return Cancelled("stopped on request");
      }
      std::string_view left_name;
      std::string_view right_name;
      if (*one) left_name = std::string_view((*one)->key).substr(source_.prefix.size());
      if (*two) right_name = std::string_view((*two)->key).substr(target_.prefix.size());
      int order = !*one ? 1 : !*two ? -1 : left_name.compare(right_name);
      std::string name(order <= 0 ? left_name : right_name);
      if (options_.filter.Matches(name)) {
        if (order < 0) {
          ++totals_.different;
          observer_.OnDifference({.name = name, .aspect = "missing", .source = "", .target = ""});
        } else if (order > 0) {
          if (!options_.one_way) {
            ++totals_.different;
            observer_.OnDifference({.name = name, .aspect = "extra", .source = "", .target = ""});
          }
        } else {
          co_await group.WaitBelow(options_.in_flight);
          group.Spawn(Pair(name, std::move(**one), std::move(**two)));
        }
      }
      if (order <= 0) {
        one = co_await left.Next();
        if (!one) co_return one.error();
      }
      if (order >= 0) {
        two = co_await right.Next();
        if (!two) co_return two.error();
      }
    }
    co_return Ok();
  }

  Async<void> Pair(std::string name, ListedObject one, ListedObject two) {
    ++totals_.compared;
    totals_.bytes += one.size_bytes;
    bool local = IsLocalEtag(one.etag) || IsLocalEtag(two.etag);
    bool same_size = one.size_bytes == two.size_bytes;
    bool same_etag = !local && !one.etag.empty() && one.etag == two.etag;
    bool look = (options_.metadata && !local) || (same_size && !same_etag);
    int differences = 0;
    auto differs = [&](std::string_view aspect, std::string source, std::string target) {
      ++differences;
      observer_.OnDifference({.name = name,
                              .aspect = aspect,
                              .source = std::move(source),
                              .target = std::move(target)});
    };
    if (!same_size) {
      differs("size", std::to_string(one.size_bytes), std::to_string(two.size_bytes));
    }
    Bytes bytes = same_size && (same_etag || one.size_bytes == 0) ? Bytes::kEqual : Bytes::kUnknown;
    if (look) {
      Result<ObjectInfo> left =
          co_await source_.store.Head({.bucket = source_.bucket, .key = one.key});
      if (!left) co_return Fail(name, left.error());
      Result<ObjectInfo> right =
          co_await target_.store.Head({.bucket = target_.bucket, .key = two.key});
      if (!right) co_return Fail(name, right.error());
      if (same_size && bytes == Bytes::kUnknown) {
        Result<Bytes> told = co_await CompareBytes(one, *left, two, *right);
        if (!told) co_return Fail(name, told.error());
        bytes = *told;
        if (bytes == Bytes::kDifferent) differs("bytes", left->etag, right->etag);
      }
      if (options_.metadata && !local) {
        CompareDescriptions(*left, *right, differs);
        Result<void> tags = co_await CompareTags(one, *left, two, *right, differs);
        if (!tags) co_return Fail(name, tags.error());
      }
    }
    if (options_.storage_class) {
      auto named = [](const std::string& text) {
        return text.empty() ? std::string("STANDARD") : text;
      };
      if (named(one.storage_class) != named(two.storage_class)) {
        differs("storage class", named(one.storage_class), named(two.storage_class));
      }
    }
    if (differences > 0) {
      ++totals_.different;
    } else if (bytes == Bytes::kUnknown) {
      ++totals_.not_comparable;
      observer_.OnNotComparable(name);
    } else {
      ++totals_.equal;
    }
    observer_.OnCompared(one.size_bytes);
    co_return Ok();
  }

  Result<void> Fail(const std::string& name, const Error& error) {
    ++totals_.failed;
    observer_.OnFailed(name, error);
    return Ok();  // The others are still compared.
  }

  template <class Differs>
  static void CompareDescriptions(const ObjectInfo& left, const ObjectInfo& right,
                                  const Differs& differs) {
    const SystemHeaders& a = left.headers;
    const SystemHeaders& b = right.headers;
    const std::pair<std::string_view, std::string SystemHeaders::*> kHeaders[] = {
        {"header content-type", &SystemHeaders::content_type},
        {"header content-encoding", &SystemHeaders::content_encoding},
        {"header content-language", &SystemHeaders::content_language},
        {"header content-disposition", &SystemHeaders::content_disposition},
        {"header cache-control", &SystemHeaders::cache_control},
        {"header expires", &SystemHeaders::expires},
        {"header website-redirect-location", &SystemHeaders::website_redirect_location}};
    for (const auto& [aspect, member] : kHeaders) {
      if (a.*member != b.*member) differs(aspect, a.*member, b.*member);
    }
    CompareMaps("metadata ", left.metadata, right.metadata, differs);
  }

  template <class Differs>
  static void CompareMaps(std::string_view kind, const std::map<std::string, std::string>& left,
                          const std::map<std::string, std::string>& right, const Differs& differs) {
    std::set<std::string> names;
    for (const auto& [name, value] : left) names.insert(name);
    for (const auto& [name, value] : right) names.insert(name);
    for (const std::string& name : names) {
      if (name == kMarkName && kind == "metadata ") continue;
      auto one = left.find(name);
      auto two = right.find(name);
      bool equal = one != left.end() && two != right.end() && one->second == two->second;
      if (!equal) {
        differs(std::string(kind) + name, one == left.end() ? "" : one->second,
                two == right.end() ? "" : two->second);
      }
    }
  }

  template <class Differs>
  Async<void> CompareTags(const ListedObject& one, const ObjectInfo& left, const ListedObject& two,
                          const ObjectInfo& right, const Differs& differs) {
    if (left.tag_count == 0 && right.tag_count == 0) co_return Ok();
    if (!source_.store.capabilities().tags || !target_.store.capabilities().tags) co_return Ok();
    Tags source_tags;
    Tags target_tags;
    if (left.tag_count > 0) {
      Result<Tags> tags = co_await source_.store.GetTags(source_.bucket, one.key, "");
      if (!tags) co_return tags.error();
      source_tags = std::move(*tags);
    }
    if (right.tag_count > 0) {
      Result<Tags> tags = co_await target_.store.GetTags(target_.bucket, two.key, "");
      if (!tags) co_return tags.error();
      target_tags = std::move(*tags);
    }
    CompareMaps("tag ", source_tags, target_tags, differs);
    co_return Ok();
  }

  Async<Bytes> CompareBytes(const ListedObject& one, const ObjectInfo& left,
                            const ListedObject& two, const ObjectInfo& right) {
    bool left_local = IsLocalEtag(left.etag);
    bool right_local = IsLocalEtag(right.etag);
    Bytes told = CompareHeads(left, right);
    if (told != Bytes::kUnknown) co_return told;
    if (left_local != right_local) {
      const ObjectInfo& remote = left_local ? right : left;
      std::optional<Checksum> checksum = WholeChecksum(remote);
      if (checksum || IsPlainMd5Etag(remote.etag)) {
        HashKind kind = checksum ? HashKindOf(checksum->algorithm) : HashKind::kMd5;
        Result<std::string> digest =
            left_local ? co_await DigestOf(source_.store, source_.bucket, one.key, kind)
                       : co_await DigestOf(target_.store, target_.bucket, two.key, kind);
        if (!digest) co_return digest.error();
        bool equal =
            checksum ? Base64Encode(*digest) == checksum->value : HexEncode(*digest) == remote.etag;
        co_return equal ? Bytes::kEqual : Bytes::kDifferent;
      }
    }
    if (!options_.download && !(left_local && right_local)) co_return Bytes::kUnknown;
    co_return co_await ReadBoth(one, two);
  }

  Async<std::string> DigestOf(Store& store, const std::string& bucket, const std::string& key,
                              HashKind kind) {
    Result<Reservation> memory = co_await runtime_.memory.Reserve(kPieceBytes);
    if (!memory) co_return memory.error();
    Result<ObjectStream> stream = co_await store.Get({.bucket = bucket, .key = key});
    if (!stream) co_return stream.error();
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
    std::unique_ptr<Hasher> hasher = NewHasher(kind);
    while (true) {
      Result<size_t> count = co_await stream->body->Read(std::span(buffer.get(), kPieceBytes));
      if (!count) co_return count.error();
      if (*count == 0) break;
      co_await runtime_.pool.Run([&] { hasher->Update(std::span(buffer.get(), *count)); });
    }
    co_return hasher->Finish();
  }

  Async<Bytes> ReadBoth(const ListedObject& one, const ListedObject& two) {
    Result<Reservation> memory = co_await runtime_.memory.Reserve(2 * kPieceBytes);
    if (!memory) co_return memory.error();
    Result<ObjectStream> left =
        co_await source_.store.Get({.bucket = source_.bucket, .key = one.key});
    if (!left) co_return left.error();
    Result<ObjectStream> right =
        co_await target_.store.Get({.bucket = target_.bucket, .key = two.key});
    if (!right) co_return right.error();
    auto buffers = std::make_unique_for_overwrite<std::byte[]>(2 * kPieceBytes);
    std::byte* second = buffers.get() + kPieceBytes;
    while (true) {
      Result<size_t> filled = co_await Fill(*left->body, std::span(buffers.get(), kPieceBytes));
      if (!filled) co_return filled.error();
      Result<size_t> other = co_await Fill(*right->body, std::span(second, kPieceBytes));
      if (!other) co_return other.error();
      if (*filled != *other || std::memcmp(buffers.get(), second, *filled) != 0) {
        co_return Bytes::kDifferent;
      }
      if (*filled < kPieceBytes) co_return Bytes::kEqual;
    }
  }

  // As much as fits; less only at the end.
  static Async<size_t> Fill(ByteReader& reader, std::span<std::byte> out) {
    size_t filled = 0;
    while (filled < out.size()) {
      Result<size_t> count = co_await reader.Read(out.subspan(filled));
      if (!count) co_return count.error();
      if (*count == 0) break;
      filled += *count;
    }
    co_return filled;
  }

  Runtime runtime_;
  TreeSource source_;
  TreeTarget target_;
  CompareOptions options_;
  CompareObserver& observer_;
  CompareTotals& totals_;
};

}  // namespace

Async<void> CompareTrees(Runtime runtime, TreeSource source, TreeTarget target,
                         CompareOptions options, CompareObserver& observer, CompareTotals& totals) {
  Comparison comparison(runtime, source, target, std::move(options), observer, totals);
  co_return co_await comparison.Run();
}

}  // namespace longhaul
