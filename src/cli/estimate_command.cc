#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/listing_flags.h"
#include "cli/output.h"
#include "cli/pricing.h"
#include "cli/progress.h"
#include "cli/replication_observer.h"
#include "cli/run_context.h"
#include "cli/savings.h"
#include "cli/stores.h"
#include "cost/estimate.h"
#include "cost/sample_pack.h"
#include "cost/strata.h"

namespace longhaul {

namespace {

constexpr std::chrono::hours kMonth{30 * 24};
constexpr uint64_t kSampleObjectsMax = 20'000;
constexpr uint64_t kSampleObjectsOfStratum = Stratum::kRunObjectsMax;
constexpr uint64_t kSampleBytesOfStratum = 256 << 10;
// Below it an object costs processor time as an object, above it as so many bytes.
constexpr uint64_t kSmallObjectBytes = 64 << 10;
constexpr uint64_t kPageObjects = 1000;
constexpr double kPicoPerDollar = 1e12;
constexpr double kFixedMax = 1e9;

std::string Money(Pico pico) { return FormatSum(pico); }

std::string Money(const Bill::Sum& sum) {
  return (sum.unknown.empty() ? "" : "at least ") + Money(sum.total);
}

uint64_t Scaled(uint64_t amount, uint64_t part, uint64_t whole) {
  if (whole == 0) return 0;
  return static_cast<uint64_t>(static_cast<double>(amount) *
                               (static_cast<double>(part) / static_cast<double>(whole)));
}

// What a stratum's sample has shown.
struct Measured {
  Stratum stratum;
  std::vector<ListedObject> chosen;
  SamplePack pack;
};

class EstimateCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "estimate",
        .summary = "say what replicating a bucket would cost, by longhaul and by other ways",
        .description =
            "Lists SRC, sorts what is there into kinds (folder, ending, size), reads some "
            "neighbouring objects of each, packs them as replication would, and says what all of "
            "it would shrink to and cost: once for all that is there, and for a month in which as "
            "much is written as in the last 30 days (by LastModified). Beside longhaul's archives "
            "stand S3's own replication, without and with replication time control, and a plain "
            "copy (a GET and a PUT for each object). Where native replication is cheaper it says "
            "so.\n\n"
            "What the estimate itself costs is said first. It is taken to run in the region of "
            "SRC, and the source role too; the target role in that of its target. Applying is "
            "taken "
            "to need as much processor time as packing does here. Machines that wait, "
            "NAT gateways and endpoints are what --fixed says. Prices are those of `longhaul "
            "prices`; one that is not known is named.",
        .examples = {{"To another region",
                      "longhaul estimate s3://my-bucket/logs/ --from us-east-1 --to eu-west-1"},
                     {"To two, of a store of the configuration, with fixed costs",
                      "longhaul estimate east:data --to eu-west-1 --to us-west-2 --fixed 180 "
                      "--config longhaul.yaml"},
                     {"From an inventory, for at most a cent",
                      "longhaul estimate --listing s3://inventories/data/manifest.json s3://data "
                      "--to eu-west-1 --max-cost 0.01"}},
        .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable,
                       ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("SRC", "A bucket or a prefix.", source_);
    flags.List({.name = "to",
                .help = "A region to replicate to; may be given many times. One at least.",
                .value_name = "REGION",
                .of_environment = false},
               to_);
    flags.Text({.name = "from",
                .help = "The region of SRC. Default: that of the store or the environment.",
                .value_name = "REGION"},
               from_);
    flags.Parsed({.name = "max-cost",
                  .help = "Dollars that the estimate's own requests may cost. Default: no limit.",
                  .value_name = "DOLLARS"},
                 [this](std::string_view text) -> Result<void> {
                   Result<int64_t> pico = ParsePicoDollars(text);
                   if (!pico) return pico.error();
                   max_cost_ = *pico;
                   return Ok();
                 });
    flags.Bytes({.name = "sample",
                 .help = "How much to read for the sample. Default: 256MiB.",
                 .value_name = "SIZE",
                 .of_environment = false},
                sample_bytes_);
    flags.Integer(
        {.name = "level",
         .help = "The level of compression, as in a rule. Default: 8, near what compression: "
                 "auto takes.",
         .value_name = "N"},
        0, 22, level_);
    flags.Integer({.name = "vcpus",
                   .help = "Processors for which hours are given. Default: 2.",
                   .value_name = "N"},
                  1, 4096, vcpus_);
    flags.Number({.name = "fixed",
                  .help = "Dollars a month for what longhaul needs besides: machines that wait, "
                          "endpoints. Default: 0.",
                  .value_name = "DOLLARS"},
                 fixed_);
    listing_flags_.Declare(flags, false);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (to_.empty()) co_return InvalidInput("--to: give a region to replicate to");
    if (fixed_ > kFixedMax) co_return InvalidInput("--fixed: give a billion dollars at most");
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedAddress> opened = opener.Open(source_, StoreEnd::kSource);
    if (!opened) co_return opened.error();
    if (opened->address.bucket.empty()) {
      co_return InvalidInput("'" + source_ + "' names no bucket");
    }
    Result<Prices> prices = ReadPrices(context);
    if (!prices) co_return prices.error();
    if (from_.empty()) from_ = RegionOfAddress(context, store_flags_.both, opened->address);
    if (from_.empty()) co_return InvalidInput("--from: say in which region SRC is");
    for (const std::string& region : to_) {
      if (IsKnownRegion(context, *prices, region)) continue;
      co_return InvalidInput("--to: '" + region.substr(0, 80) +
                             "' is a region that neither AWS's prices nor a store of the "
                             "configuration knows");
    }
    Result<void> told = TellOwnCost(context.output(), *prices);
    if (!told) co_return told.error();

