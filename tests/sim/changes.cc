// What the user of the simulated world changes, and what is heard of it.

#include "events/hint.h"
#include "tests/sim/process.h"
#include "tests/sim/world.h"
#include "tests/support/compressor_archive.h"

namespace longhaul::sim {

namespace {

Async<void> PutOne(Store& store, PutRequest request, std::string content) {
  Result<PutResult> put = co_await PutText(store, std::move(request), std::move(content));
  if (!put) co_return put.error();
  co_return Ok();
}

Async<void> SendLater(Clock& clock, Queue& queue, std::vector<NewMessage> messages,
                      std::chrono::nanoseconds delay) {
  co_await clock.Sleep(delay);
  co_return co_await queue.Send(std::move(messages), {});
}

}  // namespace

void World::SendEvent(const std::string& bucket, const std::string& key, bool attributes) {
  const int copies = random_.Unit() < plan_.doubled_events ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    std::vector<std::string> rules{""};  // Empty: all that match.
    if (plan_.lanes) {
      rules.clear();
      for (const Rule& rule : configuration_.rules) {
        if (rule.MatchesKey(bucket, key)) rules.push_back(rule.id);
      }
    }
    std::vector<NewMessage> messages;
    for (const std::string& rule : rules) {
      HintMessage message{.store = "east", .bucket = bucket, .rule = rule};
      message.hints.push_back({.key = key, .time = clock_.Now(), .attributes = attributes});
      for (NewMessage& encoded : EncodeHints(message)) messages.push_back(std::move(encoded));
    }
    std::chrono::nanoseconds delay{random_.Below(200'000'000)};
    if (random_.Unit() < plan_.late_events) delay = std::chrono::seconds(random_.Below(30));
    user_->Spawn(Quietly(SendLater(clock_, user_->queue, std::move(messages), delay)));
  }
}

namespace {

Async<void> CopyOne(Store& store, CopyRequest request) {
  Result<PutResult> copied = co_await store.Copy(std::move(request));
  if (!copied) co_return copied.error();
  co_return Ok();
}

}  // namespace

void World::ChangeAttributes(const std::string& bucket, const std::string& key, bool happens) {
  if (keys_random_.Below(2) == 0) {
    Tags tags;
    if (keys_random_.Below(3) > 0) tags["color"] = std::to_string(keys_random_.Below(2));
    if (!happens) return;
    Say("user tags " + bucket + "/" + key);
    user_->Spawn(Quietly(user_->source.PutTags(bucket, key, std::move(tags))));
  } else {
    CopyRequest request{.source_bucket = bucket,
                        .source_key = key,
                        .bucket = bucket,
                        .key = key,
                        .replacement = CopyRequest::Replacement{}};
    request.replacement->headers.content_type =
        keys_random_.Below(2) == 0 ? "text/plain" : "text/html";
    request.replacement->metadata["writer"] = "copier " + std::to_string(keys_random_.Below(3));
    if (keys_random_.Below(10) == 0) request.replacement->metadata["long"] = std::string(1950, 'y');
    if (!happens) return;
    Say("user copies " + bucket + "/" + key + " onto itself");
    user_->Spawn(Quietly(CopyOne(user_->source, std::move(request))));
  }
  // No comparison finds what it leaves: ETags are as they were. So this event is never lost.
  SendEvent(bucket, key, /*attributes=*/true);
}

void World::RemoveVersion(const std::string& bucket, const std::string& key, bool happens) {
  const auto& objects = source_->buckets[bucket].objects;
  const auto found = objects.find(key);
  if (found == objects.end()) return;
  const auto& version = found->second[keys_random_.Below(found->second.size())];
  if (!happens) return;
  Say("user removes a version of " + bucket + "/" + key);
  user_->Spawn(Quietly(
      user_->source.Remove({.bucket = bucket, .key = key, .version_id = version.info.version_id})));
  SendEvent(bucket, key);
}

