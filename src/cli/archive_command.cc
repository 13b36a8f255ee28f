#include <functional>
#include <string>
#include <vector>

#include "archive/archive_file.h"
#include "archive/inspect.h"
#include "archive/reader.h"
#include "base/bytes.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "replication/staging/seal.h"

namespace longhaul {

namespace {

std::string_view ToText(EntryOp op) {
  switch (op) {
    case EntryOp::kPut:
      return "put";
    case EntryOp::kDelete:
      return "delete";
    case EntryOp::kAttributes:
      return "attributes";
  }
  return "put";
}

// What the four have in common: an archive at an address, opened by its tail.
class ArchiveCommand : public Command {
 public:
  Async<ExitCode> RunAsync(RunContext& context) override {
    ReaderOptions options;
    if (!rule_.empty()) {
      const Configuration* configuration = context.configuration();
      if (configuration == nullptr) co_return InvalidInput("--rule needs --config");
      const Rule* rule = configuration->FindRule(rule_);
      if (rule == nullptr) co_return InvalidInput("no rule '" + rule_ + "' in the configuration");
      options.seal_keys = SealKeys(*rule);
      if (options.seal_keys.empty()) {
        co_return InvalidInput("rule '" + rule_ + "' has no seal_key to check the archive with");
      }
    }
    StoreOpener opener(context, store_flags_, true);
    const Result<OpenedAddress> opened = opener.Open(address_, StoreEnd::kSource);
    if (!opened) co_return opened.error();
    if (opened->address.key.empty()) co_return InvalidInput("'" + address_ + "' names no archive");
    auto file = co_await StoreArchiveFile::Open(context.runtime(), *opened->store,
                                                opened->address.bucket, opened->address.key, "");
    if (!file) co_return file.error().In(address_);
    auto reader = co_await ArchiveReader::Open(context.runtime(), **file, options);
    if (!reader) {
      // The kind of a refusal is the archive's fault, not that of the command line.
      if (reader.error().Transient() || reader.error().kind == ErrorKind::kDenied) {
        co_return reader.error().In(address_);
      }
      context.output().Problem(address_, reader.error());
      co_return ExitCode::kSomeFailed;
    }
    co_return co_await Use(context, **reader);
  }

 protected:
  virtual Async<ExitCode> Use(RunContext& context, ArchiveReader& reader) = 0;

  void DeclareCommon(FlagSet& flags) {
    flags.Argument("ADDRESS", "The archive: NAME:bucket/key, s3://bucket/key or a path.", address_);
    flags.Text({.name = "rule",
                .help = "Accept only an archive sealed with seal_key, or one of "
                        "seal_keys_accepted, of this rule of the configuration. Default: seals are "
                        "not checked.",
                .value_name = "ID"},
               rule_);
  }

  std::string address_;
  std::string rule_;
  StoreFlags store_flags_;
};

std::vector<ExitCode> ArchiveExitCodes() {
  return {ExitCode::kSomeFailed,  ExitCode::kNotFound,    ExitCode::kDenied,
          ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated};
}

class ArchiveListCommand : public ArchiveCommand {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "archive ls",
            .summary = "list what an archive holds",
            .description =
                "Prints one line per entry: operation, size, stamp and key. Only the "
                "end of the archive is fetched.",
            .examples = {{"List an archive in staging",
                          "longhaul archive ls west:staging/app-logs/01KJM0000000000000000000AR"
                          ".tar.zst"},
                         {"The same as JSON lines", "longhaul archive ls --json ./batch.tar.zst"}},
            .exit_codes = ArchiveExitCodes()};
  }
  void Declare(FlagSet& flags) override {
    DeclareCommon(flags);
    store_flags_.Declare(flags, false);
  }

