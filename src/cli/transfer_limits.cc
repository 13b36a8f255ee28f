#include "cli/transfer_limits.h"

#include "base/units.h"
#include "cli/transfer_flags.h"

namespace longhaul {

void LimitFlags::Declare(FlagSet& flags, bool may_end) {
  flags.Section("LIMITS");
  flags.Parsed({.name = "bwlimit",
                .help = "Bytes a second, as 50M or 512k, or a timetable: \"08:00,512k 19:00,10M "
                        "23:00,off\". Counted where they are read; a server's own copies are not.",
                .value_name = "RATE"},
               [this](std::string_view text) -> Result<void> {
                 Result<BandwidthTable> table = BandwidthTable::Parse(text);
                 if (!table) return table.error();
                 bandwidth = std::move(*table);
                 has_bandwidth = true;
                 return Ok();
               });
  flags.Number(
      {.name = "tpslimit", .help = "Requests a second to both ends together.", .value_name = "N"},
      requests_per_second);
  if (!may_end) return;
  flags.Parsed({.name = "max-transfer",
                .help = "End in order before more than this is copied; exit 10.",
                .value_name = "SIZE"},
               [this](std::string_view text) -> Result<void> {
                 Result<uint64_t> size = ParseTransferSize(text);
                 if (!size) return size.error();
                 bytes_max = *size;
                 return Ok();
               });
  flags.Parsed({.name = "max-duration",
                .help = "Begin nothing new after this; exit 10.",
                .value_name = "DURATION"},
               [this](std::string_view text) -> Result<void> {
                 Result<std::chrono::milliseconds> duration = ParseDuration(text);
                 if (!duration) return duration.error();
                 duration_max = *duration;
                 return Ok();
               });
}

void LimitFlags::Apply(SyncOptions& options, SteadyTime now) const {
  if (bytes_max) options.bytes_max = *bytes_max;
  if (duration_max) options.until = now + *duration_max;
}

LimitedStores::LimitedStores(RunContext& context, const LimitFlags& flags)
    : any_(flags.has_bandwidth || flags.requests_per_second > 0),
      limits_(context.runtime().clock, &context.stop()) {
  limits_.bandwidth = flags.bandwidth;
  limits_.requests_per_second = flags.requests_per_second;
}

void LimitedStores::Wrap(OpenedAddress& end) {
  if (!any_) return;
  for (const auto& [store, limited] : stores_) {
    if (store == end.store || limited.get() == end.store) {
      end.store = limited.get();
      return;
    }
  }
  stores_.emplace_back(end.store, std::make_unique<LimitedStore>(*end.store, limits_));
  end.store = stores_.back().second.get();
}

}  // namespace longhaul
