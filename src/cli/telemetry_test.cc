#include "cli/telemetry.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <sstream>

#include "tests/support/fake_queue.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"
#include "tests/support/test_console.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kGib = 1 << 30;

std::string Text(const boost::json::value& value) { return value.as_string().c_str(); }

class TelemetryReporterTest : public ::testing::Test {
 protected:
  TelemetryReporterTest() {
    configuration_.site = "here";
    AddRule("logs", "logs/");
    AddRule("rest", "");
  }
  void AddRule(std::string id, std::string prefix) {
    Rule rule{.id = std::move(id),
              .source = {.store = "east", .bucket = "data", .prefix = std::move(prefix)}};
    rule.transport = Transport::kDirect;
    rule.targets = {{.name = "west",
                     .to = {.store = "west", .bucket = "copy", .prefix = ""},
                     .staging = {.store = "west", .bucket = "staging", .prefix = ""}}};
    configuration_.rules.push_back(std::move(rule));
  }
  std::unique_ptr<TelemetryReporter> Make() {
    return std::make_unique<TelemetryReporter>(
        TelemetryReporter::Parts{.runtime = world_.runtime,
                                 .configuration = configuration_,
                                 .telemetry = {.emf = true, .name_space = "stack"},
                                 .regions = regions_,
                                 .prices = prices_,
                                 .source = true,
                                 .cpu_seconds = [this] { return cpu_seconds_; },
                                 .output = output_},
        next_);
  }
  // The last lines of a process that ends now.
  void Report(TelemetryReporter& reporter) {
    console_.out.clear();
    Event stop;
    stop.Set();
    ASSERT_TRUE(world_.Run(reporter.Run(queue_, state_, "me", stop)));
  }
  // The figures that CloudWatch keeps under exactly these dimensions.
  std::map<std::string, double> Kept(const std::map<std::string, std::string>& dimensions) {
    std::map<std::string, double> kept;
    std::istringstream lines(console_.out);
    for (std::string line; std::getline(lines, line);) {
      const boost::json::value parsed = boost::json::parse(line);
      const boost::json::value& directive = parsed.at("_aws").at("CloudWatchMetrics").at(0);
      EXPECT_EQ(directive.at("Namespace"), "stack");
      std::map<std::string, std::string> own;
      for (const boost::json::value& name : directive.at("Dimensions").at(0).as_array()) {
        own[Text(name)] = Text(parsed.at(Text(name)));
      }
      if (own != dimensions) continue;
      for (const boost::json::value& metric : directive.at("Metrics").as_array()) {
        const std::string name = Text(metric.at("Name"));
        EXPECT_FALSE(kept.contains(name)) << name << " twice: " << console_.out;
        kept[name] = parsed.at(name).to_number<double>();
      }
    }
    return kept;
  }
  using Figures = std::map<std::string, double>;