    const ListingOptions options{.listers_max = static_cast<int>(listing_flags_.listers),
                                 .ordered = true};
    Result<std::unique_ptr<Listing>> listing =
        co_await listing_flags_.Open(context, opener, *opened, StoreEnd::kSource, options);
    if (!listing) co_return listing.error();
    Strata strata(opened->address.key, context.runtime().clock.Now() - kMonth,
                  context.runtime().random);
    Result<void> read = co_await Read(context, **listing, strata);
    co_await (*listing)->Close();
    if (!read) co_return At(opened->address, read.error());
    if (objects_ == 0) co_return NotFound("there is nothing at '" + source_ + "'");

    std::vector<Measured> measured = ChooseAll(strata);
    for (Measured& one : measured) {
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
      Result<SamplePack> pack =
          co_await PackSample(context.runtime(), *opened->store, opened->address.bucket,
                              std::move(one.chosen), static_cast<int>(level_), ProcessCpuSeconds);
      if (!pack) co_return At(opened->address, pack.error());
      one.pack = *pack;
    }
    Result<void> known = CheckSample(measured);
    if (!known) co_return At(opened->address, known.error());
    Tell(context, measured, *prices);
    co_return ExitCode::kDone;
  }

 private:
  [[nodiscard]] bool IsKnownRegion(RunContext& context, const Prices& prices,
                                   const std::string& region) const {
    if (std::ranges::find(KnownRegions(), region) != KnownRegions().end()) return true;
    if (prices.TransferGib(from_, region)) return true;
    if (context.configuration() == nullptr) return false;
    return std::ranges::any_of(context.configuration()->stores, [&region](const auto& store) {
      return store.second.region == region;
    });
  }

  // Before the first request. Sets the limits that --max-cost makes.
  Result<void> TellOwnCost(Output& output, const Prices& prices) {
    const std::optional<int64_t> list = prices.Find("request/" + from_ + "/list/STANDARD");
    const std::optional<int64_t> get = prices.Find("request/" + from_ + "/get/STANDARD");
    if (max_cost_ && (!list || !get)) {
      return InvalidInput("--max-cost: nobody knows what requests cost in '" + from_ +
                          "'; say it under prices: of the configuration");
    }
    if (max_cost_) {
      list_pico_ = listing_flags_.FromFile(StoreEnd::kSource) ? 0 : *list;
      get_pico_ = *get;
    }
    std::string text = "this estimate costs ";
    text += !list ? "list requests, at a price that nobody knows"
                  : Money(Pico{*list} * 1000) + " for each million objects listed";
    text += ", and for " + FormatCount(kSampleObjectsMax) + " objects read at most ";
    text += !get ? "what nobody knows" : Money(Pico{*get} * kSampleObjectsMax);
    text += "; the bytes of the sample (" + FormatBytes(sample_bytes_) +
            " at most) cost nothing within " + from_;
    if (output.json()) {
      Message message("own_cost");
      message.With("sample_bytes_max", sample_bytes_).With("sample_objects_max", kSampleObjectsMax);
      if (list) message.With("list_request_pico_dollars", *list);
      if (get) message.With("get_request_pico_dollars", *get);
      output.Print(message);
    } else {
      output.Note(Message("own_cost").Says(text));
    }
    return Ok();
  }

  [[nodiscard]] Pico ListingPico() const {
    return static_cast<Pico>((objects_ + kPageObjects - 1) / kPageObjects) * list_pico_;
  }

