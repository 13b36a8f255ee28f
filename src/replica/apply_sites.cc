// Whose a replica is. An installation has one name at a time, its site, and writes it into marks;
// the two ends of a rule may have two, and a site may be given another name. So each name under
// which a rule's target has been written to with this State is remembered there. What any other
// wrote is the replica of another installation, whose source this one knows nothing of.

#include <utility>

#include "replica/apply.h"

namespace longhaul {

namespace {

std::string RowOf(const std::string& site) { return "site/" + site; }

}  // namespace

Async<void> Applier::RememberSite() {
  if (policy_.sites_partition.empty()) co_return Ok();
  Result<std::optional<StateRow>> row =
      co_await state_.Get(policy_.sites_partition, RowOf(policy_.site));
  if (!row) co_return row.error();
  if (*row) co_return Ok();
  Result<int64_t> written = co_await state_.Write(
      policy_.sites_partition,
      {.key = RowOf(policy_.site), .value = FormatRfc3339(runtime_.clock.Now())});
  if (!written) co_return written.error().In("remember the site");
  co_return Ok();
}

Async<bool> Applier::IsOurs(Mark mark) {
  if (mark.site == policy_.site) co_return true;
  if (policy_.sites_partition.empty()) co_return false;
  Result<std::optional<StateRow>> row =
      co_await state_.Get(policy_.sites_partition, RowOf(mark.site));
  if (!row) co_return row.error();
  co_return row->has_value();
}

}  // namespace longhaul
