#include "transfer/tree/compare_trees.h"

#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "base/checksum.h"
#include "transfer/listing/listing.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/copy_object.h"
#include "transfer/object/object_tags.h"
#include "transfer/tree/same_bytes.h"
#include "transfer/tree/unlisted_folders.h"

namespace longhaul {

namespace {

// Objects that wait for one before them, whose hash is not known yet.
constexpr size_t kAheadMax = 4096;

class Comparison {
 public:
  Comparison(Runtime runtime, TreeSource source, TreeTarget target, CompareOptions options,
             CompareObserver& observer, CompareTotals& totals)
      : runtime_(runtime),
        source_(source),
        target_(target),
        options_(std::move(options)),
        observer_(observer),
        totals_(totals),
        source_tree_(Mode(), [this](const auto& node) { observer_.OnPrefix(true, node); }),
        target_tree_(Mode(), [this](const auto& node) { observer_.OnPrefix(false, node); }) {
    if (!options_.leave_out_unreadable) return;
    source_unlisted_.emplace(source_.store, source_.bucket, source_.prefix, options_.filter);
    target_unlisted_.emplace(target_.store, target_.bucket, target_.prefix, options_.filter);
  }

  Async<void> Run() {
    std::unique_ptr<Listing> left = std::move(options_.source_listing);
    if (left == nullptr) {
      left = OpenListing(runtime_, source_.store, source_.bucket, source_.prefix);
    }
    std::unique_ptr<Listing> right = std::move(options_.target_listing);
    if (right == nullptr) {
      right = OpenListing(runtime_, target_.store, target_.bucket, target_.prefix);
    }
    TaskGroup group(runtime_.executor);
    Result<void> merged = co_await Merge(*left, *right, group);
    Result<void> joined = co_await group.Join();
    co_await left->Close();
    co_await right->Close();
    if (!merged) co_return merged;
    if (!joined) co_return joined;
    if (options_.roots && rooted_) {
      totals_.source_root = source_tree_.Finish();
      totals_.target_root = target_tree_.Finish();
    }
    co_return Ok();
  }

 private:
  [[nodiscard]] TreeMode Mode() const {
    return options_.metadata ? TreeMode::kFull : TreeMode::kListing;
  }

  // What the trees need of one object.
  struct Leaf {
    bool there = false;
    std::string hash;
    uint64_t size_bytes = 0;
  };
  // A name in order, until its leaves are in the trees.
  struct Place {
    std::string name;
    Leaf source;
    Leaf target;
    bool done = false;
  };

  // Fills `object`; false at the end.
  Async<bool> Advance(Listing& listing, std::optional<ListedObject>& object,
                      std::optional<UnlistedFolders>& unlisted) {
    if (!object) object.emplace();
    if (listing.TakeReady(*object)) co_return true;
    Result<std::optional<ListedObject>> next = co_await listing.Next();
    if (unlisted) TellUnlisted(*unlisted);
    if (!next) co_return next.error();
    object = std::move(*next);
    co_return object.has_value();
  }

  void TellUnlisted(UnlistedFolders& unlisted) {
    unlisted.Look();
    for (const auto& [name, error] : unlisted.untold()) {
      ++totals_.failed;
      rooted_ = false;
      observer_.OnFailed(name, error);
    }
    unlisted.untold().clear();
  }