  Async<void> Read(RunContext& context, Listing& listing, Strata& strata) {
    while (true) {
      ListedObject object;
      if (!listing.TakeReady(object)) {
        if (context.stop().is_set()) co_return Cancelled("stopped on request");
        Result<std::optional<ListedObject>> next = co_await listing.Next();
        if (!next) co_return next.error();
        if (!*next) break;
        object = std::move(**next);
      }
      ++objects_;
      bytes_ += object.size_bytes;
      strata.Add(object);
      if (max_cost_ && ListingPico() > *max_cost_) {
        co_return InvalidInput("--max-cost: listing alone costs more; the first " +
                               FormatCount(objects_) +
                               " objects have been listed. Give a prefix, or an inventory by "
                               "--listing");
      }
    }
    sample_objects_ = kSampleObjectsMax;
    if (max_cost_ && get_pico_ > 0) {
      sample_objects_ = std::min(kSampleObjectsMax,
                                 static_cast<uint64_t>((*max_cost_ - ListingPico()) / get_pico_));
    }
    objects_left_ = sample_objects_;
    co_return Ok();
  }

  // What is read of each stratum. Those of which everything is read come first, as one: archives
  // hold neighbours of all kinds, and what these have in common is seen then.
  std::vector<Measured> ChooseAll(Strata& strata) {
    std::vector<Measured> measured(1);
    for (auto& [name, stratum] : strata.Take()) {
      ++kinds_;
      std::vector<ListedObject> chosen = Choose(stratum);
      const bool whole = chosen.size() == stratum.objects &&
                         std::ranges::all_of(chosen, [](const ListedObject& object) {
                           return SampleBytesOf(object.size_bytes) == object.size_bytes;
                         });
      if (!whole) {
        measured.push_back(
            {.stratum = std::move(stratum), .chosen = std::move(chosen), .pack = {}});
        continue;
      }
      Measured& all = measured.front();
      all.stratum.objects += stratum.objects;
      all.stratum.bytes += stratum.bytes;
      all.stratum.new_objects += stratum.new_objects;
      all.stratum.new_bytes += stratum.new_bytes;
      AddClasses(all.stratum.classes, stratum.classes);
      AddClasses(all.stratum.new_classes, stratum.new_classes);
      std::ranges::move(chosen, std::back_inserter(all.chosen));
    }
    std::ranges::sort(measured.front().chosen, {}, &ListedObject::key);
    return measured;
  }

  // Runs of a stratum up to its share of the sample, in the order of keys.
  std::vector<ListedObject> Choose(Stratum& stratum) {
    const uint64_t bytes_max =
        std::max(kSampleBytesOfStratum, Scaled(sample_bytes_, stratum.bytes, bytes_));
    const uint64_t objects_max = std::min(
        objects_left_,
        std::max(kSampleObjectsOfStratum, Scaled(sample_objects_, stratum.objects, objects_)));
    std::vector<ListedObject> chosen;
    uint64_t bytes = 0;
    for (Stratum::Run& run : stratum.runs) {
      for (ListedObject& object : run.objects) {
        const uint64_t size = SampleBytesOf(object.size_bytes);
        if (chosen.size() >= objects_max || (!chosen.empty() && bytes + size > bytes_max)) break;
        bytes += size;
        chosen.push_back(std::move(object));
      }
    }
    objects_left_ -= chosen.size();
    stratum.runs.clear();
    std::ranges::sort(chosen, {}, &ListedObject::key);
    return chosen;
  }

  using Classes = std::map<std::string, uint64_t>;
  static void AddClasses(Classes& to, const Classes& from) {
    for (const auto& [name, objects] : from) to[name] += objects;
  }

  // What nothing is known of would be taken to shrink to nothing.
  [[nodiscard]] Result<void> CheckSample(const std::vector<Measured>& measured) const {
    uint64_t sample_bytes = 0;
    std::optional<Error> failure;
    for (const Measured& one : measured) {
      sample_bytes += one.pack.bytes;
      if (!failure) failure = one.pack.failure;
    }
    if (sample_bytes > 0 || bytes_ == 0) return Ok();
    if (failure) return failure->In("nothing could be read, so nobody knows what it shrinks to");
    return InvalidInput(
        "--max-cost: listing takes all of it, and nothing is left to read a sample; "
        "give more, a prefix, or an inventory by --listing");
  }

