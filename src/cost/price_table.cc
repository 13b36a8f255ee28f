// The table of AWS's public prices. First tier of each, without tax and discounts, in US dollars.
//
// Entered by hand, and not compared with AWS's own price list since: docs/cost.md says so.
// Left out is what was not at hand for that day: it is unknown, and `prices:` can say it.

#include "base/check.h"
#include "cost/prices.h"

namespace longhaul {

namespace {

constexpr std::chrono::year_month_day kDate{std::chrono::year(2025), std::chrono::month(1),
                                            std::chrono::day(1)};

struct Region {
  std::string_view name;
  std::string_view storage;   // S3 Standard, a GiB and month.
  std::string_view put;       // A thousand of PUT, COPY, POST, LIST.
  std::string_view get;       // A thousand of GET and all others.
  std::string_view region;    // A GiB to another region.
  std::string_view internet;  // A GiB.
};

constexpr Region kRegions[] = {
    {"af-south-1", "0.0274", "0.006", "0.0004", "0.147", "0.154"},
    {"ap-east-1", "0.025", "0.005", "0.0004", "0.09", "0.12"},
    {"ap-northeast-1", "0.025", "0.0047", "0.00037", "0.09", "0.114"},
    {"ap-northeast-2", "0.025", "0.0045", "0.00035", "0.08", "0.126"},
    {"ap-northeast-3", "0.025", "0.0047", "0.00037", "0.09", "0.114"},
    {"ap-south-1", "0.025", "0.005", "0.0004", "0.086", "0.1093"},
    {"ap-southeast-1", "0.025", "0.005", "0.0004", "0.09", "0.12"},
    {"ap-southeast-2", "0.025", "0.0055", "0.00044", "0.098", "0.114"},
    {"ca-central-1", "0.025", "0.0055", "0.00044", "0.02", "0.09"},
    {"eu-central-1", "0.0245", "0.0054", "0.00043", "0.02", "0.09"},
    {"eu-north-1", "0.023", "0.005", "0.0004", "0.02", "0.09"},
    {"eu-south-1", "0.024", "0.0053", "0.00042", "0.02", "0.09"},
    {"eu-west-1", "0.023", "0.005", "0.0004", "0.02", "0.09"},
    {"eu-west-2", "0.024", "0.0053", "0.00042", "0.02", "0.09"},
    {"eu-west-3", "0.024", "0.0053", "0.00042", "0.02", "0.09"},
    {"me-south-1", "0.025", "0.0055", "0.00044", "0.1105", "0.117"},
    {"sa-east-1", "0.0405", "0.007", "0.00056", "0.138", "0.15"},
    {"us-east-1", "0.023", "0.005", "0.0004", "0.02", "0.09"},
    {"us-east-2", "0.023", "0.005", "0.0004", "0.02", "0.09"},
    {"us-west-1", "0.026", "0.0055", "0.00044", "0.02", "0.09"},
    {"us-west-2", "0.023", "0.005", "0.0004", "0.02", "0.09"},
};

struct Single {
  std::string_view name;
  std::string_view dollars;
};

// Where these four regions ask the same.
constexpr std::string_view kAlike[] = {"us-east-1", "us-east-2", "us-west-2", "eu-west-1"};
// A thousand requests, a GiB and month.
struct Class {
  std::string_view name;
  std::string_view storage;
  std::string_view put;
  std::string_view get;
};
constexpr Class kClasses[] = {{"STANDARD_IA", "0.0125", "0.01", "0.001"},
                              {"ONEZONE_IA", "0.01", "0.01", "0.001"},
                              {"GLACIER_IR", "0.004", "0.02", "0.01"},
                              {"GLACIER", "0.0036", "0.03", "0.0004"},
                              {"DEEP_ARCHIVE", "0.00099", "0.05", "0.0004"}};
// Asking back from an archive class: a GiB, a thousand requests.
struct AskedBack {
  std::string_view storage_class;
  std::string_view tier;
  std::string_view gib;
  std::string_view requests;
};
constexpr AskedBack kAskedBack[] = {{"GLACIER", "Expedited", "0.03", "10"},
                                    {"GLACIER", "Standard", "0.01", "0.05"},
                                    {"GLACIER", "Bulk", "0", "0"},
                                    {"DEEP_ARCHIVE", "Standard", "0.02", "0.1"},
                                    {"DEEP_ARCHIVE", "Bulk", "0.0025", "0.025"}};
// Fargate on ARM, an hour.
constexpr std::string_view kVcpuHour = "0.03238";
constexpr std::string_view kMemoryHour = "0.00356";

// Of every region.
constexpr Single kEverywhere[] = {{"kms_request", "0.000003"}, {"rtc_gib", "0.015"}};
constexpr Single kNearUs[] = {{"nat_hour", "0.045"},          {"nat_gib", "0.045"},
                              {"endpoint_hour", "0.01"},      {"endpoint_gib", "0.01"},
                              {"queue_request", "0.0000004"}, {"state_read", "0.000000125"},
                              {"state_write", "0.000000625"}};

// S3 Express One Zone since 10 April 2025, when it fell: of the region of which AWS's own example
// tells it (Amazon S3 FAQs, "How will I be charged for my use of S3 Express One Zone"). A thousand
// requests; each byte that goes in or out, too.
constexpr Class kExpress = {"EXPRESS_ONEZONE", "0.11", "0.00113", "0.00003"};
constexpr std::chrono::year_month_day kExpressDate{std::chrono::year(2025), std::chrono::month(4),
                                                   std::chrono::day(10)};
constexpr std::string_view kExpressRegion = "us-east-1";
constexpr std::string_view kExpressUploadGib = "0.0032";
constexpr std::string_view kExpressRetrievalGib = "0.0006";

int64_t PicoOf(std::string_view dollars) {
  Result<int64_t> pico = ParsePicoDollars(dollars);
  LH_CHECK(pico.has_value());
  return *pico;
}

int64_t Rounded(std::string_view dollars, int64_t count) {
  return (PicoOf(dollars) + count / 2) / count;
}

}  // namespace

std::chrono::sys_days PriceTableDate() { return kDate; }

std::chrono::sys_days PriceDate(std::string_view name) {
  const bool express = name.starts_with("express_") || name.ends_with(kExpress.name);
  return express ? kExpressDate : kDate;
}

PriceList BuiltInPrices() {
  PriceList prices;
  for (const Region& region : kRegions) {
    const std::string name(region.name);
    for (const Region& to : kRegions) {
      const bool ohio_virginia = (name == "us-east-1" && to.name == "us-east-2") ||
                                 (name == "us-east-2" && to.name == "us-east-1");
      const std::string_view dollars = name == to.name ? "0"
                                       : ohio_virginia ? "0.01"
                                                       : region.region;
      prices["transfer/" + name + "/" + std::string(to.name)] = PicoOf(dollars);
    }
    prices["transfer/" + name + "/internet"] = PicoOf(region.internet);
    prices["storage/" + name + "/STANDARD"] = PicoOf(region.storage);
    prices["request/" + name + "/put/STANDARD"] = Rounded(region.put, 1000);
    prices["request/" + name + "/list/STANDARD"] = Rounded(region.put, 1000);
    prices["request/" + name + "/get/STANDARD"] = Rounded(region.get, 1000);
    prices["request/" + name + "/delete/STANDARD"] = 0;  // Free, says the price list.
    for (const Single& one : kEverywhere) {
      prices[std::string(one.name) + "/" + name] = PicoOf(one.dollars);
    }
  }
  for (const std::string_view region : kAlike) {
    const std::string name(region);
    for (const Class& one : kClasses) {
      const std::string storage_class(one.name);
      prices["storage/" + name + "/" + storage_class] = PicoOf(one.storage);
      prices["request/" + name + "/put/" + storage_class] = Rounded(one.put, 1000);
      prices["request/" + name + "/get/" + storage_class] = Rounded(one.get, 1000);
      prices["request/" + name + "/delete/" + storage_class] = 0;
    }
    for (const AskedBack& one : kAskedBack) {
      const std::string words =
          "/" + name + "/" + std::string(one.storage_class) + "/" + std::string(one.tier);
      prices["restore_gib" + words] = PicoOf(one.gib);
      prices["restore_request" + words] = Rounded(one.requests, 1000);
    }
    // As Standard's; its storage has a price for each tier.
    prices["request/" + name + "/put/INTELLIGENT_TIERING"] = Rounded("0.005", 1000);
    prices["request/" + name + "/get/INTELLIGENT_TIERING"] = Rounded("0.0004", 1000);
    prices["request/" + name + "/delete/INTELLIGENT_TIERING"] = 0;
    prices["vcpu_second/" + name] = Rounded(kVcpuHour, 3600);
    prices["gib_second/" + name] = Rounded(kMemoryHour, 3600);
    if (name == "eu-west-1") continue;
    for (const Single& one : kNearUs) {
      prices[std::string(one.name) + "/" + name] = PicoOf(one.dollars);
    }
  }
  const std::string express_region(kExpressRegion);
  const std::string express_class(kExpress.name);
  prices["storage/" + express_region + "/" + express_class] = PicoOf(kExpress.storage);
  for (const char* kind : {"put/", "list/"}) {
    prices["request/" + express_region + "/" + kind + express_class] = Rounded(kExpress.put, 1000);
  }
  prices["request/" + express_region + "/get/" + express_class] = Rounded(kExpress.get, 1000);
  prices["request/" + express_region + "/delete/" + express_class] = 0;
  prices["express_upload_gib/" + express_region] = PicoOf(kExpressUploadGib);
  prices["express_retrieval_gib/" + express_region] = PicoOf(kExpressRetrievalGib);
  return prices;
}

}  // namespace longhaul
