#include "replication/apply/hidden_keys.h"

#include <utility>

namespace longhaul {

namespace {

constexpr char kNotStorable[] = "KeyNotStorable";

}  // namespace

bool IsHidden(const Error& error) { return error.code == kNotStorable; }

Async<std::string> HiddenKeys::HiderOf(std::string key) {
  for (size_t slash = key.find('/', 1); slash != std::string::npos && slash + 1 < key.size();
       slash = key.find('/', slash + 1)) {
    std::string folder = key.substr(0, slash);
    if (objects_.contains(folder)) co_return folder;
    if (folders_.contains(folder)) continue;
    Result<ObjectInfo> info = co_await store_.Head({.bucket = bucket_, .key = folder});
    if (info) co_return folder;
    if (info.error().kind != ErrorKind::kNotFound &&
        info.error().kind != ErrorKind::kInvalidInput) {
      co_return info.error();
    }
    folders_.insert(std::move(folder));
  }
  co_return std::string();
}

Async<void> HiddenKeys::Check(std::string key) {
  Result<std::string> hider = co_await HiderOf(std::move(key));
  if (!hider) co_return hider.error();
  if (hider->empty()) co_return Ok();
  Error error = InvalidInput("the target's store would hide it: there is an object " + *hider);
  error.code = kNotStorable;
  co_return error;
}

}  // namespace longhaul
