#include "events/s3_event.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <span>

#include "base/bytes.h"

namespace longhaul {

namespace json = boost::json;

namespace {

constexpr size_t kKeyBytesMax = 1024;
constexpr uint64_t kObjectSizeBytesMax = 1ULL << 50;  // Far more than any store takes.
// An SNS notification in a CloudEvent in an array is the most that makes sense.
constexpr int kWrappersMax = 3;

// Not about the content, metadata or tags of an object. ObjectAccessed above all: it is raised by
// our own reading. Of restores only the completed one matters: before it, and when the restored
// copy has expired, the object cannot be read.
constexpr std::array<std::string_view, 17> kIgnoredNames = {"ObjectAccessed",
                                                            "Object Accessed",
                                                            "Replication",
                                                            "OperationReplication",
                                                            "ObjectAcl",
                                                            "Object ACL",
                                                            "LifecycleTransition",
                                                            "IntelligentTiering",
                                                            "ReducedRedundancyLostObject",
                                                            "ObjectAnnotation",
                                                            "Object Storage Class",
                                                            "Object Access Tier",
                                                            "ObjectRestore:Post",
                                                            "ObjectRestore:Delete",
                                                            "Object Restore Initiated",
                                                            "Object Restore Expired",
                                                            "Bucket"};

constexpr std::array<std::string_view, 5> kAttributeNames = {
    "ObjectTagging", "Object Tags", "ObjectCreated:Copy", "ObjectCreated:PutTagging",
    "ObjectCreated:DeleteTagging"};

constexpr std::array<std::string_view, 5> kRemovalNames = {"ObjectRemoved", "Object Deleted",
                                                           "LifecycleExpiration",
                                                           "ObjectLifecycle:Expiration",  // Ceph's.
                                                           "ObjectSynced:Delete"};

// Of these one may have taken the version that was the object: then an older one is, or none.
// Lifecycles take only what is not the object.
constexpr std::array<std::string_view, 3> kVersionRemovalNames = {"ObjectRemoved", "Object Deleted",
                                                                  "ObjectSynced:Delete"};

Error Refusal(std::string code, std::string message) {
  Error error = InvalidInput(std::move(message));
  error.code = std::move(code);
  return error;
}

const json::value* Find(const json::object& object, std::string_view name) {
  return object.if_contains(name);
}

std::string_view Text(const json::object& object, std::string_view name) {
  const json::value* found = Find(object, name);
  if (found == nullptr || !found->is_string()) return {};
  return {found->get_string().data(), found->get_string().size()};
}

const json::object* Object(const json::object& object, std::string_view name) {
  const json::value* found = Find(object, name);
  return found == nullptr ? nullptr : found->if_object();
}

// A size is a hint. What no object can have is none. Ceph sends sizes as text.
std::optional<uint64_t> SizeOf(const json::object& object, std::string_view name) {
  const json::value* found = Find(object, name);
  uint64_t size = 0;
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) {
    std::string_view text = Text(object, name);
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  } else if (found->is_int64() && found->get_int64() >= 0) {
    size = static_cast<uint64_t>(found->get_int64());
  } else {
    return std::nullopt;
  }
  if (size > kObjectSizeBytesMax) return std::nullopt;
  return size;
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Whether an encoder could have left `text` like this.
bool MayBeFormEncoded(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !IsHexDigit(text[i + 1]) || !IsHexDigit(text[i + 2])) {
        return false;
      }
      i += 2;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f) return false;
    if (std::string_view("\"#&<=>?[\\]^`{|}").find(c) != std::string_view::npos) return false;
  }
  return true;
}

// How a key is written in an event.
enum class KeyForm { kEither, kEncoded, kPlain };

// What the key of an event may be; nothing, when it can be none.
std::vector<std::string> KeysOf(std::string_view text, KeyForm form) {
  std::vector<std::string> keys;
  auto add = [&](std::string key) {
    if (!key.empty() && key.size() <= kKeyBytesMax && key.find('\0') == std::string::npos) {
      keys.push_back(std::move(key));
    }
  };
  if (form == KeyForm::kPlain || !MayBeFormEncoded(text)) {
    add(std::string(text));
    return keys;
  }
  Result<std::string> decoded = FormDecode(text);
  if (decoded) add(*decoded);
  if (!decoded || (*decoded != text && form != KeyForm::kEncoded)) add(std::string(text));
  return keys;
}