 protected:
  Async<ExitCode> Use(RunContext& context, ArchiveReader& reader) override {
    uint64_t bytes = 0;
    for (const ArchiveEntry& entry : reader.entries()) {
      if (!context.output().open()) co_return ExitCode::kDone;
      std::string size = std::to_string(entry.size_bytes);
      if (size.size() < 12) size.insert(0, 12 - size.size(), ' ');
      std::string op(ToText(entry.op));
      op.resize(6, ' ');
      const std::string stamp = FormatRfc3339(entry.stamp);
      std::string segment;
      if (entry.segment) {
        segment = std::to_string(entry.segment->number + 1) + " of " +
                  std::to_string(entry.segment->count);
      }
      context.output().Print(Message("entry")
                                 .With("op", ToText(entry.op))
                                 .With("key", entry.key)
                                 .With("size", entry.size_bytes)
                                 .With("stamp", stamp)
                                 .With("etag", entry.etag)
                                 .With("version", entry.version_id)
                                 .With("segment", segment)
                                 .Says(op + " " + size + "  " + stamp + "  " +
                                       Printable(entry.key) +
                                       (segment.empty() ? "" : " (segment " + segment + ")")));
      bytes += entry.size_bytes;
    }
    const ArchiveManifest& manifest = reader.manifest();
    context.output().Note(Message("summary")
                              .With("archive", manifest.id)
                              .With("rule", manifest.rule_id)
                              .With("site", manifest.site)
                              .With("source", manifest.source)
                              .With("created", FormatRfc3339(manifest.created))
                              .With("writer", manifest.writer)
                              .With("sealed_by", reader.seal_key_id())
                              .With("entries", static_cast<uint64_t>(reader.entries().size()))
                              .With("frames", static_cast<uint64_t>(reader.frames().size()))
                              .With("bytes", bytes)
                              .Says(Counted(reader.entries().size(), "entry", "entries") + ", " +
                                    FormatBytes(bytes) + ", from " + Printable(manifest.source) +
                                    " by rule " + Printable(manifest.rule_id) +
                                    (reader.seal_key_id().empty()
                                         ? ", not sealed"
                                         : ", sealed by key " + Printable(reader.seal_key_id()))));
    co_return ExitCode::kDone;
  }
};

class OutputSink : public ContentSink {
 public:
  explicit OutputSink(RunContext& context) : context_(context) {}
  Async<void> Write(std::span<const std::byte> bytes) override {
    if (context_.stop().is_set()) co_return Cancelled("stopped on request");
    // A slow reader of the pipe must not stop the network thread.
    co_await context_.runtime().pool.Run([&] { context_.output().Raw(AsText(bytes)); });
    co_return Ok();
  }

 private:
  RunContext& context_;
};

class ArchiveCatCommand : public ArchiveCommand {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "archive cat",
            .summary = "print objects of an archive on standard output",
            .description =
                "Writes the bytes of the named objects, one after another. Only the "
                "frames that hold them are fetched. Frames are checked against their "
                "SHA-256 before anything of them is printed. --json has no effect on the bytes.",
            .examples = {{"Print one object",
                          "longhaul archive cat s3://staging/app-logs/01KJM0000000000000000000AR"
                          ".tar.zst logs/7.csv"}},
            .exit_codes = ArchiveExitCodes()};
  }
  void Declare(FlagSet& flags) override {
    DeclareCommon(flags);
    flags.Arguments("KEY", "Keys of objects in the archive.", 1, keys_).completes =
        Completes::kNothing;
    store_flags_.Declare(flags, false);
  }

 protected:
  Async<ExitCode> Use(RunContext& context, ArchiveReader& reader) override {
    FrameWindow window(reader);
    OutputSink sink(context);
    for (const std::string& key : keys_) {
      size_t found = reader.entries().size();
      for (size_t i = 0; i < reader.entries().size(); ++i) {
        const ArchiveEntry& entry = reader.entries()[i];
        if (entry.op == EntryOp::kPut && entry.key == key) found = i;
      }
      if (found == reader.entries().size()) {
        co_return NotFound("the archive holds no object '" + key + "'");
      }
      auto copied = co_await CopyContent(reader, window, found, sink);
      if (!copied) co_return copied.error().In(key);
      if (!context.output().open()) break;
    }
    co_return ExitCode::kDone;
  }

 private:
  std::vector<std::string> keys_;
};

