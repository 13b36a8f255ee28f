#include "replica/pending_requests.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.h"

namespace longhaul {

namespace {

constexpr std::string_view kLetters = "cwkd";  // By PendingKind.
constexpr std::chrono::microseconds kTick{1};

void Later(SystemTime& time, SystemTime other) { time = std::max(time, other); }

}  // namespace

void PendingRequests::Add(PendingRequest request, SystemTime now) {
  const bool mixes = request.kind == PendingKind::kCreate || request.kind == PendingKind::kWrite;
  for (PendingRequest& known : requests_) {
    if (known.kind != request.kind) continue;
    if (mixes && known.stamp == request.stamp) {
      Later(known.until, request.until);
      return;
    }
    if (!mixes && known.until == request.until) {
      // Nobody can tell them apart: neither end ends this one.
      known.until += kTick;
      return;
    }
  }
  requests_.push_back(request);
  MakeRoom(now);
}

void PendingRequests::Add(const PendingRequests& requests, SystemTime now) {
  for (const PendingRequest& request : requests.requests_) Add(request, now);
}

// First goes what is over, but for the last delete; then two become one.
void PendingRequests::MakeRoom(SystemTime now) {
  if (requests_.size() <= kMax) return;
  const SystemTime last_delete = LandsUntil(PendingKind::kDelete);
  std::erase_if(requests_, [&](const PendingRequest& request) {
    const bool last = request.kind == PendingKind::kDelete && request.until == last_delete;
    return request.until <= now && !last;
  });
  while (requests_.size() > kMax) {
    std::array<size_t, kLetters.size()> counts{};
    for (const PendingRequest& request : requests_) ++counts[static_cast<size_t>(request.kind)];
    const auto kind = static_cast<PendingKind>(std::ranges::max_element(counts) - counts.begin());
    PendingRequest both{.kind = kind, .until = SystemTime::max()};
    for (int i = 0; i < 2; ++i) {
      auto first = requests_.end();
      for (auto it = requests_.begin(); it != requests_.end(); ++it) {
        if (it->kind == kind && (first == requests_.end() || it->until < first->until)) first = it;
      }
      both.until = first->until + kTick;  // That of neither.
      requests_.erase(first);
    }
    while (Has(both)) both.until += kTick;
    requests_.push_back(both);
  }
}

bool PendingRequests::End(const PendingRequest& request, SystemTime now) {
  auto found = std::ranges::find(requests_, request);
  if (found == requests_.end()) return false;
  requests_.erase(found);
  if (request.kind == PendingKind::kDelete) {
    // Of those that are over the last one is enough.
    SystemTime ended = std::min(request.until, now);
    std::erase_if(requests_, [&](const PendingRequest& other) {
      const bool before = other.kind == PendingKind::kDelete && other.until <= now;
      if (before) Later(ended, other.until);
      return before;
    });
    requests_.push_back({.kind = PendingKind::kDelete, .until = ended});
  }
  if (request.kind == PendingKind::kWrite) {
    requests_.push_back({.kind = PendingKind::kWrite,
                         .until = std::min(request.until, now),
                         .stamp = request.stamp});
  }
  return true;
}

bool PendingRequests::Has(const PendingRequest& request) const {
  return std::ranges::find(requests_, request) != requests_.end();
}

SystemTime PendingRequests::LandsUntil(PendingKind kind) const {
  SystemTime until{};
  for (const PendingRequest& request : requests_) {
    if (request.kind == kind) Later(until, request.until);
  }
  return until;
}

const PendingRequest* PendingRequests::LastToLand(std::initializer_list<PendingKind> kinds,
                                                  SystemTime now,
                                                  std::optional<SystemTime> own) const {
  const PendingRequest* last = nullptr;
  for (const PendingRequest& request : requests_) {
    if (request.until <= now || std::ranges::find(kinds, request.kind) == kinds.end()) continue;
    if (own && request.kind == PendingKind::kWrite && request.stamp == *own) continue;
    if (last == nullptr || request.until > last->until) last = &request;
  }
  return last;
}

std::string PendingRequests::Encode() const {
  std::string text = " " + std::to_string(requests_.size());
  for (const PendingRequest& request : requests_) {
    text += std::string(" ") + kLetters[static_cast<size_t>(request.kind)] + " " +
            FormatRfc3339(request.until) + " " +
            (request.stamp == SystemTime() ? "-" : FormatRfc3339(request.stamp));
  }
  return text;
}

Result<PendingRequests> PendingRequests::Decode(std::string_view& rest) {
  auto next = [&rest] {
    const size_t end = rest.find(' ');
    const std::string_view field = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return field;
  };
  const Error bad = Corrupt("these are no requests that may land");
  const std::string_view digits = next();
  size_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (error != std::errc() || end != digits.data() + digits.size() || count > kMax) return bad;
  PendingRequests pending;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view letter = next();
    const size_t kind = letter.size() == 1 ? kLetters.find(letter) : std::string_view::npos;
    if (kind == std::string_view::npos) return bad;
    PendingRequest request{.kind = static_cast<PendingKind>(kind)};
    Result<SystemTime> until = ParseRfc3339(next());
    if (!until) return bad;
    request.until = *until;
    if (const std::string_view stamp = next(); stamp != "-") {
      Result<SystemTime> time = ParseRfc3339(stamp);
      if (!time) return bad;
      request.stamp = *time;
    }
    pending.requests_.push_back(request);
  }
  return pending;
}

}  // namespace longhaul