  Async<void> Merge(Listing& left, Listing& right, TaskGroup& group) {
    std::optional<ListedObject> one;
    std::optional<ListedObject> two;
    int order = 0;
    while (true) {
      // Without a coroutine for each object, where the next one is at hand.
      if (order <= 0 && !(one && left.TakeReady(*one))) {
        Result<bool> more = co_await Advance(left, one, source_unlisted_);
        if (!more) co_return more.error();
      }
      if (order >= 0 && !(two && right.TakeReady(*two))) {
        Result<bool> more = co_await Advance(right, two, target_unlisted_);
        if (!more) co_return more.error();
      }
      if (!one && !two) co_return Ok();
      if (options_.stop != nullptr && options_.stop->is_set()) {
        co_return Cancelled("stopped on request");
      }
      std::string_view left_name;
      std::string_view right_name;
      if (one) left_name = std::string_view(one->key).substr(source_.prefix.size());
      if (two) right_name = std::string_view(two->key).substr(target_.prefix.size());
      order = !one ? 1 : !two ? -1 : left_name.compare(right_name);
      const std::string_view name = order <= 0 ? left_name : right_name;
      if (order <= 0) ++totals_.source_objects;
      if (order >= 0) ++totals_.target_objects;
      if (!options_.filter.Matches(name, order <= 0 ? *one : *two)) {
        observer_.OnExcluded(name, order <= 0 ? *one : *two);
        continue;
      }
      // Nobody knows whether the other side has it.
      const std::optional<UnlistedFolders>& other = order < 0 ? target_unlisted_ : source_unlisted_;
      if (order != 0 && other && other->Hides(name)) continue;
      std::shared_ptr<Place> place = NewPlace(name);
      while (places_.size() > kAheadMax) co_await folded_.Wait();
      if (order == 0) {
        const bool look = MustLook(*one, *two);
        if (!look) {
          JudgeListed(*place, *one, *two);
        } else {
          co_await group.WaitBelow(options_.in_flight);
          group.Spawn(Pair(place, std::move(*one), std::move(*two)));
          // What was moved from is filled anew.
        }
        continue;
      }
      if (order < 0 || !options_.one_way) {
        ++totals_.different;
        observer_.OnDifference(
            {.name = name, .aspect = order < 0 ? "missing" : "extra", .source = "", .target = ""});
      }
      if (!options_.roots || (order > 0 && options_.roots_of_source)) {
        Settle(*place);
        continue;
      }
      co_await group.WaitBelow(options_.in_flight);
      group.Spawn(Alone(place, order < 0 ? *one : *two, order < 0));
    }
  }

  std::shared_ptr<Place> NewPlace(std::string_view name) {
    auto place = std::make_shared<Place>(std::string(name));  // shared with its task.
    if (options_.roots) places_.push_back(place);
    return place;
  }

  // The leaves of this one are known, or never will be.
  void Settle(Place& place) {
    place.done = true;
    if (!options_.roots) return;
    while (!places_.empty() && places_.front()->done) {
      const Place& first = *places_.front();
      if (first.source.there) {
        source_tree_.Add(first.name, first.source.hash, first.source.size_bytes);
      }
      if (first.target.there) {
        target_tree_.Add(first.name, first.target.hash, first.target.size_bytes);
      }
      places_.pop_front();
    }
    folded_.NotifyAll();
  }

  static bool AnyLocal(const ListedObject& one, const ListedObject& two) {
    return IsLocalEtag(one.etag) || IsLocalEtag(two.etag);
  }
  [[nodiscard]] static bool SameEtag(const ListedObject& one, const ListedObject& two) {
    return !AnyLocal(one, two) && !one.etag.empty() && one.etag == two.etag;
  }
  // Whether the listings alone do not tell.
  [[nodiscard]] bool MustLook(const ListedObject& one, const ListedObject& two) const {
    return (options_.metadata && !AnyLocal(one, two)) ||
           (one.size_bytes == two.size_bytes && !SameEtag(one, two)) || MustRead(one) ||
           MustRead(two);
  }
  // Whether its bytes have to be read for its hash.
  [[nodiscard]] bool MustRead(const ListedObject& object) const {
    return options_.roots && options_.download && IsLocalEtag(object.etag);
  }

  Leaf ListedLeaf(const ListedObject& object) {
    if (IsLocalEtag(object.etag)) {
      rooted_ = false;
      totals_.local = true;
    }
    if (!options_.roots || !rooted_) return {};
    return {.there = true, .hash = HashListed(object), .size_bytes = object.size_bytes};
  }

  // The end of every comparison.
  void Finish(Place& place, uint64_t size_bytes, int differences, SameBytes bytes) {
    PairVerdict verdict = PairVerdict::kEqual;
    if (differences > 0) {
      ++totals_.different;
      verdict = PairVerdict::kDifferent;
    } else if (bytes == SameBytes::kUnknown) {
      ++totals_.not_comparable;
      observer_.OnNotComparable(place.name);
      verdict = PairVerdict::kNotComparable;
    } else {
      ++totals_.equal;
    }
    observer_.OnPair(place.name, verdict);
    observer_.OnCompared(size_bytes);
    Settle(place);
  }

