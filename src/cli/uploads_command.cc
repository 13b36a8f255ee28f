#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/run_commands.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "cli/transfer_ends.h"

namespace longhaul {

namespace {

struct Choice {
  std::string address;
  std::chrono::milliseconds older_than{0};
  StoreFlags store_flags;

  void Declare(FlagSet& flags) {
    flags.Argument("ADDRESS", "A bucket, prefix or key.", address);
    flags.Duration(
        {.name = "older-than",
         .help = "Only uploads that were begun longer ago; one that does not say when is none.",
         .value_name = "DURATION"},
        older_than);
    store_flags.Declare(flags, false);
  }

  // Oldest first.
  Async<std::vector<MultipartUpload>> Find(RunContext& context, OpenedAddress opened) {
    if (opened.address.bucket.empty()) co_return InvalidInput("'" + address + "' names no bucket");
    Result<std::vector<MultipartUpload>> uploads =
        co_await opened.store->ListMultipartUploads(opened.address.bucket, opened.address.key);
    if (!uploads) co_return At(opened.address, uploads.error());
    if (uploads->empty() && IsMissing(opened)) {
      co_return NotFound("there is nothing at '" + address + "'");
    }
    const SystemTime latest = context.runtime().clock.Now() - older_than;
    std::erase_if(*uploads, [&](const MultipartUpload& upload) {
      // One that does not say when it was begun may be in use.
      const bool young = upload.initiated == SystemTime{} || upload.initiated > latest;
      return older_than.count() > 0 && young;
    });
    std::ranges::sort(*uploads, {}, [](const MultipartUpload& upload) {
      return std::pair(upload.initiated, upload.key);
    });
    co_return uploads;
  }
};

Message Described(std::string_view event, const MultipartUpload& upload) {
  Message message(event);
  message.With("key", upload.key)
      .With("upload_id", upload.upload_id)
      .With("initiated", FormatRfc3339(upload.initiated));
  return message;
}

class UploadsListCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "uploads ls",
            .summary = "list multipart uploads that have not ended",
            .description =
                "Lists the uploads below an address that someone began and neither completed nor "
                "aborted, oldest first, with what they hold. Stores keep their parts, and charge "
                "for them, until somebody ends them.",
            .examples = {{"Of a bucket", "longhaul uploads ls s3://my-bucket"},
                         {"Older than a week",
                          "longhaul uploads ls --older-than 168h "
                          "east:logs/2026/"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override { choice_.Declare(flags); }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, choice_.store_flags, true);
    Result<OpenedAddress> opened = opener.Open(choice_.address, StoreEnd::kTarget);
    if (!opened) co_return opened.error();
    Result<std::vector<MultipartUpload>> uploads = co_await choice_.Find(context, *opened);
    if (!uploads) co_return uploads.error();
    uint64_t bytes = 0;
    uint64_t listed = 0;
    for (const MultipartUpload& upload : *uploads) {
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
      Result<std::vector<UploadedPart>> parts = co_await opened->store->ListParts(upload);
      if (!parts && parts.error().kind == ErrorKind::kNotFound) continue;  // It has ended.
      if (!parts) co_return At(opened->address, parts.error());
      uint64_t held = 0;
      for (const UploadedPart& part : *parts) held += part.size_bytes;
      bytes += held;
      ++listed;
      context.output().Print(
          Described("upload", upload)
              .With("parts", parts->size())
              .With("bytes", held)
              .Says(fmt::format(
                  "{}  {:>12}  {:>12}  {}",
                  FormatRfc3339(std::chrono::floor<std::chrono::seconds>(upload.initiated)),
                  Counted(parts->size(), "part"), FormatBytes(held), Printable(upload.key))));
    }
    context.output().Print(Message("summary")
                               .With("uploads", listed)
                               .With("bytes", bytes)
                               .Says(listed == 0
                                         ? "no uploads"
                                         : Counted(listed, "upload") + ", " + FormatBytes(bytes)));
    co_return ExitCode::kDone;
  }

 private:
  Choice choice_;
};

class UploadsAbortCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "uploads abort",
            .summary = "abort multipart uploads that have not ended",
            .description =
                "Aborts the uploads below an address: their parts are gone for good, also those of "
                "programs that are still at work, longhaul among them; --older-than spares those. "
                "Objects are not touched. On a terminal it asks first, unless --yes is given; "
                "elsewhere it does what it is told.",
            .examples = {{"See what would go",
                          "longhaul uploads abort --dry-run --older-than 168h s3://my-bucket"},
                         {"What is older than a week, without asking",
                          "longhaul uploads abort --yes --older-than 168h s3://my-bucket"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }
  void Declare(FlagSet& flags) override {
    choice_.Declare(flags);
    flags.Switch({.name = "dry-run",
                  .help = "Show what would be aborted, and abort nothing.",
                  .letter = 'n'},
                 dry_run_);
    flags.Switch({.name = "yes", .help = "Do not ask.", .letter = 'y', .alias = "force"}, yes_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, choice_.store_flags, true);
    Result<OpenedAddress> opened = opener.Open(choice_.address, StoreEnd::kTarget);
    if (!opened) co_return opened.error();
    Result<std::vector<MultipartUpload>> uploads = co_await choice_.Find(context, *opened);
    if (!uploads) co_return uploads.error();
    Console& console = context.console();
    if (!uploads->empty() && !dry_run_ && !yes_ && console.input_is_terminal() &&
        console.error_is_terminal()) {
      console.WriteError("Abort " + Counted(uploads->size(), "upload") + " below " +
                         Printable(opened->address.text) + "? [y/N] ");
      std::optional<std::string> answer = console.ReadLine();
      if (!answer || (*answer != "y" && *answer != "Y" && *answer != "yes")) {
        co_return Cancelled("nothing was aborted");
      }
    }
    uint64_t aborted = 0;
    uint64_t failed = 0;
    for (const MultipartUpload& upload : *uploads) {
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
      if (!dry_run_) {
        Result<void> done = co_await opened->store->AbortMultipart(upload);
        if (!done) {
          ++failed;
          context.output().Problem(opened->address.WithKey(upload.key), done.error());
          continue;
        }
      }
      ++aborted;
      Message told = Described(dry_run_ ? "would_abort" : "aborted", upload);
      told.Says((dry_run_ ? "would abort " : "aborted ") +
                Printable(opened->address.WithKey(upload.key)) + " of " +
                FormatRfc3339(std::chrono::floor<std::chrono::seconds>(upload.initiated)));
      if (dry_run_) {
        context.output().Print(told);
      } else {
        context.output().Note(told);
      }
    }
    context.output().Note(Message("summary")
                              .With("aborted", dry_run_ ? 0 : aborted)
                              .With("failed", failed)
                              .Says(uploads->empty() ? "no uploads" : ""));
    co_return failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  Choice choice_;
  bool dry_run_ = false;
  bool yes_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeUploadsListCommand() { return std::make_unique<UploadsListCommand>(); }
std::unique_ptr<Command> MakeUploadsAbortCommand() {
  return std::make_unique<UploadsAbortCommand>();
}

}  // namespace longhaul
