#include "cli/stores.h"

#include <sys/resource.h>

#include <utility>

#include "aws/credentials.h"
#include "storage/file_store.h"
#include "storage/s3_store.h"
#include "transfer/local_folder.h"

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
       .value_name = "REGION"},
      end.region);
  flags.Switch({.name = sign_name,
                .help = both ? "Sign no requests: for public buckets."
                             : "As --no-sign-request, for this end alone."},
               end.no_sign_request);
}

}  // namespace

void StoreFlags::Declare(FlagSet& flags, bool two_ends) {
  flags.Section("STORE OPTIONS");
  DeclareEnd(flags, both, "endpoint-url", "profile", "region", "no-sign-request", "");
  if (two_ends) {
    DeclareEnd(flags, source, "source-endpoint-url", "source-profile", "source-region",
               "source-no-sign-request", "source");
    DeclareEnd(flags, target, "target-endpoint-url", "target-profile", "target-region",
               "target-no-sign-request", "target");
  }
  flags.Choice({.name = "addressing",
                .help = "How s3:// bucket names go into URLs; auto is virtual-host on AWS and path "
                        "with --endpoint-url.",
                .value_name = "STYLE"},
               {"auto", "path", "virtual-host"}, addressing);
  flags.Choice({.name = "payload-signing",
                .help = "Whether bodies to s3:// are signed by SHA-256; auto does so over plain "
                        "HTTP, except to this machine.",
                .value_name = "WHEN"},
               {"auto", "always", "never"}, payload_signing);
  flags.Switch({.name = "requester-pays", .help = "Agree to pay for reading s3:// buckets."},
               requester_pays);
  flags.Switch({.name = "no-checksums",
                .help = "The s3:// server knows no x-amz-checksum headers; use Content-MD5."},
               no_checksums);
  flags.Text({.name = "ca-bundle",
              .help = "Certificates to trust for s3://, in PEM. Default: AWS_CA_BUNDLE, else those "
                      "of the system.",
              .value_name = "FILE",
              .completes = Completes::kFiles},
             ca_file);
  flags.Duration({.name = "timeout",
                  .help = "How long one operation is retried before it fails. Default: 5m.",
                  .value_name = "DURATION"},
                 timeout);
}

StoreOpener::StoreOpener(RunContext& context, const StoreFlags& flags, bool verify_md5)
    : context_(context), flags_(flags), verify_md5_(verify_md5) {}

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
      Result<Store*> store = OpenS3(end);
      if (!store) return store.error().In(text);
      opened.store = *store;
      break;
    }
    case CommandAddress::Kind::kNamed: {
      Result<Store*> store = OpenNamed(opened.address.store);
      if (!store) return store.error().In(text);
      opened.store = *store;
      break;
    }
  }
  return opened;
}

Result<Store*> StoreOpener::OpenS3(StoreEnd end) {
  const StoreFlags::End& one = end == StoreEnd::kSource ? flags_.source : flags_.target;
  std::optional<std::string> profile = Either(one.profile, flags_.both.profile);
  bool anonymous = one.no_sign_request || flags_.both.no_sign_request;
  EnvironmentReader environment = ReaderOf(context_.console());

  S3StoreOptions options;
  std::optional<std::string> endpoint = Either(one.endpoint_url, flags_.both.endpoint_url);
  if (!endpoint) {
    for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
      std::optional<std::string> value = environment(name);
      if (!endpoint && value && !value->empty()) endpoint = value;
    }
  }
  if (!endpoint && !anonymous) {
    Result<AwsProfile> read = ReadAwsProfile(profile.value_or(""), environment);
    if (!read) return read.error();
    if (!read->endpoint_url.empty()) endpoint = read->endpoint_url;
  }
  options.endpoint = endpoint.value_or("");
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (std::optional<std::string> region = Either(one.region, flags_.both.region)) {
    options.region = *region;
  } else {
    Result<std::string> found = FindAwsRegion(profile.value_or(""), environment);
    if (!found && !anonymous) return found.error();
    if (found) options.region = *found;
  }
  if (flags_.addressing == "path" || (flags_.addressing == "auto" && !options.endpoint.empty())) {
    options.addressing = S3Addressing::kPath;
  } else if (flags_.addressing == "virtual-host") {
    options.addressing = S3Addressing::kVirtualHost;
  }
  options.payload_signing = SigningOf(flags_.payload_signing);
  options.requester_pays = flags_.requester_pays;
  options.checksums = !flags_.no_checksums;
  options.verify_md5_etag = verify_md5_;
  options.operation_timeout = flags_.timeout;
  options.ca_file = flags_.ca_file.value_or(environment("AWS_CA_BUNDLE").value_or(""));

  std::string place = "s3 " + options.endpoint + " " + options.region + " " +
                      profile.value_or("-") + (anonymous ? " anonymous" : "");
  std::unique_ptr<Store>& store = stores_[place];
  if (store == nullptr) {
    if (!anonymous) {
      options.credentials = MakeDefaultCredentials(profile.value_or(""), environment);
    }
    options.stop = &context_.stop();
    options.on_trouble =
        context_.troubles().For(options.endpoint.empty() ? "AWS" : options.endpoint);
    Result<std::unique_ptr<Store>> made = MakeS3Store(context_.runtime(), std::move(options));
    if (!made) return made.error();
    store = std::move(*made);
  }
  return store.get();
}

Result<Store*> StoreOpener::OpenNamed(const std::string& name) {
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
  std::unique_ptr<Store>& store = stores_["named " + name];
  if (store == nullptr) {
    Result<std::unique_ptr<Store>> made =
        OpenConfiguredStore(context_, found->second, flags_.timeout, verify_md5_);
    if (!made) return made.error();
    store = std::move(*made);
  }
  return store.get();
}

Result<std::unique_ptr<Store>> OpenConfiguredStore(RunContext& context,
                                                   const StoreSettings& settings,
                                                   std::chrono::milliseconds timeout,
                                                   bool verify_md5) {
  const Runtime& runtime = context.runtime();
  if (settings.type == StoreType::kFile) {
    Result<std::unique_ptr<Store>> made = MakeFileStore(runtime, {.root = settings.root});
    if (!made) return made.error().In("store " + settings.name);
    return made;
  }
  EnvironmentReader environment = ReaderOf(context.console());
  S3StoreOptions options;
  options.stop = &context.stop();
  options.on_trouble = context.troubles().For("store " + settings.name);
  options.endpoint = settings.endpoint;
  options.region = settings.region;
  options.addressing = settings.addressing == Addressing::kPath ? S3Addressing::kPath
                       : settings.endpoint.empty()              ? S3Addressing::kAuto
                                                                : S3Addressing::kVirtualHost;
  options.requester_pays = settings.requester_pays;
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
  if (!settings.access_key_id.empty()) {
    options.credentials = MakeStaticCredentials({.access_key_id = settings.access_key_id,
                                                 .secret_access_key = settings.secret_access_key,
                                                 .session_token = settings.session_token});
  } else if (!settings.anonymous) {
    options.credentials = MakeDefaultCredentials(settings.profile, environment);
  }
  if (std::optional<std::string> ca = environment("AWS_CA_BUNDLE")) options.ca_file = *ca;
  Result<std::unique_ptr<Store>> made = MakeS3Store(runtime, std::move(options));
  if (!made) return made.error().In("store " + settings.name);
  return made;
}

}  // namespace longhaul