  int CompareListed(const Place& place, const ListedObject& one, const ListedObject& two) {
    int differences = 0;
    auto differs = [&](std::string_view aspect, std::string source, std::string target) {
      ++differences;
      observer_.OnDifference({.name = place.name,
                              .aspect = aspect,
                              .source = std::move(source),
                              .target = std::move(target)});
    };
    if (one.size_bytes != two.size_bytes) {
      differs("size", std::to_string(one.size_bytes), std::to_string(two.size_bytes));
    }
    if (options_.storage_class) {
      auto named = [](const std::string& text) {
        return text.empty() ? std::string("STANDARD") : text;
      };
      if (named(one.storage_class) != named(two.storage_class)) {
        differs("storage class", named(one.storage_class), named(two.storage_class));
      }
    }
    return differences;
  }

  void JudgeListed(Place& place, const ListedObject& one, const ListedObject& two) {
    ++totals_.compared;
    totals_.bytes += one.size_bytes;
    const int differences = CompareListed(place, one, two);
    place.source = ListedLeaf(one);
    place.target = ListedLeaf(two);
    Finish(place, one.size_bytes, differences, SameBytes::kSame);
  }

  Async<void> Pair(std::shared_ptr<Place> place, ListedObject one, ListedObject two) {
    ++totals_.compared;
    totals_.bytes += one.size_bytes;
    const std::string& name = place->name;
    const bool local = AnyLocal(one, two);
    const bool same_size = one.size_bytes == two.size_bytes;
    int differences = CompareListed(*place, one, two);
    auto differs = [&](std::string_view aspect, std::string source, std::string target) {
      ++differences;
      observer_.OnDifference({.name = name,
                              .aspect = aspect,
                              .source = std::move(source),
                              .target = std::move(target)});
    };
    SameBytes bytes = same_size && (SameEtag(one, two) || one.size_bytes == 0)
                          ? SameBytes::kSame
                          : SameBytes::kUnknown;
    Result<ObjectInfo> left = co_await source_.store.Head(
        {.bucket = source_.bucket, .key = one.key, .version_id = one.version_id});
    if (!left) co_return Fail(*place, left.error());
    Result<ObjectInfo> right =
        co_await target_.store.Head({.bucket = target_.bucket, .key = two.key});
    if (!right) co_return Fail(*place, right.error());
    if (same_size && bytes == SameBytes::kUnknown) {
      Result<SameBytes> told = co_await CompareBytes(
          runtime_,
          {.store = source_.store,
           .bucket = source_.bucket,
           .key = one.key,
           .version_id = one.version_id},
          *left, {.store = target_.store, .bucket = target_.bucket, .key = two.key}, *right,
          options_.download);
      if (!told) co_return Fail(*place, told.error());
      bytes = *told;
      if (bytes == SameBytes::kDifferent) differs("bytes", left->etag, right->etag);
    }
    if (options_.metadata && !local) {
      CompareDescriptions(*left, *right, differs);
      Tags left_tags;
      Tags right_tags;
      Result<void> tags =
          co_await CompareTags(one, *left, left_tags, two, *right, right_tags, differs);
      if (!tags) co_return Fail(*place, tags.error());
      if (options_.roots && rooted_) {
        place->source = FullLeaf(*left, left_tags);
        place->target = FullLeaf(*right, right_tags);
      }
    } else if (MustRead(one) || MustRead(two)) {
      totals_.local = true;
      // What was proven equal to an MD5 need not be read again for it.
      const bool same = bytes == SameBytes::kSame;
      Result<Leaf> own = co_await ReadLeaf(source_.store, source_.bucket, one, *left,
                                           same ? Md5Known(*right) : std::string());
      if (!own) co_return Fail(*place, own.error());
      Result<Leaf> other = co_await ReadLeaf(target_.store, target_.bucket, two, *right,
                                             same ? Md5Known(*left) : std::string());
      if (!other) co_return Fail(*place, other.error());
      place->source = std::move(*own);
      place->target = std::move(*other);
    } else {
      place->source = ListedLeaf(one);
      place->target = ListedLeaf(two);
    }
    Finish(*place, one.size_bytes, differences, bytes);
    co_return Ok();
  }

  static Leaf FullLeaf(const ObjectInfo& info, const Tags& tags) {
    return {.there = true,
            .hash = HashFull(info.size_bytes, TreeContent(info), info, tags),
            .size_bytes = info.size_bytes};
  }