// The key of a part of the Data Transfer Hub, whose sender puts it between the quotes as it is;
// empty: `text` is none. By what surrounds it, so that a key with quotes in it, which is no JSON,
// is read.
std::string_view RawKeyOfPart(std::string_view text) {
  constexpr std::string_view kBefore = R"({"objectKey":")";
  constexpr std::string_view kAfter = R"(","partNumber":)";
  text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  if (!text.starts_with(kBefore) || !text.ends_with("\"}")) return {};
  const size_t after = text.rfind(kAfter);
  if (after == std::string_view::npos || after < kBefore.size()) return {};
  const std::string_view rest = text.substr(after);
  for (const char* field : {R"(,"totalPartsCount":)", R"(,"uploadID":")", R"(,"bodyRange":")"}) {
    if (!rest.contains(field)) return {};
  }
  return text.substr(kBefore.size(), after - kBefore.size());
}

bool IsNumber(const json::object& object, std::string_view name) {
  const json::value* found = Find(object, name);
  return found != nullptr && found->is_int64();
}

bool IsObjectOfHub(const json::object& object) {
  return object.size() == 2 && !Text(object, "key").empty() && IsNumber(object, "size");
}

bool IsPartOfHub(const json::object& object) {
  return !Text(object, "objectKey").empty() && IsNumber(object, "partNumber") &&
         IsNumber(object, "totalPartsCount") && !Text(object, "uploadID").empty();
}

class Parser {
 public:
  explicit Parser(std::string_view only_bucket) : only_bucket_(only_bucket) {}

  Result<S3Events> Parse(std::string_view body) {
    if (body.size() > kEventBodyBytesMax) {
      return Refusal("EntityTooLarge", "an event message of more than 1 MiB");
    }
    Result<void> parsed = ParseText(body, 0);
    if (!parsed) return parsed.error();
    if (understood_ == 0) {
      return Refusal("UnknownShape",
                     "not an S3 event: neither Records, nor SNS, EventBridge, CloudEvents, nor a "
                     "job of a system that migrates");
    }
    return std::move(events_);
  }

 private:
  Result<void> ParseText(std::string_view text, int depth) {
    json::monotonic_resource memory;
    json::parse_options options;
    options.max_depth = 24;
    boost::system::error_code error;
    json::value value = json::parse(text, error, &memory, options);
    if (std::string_view key = RawKeyOfPart(text); !key.empty()) {
      std::vector<std::string> keys = KeysOf(key, KeyForm::kPlain);
      // Whether somebody on the way has escaped it nobody can tell.
      if (!error && value.is_object() && Text(value.get_object(), "objectKey") != key) {
        for (std::string& other : KeysOf(Text(value.get_object(), "objectKey"), KeyForm::kPlain)) {
          keys.push_back(std::move(other));
        }
      }
      return TakeOfHub(std::move(keys), std::nullopt);
    }
    if (error) return Refusal("NotJson", "an event message that is not JSON: " + error.message());
    return ParseValue(value, depth);
  }

