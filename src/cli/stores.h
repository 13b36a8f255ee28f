// Stores for commands: from addresses and options, and from the configuration.

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/aws_settings.h"
#include "cli/address.h"
#include "cli/flags.h"
#include "cli/run_context.h"
#include "net/http_client.h"
#include "rules/rule.h"
#include "storage/request_meter.h"
#include "storage/s3_store.h"
#include "storage/store.h"

namespace longhaul {

// How to reach s3:// addresses. The plain ones count for both ends.
struct StoreFlags {
  struct End {
    std::optional<std::string> endpoint_url;
    std::optional<std::string> profile;
    std::optional<std::string> region;
    std::optional<std::string> provider;
    bool no_sign_request = false;
  };
  End both;
  End source;
  End target;
  std::string addressing = "auto";
  std::string payload_signing = "auto";
  bool requester_pays = false;
  bool accelerate = false;
  bool no_checksums = false;
  std::optional<std::string> ca_file;
  std::chrono::milliseconds timeout = std::chrono::minutes(5);

  // `two_ends`: with --source-… and --target-….
  void Declare(FlagSet& flags, bool two_ends);
  // What makes a FlagSet that was declared with two ends give the same again. There is no secret
  // in it.
  [[nodiscard]] std::vector<std::string> Arguments() const;
};

enum class StoreEnd { kSource, kTarget };

// Directory buckets of S3 can so much less than others that they are a store of their own.
enum class BucketKind { kGeneral, kDirectory };
BucketKind KindOf(std::string_view bucket);

struct OpenedAddress {
  CommandAddress address;
  Store* store = nullptr;  // Owned by the StoreOpener.
  // Equal where two names are one place (StoreSettings::Place); "" of a path.
  std::string place{};
  std::string root{};  // Of a store that is a folder.
};

// Makes what counts the requests of a store, or nullptr. `name`: that of the configuration; empty:
// of s3:// addresses. `region`: "" where nobody says it.
using MakeMeter = std::function<std::shared_ptr<RequestMeter>(
    const std::string& name, const std::string& region, BucketKind buckets)>;

// Opens each store once: two addresses of one place give the same Store, so that a copy within it
// can be left to the server.
class StoreOpener {
 public:
  // All are borrowed. `verify_md5`: reads of objects that have no checksum are verified by their
  // MD5 ETag; a copy leaves that to the target's server. `make_meter`: called as a store is opened.
  StoreOpener(RunContext& context, const StoreFlags& flags, bool verify_md5,
              MakeMeter make_meter = nullptr);

  // kInvalidInput: the address, the options or the profile make no sense; the store is not in the
  // configuration.
  Result<OpenedAddress> Open(std::string_view text, StoreEnd end);

  // The same, of what has to name a bucket of a store. kInvalidInput: else; says what to write.
  Result<OpenedAddress> OpenBucket(std::string_view text, StoreEnd end);

 private:
  Result<Store*> OpenS3(StoreEnd end, BucketKind buckets);
  Result<Store*> OpenNamed(const std::string& name, BucketKind buckets);

  RunContext& context_;
  const StoreFlags& flags_;
  bool verify_md5_;
  std::map<std::string, std::unique_ptr<Store>> stores_;  // By how they are reached.
  std::map<const Store*, std::string> places_;
  MakeMeter make_meter_;
};

// StoreSettings::Place of a store of the configuration, or where the environment says that it is
// when the configuration does not.
std::string PlaceOfNamed(RunContext& context, const StoreSettings& settings);

// What the environment says of how it is reached, and a profile where it has no keys of its own.
Result<AwsSettings> ReadStoreSettings(const StoreSettings& settings,
                                      const EnvironmentReader& environment);

// How buckets are addressed there. `endpoint`: the store's, or what environment or profile say
// where it has none; empty: AWS.
S3Addressing AddressingOf(const StoreSettings& settings, const std::string& endpoint);

// A store of a configuration, for whoever runs rules. `timeout`: of one operation with its retries.
// `ca_file`: the certificates to trust, instead of AWS_CA_BUNDLE's. `meter`: counts its requests.
// `buckets`: of which kind are all that it is asked for. `http`: that of one store of the
// configuration, made where it is null: what is opened with it shares its connections, and the
// store's `requests` bound them all. Outlives them.
// The store must go before the context does.
Result<std::unique_ptr<Store>> OpenConfiguredStore(
    RunContext& context, const StoreSettings& settings, std::chrono::milliseconds timeout,
    bool verify_md5 = true, std::optional<std::string> ca_file = {},
    std::shared_ptr<RequestMeter> meter = nullptr, BucketKind buckets = BucketKind::kGeneral,
    std::unique_ptr<HttpClient>* http = nullptr);
// By the names of stores.
using StoreConnections = std::map<std::string, std::unique_ptr<HttpClient>>;

// Where a store of a configuration is; "" for a folder, and where nobody says it.
std::string RegionOfStore(RunContext& context, const StoreSettings& settings);

}  // namespace longhaul
