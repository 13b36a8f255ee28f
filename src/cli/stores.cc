#include "cli/stores.h"

#include <sys/resource.h>

#include <utility>

#include "aws/aws_settings.h"
#include "aws/credentials.h"
#include "aws/default_credentials.h"
#include "base/units.h"
#include "storage/file_store.h"
#include "storage/s3_bucket_name.h"
#include "storage/s3_provider.h"
#include "transfer/local/local_folder.h"

namespace longhaul {

namespace {

EnvironmentReader ReaderOf(Console& console) {
  return [&console](const std::string& name) { return console.Environment(name); };
}

// Each connection is an open file, and the usual limit of 1,024 may be raised by whoever needs
// more.
void AllowOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));  // Else what does not connect is repeated.
}

// What environment and profile say besides the endpoint.
void UseSettings(const AwsSettings& settings, S3StoreOptions& options) {
  options.wishes = settings.wishes();
  options.proxy = settings.proxy();
  options.ca_file = settings.ca_bundle.value;
  options.attempts_max = settings.AttemptsMax(options.attempts_max);
}

S3PayloadSigning SigningOf(std::string_view text) {
  if (text == "always") return S3PayloadSigning::kAlways;
  return text == "never" ? S3PayloadSigning::kNever : S3PayloadSigning::kAuto;
}

// Flags of one end come before those for both.
const std::optional<std::string>& Either(const std::optional<std::string>& one,
                                         const std::optional<std::string>& both) {
  return one ? one : both;
}

void DeclareEnd(FlagSet& flags, StoreFlags::End& end, std::string_view endpoint_name,
                std::string_view profile_name, std::string_view region_name,
                std::string_view sign_name, std::string_view which) {
  // Help texts live as long as the program; there are three sets of them.
  bool both = which.empty();
  flags.Text({.name = endpoint_name,
              .help = both ? "Where s3:// addresses are, for S3-compatible servers. Default: "
                             "AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url, "
                             "else AWS."
                           : "As --endpoint-url, for this end alone.",
              .value_name = "URL"},
             end.endpoint_url);
  flags.Text({.name = profile_name,
              .help = both ? "Profile of ~/.aws/config and ~/.aws/credentials for s3:// addresses. "
                             "Default: the environment's keys, else AWS_PROFILE, else default."
                           : "As --profile, for this end alone.",
              .value_name = "NAME"},
             end.profile);
  flags.Text(
      {.name = region_name,
       .help = both ? "Region of s3:// addresses. Default: AWS_REGION or the profile's, else "
                      "us-east-1."
                    : "As --region, for this end alone.",
       .value_name = "REGION",
       .alias = which == "target" ? "destination-region" : ""},
      end.region);
  flags.Switch({.name = sign_name,
                .help = both ? "Sign no requests: for public buckets."
                             : "As --no-sign-request, for this end alone."},
               end.no_sign_request);
}

void DeclareProvider(FlagSet& flags, StoreFlags::End& end, std::string_view name,
                     std::string_view which) {
  flags.Text(
      {.name = name,
       .help = which == "s3://" ? "What s3:// is: aws, aws-cn, gcs, aliyun-oss, tencent-cos, "
                                  "qiniu-kodo, r2, b2, wasabi, minio, ceph or generic. Gives "
                                  "the endpoint by region, and what it cannot do."
                                : "As --provider, for this end alone.",
       .value_name = "NAME"},
      end.provider);
}

// What tells apart the two stores that one place has, of each kind of bucket.
std::string SuffixOf(BucketKind buckets) {
  return buckets == BucketKind::kDirectory ? " directory buckets" : "";
}

// Endpoint, region and quirks of a provider, around what is set already.
Result<void> UseProvider(const S3Provider& provider, const std::string& account, bool by_path,
                         S3StoreOptions& options) {
  if (by_path && provider.virtual_only) {
    return InvalidInput(std::string(provider.title) + " takes buckets in host names alone");
  }
  Result<S3Place> place = PlaceAt(
      provider, {.endpoint = options.endpoint, .region = options.region, .account = account});
  if (!place) return place.error();
  options.endpoint = place->endpoint;
  options.region = place->region;
  options.quirks = provider.quirks();
  return Ok();
}

}  // namespace