  Result<void> ParseValue(const json::value& value, int depth) {
    if (depth > kWrappersMax) return Ok();
    if (const json::array* array = value.if_array()) {
      for (const json::value& item : *array) {
        const int known = understood_ + events_.malformed;
        Result<void> parsed = item.is_object() ? ParseValue(item, depth + 1) : Ok();
        if (!parsed) return parsed;
        // Beside others that are understood nobody else would tell of it.
        if (understood_ + events_.malformed == known) ++events_.malformed;
      }
      return Ok();
    }
    const json::object* object = value.if_object();
    if (object == nullptr) return Ok();

    if (Text(*object, "Event") == "s3:TestEvent") {
      ++understood_;
      ++events_.tests;
      return Ok();
    }
    if (const json::value* records = Find(*object, "Records"); records && records->is_array()) {
      ++understood_;
      for (const json::value& record : records->get_array()) {
        const json::object* item = record.if_object();
        Result<void> taken = item == nullptr ? Malformed() : TakeRecord(*item);
        if (!taken) return taken;
      }
      return Ok();
    }
    if (Object(*object, "s3") != nullptr) {
      ++understood_;
      return TakeRecord(*object);
    }
    if (Find(*object, "Src_bucket") != nullptr && Find(*object, "Src_key") != nullptr) {
      ++understood_;
      return Add({.bucket = std::string(Text(*object, "Src_bucket")),
                  .size_bytes = SizeOf(*object, "Size")},
                 KeysOf(Text(*object, "Src_key"), KeyForm::kPlain));
    }
    if (IsObjectOfHub(*object)) {
      return TakeOfHub(KeysOf(Text(*object, "key"), KeyForm::kPlain), SizeOf(*object, "size"));
    }
    if (IsPartOfHub(*object)) {
      return TakeOfHub(KeysOf(Text(*object, "objectKey"), KeyForm::kPlain), std::nullopt);
    }
    std::string_view type = Text(*object, "Type");
    if (type == "SubscriptionConfirmation" || type == "UnsubscribeConfirmation") {
      return Refusal("SubscriptionConfirmation",
                     "SNS asks to confirm a subscription of topic " +
                         std::string(Text(*object, "TopicArn").substr(0, 256)) +
                         ": open its SubscribeURL, or confirm it in the console");
    }
    if (type == "Notification" && !Text(*object, "Message").empty()) {
      return ParseText(Text(*object, "Message"), depth + 1);
    }
    if (const json::object* detail = Object(*object, "detail");
        detail != nullptr && !Text(*object, "detail-type").empty()) {
      ++understood_;
      return TakeDetail(*detail, Text(*object, "detail-type"), Text(*object, "time"));
    }
    if (!Text(*object, "specversion").empty()) return ParseCloudEvent(*object, depth);
    return Ok();
  }

  Result<void> ParseCloudEvent(const json::object& event, int depth) {
    const json::value* data = Find(event, "data");
    if (data != nullptr && data->is_string()) return ParseText(Text(event, "data"), depth + 1);
    if (data == nullptr && !Text(event, "data_base64").empty()) {
      Result<std::string> decoded = Base64Decode(Text(event, "data_base64"));
      if (!decoded) return Malformed();
      return ParseText(*decoded, depth + 1);
    }
    if (data == nullptr || !data->is_object()) return Ok();
    const json::object& object = data->get_object();
    if (Object(object, "bucket") != nullptr && Object(object, "object") != nullptr) {
      ++understood_;
      return TakeDetail(object, Text(event, "type"), Text(event, "time"));
    }
    return ParseValue(*data, depth + 1);
  }

  Result<void> Malformed() {
    ++events_.malformed;
    return Ok();
  }

  static bool StartsWithOneOf(std::string_view name, std::span<const std::string_view> starts) {
    if (name.starts_with("s3:")) name.remove_prefix(3);
    if (size_t type = name.rfind("com.amazonaws.s3."); type == 0) name.remove_prefix(17);
    return std::ranges::any_of(starts,
                               [&](std::string_view start) { return name.starts_with(start); });
  }
  static bool IsIgnored(std::string_view name) { return StartsWithOneOf(name, kIgnoredNames); }
  static bool IsOfAttributes(std::string_view name) {
    return StartsWithOneOf(name, kAttributeNames);
  }
  static bool IsRemoval(std::string_view name) { return StartsWithOneOf(name, kRemovalNames); }
  static bool MayTakeAVersion(std::string_view name) {
    return StartsWithOneOf(name, kVersionRemovalNames) && !name.contains("MarkerCreated");
  }

  // As the cross-region compressor of AWS Samples tells its sources of objects that were there
  // before: an event that nobody sent, with the key as it is.
  static bool IsOfExistingObject(const json::object& record, const json::object& s3) {
    const json::object* who = Object(record, "userIdentity");
    return who != nullptr && Text(*who, "principalId") == "EXAMPLE" &&
           Text(s3, "configurationId") == "testConfigRule";
  }

  // A job of the Data Transfer Hub, which names no bucket.
  Result<void> TakeOfHub(std::vector<std::string> keys, std::optional<uint64_t> size_bytes) {
    ++understood_;
    if (only_bucket_.empty()) {
      return Refusal("NoBucket",
                     "a job of the Data Transfer Hub, which names no bucket, and there is not one "
                     "source alone that could be meant");
    }
    return Add({.bucket = only_bucket_, .size_bytes = size_bytes}, std::move(keys));
  }

