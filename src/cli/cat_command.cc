#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/stores.h"

namespace longhaul {

namespace {

constexpr size_t kPieceBytes = 1 << 20;

class CatCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "cat",
            .summary = "print objects on standard output",
            .description =
                "Writes the bytes of objects to standard output, one after another. Whole objects "
                "are verified against their checksum or MD5 ETag, at the end: when that fails, the "
                "exit code is 1 although bytes were printed. --json has no effect on the bytes.",
            .examples = {{"Print an object", "longhaul cat s3://my-bucket/notes.txt"},
                         {"Look into a compressed log",
                          "longhaul cat east:logs/a.log.zst | zstd -dc | less"},
                         {"The first KiB", "longhaul cat --count 1KiB s3://my-bucket/data.csv"},
                         {"The last 100 bytes", "longhaul cat --tail 100 s3://my-bucket/data.csv"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("ADDRESS", "Objects or files.", 1, addresses_);
    flags.Bytes({.name = "offset",
                 .help = "Start at this byte; the first one is 0.",
                 .value_name = "BYTES"},
                offset_);
    flags.Bytes({.name = "count", .help = "Print at most so many bytes.", .value_name = "BYTES"},
                count_);
    flags.Bytes({.name = "tail", .help = "Print only the last bytes.", .value_name = "BYTES"},
                tail_);
    flags.Text({.name = "version-id",
                .help = "The version to print. Default: the current one.",
                .value_name = "ID"},
               version_id_);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (tail_ && (offset_ || count_)) {
      co_return InvalidInput("--tail goes neither with --offset nor with --count");
    }
    StoreOpener opener(context, store_flags_, true);
    for (const std::string& text : addresses_) {
      Result<OpenedAddress> opened = opener.Open(text, StoreEnd::kSource);
      if (!opened) co_return opened.error();
      if (opened->address.key.empty()) co_return InvalidInput("'" + text + "' names no object");
      Result<void> printed = co_await Print(context, *opened);
      if (!printed) co_return At(opened->address, printed.error());
      if (!context.output().open()) break;
    }
    co_return ExitCode::kDone;
  }

 private:
  Async<void> Print(RunContext& context, OpenedAddress opened) {
    GetRequest request{.bucket = opened.address.bucket,
                       .key = opened.address.key,
                       .version_id = version_id_,
                       .suffix_bytes = tail_};
    if ((count_ && *count_ == 0) || (tail_ && *tail_ == 0)) co_return Ok();
    if (offset_ || count_) {
      uint64_t offset = offset_.value_or(0);
      request.range = ByteRange{offset, count_.value_or(INT64_MAX - offset)};
    }
    Result<ObjectStream> stream = co_await opened.store->Get(request);
    if (!stream) {
      // An empty object has no bytes to choose from, which is no mistake.
      if (stream.error().code == "InvalidRange" && offset_.value_or(0) == 0) co_return Ok();
      co_return stream.error();
    }
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
    while (context.output().open()) {
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
      Result<size_t> count = co_await stream->body->Read(std::span(buffer.get(), kPieceBytes));
      if (!count) co_return count.error();
      if (*count == 0) break;
      std::string_view text(reinterpret_cast<const char*>(buffer.get()), *count);
      // A slow reader of the pipe must not stop the network thread.
      co_await context.runtime().pool.Run([&] { context.output().Raw(text); });
    }
    co_return Ok();
  }

  std::vector<std::string> addresses_;
  std::optional<uint64_t> offset_;
  std::optional<uint64_t> count_;
  std::optional<uint64_t> tail_;
  std::string version_id_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCatCommand() { return std::make_unique<CatCommand>(); }

}  // namespace longhaul