BucketKind KindOf(std::string_view bucket) {
  return IsDirectoryBucket(bucket) ? BucketKind::kDirectory : BucketKind::kGeneral;
}

void StoreFlags::Declare(FlagSet& flags, bool two_ends) {
  flags.Section("STORE OPTIONS");
  DeclareEnd(flags, both, "endpoint-url", "profile", "region", "no-sign-request", "");
  DeclareProvider(flags, both, "provider", "s3://");
  if (two_ends) {
    DeclareEnd(flags, source, "source-endpoint-url", "source-profile", "source-region",
               "source-no-sign-request", "source");
    DeclareProvider(flags, source, "source-provider", "the source");
    DeclareEnd(flags, target, "target-endpoint-url", "target-profile", "target-region",
               "target-no-sign-request", "target");
    DeclareProvider(flags, target, "target-provider", "the target");
  }
  flags.Choice({.name = "addressing",
                .help = "How s3:// bucket names go into URLs; auto is virtual on AWS and path with "
                        "--endpoint-url. virtual-host means virtual.",
                .value_name = "STYLE"},
               {"auto", "path", "virtual", "virtual-host"}, addressing);
  flags.Choice({.name = "payload-signing",
                .help = "Whether bodies to s3:// are signed by SHA-256; auto does so over plain "
                        "HTTP, except to this machine.",
                .value_name = "WHEN"},
               {"auto", "always", "never"}, payload_signing);
  flags.Switch({.name = "requester-pays",
                .help = "Agree to pay for reading s3:// buckets.",
                .alias = "request-payer=requester"},
               requester_pays);
  flags.Switch({.name = "accelerate",
                .help = "s3:// objects go by S3 Transfer Acceleration, to buckets that have it; "
                        "on AWS alone."},
               accelerate);
  flags.Switch({.name = "no-checksums",
                .help = "The s3:// server knows no x-amz-checksum headers; use Content-MD5."},
               no_checksums);
  flags.Text(
      {.name = "ca-bundle",
       .help = "Certificates to trust for https://, in PEM. Default: AWS_CA_BUNDLE, else those "
               "of the system.",
       .value_name = "FILE",
       .completes = Completes::kFiles},
      ca_file);
  flags.Duration({.name = "timeout",
                  .help = "How long one operation is retried before it fails. Default: 5m.",
                  .value_name = "DURATION"},
                 timeout);
}

std::vector<std::string> StoreFlags::Arguments() const {
  std::vector<std::string> arguments;
  auto text = [&arguments](const std::string& name, const std::optional<std::string>& value) {
    if (value) arguments.push_back("--" + name + "=" + *value);
  };
  auto flag = [&arguments](const std::string& name, bool value) {
    if (value) arguments.push_back("--" + name);
  };
  auto add_end = [&](const std::string& which, const End& end) {
    text(which + "endpoint-url", end.endpoint_url);
    text(which + "profile", end.profile);
    text(which + "region", end.region);
    text(which + "provider", end.provider);
    flag(which + "no-sign-request", end.no_sign_request);
  };
  add_end("", both);
  add_end("source-", source);
  add_end("target-", target);
  text("addressing", addressing);
  text("payload-signing", payload_signing);
  flag("requester-pays", requester_pays);
  flag("accelerate", accelerate);
  flag("no-checksums", no_checksums);
  text("ca-bundle", ca_file);
  text("timeout", FormatDuration(timeout));
  return arguments;
}

namespace {

std::string PlaceOf(std::string endpoint, std::string region) {
  StoreSettings settings;
  settings.endpoint = std::move(endpoint);
  settings.region = std::move(region);
  return settings.Place();
}

}  // namespace

std::string PlaceOfNamed(RunContext& context, const StoreSettings& settings) {
  if (settings.type == StoreType::kFile || !settings.endpoint.empty()) return settings.Place();
  Result<AwsSettings> said = ReadStoreSettings(settings, ReaderOf(context.console()));
  std::string region = settings.region.empty() && said ? said->region.value : settings.region;
  return PlaceOf(said ? said->endpoint_url.value : "", std::move(region));
}

StoreOpener::StoreOpener(RunContext& context, const StoreFlags& flags, bool verify_md5,
                         MakeMeter make_meter)
    : context_(context),
      flags_(flags),
      verify_md5_(verify_md5),
      make_meter_(std::move(make_meter)) {}

