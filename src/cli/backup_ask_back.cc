#include "cli/backup_ask_back.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "backup/ask_back.h"
#include "cli/output.h"
#include "cli/pricing.h"
#include "cli/savings.h"
#include "cost/bill.h"

namespace longhaul {

namespace {

using backup::AwayArchive;

constexpr std::chrono::seconds kLookFirst{1};
constexpr std::chrono::seconds kLookLater{300};

struct Tier {
  const char* name;
  const char* glacier;       // How long it takes there.
  const char* deep_archive;  // Null: it has no such tier.
};
// (S3 User Guide, "Archive retrieval options".)
constexpr std::array kTiers = {
    Tier{.name = "Expedited", .glacier = "1 to 5 minutes", .deep_archive = nullptr},
    Tier{.name = "Standard", .glacier = "3 to 5 hours", .deep_archive = "12 hours"},
    Tier{.name = "Bulk", .glacier = "5 to 12 hours", .deep_archive = "48 hours"}};

uint64_t BytesOf(const std::vector<AwayArchive>& archives) {
  uint64_t bytes = 0;
  for (const AwayArchive& archive : archives) bytes += archive.size_bytes;
  return bytes;
}

// Which tier of INTELLIGENT_TIERING it is nobody tells.
bool AnyDeep(const std::vector<AwayArchive>& archives) {
  return std::ranges::any_of(archives,
                             [](const AwayArchive& one) { return one.storage_class != "GLACIER"; });
}

// What asking costs, of those that nobody has asked for yet, and what keeping the copies does.
Bill::Sum CostOf(const std::vector<AwayArchive>& archives, const std::string& region,
                 const std::string& tier, int64_t days, const Prices& prices) {
  Bill bill;
  for (const AwayArchive& archive : archives) {
    // What moves back within its class costs nothing. (S3 pricing, "Intelligent-Tiering".)
    if (archive.asked || archive.storage_class == "INTELLIGENT_TIERING") continue;
    const std::string words = "/" + region + "/" + archive.storage_class + "/" + tier;
    bill.Add("requests", "restore_request" + words, Bill::Unit::kEach, 1);
    bill.Add("retrieval", "restore_gib" + words, Bill::Unit::kByte, archive.size_bytes);
    bill.Add("copies", "storage/" + region + "/STANDARD", Bill::Unit::kKibSecond,
             (archive.size_bytes + 1023) / 1024 * static_cast<uint64_t>(days) * 86'400);
  }
  return bill.Reckon(prices);
}

// "$0.0123", "at least $0.0123 (restore_gib/… has no price)".
std::string CostText(const Bill::Sum& sum) {
  if (sum.unknown.empty()) return FormatSum(sum.total);
  return "at least " + FormatSum(sum.total) + " (nobody knows " + *sum.unknown.begin() + ")";
}

std::string ArchivesText(const std::vector<AwayArchive>& archives) {
  return Counted(archives.size(), "archive") + " (" + FormatBytes(BytesOf(archives)) + ")";
}

// Tiers that all of the archives have.
std::vector<Tier> TiersOf(const std::vector<AwayArchive>& archives) {
  std::vector<Tier> tiers;
  const bool deep = AnyDeep(archives);
  std::ranges::copy_if(kTiers, std::back_inserter(tiers),
                       [deep](const Tier& tier) { return !deep || tier.deep_archive != nullptr; });
  return tiers;
}

const char* TimeOf(const Tier& tier, bool deep) { return deep ? tier.deep_archive : tier.glacier; }

// Nobody said to ask: what it would cost.
Error Unasked(const std::vector<AwayArchive>& away, const std::string& region, int64_t days,
              const Prices& prices) {
  std::string text = ArchivesText(away) +
                     " that the restore needs lie in GLACIER, DEEP_ARCHIVE or an archive tier and "
                     "cannot be read; "
                     "nothing was restored. Asking for them, to be read for " +
                     Counted(static_cast<uint64_t>(days), "day") + ", costs";
  const bool deep = AnyDeep(away);
  const char* between = " ";
  for (const Tier& tier : TiersOf(away)) {
    text += between + CostText(CostOf(away, region, tier.name, days, prices)) +
            " with --ask-back " + tier.name + " (there after " + TimeOf(tier, deep) + ")";
    between = ", ";
  }
  return PreconditionFailed(std::move(text));
}

Async<void> AwaitAll(RunContext& context, backup::ArchivesPlace place,
                     std::vector<AwayArchive> away) {
  std::chrono::seconds pause = kLookFirst;
  while (!away.empty()) {
    if (co_await context.stop().WaitFor(context.runtime().clock, pause)) {
      co_return Cancelled("stopped on request");
    }
    pause = std::min(pause * 2, kLookLater);
    const size_t before = away.size();
    Result<void> looked = co_await backup::DropReadable(context.runtime(), place, away);
    if (!looked && !looked.error().Transient()) co_return looked.error();
    // It may be away for a while in all these hours.
    if (!looked) context.output().Problem("", looked.error());
    if (away.size() == before || away.empty()) continue;
    context.output().Note(
        Message("waiting").With("archives", away.size()).Says("still away: " + ArchivesText(away)));
  }
  co_return Ok();
}

}  // namespace

void AskBackFlags::Declare(FlagSet& flags) {
  flags.Parsed({.name = "ask-back",
                .help = "Ask for archives that lie in GLACIER or DEEP_ARCHIVE, which costs: "
                        "Expedited, Standard or Bulk. What it costs is said first; without this "
                        "flag nothing more is done.",
                .value_name = "TIER"},
               [this](std::string_view text) -> Result<void> {
                 const auto* found = std::ranges::find(kTiers, text, &Tier::name);
                 if (found == kTiers.end()) {
                   return InvalidInput("'" + std::string(text.substr(0, 40)) +
                                       "' is no tier; there are Expedited, Standard and Bulk");
                 }
                 tier = std::string(text);
                 return Ok();
               });
  flags.Integer({.name = "ask-back-days",
                 .help = "With --ask-back: for how many days the archives can be read then. "
                         "Default: 7.",
                 .value_name = "N"},
                1, 365, days);
  flags.Switch({.name = "wait",
                .help = "With --ask-back: wait until all are there, and restore. Without it the "
                        "exit code is 5 as long as they are not.",
                .of_environment = false},
               wait);
  flags.Parsed({.name = "max-cost",
                .help = "With --ask-back: ask for nothing where all of it costs more.",
                .value_name = "DOLLARS",
                .of_environment = false},
               [this](std::string_view text) -> Result<void> {
                 Result<int64_t> pico = ParsePicoDollars(text);
                 if (!pico) return pico.error();
                 cost_max = *pico;
                 return Ok();
               });
}

Async<bool> AskBackFirst(RunContext& context, const AskBackFlags& flags,
                         const StoreFlags& store_flags, const OpenedVault& vault, Store& archives,
                         backup::BackupStore& store, backup::RestoreWhat what, bool dry_run) {
  if (!flags.tier && (flags.wait || flags.cost_max)) {
    co_return InvalidInput(std::string(flags.wait ? "--wait" : "--max-cost") +
                           " goes with --ask-back");
  }
  backup::ArchivesPlace place{.store = &archives, .bucket = vault.place.bucket, .prefix = {}};
  place.prefix =
      vault.compressor ? vault.place.prefix : backup::VaultPrefix(vault.place, vault.bucket, false);
  Result<std::vector<AwayArchive>> away =
      co_await backup::FindAway(context.runtime(), store, std::move(what), place);
  if (!away && !flags.tier) {
    // Whoever may not list archives can restore all the same; what cannot be read is named then.
    context.output().Problem("", away.error().In("look for archives in archive classes"));
    co_return true;
  }
  if (!away) co_return away.error();
  if (away->empty()) co_return true;
  Result<Prices> prices = ReadPrices(context);
  if (!prices) co_return prices.error();
  StoreFlags::End end = store_flags.both;
  if (store_flags.source.region) end.region = store_flags.source.region;
  if (store_flags.source.profile) end.profile = store_flags.source.profile;
  const std::string region = RegionOfAddress(context, end, vault.address);
  if (!flags.tier) {
    const Error unasked = Unasked(*away, region, flags.days, *prices);
    if (!dry_run) co_return unasked;
    context.output().Problem("", unasked);
    co_return true;
  }
  const std::vector<Tier> tiers = TiersOf(*away);
  const auto tier = std::ranges::find(tiers, *flags.tier, &Tier::name);
  if (tier == tiers.end()) {
    co_return InvalidInput("--ask-back " + *flags.tier +
                           ": DEEP_ARCHIVE, or the deep tier of INTELLIGENT_TIERING, where some of "
                           "the archives lie, has Standard and Bulk");
  }
  const Bill::Sum cost = CostOf(*away, region, *flags.tier, flags.days, *prices);
  const auto asked = static_cast<uint64_t>(std::ranges::count(*away, true, &AwayArchive::asked));
  Message told("ask_back");
  told.With("archives", away->size())
      .With("archives_asked_before", asked)
      .With("bytes", BytesOf(*away))
      .With("tier", *flags.tier)
      .With("days", flags.days)
      .With("pico_dollars", cost.total)
      .With("unknown_prices", std::vector<std::string>(cost.unknown.begin(), cost.unknown.end()))
      .Says(ArchivesText(*away) + " lie in GLACIER, DEEP_ARCHIVE or an archive tier" +
            (asked == 0 ? "" : ", " + FormatCount(asked) + " of which have been asked for before") +
            ": asking for what has not costs " + CostText(cost));
  context.output().Note(told);
  if (dry_run) co_return true;
  if (flags.cost_max && (!cost.unknown.empty() || cost.total > *flags.cost_max)) {
    co_return InvalidInput("--max-cost: asking for " + ArchivesText(*away) + " costs " +
                           CostText(cost) + "; nothing was asked for");
  }
  Result<void> done = co_await backup::AskBack(context.runtime(), place, *away, *flags.tier,
                                               static_cast<int>(flags.days));
  if (!done) co_return done.error();
  if (flags.wait) {
    done = co_await AwaitAll(context, place, std::move(*away));
    if (!done) co_return done.error();
    co_return true;
  }
  // Some are there at once.
  done = co_await backup::DropReadable(context.runtime(), place, *away);
  if (!done) co_return done.error();
  if (away->empty()) co_return true;
  context.output().Problem(Message("asked_back")
                               .With("archives", away->size())
                               .Says(ArchivesText(*away) +
                                     " have been asked for and are there "
                                     "after " +
                                     TimeOf(*tier, AnyDeep(*away)) +
                                     "; nothing was restored: run the same command again then, or "
                                     "with --wait now"));
  co_return false;
}

}  // namespace longhaul
