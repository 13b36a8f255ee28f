// PageCheck: whether the pages of a listing can be believed.
//
// A listing comes from outside. What is out of order, leaves what was asked for, or does not end is
// kCorrupt, and the message names the page: callers delete by what they see here.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/object.h"
#include "storage/store.h"

namespace longhaul {

// Larger than any store's objects, and JSON holds it exactly.
inline constexpr uint64_t kListedSizeBytesMax = 1ULL << 53;
inline constexpr size_t kListedKeyBytesMax = 4096;  // S3 allows 1,024; others a little more.
// Pages without an object that follow each other. A store that skips what was deleted gives some.
inline constexpr int kEmptyPagesMax = 10'000;

// Of a chain of pages, each asked for with the token of the one before.
class PageCheck {
 public:
  // `sorted`: keys must ascend; with `versions` one may be there many times in a row.
  PageCheck(std::string place, std::string prefix, bool sorted, bool versions)
      : place_(std::move(place)),
        prefix_(std::move(prefix)),
        sorted_(sorted),
        versions_(versions) {}

  // `token`: what the page was asked for with; `after`: keys must be greater.
  Result<void> Check(const ListPage& page, std::string_view token, std::string_view after);
  // The error of a page that could not be had, with its place.
  [[nodiscard]] Error Failed(const Error& error) const { return error.In(place_); }
  [[nodiscard]] int pages() const { return pages_; }

 private:
  [[nodiscard]] Error Wrong(std::string_view what) const;

  std::string place_;
  std::string prefix_;
  bool sorted_;
  bool versions_;
  int pages_ = 0;
  int empty_pages_ = 0;
  std::string mark_;  // A token that must not come again.
  uint64_t since_mark_ = 0;
  uint64_t until_mark_ = 1;  // Pages from one mark to the next.
  std::string last_key_;
  std::string last_version_;
  std::string last_prefix_;
};

// Puts the versions of a page into order: keys ascending, of each key the newest first. Some
// servers give all delete markers of a page after all its versions, or before them. Otherwise the
// order of a key's versions is the server's own, whatever their times: what was stored last is the
// newest.
void SortVersions(std::vector<ListedObject>& versions);

}  // namespace longhaul