Result<OpenedAddress> StoreOpener::OpenBucket(std::string_view text, StoreEnd end) {
  Result<CommandAddress> address = ParseCommandAddress(text);
  if (!address) return address.error();
  const std::string quoted = "'" + std::string(text) + "'";
  if (address->kind == CommandAddress::Kind::kLocal) {
    // Who writes a slash for the colon means a store that there is.
    const size_t slash = text.find('/');
    const std::string first(text.substr(0, slash));
    const Configuration* configuration = context_.configuration();
    const bool named = slash != std::string_view::npos && configuration != nullptr &&
                       configuration->stores.contains(first);
    return InvalidInput(
        quoted + " is a path of this machine and names no bucket of a store: write " +
        (named ? first + ":" + std::string(text.substr(slash + 1))
               : "s3://BUCKET/PREFIX, or STORE:BUCKET/PREFIX with a store of the configuration"));
  }
  if (address->bucket.empty()) {
    return InvalidInput(
        quoted + " names no bucket of a store: write " +
        (address->kind == CommandAddress::Kind::kS3 ? "s3://" : address->store + ":") +
        "BUCKET/PREFIX");
  }
  return Open(text, end);
}

Result<OpenedAddress> StoreOpener::Open(std::string_view text, StoreEnd end) {
  Result<CommandAddress> address = ParseCommandAddress(text);
  if (!address) return address.error();
  OpenedAddress opened{.address = std::move(*address)};
  switch (opened.address.kind) {
    case CommandAddress::Kind::kLocal: {
      std::unique_ptr<Store>& store = stores_["local"];
      if (store == nullptr) store = std::make_unique<LocalFolder>(context_.runtime());
      opened.store = store.get();
      break;
    }
    case CommandAddress::Kind::kS3: {
      Result<Store*> store = OpenS3(end, KindOf(opened.address.bucket));
      if (!store) return store.error().In(text);
      opened.store = *store;
      opened.place = places_.at(*store);
      break;
    }
    case CommandAddress::Kind::kNamed: {
      Result<Store*> store = OpenNamed(opened.address.store, KindOf(opened.address.bucket));
      if (!store) return store.error().In(text);
      opened.store = *store;
      opened.place = places_.at(*store);
      opened.root = context_.configuration()->stores.at(opened.address.store).root;
      break;
    }
  }
  return opened;
}