  // Of all that is there, or of what is new.
  static EstimateVolume VolumeOf(const std::vector<Measured>& measured, bool all) {
    uint64_t sample_bytes = 0;
    uint64_t sample_packed = 0;
    uint64_t sample_cpu = 0;
    for (const Measured& one : measured) {
      sample_bytes += one.pack.bytes;
      sample_packed += one.pack.packed_bytes;
      sample_cpu += one.pack.cpu_us;
    }
    EstimateVolume volume;
    for (const Measured& one : measured) {
      const uint64_t objects = all ? one.stratum.objects : one.stratum.new_objects;
      const uint64_t bytes = all ? one.stratum.bytes : one.stratum.new_bytes;
      const Stratum::Large& large = all ? one.stratum.large : one.stratum.new_large;
      const uint64_t packed_before = volume.packed_bytes;
      volume.objects += objects;
      volume.bytes += bytes;
      volume.large_objects += large.objects;
      volume.large_bytes += large.bytes;
      AddClasses(volume.classes, all ? one.stratum.classes : one.stratum.new_classes);
      const SamplePack& pack = one.pack;
      // Of a kind that could not be read, or is empty, nothing is known but what the others are.
      if (pack.objects == 0) {
        volume.packed_bytes += Scaled(sample_packed, bytes, sample_bytes);
        volume.packing_us += Scaled(sample_cpu, bytes, sample_bytes);
      } else if (pack.bytes == 0) {
        volume.packed_bytes += Scaled(pack.packed_bytes, objects, pack.objects);
        volume.packing_us += Scaled(pack.cpu_us, objects, pack.objects);
      } else {
        volume.packed_bytes += Scaled(pack.packed_bytes, bytes, pack.bytes);
        volume.packing_us += pack.bytes / pack.objects < kSmallObjectBytes
                                 ? Scaled(pack.cpu_us, objects, pack.objects)
                                 : Scaled(pack.cpu_us, bytes, pack.bytes);
      }
      volume.large_packed_bytes += Scaled(volume.packed_bytes - packed_before, large.bytes, bytes);
    }
    return volume;
  }

  struct Verdict {
    std::string best;  // Empty: prices are missing.
    Pico longhaul = 0;
    Pico native = 0;
  };

  Verdict TellVolume(RunContext& context, const EstimateVolume& volume, bool all,
                     const Prices& prices, std::set<std::string>& unknown) {
    const EstimateWays ways =
        EstimateOf(volume, from_, to_, all ? EstimateSpan::kOnce : EstimateSpan::kMonth);
    const auto fixed = static_cast<Pico>(all ? 0 : fixed_ * kPicoPerDollar);
    std::vector<std::pair<std::string, std::string>> rows;
    rows.emplace_back(all ? "all, once" : "a month like the last 30 days",
                      Counted(volume.objects, "object") + ", " + FormatBytes(volume.bytes));
    Output& output = context.output();
    Verdict verdict;
    Pico least = 0;
    bool whole = true;
    const std::tuple<const char*, const char*, const Bill*> kWays[] = {
        {"longhaul", "longhaul", &ways.longhaul},
        {"native", "native replication", &ways.native},
        {"native_rtc", "  with time control", &ways.native_rtc},
        {"copy", "plain copy", &ways.copy}};
    for (const auto& [name, title, bill] : kWays) {
      Bill::Sum sum = bill->Reckon(prices);
      if (bill == &ways.longhaul && fixed > 0) {
        sum.items["fixed"] = fixed;
        sum.total += fixed;
      }
      unknown.insert(sum.unknown.begin(), sum.unknown.end());
      whole = whole && sum.unknown.empty();
      Message message("way");
      message.With("way", std::string(name))
          .With("volume", std::string(all ? "all" : "month"))
          .With("objects", volume.objects)
          .With("bytes", volume.bytes)
          .With("pico_dollars", sum.total)
          .With("whole", sum.unknown.empty());
      rows.emplace_back(title, Money(sum));
      for (const auto& [item, pico] : sum.items) {
        std::string field = item;
        std::ranges::replace(field, ' ', '_');
        message.With(field, pico);
        rows.emplace_back("    " + item, Money(pico));
      }
      if (output.json()) output.Print(message);
      if (bill == &ways.longhaul) verdict.longhaul = sum.total;
      if (bill == &ways.native) verdict.native = sum.total;
      // Time control is a promise of its own, not a cheaper way.
      if (bill != &ways.native_rtc && (verdict.best.empty() || sum.total < least)) {
        verdict.best = name;
        least = sum.total;
      }
    }
    if (!whole) verdict.best.clear();
    if (verdict.native <= verdict.longhaul && verdict.best == "copy") verdict.best = "native";
    if (!output.json()) output.Print(Message("volume").Says(RenderTable(rows) + "\n"));
    return verdict;
  }