  testing::FakeWorld world_;
  testing::TestConsole console_;
  Output output_{console_, false, false};
  testing::FakeQueue queue_{world_.runtime, std::make_shared<testing::FakeQueueBackend>()};
  testing::FakeState state_{world_.runtime, std::make_shared<testing::FakeStateBackend>()};
  Configuration configuration_;
  StoreRegions regions_{{"east", "us-east-1"}, {"west", "eu-west-1"}};
  Prices prices_{
      {{"transfer/us-east-1/eu-west-1", 20'000'000'000}, {"vcpu_second/us-east-1", 10'000'000}}};
  double cpu_seconds_ = 0;
  Observer next_;
};

// The compressor's dashboard and alarms ask for these names under these dimensions and no others:
// one more, and they show nothing.
TEST_F(TelemetryReporterTest, WhatWasPackedIsUnderTheDimensionsOfTheCompressor) {
  auto reporter = Make();
  world_.clock.Advance(10s);
  reporter->OnArchiveStaged({.objects = 3 * kGib,
                             .plain = 3 * kGib,
                             .sent = kGib,
                             .archives = 2,
                             .rule = "logs",
                             .took = 8s});
  reporter->OnArchiveStaged(
      {.objects = 500, .plain = 500, .sent = 250, .archives = 1, .rule = "rest", .took = 1s});
  Report(*reporter);
  EXPECT_EQ(
      Kept({{"SourceBucket", "data"}, {"SourcePrefix", "logs/"}, {"TargetRegion", "eu-west-1"}}),
      (Figures{{"OriginalSize", 3.0 * kGib},
               {"CompressedSize", 1.0 * kGib},
               {"BytesSaved", 2.0 * kGib}}));
  Figures ratios = Kept({{"SourceBucket", "data"}, {"SourcePrefix", "logs/"}});
  EXPECT_EQ(ratios["CompressionRatio"], 3);
  EXPECT_NEAR(ratios["TransferEfficiency"], 66.667, 0.001);
  EXPECT_NEAR(ratios["CompressionThroughput"], 322.12, 0.01);
  EXPECT_NEAR(ratios["TransferSavings"], 0.04, 1e-6);
  EXPECT_EQ(Kept({{"SourceBucket", "data"}, {"SourcePrefix", "root"}})["CompressionRatio"], 2);
  EXPECT_EQ(Kept({{"Function", "process_message_batch"}}), (Figures{{"ProcessingTime", 3}}));
  EXPECT_EQ(Kept({{"Function", "upload_object_to_targets"}}), Figures{});
  // Each line is of what came since the one before.
  Report(*reporter);
  EXPECT_EQ(Kept({{"SourceBucket", "data"}, {"SourcePrefix", "logs/"}}),
            (Figures{{"FailedDownloads", 0}, {"FailedUploads", 0}}));
}

TEST_F(TelemetryReporterTest, WhatWasUnpackedIsUnderTheTargetBucket) {
  auto reporter = Make();
  for (const char* rule : {"logs", "rest"}) {
    reporter->OnArchiveApplied(
        {.rule = rule, .target = "west", .archive_bytes = 100, .object_bytes = 250, .took = 500ms});
  }
  Report(*reporter);
  EXPECT_EQ(Kept({{"TargetBucket", "copy"}}), (Figures{{"CompressedSize", 200},
                                                       {"DecompressedSize", 500},
                                                       {"DecompressionRatio", 2.5},
                                                       {"FailedDecompressions", 0},
                                                       {"FailedTargetUploads", 0}}));
  EXPECT_EQ(Kept({{"Function", "upload_object_to_targets"}}), (Figures{{"ProcessingTime", 0.5}}));
}

// Each failure under the name of what failed, and none under two.
TEST_F(TelemetryReporterTest, FailuresAreUnderTheNameOfWhatFailed) {
  configuration_.rules[1].transport = Transport::kPlain;
  auto reporter = Make();
  const Outcome parked{.rule = "logs", .op = "put", .key = "k", .state = OutcomeState::kParked};
  reporter->OnOutcome(parked);  // At the source.
  reporter->OnRetry("logs", "k", Retryable("cut"));
  reporter->OnRetry("rest", "k", Retryable("cut"));  // Perhaps at the target.
  for (const char* op : {"put", "put", "put", "archive", "archive", "delete"}) {
    Outcome at_target = parked;
    at_target.target = "west";
    at_target.op = op;
    reporter->OnOutcome(at_target);
  }
  Counter& uploads =
      world_.metrics.counter("longhaul_staging_uploads_failed_total", "", {{"rule", "logs"}});
  uploads.Add(4);
  Report(*reporter);
  EXPECT_EQ(Kept({{"SourceBucket", "data"}, {"SourcePrefix", "logs/"}}),
            (Figures{{"FailedDownloads", 2}, {"FailedUploads", 4}}));
  EXPECT_EQ(Kept({{"SourceBucket", "data"}, {"SourcePrefix", "root"}}),
            (Figures{{"FailedUploads", 0}}))
      << "its tries are not told apart";
  Figures target = Kept({{"TargetBucket", "copy"}});
  EXPECT_EQ(target["FailedTargetUploads"], 3);
  EXPECT_EQ(target["FailedDecompressions"], 2);
  uploads.Add(1);
  Report(*reporter);
  EXPECT_EQ(Kept({{"SourceBucket", "data"}, {"SourcePrefix", "logs/"}})["FailedUploads"], 1);
}

// A figure in dollars is made of measured quantities and known prices, or is not there.
TEST_F(TelemetryReporterTest, MoneyIsThereWhereItsPricesAreKnown) {
  auto reporter = Make();
  const ArchiveBytes gib{
      .objects = 2 * kGib, .plain = 2 * kGib, .sent = kGib, .archives = 1, .rule = "logs"};
  const auto of_process = [this] {
    return Kept({{"Site", "here"}, {"TargetRegion", "eu-west-1"}});
  };
  cpu_seconds_ = 500;
  reporter->OnArchiveStaged(gib);
  Report(*reporter);
  EXPECT_NEAR(of_process().at("ComputeCost"), 0.005, 1e-6);
  EXPECT_NEAR(of_process().at("NetBenefit"), 0.015, 1e-6);
  cpu_seconds_ = 600;
  Report(*reporter);
  EXPECT_NEAR(of_process().at("ComputeCost"), 0.001, 1e-6);
  EXPECT_NEAR(of_process().at("NetBenefit"), -0.001, 1e-6);
  regions_["west"] = "cellar";  // What lies between nobody knows.
  reporter = Make();
  reporter->OnArchiveStaged(gib);
  Report(*reporter);
  const Figures half = Kept({{"Site", "here"}, {"TargetRegion", "cellar"}});
  EXPECT_TRUE(half.contains("ComputeCost"));
  EXPECT_FALSE(half.contains("NetBenefit"));
  regions_ = {{"east", "attic"}, {"west", "eu-west-1"}};
  reporter = Make();
  reporter->OnArchiveStaged(gib);
  Report(*reporter);
  EXPECT_FALSE(of_process().contains("ComputeCost"));
  EXPECT_FALSE(of_process().contains("NetBenefit"));
  EXPECT_FALSE(
      Kept({{"SourceBucket", "data"}, {"SourcePrefix", "logs/"}}).contains("TransferSavings"));
}

TEST_F(TelemetryReporterTest, SizeOfObjectsIsTheMeanOfThosePut) {
  auto reporter = Make();
  for (uint64_t size : {10, 20, 60}) {
    reporter->OnOutcome({.rule = "logs", .target = "west", .op = "put", .size_bytes = size});
  }
  reporter->OnOutcome({.rule = "logs", .target = "west", .op = "delete"});
  Report(*reporter);
  EXPECT_EQ(Kept({{"SourceBucket", "data"}, {"DestinationBucket", "copy"}, {"RuleId", "logs"}})
                .at("ObjectSize"),
            30);
}

}  // namespace
}  // namespace longhaul