Result<Store*> StoreOpener::OpenS3(StoreEnd end, BucketKind buckets) {
  const StoreFlags::End& one = end == StoreEnd::kSource ? flags_.source : flags_.target;
  std::optional<std::string> profile = Either(one.profile, flags_.both.profile);
  bool anonymous = one.no_sign_request || flags_.both.no_sign_request;
  EnvironmentReader environment = ReaderOf(context_.console());

  S3StoreOptions options;
  const S3Provider* provider = nullptr;
  if (std::optional<std::string> name = Either(one.provider, flags_.both.provider)) {
    provider = FindS3Provider(*name);
    if (provider == nullptr) {
      return InvalidInput("no provider '" + *name + "'; there are " + S3ProviderNames());
    }
  }
  std::optional<std::string> endpoint = Either(one.endpoint_url, flags_.both.endpoint_url);
  // A provider that has an endpoint means that one, not what the environment says of another.
  const bool has_endpoint = provider != nullptr && provider->endpoint != "-";
  Result<AwsSettings> settings = ReadAwsSettings(
      "S3", profile.value_or(""), anonymous ? WithoutProfiles(environment) : environment);
  if (!settings) return settings.error();
  if (!endpoint && !has_endpoint && !settings->endpoint_url.value.empty()) {
    endpoint = settings->endpoint_url.value;
  }
  options.endpoint = endpoint.value_or("");
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (std::optional<std::string> region = Either(one.region, flags_.both.region)) {
    options.region = *region;
  } else if (provider != nullptr && !provider->region.empty()) {
    options.region = provider->region;
  } else {
    Result<std::string> found = FindAwsRegion(profile.value_or(""), environment);
    if (!found && !anonymous) return found.error();
    if (found) options.region = *found;
  }
  // A service is known by its endpoint as well.
  if (provider == nullptr) provider = FindS3ProviderOf(options.endpoint);
  if (provider != nullptr) {
    Result<void> set = UseProvider(*provider, "", flags_.addressing == "path", options);
    if (!set) return set.error();
  }
  if (provider != nullptr && flags_.addressing == "auto") {
    options.addressing = provider->addressing;
  } else if (flags_.addressing == "path" ||
             (flags_.addressing == "auto" && !options.endpoint.empty())) {
    options.addressing = S3Addressing::kPath;
  } else if (flags_.addressing.starts_with("virtual")) {
    options.addressing = S3Addressing::kVirtualHost;
  }
  if (buckets == BucketKind::kDirectory) options.quirks = DirectoryBucketQuirks();
  options.payload_signing = SigningOf(flags_.payload_signing);
  options.requester_pays = flags_.requester_pays;
  options.accelerate = flags_.accelerate;
  options.checksums = !flags_.no_checksums;
  options.verify_md5_etag = verify_md5_;
  options.operation_timeout = flags_.timeout;
  UseSettings(*settings, options);
  if (flags_.ca_file) options.ca_file = *flags_.ca_file;

  std::string place = (provider == nullptr ? "" : std::string(provider->name) + " ") + "s3 " +
                      options.endpoint + " " + options.region + " " + profile.value_or("-") +
                      (anonymous ? " anonymous" : "") + SuffixOf(buckets);
  std::unique_ptr<Store>& store = stores_[place];
  if (store == nullptr) {
    if (!anonymous) {
      options.credentials = MakeDefaultCredentials(
          context_.runtime(), environment,
          {.profile = profile.value_or(""), .region = options.region, .ca_file = options.ca_file});
    }
    options.shards = &context_.shards();
    options.stop = &context_.stop();
    const std::string name = options.endpoint.empty() ? "AWS" : options.endpoint;
    const std::string endpoint_place = PlaceOf(options.endpoint, options.region);
    options.on_trouble = context_.troubles().For(name);
    options.on_clock_off = context_.troubles().ClockOff(name);
    if (make_meter_) options.meter = make_meter_("", options.region, buckets);
    Result<std::unique_ptr<Store>> made = MakeS3Store(context_.runtime(), std::move(options));
    if (!made) return made.error();
    store = std::move(*made);
    places_[store.get()] = endpoint_place;
  }
  return store.get();
}

Result<Store*> StoreOpener::OpenNamed(const std::string& name, BucketKind buckets) {
  const Configuration* configuration = context_.configuration();
  if (configuration == nullptr) {
    return InvalidInput("'" + name +
                        "' is a store of a configuration: give one by --config or "
                        "LONGHAUL_CONFIG; for a local file write ./" +
                        name + ":…");
  }
  auto found = configuration->stores.find(name);
  if (found == configuration->stores.end()) {
    std::string names;
    for (const auto& [other, settings] : configuration->stores) {
      names += (names.empty() ? "" : ", ") + other;
    }
    return InvalidInput("no store '" + name + "' in " + configuration->file + "; there is " +
                        (names.empty() ? "none" : names));
  }
  std::unique_ptr<Store>& store = stores_["named " + name + SuffixOf(buckets)];
  if (store == nullptr) {
    std::shared_ptr<RequestMeter> meter;
    if (make_meter_) meter = make_meter_(name, RegionOfStore(context_, found->second), buckets);
    Result<std::unique_ptr<Store>> made =
        OpenConfiguredStore(context_, found->second, flags_.timeout, verify_md5_, flags_.ca_file,
                            std::move(meter), buckets);
    if (!made) return made.error();
    store = std::move(*made);
    places_[store.get()] = PlaceOfNamed(context_, found->second);
  }
  return store.get();
}

Result<AwsSettings> ReadStoreSettings(const StoreSettings& settings,
                                      const EnvironmentReader& environment) {
  const bool own = settings.anonymous || !settings.access_key_id.empty();
  return ReadAwsSettings("S3", settings.profile, own ? WithoutProfiles(environment) : environment);
}

S3Addressing AddressingOf(const StoreSettings& settings, const std::string& endpoint) {
  if (settings.addressing == Addressing::kPath) return S3Addressing::kPath;
  if (endpoint.empty()) return S3Addressing::kAuto;  // AWS: names that fit into a host name.
  if (settings.addressing) return S3Addressing::kVirtualHost;
  const S3Provider* provider = FindS3ProviderOf(endpoint);
  return provider != nullptr ? provider->addressing : S3Addressing::kPath;
}