  static std::string Md5Known(const ObjectInfo& info) {
    return !info.etag_opaque && IsPlainMd5Etag(info.etag) ? info.etag : std::string();
  }

  // The leaf of what has been looked at; of a local file by its MD5, which is `md5` where that is
  // known.
  Async<Leaf> ReadLeaf(Store& store, std::string bucket, ListedObject object, ObjectInfo info,
                       std::string md5) {
    if (IsLocalEtag(info.etag)) {
      if (md5.empty()) {
        Result<std::string> read =
            co_await Md5Of(runtime_, {.store = store, .bucket = bucket, .key = object.key});
        if (!read) co_return read.error();
        md5 = std::move(*read);
      }
      info.etag = std::move(md5);
      object.etag = info.etag;
      object.size_bytes = info.size_bytes;
    }
    if (!options_.metadata) {
      co_return Leaf{.there = true, .hash = HashListed(object), .size_bytes = object.size_bytes};
    }
    Tags tags;
    if (info.tag_count > 0 && store.capabilities().tags) {
      Result<Tags> read = co_await store.GetTags(bucket, object.key, object.version_id);
      if (!read) co_return read.error();
      tags = std::move(*read);
    }
    co_return FullLeaf(info, tags);
  }

  // An object at one side, for that side's root.
  Async<void> Alone(std::shared_ptr<Place> place, ListedObject object, bool at_source) {
    Store& store = at_source ? source_.store : target_.store;
    const std::string& bucket = at_source ? source_.bucket : target_.bucket;
    Leaf& leaf = at_source ? place->source : place->target;
    const bool read = MustRead(object);
    if (read) totals_.local = true;
    if (!read) leaf = ListedLeaf(object);
    if (!read && (!leaf.there || !options_.metadata)) {
      Settle(*place);
      co_return Ok();
    }
    Result<ObjectInfo> info = co_await store.Head({.bucket = bucket, .key = object.key});
    if (!info) co_return Fail(*place, info.error());
    object.version_id.clear();
    Result<Leaf> looked = co_await ReadLeaf(store, bucket, std::move(object), *info, "");
    if (!looked) co_return Fail(*place, looked.error());
    leaf = std::move(*looked);
    Settle(*place);
    co_return Ok();
  }

  Result<void> Fail(Place& place, const Error& error) {
    ++totals_.failed;
    rooted_ = false;
    observer_.OnFailed(place.name, error);
    Settle(place);
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
      if (IsEntryOfCopies(name) && kind == "metadata ") continue;
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
  Async<void> CompareTags(const ListedObject& one, const ObjectInfo& left, Tags& left_tags,
                          const ListedObject& two, const ObjectInfo& right, Tags& right_tags,
                          const Differs& differs) {
    if (left.tag_count == 0 && right.tag_count == 0) co_return Ok();
    if (!source_.store.capabilities().tags || !target_.store.capabilities().tags) co_return Ok();
    Result<FoundTags> found =
        co_await FindTags(source_.store, source_.bucket, one.key, one.version_id, left.tag_count);
    if (!found) co_return found.error();
    left_tags = std::move(found->tags);
    found = co_await FindTags(target_.store, target_.bucket, two.key, "", right.tag_count);
    if (!found) co_return found.error();
    right_tags = std::move(found->tags);
    CompareMaps("tag ", left_tags, right_tags, differs);
    co_return Ok();
  }

  Runtime runtime_;
  TreeSource source_;
  TreeTarget target_;
  CompareOptions options_;
  CompareObserver& observer_;
  CompareTotals& totals_;
  std::optional<UnlistedFolders> source_unlisted_;
  std::optional<UnlistedFolders> target_unlisted_;
  bool rooted_ = true;  // The roots can be told.
  ObjectTree source_tree_;
  ObjectTree target_tree_;
  std::deque<std::shared_ptr<Place>> places_;  // shared with the tasks.
  WaitList folded_;
};

}  // namespace

Async<void> CompareTrees(Runtime runtime, TreeSource source, TreeTarget target,
                         CompareOptions options, CompareObserver& observer, CompareTotals& totals) {
  Comparison comparison(runtime, source, target, std::move(options), observer, totals);
  co_return co_await comparison.Run();
}

}  // namespace longhaul
