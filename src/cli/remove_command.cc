#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/stores.h"
#include "transfer/glob.h"
#include "transfer/listing.h"

namespace longhaul {

namespace {

constexpr size_t kBatch = 1000;  // S3 API Reference, DeleteObjects.

class RemoveCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rm",
            .summary = "remove objects and files",
            .description =
                "Removes objects; with --recursive all that lies below an address. A key that is "
                "not there is no mistake: S3 answers a delete of nothing as done. In a bucket that "
                "keeps versions an object gets a delete marker, unless --version-id names the "
                "version to remove for good.\n\n"
                "On a terminal --recursive asks first, unless --yes is given; elsewhere it does "
                "what it is told. Folders on local disks stay, empty.",
            .examples = {{"Remove an object", "longhaul rm s3://my-bucket/old.txt"},
                         {"See what would go", "longhaul rm -r --dry-run s3://my-bucket/tmp/"},
                         {"Remove logs below a prefix without asking",
                          "longhaul rm -r --yes --include '*.log' east:logs/2019/"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("ADDRESS", "Objects or files; with --recursive folders.", 1, addresses_);
    flags.Switch(
        {.name = "recursive", .help = "Remove all that lies below ADDRESS.", .letter = 'r'},
        recursive_);
    flags.Switch({.name = "dry-run",
                  .help = "Show what would be removed, and remove nothing.",
                  .letter = 'n'},
                 dry_run_);
    flags.Switch({.name = "yes", .help = "Do not ask.", .letter = 'y', .alias = "force"}, yes_);
    flags.List({.name = "include",
                .help = "With --recursive: only names that match.",
                .value_name = "GLOB"},
               filter_.include);
    flags.List(
        {.name = "exclude", .help = "With --recursive: no names that match.", .value_name = "GLOB"},
        filter_.exclude);
    flags.Text({.name = "version-id",
                .help = "Remove this version of one object for good.",
                .value_name = "ID"},
               version_id_);
    flags.Switch({.name = "verbose", .help = "Name each object that was removed.", .letter = 'v'},
                 verbose_);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (!version_id_.empty() && (recursive_ || addresses_.size() > 1)) {
      co_return InvalidInput("--version-id goes with one object");
    }
    StoreOpener opener(context, store_flags_, true);
    Output& output = context.output();
    for (const std::string& text : addresses_) {
      Result<OpenedAddress> opened = opener.Open(text, StoreEnd::kTarget);
      if (!opened) co_return opened.error();
      if (opened->address.bucket.empty()) co_return InvalidInput("'" + text + "' names no bucket");
      Result<void> done = recursive_ ? co_await RemoveBelow(context, *opened)
                                     : co_await RemoveOne(context, *opened);
      if (!done) co_return done.error();
    }
    output.Note(Message("summary")
                    .With("removed", removed_)
                    .With("failed", failed_)
                    .Says(recursive_ && !dry_run_ ? "removed " + Counted(removed_, "object") : ""));
    co_return failed_ > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  Async<void> RemoveOne(RunContext& context, OpenedAddress opened) {
    const CommandAddress& address = opened.address;
    if (address.key.empty()) {
      co_return InvalidInput("'" + address.text +
                             "' is a bucket or folder: add --recursive to remove what is in it");
    }
    if (dry_run_) {
      Tell(context.output(), address, address.key);
      co_return Ok();
    }
    Result<void> removed = co_await opened.store->Remove(
        {.bucket = address.bucket, .key = address.key, .version_id = version_id_});
    if (!removed) co_return At(address, removed.error());
    ++removed_;
    if (verbose_ || context.output().json()) Tell(context.output(), address, address.key);
    co_return Ok();
  }

  Async<void> RemoveBelow(RunContext& context, OpenedAddress opened) {
    CommandAddress& address = opened.address;
    if (!address.folder()) address.key += '/';
    Console& console = context.console();
    if (!dry_run_ && !yes_ && console.input_is_terminal() && console.error_is_terminal()) {
      console.WriteError("Remove everything below " + Printable(address.WithKey(address.key)) +
                         "? [y/N] ");
      std::optional<std::string> answer = console.ReadLine();
      if (!answer || (*answer != "y" && *answer != "Y" && *answer != "yes")) {
        co_return Cancelled("nothing was removed");
      }
    }
    Listing listing(context.runtime(), *opened.store, address.bucket, address.key);
    Result<void> done = co_await RemoveListed(context, opened, listing);
    co_await listing.Close();
    co_return done;
  }

  Async<void> RemoveListed(RunContext& context, OpenedAddress opened, Listing& listing) {
    const CommandAddress& address = opened.address;
    std::vector<RemoveRequest> batch;
    while (true) {
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
      Result<std::optional<ListedObject>> object = co_await listing.Next();
      if (!object) co_return object.error();
      if (*object) {
        if (!filter_.Matches(std::string_view((*object)->key).substr(address.key.size()))) continue;
        if (dry_run_) {
          Tell(context.output(), address, (*object)->key);
          continue;
        }
        batch.push_back({.bucket = address.bucket, .key = (*object)->key});
        if (batch.size() < kBatch) continue;
      }
      if (!batch.empty()) {
        std::vector<RemoveRequest> requests;
        requests.swap(batch);
        Result<std::vector<RemoveFailure>> failures =
            co_await opened.store->RemoveMany(address.bucket, requests);
        if (!failures) co_return failures.error().In(address.text);
        removed_ += requests.size() - failures->size();
        failed_ += failures->size();
        for (const RemoveFailure& failure : *failures) {
          context.output().Problem(address.WithKey(failure.key), failure.error);
        }
        if (verbose_ || context.output().json()) {
          for (const RemoveRequest& request : requests) {
            bool failed = false;
            for (const RemoveFailure& failure : *failures) {
              failed = failed || failure.key == request.key;
            }
            if (!failed) Tell(context.output(), address, request.key);
          }
        }
      }
      if (!*object) co_return Ok();
    }
  }

  void Tell(Output& output, const CommandAddress& address, const std::string& key) const {
    output.Note(Message(dry_run_ ? "would_remove" : "removed")
                    .With("key", key)
                    .Says(std::string(dry_run_ ? "would remove " : "removed ") +
                          Printable(address.WithKey(key))));
  }

  std::vector<std::string> addresses_;
  bool recursive_ = false;
  bool dry_run_ = false;
  bool yes_ = false;
  bool verbose_ = false;
  NameFilter filter_;
  std::string version_id_;
  StoreFlags store_flags_;
  uint64_t removed_ = 0;
  uint64_t failed_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeRemoveCommand() { return std::make_unique<RemoveCommand>(); }

}  // namespace longhaul
