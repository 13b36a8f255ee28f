#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/stores.h"

namespace longhaul {

namespace {

std::string_view NameOfAlgorithm(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return "crc32";
    case ChecksumAlgorithm::kCrc32c:
      return "crc32c";
    case ChecksumAlgorithm::kCrc64Nvme:
      return "crc64nvme";
    case ChecksumAlgorithm::kSha1:
      return "sha1";
    case ChecksumAlgorithm::kSha256:
      return "sha256";
  }
  return "";
}

class StatCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "stat",
            .summary = "show all that belongs to an object or a bucket",
            .description =
                "Prints size, time, ETag, version, storage class, checksums, headers, user "
                "metadata and tags of an object; of a bucket, whether it is there and keeps "
                "versions.",
            .examples = {{"Show an object", "longhaul stat s3://my-bucket/report.pdf"},
                         {"Show one version",
                          "longhaul stat --version-id 3HL4kqt s3://my-bucket/report.pdf"},
                         {"Show a bucket", "longhaul stat east:logs"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("ADDRESS", "An object, a file or a bucket.", address_);
    flags.Text({.name = "version-id",
                .help = "The version to show. Default: the current one.",
                .value_name = "ID"},
               version_id_);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedAddress> opened = opener.Open(address_, StoreEnd::kSource);
    if (!opened) co_return opened.error();
    const CommandAddress& address = opened->address;
    if (address.bucket.empty()) co_return InvalidInput("'" + address_ + "' names no bucket");
    if (address.key.empty()) {
      co_return co_await StatBucket(context.output(), *opened->store, address.bucket);
    }
    Result<ObjectInfo> info = co_await opened->store->Head(
        {.bucket = address.bucket, .key = address.key, .version_id = version_id_});
    if (!info) co_return At(address, info.error());
    Tags tags;
    if (info->tag_count > 0) {
      Result<Tags> read = co_await opened->store->GetTags(address.bucket, address.key, version_id_);
      if (!read) co_return At(address, read.error());
      tags = std::move(*read);
    }

    Message message("object");
    std::vector<std::pair<std::string, std::string>> rows;
    auto add = [&](const std::string& name, const std::string& value) {
      if (value.empty()) return;
      message.With(name, value);
      rows.emplace_back(name, Printable(value));
    };
    add("key", address.key);
    message.With("size", info->size_bytes);
    rows.emplace_back(
        "size",
        std::to_string(info->size_bytes) +
            (info->size_bytes < 1024 ? " B" : " B (" + FormatBytes(info->size_bytes) + ")"));
    add("last_modified", FormatRfc3339(info->last_modified));
    add("etag", info->etag);
    add("version_id", info->version_id);
    add("storage_class", info->storage_class);
    for (const Checksum& checksum : info->checksums) {
      add("checksum." + std::string(NameOfAlgorithm(checksum.algorithm)),
          checksum.value + (checksum.composite ? " (of the parts)" : ""));
    }
    const SystemHeaders& headers = info->headers;
    add("content_type", headers.content_type);
    add("content_encoding", headers.content_encoding);
    add("content_language", headers.content_language);
    add("content_disposition", headers.content_disposition);
    add("cache_control", headers.cache_control);
    add("expires", headers.expires);
    add("website_redirect_location", headers.website_redirect_location);
    for (const auto& [name, value] : info->metadata) add("metadata." + name, value);
    for (const auto& [name, value] : tags) add("tag." + name, value);
    context.output().Print(message.Says(RenderTable(rows)));
    co_return ExitCode::kDone;
  }

 private:
  static Async<ExitCode> StatBucket(Output& output, Store& store, std::string bucket) {
    Result<void> there = co_await store.HeadBucket(bucket);
    if (!there) co_return there.error();
    // Not every server tells, and not everyone may ask.
    Result<bool> versions = co_await store.GetVersioning(bucket);
    std::string told = versions ? (*versions ? "kept" : "not kept") : "unknown";
    output.Print(Message("bucket")
                     .With("bucket", bucket)
                     .With("versions", told)
                     .Says(RenderTable({{"bucket", Printable(bucket)},
                                        {"store", store.description()},
                                        {"versions", told}})));
    co_return ExitCode::kDone;
  }

  std::string address_;
  std::string version_id_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeStatCommand() { return std::make_unique<StatCommand>(); }

}  // namespace longhaul