class ArchiveExtractCommand : public ArchiveCommand {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "archive extract",
            .summary = "write the objects of an archive as files",
            .description =
                "Writes each object below --to under a path made from its key. Nothing is written "
                "outside of that folder, and links in it are not followed. Parts of keys that are "
                "no good as file names are escaped with %XX.",
            .examples = {{"Unpack an archive into a folder",
                          "longhaul archive extract ./batch.tar.zst --to out"},
                         {"Only what lies below a prefix",
                          "longhaul archive extract west:staging/app-logs/b.tar.zst --to out "
                          "--prefix logs/2026/"}},
            .exit_codes = ArchiveExitCodes()};
  }
  void Declare(FlagSet& flags) override {
    DeclareCommon(flags);
    flags.Text({.name = "to",
                .help = "The folder; it is made if it is not there. Default: the current one.",
                .value_name = "FOLDER",
                .completes = Completes::kFolders,
                .of_environment = false},
               options_.folder);
    flags.Text({.name = "prefix",
                .help = "Only objects whose keys begin with this.",
                .value_name = "PREFIX"},
               options_.prefix);
    flags.Switch({.name = "overwrite", .help = "Replace files that are there already."},
                 options_.overwrite);
    store_flags_.Declare(flags, false);
  }

 protected:
  Async<ExitCode> Use(RunContext& context, ArchiveReader& reader) override {
    if (options_.folder.empty()) options_.folder = ".";
    Output& output = context.output();
    const auto told = [&output](const ArchiveEntry& entry, const std::string& path,
                                const Result<void>& result) {
      if (!result) {
        output.Problem(entry.key, result.error());
        return;
      }
      output.Note(Message("extracted")
                      .With("key", entry.key)
                      .With("path", path)
                      .With("size", entry.size_bytes)
                      .Says(path));
    };
    auto summary = co_await ExtractArchive(context.runtime(), reader, options_, told);
    if (!summary) co_return summary.error();
    output.Note(Message("summary")
                    .With("files", summary->files)
                    .With("bytes", summary->bytes)
                    .With("failed", summary->failed)
                    .Says(Counted(summary->files, "file") + ", " + FormatBytes(summary->bytes) +
                          ", " + FormatCount(summary->failed) + " failed"));
    co_return summary->failed == 0 ? ExitCode::kDone : ExitCode::kSomeFailed;
  }

 private:
  ExtractOptions options_;
};

class ArchiveVerifyCommand : public ArchiveCommand {
 public:
  [[nodiscard]] CommandHelp help() const override {
    std::vector<ExitCode> codes = ArchiveExitCodes();
    codes.push_back(ExitCode::kDifferences);
    return {.name = "archive verify",
            .summary = "read an archive from end to end and check all of it",
            .description =
                "Checks the digest of the index, the SHA-256 of every frame, the tar "
                "headers of every entry, and the MD5 and checksums that the archive "
                "holds. Every problem is named.",
            .examples = {{"Check an archive", "longhaul archive verify ./batch.tar.zst"},
                         {"Check that a rule's key has sealed it",
                          "longhaul archive verify --config longhaul.yaml --rule app-logs "
                          "west:staging/app-logs/b.tar.zst"}},
            .exit_codes = std::move(codes)};
  }
  void Declare(FlagSet& flags) override {
    DeclareCommon(flags);
    store_flags_.Declare(flags, false);
  }

 protected:
  Async<ExitCode> Use(RunContext& context, ArchiveReader& reader) override {
    Output& output = context.output();
    const auto told = [&output](const std::string& problem) {
      output.Problem(Message("problem").With("message", problem).Says(Printable(problem)));
    };
    auto summary = co_await VerifyArchive(context.runtime(), reader, told);
    if (!summary) co_return summary.error();
    output.Print(
        Message("summary")
            .With("frames", summary->frames)
            .With("entries", summary->entries)
            .With("bytes", summary->raw_bytes)
            .With("problems", summary->problems)
            .Says(
                Counted(summary->frames, "frame") + ", " +
                Counted(summary->entries, "entry", "entries") + ", " +
                (summary->problems == 0 ? "sound" : FormatCount(summary->problems) + " problems")));
    co_return summary->problems == 0 ? ExitCode::kDone : ExitCode::kDifferences;
  }
};

}  // namespace

std::unique_ptr<Command> MakeArchiveListCommand() { return std::make_unique<ArchiveListCommand>(); }
std::unique_ptr<Command> MakeArchiveCatCommand() { return std::make_unique<ArchiveCatCommand>(); }
std::unique_ptr<Command> MakeArchiveExtractCommand() {
  return std::make_unique<ArchiveExtractCommand>();
}
std::unique_ptr<Command> MakeArchiveVerifyCommand() {
  return std::make_unique<ArchiveVerifyCommand>();
}

}  // namespace longhaul