namespace {

Async<void> PutLater(Clock& clock, Store& store, std::string key, std::string bytes,
                     std::chrono::nanoseconds delay) {
  co_await clock.Sleep(delay);
  co_return co_await PutOne(store, {.bucket = kInboundBucket, .key = std::move(key)},
                            std::move(bytes));
}

}  // namespace

// Of what is about to be replaced or deleted.
void World::LeaveArchive(const std::string& bucket, const std::string& key) {
  const auto* before = source_->Find(bucket, key);
  if (before == nullptr) return;
  testing::CompressorArchive archive{.source_bucket = bucket, .source_prefix = "in/"};
  std::string tags;
  for (const auto& [name, value] : before->tags) {
    tags += (tags.empty() ? "{\"" : ",{\"") + name + "\":\"" + value + "\"}";
  }
  archive.objects.push_back({.relative_key = key.substr(3),
                             .content = *before->bytes,
                             .created = before->info.last_modified,
                             .tags = "[" + tags + "]",
                             .etag = before->info.etag});
  archive.targets.clear();
  for (size_t i = 0; i < targets_.size(); ++i) {
    archive.targets.push_back({.region = "west" + std::to_string(i), .bucket = kTargetBucket});
  }
  const std::string place =
      bucket + "/in/" + HexEncode(Md5(std::to_string(++changes_))) + ".tar.zst";
  Say("another system has left " + place + " of " + bucket + "/" + key);
  for (const auto& target : user_->targets) {
    const std::chrono::nanoseconds delay = std::chrono::seconds(left_random_.Below(30));
    user_->Spawn(Quietly(PutLater(clock_, *target, place, archive.Bytes(), delay)));
  }
}

void World::ChangeSealKey() {
  for (Rule& rule : configuration_.rules) {
    if (!rule.seal_key.empty()) rule.seal_keys_accepted.push_back(rule.seal_key);
    rule.seal_key = Secret("seal key number " + std::to_string(changes_));
  }
  ++changes_;
  Say("user changes the key of the seal");
}

void World::ChangeSomething(bool happens) {
  const std::string name = "k" + std::to_string(random_.Below(static_cast<uint64_t>(plan_.keys)));
  const std::string key = "in/" + name;
  const std::string bucket =
      plan_.sources && steps_random_.Below(2) == 0 ? kOtherBucket : kSourceBucket;
  if (plan_.attributes > 0 && keys_random_.Unit() < plan_.attributes &&
      source_->Find(bucket, key) != nullptr) {
    return ChangeAttributes(bucket, key, happens);
  }
  if (plan_.source_versions && keys_random_.Below(5) == 0) {
    return RemoveVersion(bucket, key, happens);
  }
  if (plan_.left_archives > 0 && left_random_.Unit() < plan_.left_archives && Happens()) {
    LeaveArchive(bucket, key);
  }
  const bool lost = random_.Unit() < plan_.lost_events;
  if (random_.Below(4) == 0) {
    if (!happens) return;
    Say("user deletes " + bucket + "/" + key);
    user_->Spawn(Quietly(user_->source.Remove({.bucket = bucket, .key = key})));
  } else {
    const size_t content = random_.Below(contents_.size());
    PutRequest request{.bucket = bucket, .key = key};
    request.headers.content_type = random_.Below(2) == 0 ? "text/plain" : "text/html";
    request.metadata["writer"] = std::to_string(random_.Below(3));
    if (random_.Below(3) == 0) request.tags["color"] = std::to_string(random_.Below(2));
    if (random_.Below(10) == 0) request.metadata["long"] = std::string(1950, 'x');
    // A comparison of listings must find what no event told, and it sees ETags alone.
    std::string body = contents_[content];
    if (lost) body += "change " + std::to_string(++changes_);
    if (!happens) return;
    Say("user puts content " + std::to_string(content) + " to " + bucket + "/" + key);
    user_->Spawn(Quietly(PutOne(user_->source, std::move(request), std::move(body))));
  }
  if (lost) {
    Say("the event is lost");
  } else {
    SendEvent(bucket, key);
  }
}

}  // namespace longhaul::sim