Result<std::unique_ptr<Store>> OpenConfiguredStore(
    RunContext& context, const StoreSettings& settings, std::chrono::milliseconds timeout,
    bool verify_md5, std::optional<std::string> ca_file, std::shared_ptr<RequestMeter> meter,
    BucketKind buckets, std::unique_ptr<HttpClient>* http) {
  const Runtime& runtime = context.runtime();
  if (settings.type == StoreType::kFile) {
    Result<std::unique_ptr<Store>> made = MakeFileStore(runtime, {.root = settings.root});
    if (!made) return made.error().In("store " + settings.name);
    return made;
  }
  EnvironmentReader environment = ReaderOf(context.console());
  S3StoreOptions options;
  options.shards = &context.shards();
  options.stop = &context.stop();
  options.meter = std::move(meter);
  options.on_trouble = context.troubles().For("store " + settings.name);
  options.on_clock_off = context.troubles().ClockOff("store " + settings.name);
  Result<AwsSettings> said = ReadStoreSettings(settings, environment);
  if (!said) return said.error().In("store " + settings.name);
  UseSettings(*said, options);
  options.endpoint = settings.endpoint.empty() ? said->endpoint_url.value : settings.endpoint;
  options.region = settings.region;
  options.addressing = AddressingOf(settings, options.endpoint);
  if (const S3Provider* provider = FindS3ProviderOf(options.endpoint)) {
    options.quirks = provider->quirks();
  }
  if (buckets == BucketKind::kDirectory) options.quirks = DirectoryBucketQuirks();
  options.requester_pays = settings.requester_pays;
  options.accelerate = settings.accelerate;
  if (settings.requests) {
    options.connections_max = *settings.requests;
    AllowOpenFiles();
  }
  options.operation_timeout = timeout;
  options.verify_md5_etag = verify_md5;
  switch (settings.payload_signing) {
    case PayloadSigning::kAuto:
      options.payload_signing = S3PayloadSigning::kAuto;
      break;
    case PayloadSigning::kAlways:
      options.payload_signing = S3PayloadSigning::kAlways;
      break;
    case PayloadSigning::kNever:
      options.payload_signing = S3PayloadSigning::kNever;
      break;
  }
  if (options.region.empty() && !settings.anonymous) {
    Result<std::string> region = FindAwsRegion(settings.profile, environment);
    if (!region) return region.error().In("store " + settings.name);
    options.region = *region;
  }
  if (ca_file) options.ca_file = *ca_file;
  if (!settings.anonymous) {
    DefaultCredentialsOptions from{.profile = settings.profile,
                                   .role_arn = settings.role_arn,
                                   .external_id = settings.external_id,
                                   .region = options.region,
                                   .ca_file = options.ca_file};
    if (!settings.credentials.empty()) {
      Result<SecretReference> kept = ParseSecretReference(settings.credentials);
      if (!kept) return kept.error().In("store " + settings.name);
      from.kept = std::move(*kept);
    }
    if (!settings.access_key_id.empty()) {
      from.keys = Credentials{.access_key_id = settings.access_key_id,
                              .secret_access_key = settings.secret_access_key,
                              .session_token = settings.session_token};
    }
    options.credentials = MakeDefaultCredentials(runtime, environment, std::move(from));
  }
  if (http != nullptr && *http == nullptr) {
    *http = MakeHttpClient(runtime, {.requests_max = options.connections_max,
                                     .ca_file = options.ca_file,
                                     .verify_certificate = true,
                                     .proxy = options.proxy,
                                     .shards = options.shards});
  }
  Result<std::unique_ptr<Store>> made =
      MakeS3Store(runtime, std::move(options), http != nullptr ? http->get() : nullptr);
  if (!made) return made.error().In("store " + settings.name);
  return made;
}

std::string RegionOfStore(RunContext& context, const StoreSettings& settings) {
  if (settings.type == StoreType::kFile || !settings.region.empty()) return settings.region;
  if (settings.anonymous) return "";
  Result<std::string> found = FindAwsRegion(settings.profile, ReaderOf(context.console()));
  return found ? *found : "";
}

}  // namespace longhaul
