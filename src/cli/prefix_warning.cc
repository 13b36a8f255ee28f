#include "cli/prefix_warning.h"

#include <utility>

namespace longhaul {

namespace {

// An object of this very name, its folder, and one that is neither.
constexpr int kEnough = 3;

bool IsFolder(const std::string& prefix) { return prefix.empty() || prefix.ends_with('/'); }

}  // namespace

Async<void> WarnOfOtherNames(Output& output, Store& store, std::string bucket, std::string prefix,
                             std::string address) {
  if (IsFolder(prefix)) co_return Ok();
  Result<ListPage> page = co_await store.List(
      {.bucket = std::move(bucket), .prefix = prefix, .delimiter = "/", .count_max = kEnough});
  if (!page) co_return Ok();
  std::vector<std::string> names = std::move(page->common_prefixes);
  for (const ListedObject& object : page->objects) names.push_back(object.key);
  for (const std::string& name : names) {
    if (name == prefix || name == prefix + "/") continue;
    output.Problem(Message("other_names")
                       .With("prefix", address)
                       .With("name", name)
                       .Says("'" + Printable(address) + "' is the beginning of '" +
                             Printable(name) + "' too, which is taken as well: write '" +
                             Printable(address) + "/' for what lies in that folder alone"));
    break;
  }
  co_return Ok();
}

void WarnOfGluedNames(Output& output, const std::string& prefix, const std::string& address) {
  if (IsFolder(prefix)) return;
  output.Problem(Message("glued_names")
                     .With("prefix", address)
                     .Says("names stand right behind '" + Printable(address) + "', as '" +
                           Printable(address) + "NAME': write '" + Printable(address) +
                           "/' for a folder"));
}

}  // namespace longhaul