  // A record as s3trans writes it: the names with capitals, the key as it is. Its time is that of a
  // list, not of a change.
  Result<void> TakeCapitals(const json::object& record, const json::object& s3) {
    std::string_view name = Text(record, "EventName");
    if (IsIgnored(name)) {
      ++events_.ignored;
      return Ok();
    }
    const json::object* bucket = Object(s3, "Bucket");
    const json::object* object = Object(s3, "Object");
    if (bucket == nullptr || object == nullptr) return Malformed();
    return Add({.bucket = std::string(Text(*bucket, "Name")),
                .size_bytes = SizeOf(*object, "Size"),
                .removal = IsRemoval(name)},
               KeysOf(Text(*object, "Key"), KeyForm::kPlain));
  }

  // A record of the S3 message structure.
  Result<void> TakeRecord(const json::object& record) {
    if (const json::object* capitals = Object(record, "S3"); capitals && !Find(record, "s3")) {
      return TakeCapitals(record, *capitals);
    }
    std::string_view name = Text(record, "eventName");
    if (name == "s3:TestEvent" || name == "TestEvent") {
      ++events_.tests;
      return Ok();
    }
    std::string_view version = Text(record, "eventVersion");
    if (!version.empty() && version != "2" && !version.starts_with("2.")) return Malformed();
    if (IsIgnored(name)) {
      ++events_.ignored;
      return Ok();
    }
    const json::object* s3 = Object(record, "s3");
    if (s3 == nullptr) return Malformed();
    const KeyForm form = IsOfExistingObject(record, *s3)             ? KeyForm::kPlain
                         : Text(record, "eventSource") == "minio:s3" ? KeyForm::kEncoded
                                                                     : KeyForm::kEither;
    return Take(*s3, Text(record, "eventTime"), form,
                {.attributes = IsOfAttributes(name),
                 .removal = IsRemoval(name),
                 .takes_versions = MayTakeAVersion(name)});
  }

  // The detail of EventBridge.
  Result<void> TakeDetail(const json::object& detail, std::string_view type,
                          std::string_view time) {
    if (IsIgnored(type)) {
      ++events_.ignored;
      return Ok();
    }
    const bool leaves_versions = Text(detail, "deletion-type") == "Delete Marker Created" ||
                                 Text(detail, "reason") == "Lifecycle Expiration";
    return Take(detail, time, KeyForm::kEither,
                {.attributes = IsOfAttributes(type) || Text(detail, "reason") == "CopyObject",
                 .removal = IsRemoval(type),
                 .takes_versions = MayTakeAVersion(type) && !leaves_versions});
  }

  struct Kind {
    bool attributes = false;
    bool removal = false;
    bool takes_versions = false;  // Where the event names one.
  };

  Result<void> Take(const json::object& holder, std::string_view time, KeyForm form, Kind kind) {
    const json::object* bucket = Object(holder, "bucket");
    const json::object* object = Object(holder, "object");
    if (bucket == nullptr || object == nullptr) return Malformed();
    const bool of_version =
        !Text(*object, "versionId").empty() || !Text(*object, "version-id").empty();
    S3EventRecord record{.bucket = std::string(Text(*bucket, "name")),
                         .size_bytes = SizeOf(*object, "size"),
                         .attributes = kind.attributes,
                         .removal = kind.removal && !(kind.takes_versions && of_version)};
    Result<SystemTime> when = ParseRfc3339(time);
    if (when) record.time = *when;
    return Add(std::move(record), KeysOf(Text(*object, "key"), form));
  }

  // `record` for each of the keys that may be meant.
  Result<void> Add(S3EventRecord record, std::vector<std::string> keys) {
    if (record.bucket.empty() || record.bucket.size() > 255 || keys.empty()) return Malformed();
    for (std::string& key : keys) {
      if (events_.records.size() >= kEventRecordsMax) {
        return Refusal("TooManyRecords", "an event message of more than 10,000 records");
      }
      record.key = std::move(key);
      events_.records.push_back(record);
    }
    return Ok();
  }

  std::string only_bucket_;
  S3Events events_;
  int understood_ = 0;
};

}  // namespace

Result<S3Events> ParseS3Events(std::string_view body, std::string_view only_bucket) {
  return Parser(only_bucket).Parse(body);
}

}  // namespace longhaul
