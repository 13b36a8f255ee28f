#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/stores.h"

namespace longhaul {

namespace {

class ListCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "ls",
        .summary = "list buckets and objects",
        .description =
            "Lists what lies below an address: objects with their time, size and name, and "
            "folders. Without --recursive only one level is listed and names are relative to "
            "the last '/' of the address; with it whole keys are printed, in byte order. An "
            "address without a bucket (s3://, NAME:) lists buckets.",
        .examples = {{"List the buckets", "longhaul ls s3://"},
                     {"List one level", "longhaul ls s3://my-bucket/2026/"},
                     {"List everything, with exact sizes",
                      "longhaul ls --recursive --bytes east:logs"},
                     {"Count and add up", "longhaul ls -r --summarize s3://my-bucket | tail -2"},
                     {"Keys for a script", "longhaul ls -r --json s3://my-bucket | jq -r .key"}},
        .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable,
                       ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("ADDRESS", "A bucket, a prefix, a folder, or a store alone.", address_);
    flags.Switch({.name = "recursive", .help = "List all levels.", .letter = 'r'}, recursive_);
    flags.Switch({.name = "bytes", .help = "Print sizes in bytes."}, bytes_);
    flags.Switch({.name = "versions",
                  .help = "List all versions and delete markers; implies --recursive.",
                  .alias = "all-versions"},
                 versions_);
    flags.Switch({.name = "summarize", .help = "Print number and size of all objects at the end."},
                 summarize_);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedAddress> opened = opener.Open(address_, StoreEnd::kSource);
    if (!opened) co_return opened.error();
    Output& output = context.output();
    if (opened->address.bucket.empty()) co_return co_await ListBuckets(output, *opened->store);

    const CommandAddress& address = opened->address;
    ListRequest request{.bucket = address.bucket,
                        .prefix = address.key,
                        .delimiter = recursive_ || versions_ ? "" : "/",
                        .versions = versions_};
    size_t slash = address.key.rfind('/');
    size_t cut = request.delimiter.empty() || slash == std::string::npos ? 0 : slash + 1;
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t lines = 0;
    do {
      Result<ListPage> page = co_await opened->store->List(request);
      if (!page) co_return At(address, page.error());
      for (const std::string& prefix : page->common_prefixes) {
        ++lines;
        output.Print(Message("folder")
                         .With("prefix", prefix)
                         .Says(fmt::format("{:>20}  {:>12}  {}", "", "folder",
                                           Printable(prefix.substr(cut)))));
      }
      std::string text;  // Of the whole page: a write for each line would cost more than the line.
      for (const ListedObject& object : page->objects) {
        ++lines;
        if (!object.is_delete_marker) {
          ++objects;
          bytes += object.size_bytes;
        }
        if (output.json()) {
          text += Described(object).Json();
        } else {
          AppendLine(text, object, cut);
        }
        text += '\n';
      }
      output.Raw(text);
      request.token = page->next_token;
      if (!output.open()) co_return ExitCode::kDone;
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
    } while (!request.token.empty());
    Message summary("summary");
    summary.With("objects", objects).With("bytes", bytes);
    if (summarize_) {
      summary.Says("\n" + Counted(objects, "object") + ", " +
                   (bytes_ ? std::to_string(bytes) : FormatBytes(bytes)));
    }
    output.Print(summary);
    if (lines == 0 && !address.key.empty()) {
      co_return NotFound("there is nothing at '" + address.text + "'");
    }
    co_return ExitCode::kDone;
  }

 private:
  void AppendLine(std::string& to, const ListedObject& object, size_t cut) const {
    std::string size = object.is_delete_marker ? "deleted"
                       : bytes_                ? std::to_string(object.size_bytes)
                                               : FormatBytes(object.size_bytes);
    to += TimeOf(object);  // 20 characters.
    to.append(size.size() < 12 ? 14 - size.size() : 2, ' ');
    to.append(size).append("  ").append(Printable(std::string_view(object.key).substr(cut)));
    if (versions_)
      to.append("  ").append(object.version_id).append(object.is_latest ? " (latest)" : "");
  }

  [[nodiscard]] Message Described(const ListedObject& object) const {
    Message message("object");
    message.With("key", object.key)
        .With("size", object.size_bytes)
        .With("last_modified", TimeOf(object))
        .With("etag", object.etag);
    if (!object.storage_class.empty()) message.With("storage_class", object.storage_class);
    if (versions_) {
      message.With("version_id", object.version_id)
          .With("is_latest", object.is_latest)
          .With("is_delete_marker", object.is_delete_marker);
    }
    return message;
  }

  static std::string TimeOf(const ListedObject& object) {
    return FormatRfc3339(std::chrono::floor<std::chrono::seconds>(object.last_modified));
  }

  static Async<ExitCode> ListBuckets(Output& output, Store& store) {
    Result<std::vector<BucketInfo>> buckets = co_await store.ListBuckets();
    if (!buckets) co_return buckets.error();
    for (const BucketInfo& bucket : *buckets) {
      std::string time =
          FormatRfc3339(std::chrono::time_point_cast<std::chrono::seconds>(bucket.created));
      output.Print(Message("bucket")
                       .With("bucket", bucket.name)
                       .With("created", time)
                       .Says(fmt::format("{:<20}  {}", time, Printable(bucket.name))));
    }
    output.Print(Message("summary").With("buckets", buckets->size()));
    co_return ExitCode::kDone;
  }

  std::string address_;
  bool recursive_ = false;
  bool bytes_ = false;
  bool versions_ = false;
  bool summarize_ = false;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeListCommand() { return std::make_unique<ListCommand>(); }

}  // namespace longhaul