  void Tell(RunContext& context, const std::vector<Measured>& measured, const Prices& prices) {
    const EstimateVolume all = VolumeOf(measured, true);
    const EstimateVolume fresh = VolumeOf(measured, false);
    SamplePack sample;
    for (const Measured& one : measured) {
      sample.objects += one.pack.objects;
      sample.bytes += one.pack.bytes;
      sample.failed += one.pack.failed;
    }
    const double ratio = all.packed_bytes == 0 ? 1
                                               : static_cast<double>(all.bytes) /
                                                     static_cast<double>(all.packed_bytes);
    const double hours =
        static_cast<double>(all.packing_us) / 1e6 / 3600 / static_cast<double>(vcpus_);
    std::set<std::string> unknown;
    Verdict verdict = TellVolume(context, all, true, prices, unknown);
    if (fresh.objects > 0) verdict = TellVolume(context, fresh, false, prices, unknown);
    const uint64_t mean = all.bytes / std::max<uint64_t>(1, all.objects);
    std::string advice = "prices are not known: no advice";
    const std::string per = fresh.objects > 0 ? " a month" : "";
    if (verdict.best == "native") {
      advice = "use native replication: it costs " + Money(verdict.native) + per + ", longhaul " +
               Money(verdict.longhaul);
    } else if (verdict.best == "copy") {
      advice = "a plain copy is the cheapest (in longhaul: transport: plain)";
    } else if (verdict.best == "longhaul") {
      advice = "longhaul's archives are the cheapest: " + Money(verdict.longhaul) + per +
               ", native replication " + Money(verdict.native);
    }
    const std::vector<std::string> names(unknown.begin(), unknown.end());
    std::vector<std::pair<std::string, std::string>> rows{
        {"objects", FormatCount(all.objects) + ", " + FormatBytes(mean) + " on average"},
        {"bytes", FormatBytes(all.bytes)},
        {"sample", Counted(sample.objects, "object") + ", " + FormatBytes(sample.bytes) + ", of " +
                       Counted(kinds_, "kind")},
        {"ratio", fmt::format("{:.2f} to 1 at level {}", ratio, level_)},
        {"packing", fmt::format("{} on {}", FormatSeconds(hours * 3600),
                                Counted(static_cast<uint64_t>(vcpus_), "processor"))}};
    std::string paid_by_byte;
    for (const auto& [name, objects] : all.classes) {
      if (name.empty() || name == "STANDARD" || name == "INTELLIGENT_TIERING") continue;
      paid_by_byte.append(paid_by_byte.empty() ? "" : ", ").append(name);
    }
    if (!paid_by_byte.empty()) {
      rows.emplace_back("not in it", "what reading each byte of " + paid_by_byte + " costs");
    }
    if (sample.failed > 0) rows.emplace_back("not read", Counted(sample.failed, "object"));
    if (!names.empty()) {
      std::string text;
      for (const std::string& name : names) text.append(text.empty() ? "" : " ").append(name);
      rows.emplace_back("unknown prices", text);
    }
    const std::string day = FormatRfc3339(PriceTableDate()).substr(0, 10);
    rows.emplace_back(
        "prices", "table of " + day + ", entered by hand and not compared; see `longhaul prices`");
    rows.emplace_back("advice", advice);
    context.output().Print(Message("summary")
                               .With("objects", all.objects)
                               .With("bytes", all.bytes)
                               .With("packed_bytes", all.packed_bytes)
                               .With("ratio", ratio)
                               .With("sample_objects", sample.objects)
                               .With("sample_bytes", sample.bytes)
                               .With("not_read", sample.failed)
                               .With("kinds", kinds_)
                               .With("packing_seconds", hours * 3600)
                               .With("vcpus", vcpus_)
                               .With("unknown_prices", names)
                               .With("best", verdict.best)
                               .With("advice", advice)
                               .With("table", day)
                               .With("compared", false)
                               .Says(RenderTable(rows)));
  }

  std::string source_;
  std::vector<std::string> to_;
  std::string from_;
  std::optional<int64_t> max_cost_;  // Pico-dollars.
  uint64_t sample_bytes_ = 256 << 20;
  int64_t level_ = 8;
  int64_t vcpus_ = 2;
  double fixed_ = 0;
  ListingFlags listing_flags_;
  StoreFlags store_flags_;

  int64_t list_pico_ = 0;
  int64_t get_pico_ = 0;
  uint64_t objects_ = 0;
  uint64_t bytes_ = 0;
  uint64_t sample_objects_ = 0;
  uint64_t objects_left_ = 0;
  uint64_t kinds_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeEstimateCommand() { return std::make_unique<EstimateCommand>(); }

}  // namespace longhaul
