// `longhaul demo`: two regions on one machine. Each region is a gateway in a process of its own,
// and a third process replicates, all by the commands that anyone can type; this one writes objects
// into the east, watches the west, and compares in the end.

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include "aws/credentials.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/demo_data.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_context.h"
#include "cli/savings.h"
#include "storage/s3_store.h"
#include "transfer/listing/listing.h"
#include "transfer/tree/compare_trees.h"

namespace longhaul {

namespace {

using std::chrono::seconds;

constexpr int kObjects = 1500;
constexpr seconds kArrivalTime{20};  // Objects arrive over this time.
constexpr seconds kStartTimeout{15};
constexpr seconds kEqualTimeout{70};  // With the arrivals well below two minutes.

// A child of the same binary, killed with its owner.
class Child {
 public:
  Child(const std::vector<std::string>& arguments, const std::string& log_path) {
    std::vector<std::string> words = {"longhaul"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setpgid(0, 0);  // Ctrl-C is for the demo, which then ends its children.
      if (::getppid() != parent) ::_exit(127);
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::execv("/proc/self/exe", argv.data());
      ::_exit(127);
    }
    if (log >= 0) ::close(log);
  }
  ~Child() {
    if (pid_ <= 0 || ended()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Terminate() const {
    if (pid_ > 0) ::kill(pid_, SIGTERM);
  }
  bool ended() {
    if (!ended_) ended_ = pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) == pid_;
    return ended_;
  }

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
};

// A folder that goes away with its owner.
class WorkFolder {
 public:
  WorkFolder() {
    std::error_code ignored;
    path_ = (std::filesystem::temp_directory_path(ignored) / "longhaul-demo-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~WorkFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A port that is free now. Someone else may take it before it is used; the child then says so.
int FreePort() {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  int port = 0;
  if (fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    port = ntohs(address.sin_port);
  }
  if (fd >= 0) ::close(fd);
  return port;
}

class DemoCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "demo",
            .summary = "see it work: two regions on this machine, replicated while you watch",
            .description =
                "Starts two S3 endpoints as two regions and a replication between them, as "
                "processes of their own in a temporary folder. Then logs, JSON events, CSV and "
                "random bytes arrive in the east for some seconds, are overwritten and removed, "
                "and appear in the west. In the end both sides are compared byte by byte, and what "
                "went over the wire is counted. Takes less than two minutes and leaves nothing "
                "behind; the exit code is 0 only if both sides are equal.",
            .examples = {{"Watch it", "longhaul demo"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kDifferences, ExitCode::kInterrupted,
                           ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Number({.name = "price-per-gib",
                  .help = "US dollars for a GiB between the regions, for the money saved. "
                          "Default: 0.02.",
                  .value_name = "DOLLARS"},
                 price_per_gib_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    WorkFolder work;
    if (work.path().empty()) {
      co_return Error{.kind = ErrorKind::kDenied, .message = "no temporary folder can be made"};
    }
    Result<ExitCode> done = co_await Play(context, work.path());
    if (!done) co_return done.error().In("demo");
    co_return done;
  }

 private:
  static std::string Endpoint(int port) { return "http://127.0.0.1:" + std::to_string(port); }

  Async<ExitCode> Play(RunContext& context, std::string work) {
    Runtime& runtime = context.runtime();
    Output& output = context.output();
    int east_port = FreePort();
    int west_port = FreePort();
    int listen_port = FreePort();
    std::string secret = NewUlid(runtime.clock.Now(), runtime.random);
    std::string config = work + "/demo.yaml";
    {
      std::ofstream file(config);
      std::string keys = "access_key_id: demo, secret_access_key: \"" + secret + "\" }\n";
      file << "version: 1\nsite: demo\nstores:\n"
           << "  east: { type: s3, endpoint: \"" << Endpoint(east_port)
           << "\", region: us-east-1, addressing: path, " << keys
           << "  west: { type: s3, endpoint: \"" << Endpoint(west_port)
           << "\", region: eu-west-1, addressing: path, " << keys << "queue: sqlite:demo.db\n"
           << "state: sqlite:demo.db\nlisten: 127.0.0.1:" << listen_port << "\nrules:\n"
           << "  - id: demo\n    source: east:data/\n    deletes: true\n"
           << "    intake: { webhook: true, listing: 15s }\n    batch: { linger: 1s }\n"
           << "    targets:\n      - { to: \"west:copy/\", staging: \"west:staging/\" }\n";
    }
    auto serve = [&](const std::string& name, int port) {
      std::vector<std::string> arguments = {"serve",
                                            "s3",
                                            "--root",
                                            work + "/" + name,
                                            "--listen",
                                            "127.0.0.1:" + std::to_string(port),
                                            "--access-key-id",
                                            "demo",
                                            "--secret-access-key",
                                            secret};
      if (name == "east") {
        arguments.insert(arguments.end(),
                         {"--event-webhook", Endpoint(listen_port) + "/v1/events"});
      }
      return std::make_unique<Child>(arguments, work + "/" + name + ".log");
    };
    std::unique_ptr<Child> east_gateway = serve("east", east_port);
    std::unique_ptr<Child> west_gateway = serve("west", west_port);
    Result<std::unique_ptr<Store>> east = Open(context, Endpoint(east_port), secret);
    if (!east) co_return east.error();
    Result<std::unique_ptr<Store>> west = Open(context, Endpoint(west_port), secret);
    if (!west) co_return west.error();
    for (auto [store, bucket] : {std::pair<Store*, const char*>{east->get(), "data"},
                                 {west->get(), "copy"},
                                 {west->get(), "staging"}}) {
      Result<void> made = co_await store->CreateBucket(bucket);
      if (!made) co_return made.error();
    }
    std::string report = work + "/report.jsonl";
    Child replicate({"replicate", "--config", config, "--report", report}, work + "/replicate.log");
    output.Note(Message("started")
                    .With("east", Endpoint(east_port))
                    .With("west", Endpoint(west_port))
                    .Says("east: " + Endpoint(east_port) + ", bucket data\nwest: " +
                          Endpoint(west_port) + ", bucket copy\nobjects arrive in the east for " +
                          std::to_string(kArrivalTime.count()) + " s"));

    Progress progress(output, runtime.clock, "in the west", price_per_gib_);
    TaskGroup group(runtime.executor);
    group.Spawn(progress.Watch());
    Result<bool> equal = co_await WriteAndWait(context, **east, **west, replicate, progress);
    progress.Finish();
    Result<void> joined = co_await group.Join();
    if (!joined) co_return joined.error();
    if (!equal && equal.error().kind == ErrorKind::kCancelled) co_return equal.error();
    if (!equal) {
      output.Problem("", Error{.kind = ErrorKind::kCorrupt, .message = LastLines(work)});
      co_return equal.error();
    }
    // Its summary comes when it ends.
    replicate.Terminate();
    SteadyTime deadline = runtime.clock.SteadyNow() + kStartTimeout;
    while (!replicate.ended() && runtime.clock.SteadyNow() < deadline) {
      co_await runtime.clock.Sleep(std::chrono::milliseconds(50));
    }
    co_return co_await Prove(context, **east, **west, progress, ReadReport(report));
  }

  static Result<std::unique_ptr<Store>> Open(RunContext& context, const std::string& endpoint,
                                             const std::string& secret) {
    return MakeS3Store(context.runtime(),
                       {.endpoint = endpoint,
                        .region = "us-east-1",
                        .addressing = S3Addressing::kPath,
                        .credentials = MakeStaticCredentials(
                            {.access_key_id = "demo", .secret_access_key = Secret(secret)}),
                        .operation_timeout = kStartTimeout,
                        .stop = &context.stop()});
  }

  static std::string LastLines(const std::string& work) {
    std::ifstream file(work + "/replicate.log");
    std::string text;
    for (std::string line; std::getline(file, line);) {
      text += "\n  " + line;
      if (text.size() > 4000) text.erase(0, text.size() - 2000);
    }
    return "the log of the replication ends with:" + text;
  }

  struct Carried {
    uint64_t raw_bytes = 0;
    uint64_t sent_bytes = 0;
  };

  // From the last line of the report, which is the summary; nullopt where there is none.
  static std::optional<Carried> ReadReport(const std::string& path) {
    std::ifstream file(path);
    std::string last;
    for (std::string line; std::getline(file, line);) last = line;
    auto number = [&last](std::string_view name) -> std::optional<uint64_t> {
      size_t at = last.find("\"" + std::string(name) + "\":");
      if (at == std::string::npos) return std::nullopt;
      return std::strtoull(last.c_str() + at + name.size() + 3, nullptr, 10);
    };
    std::optional<uint64_t> read = number("bytes_read");
    std::optional<uint64_t> sent = number("bytes_sent");
    if (!read || !sent || *sent == 0) return std::nullopt;
    return Carried{.raw_bytes = *read, .sent_bytes = *sent};
  }

  // True when the west holds what the east holds. A write of each kind now and then replaces an
  // object, and some are removed again.
  Async<bool> WriteAndWait(RunContext& context, Store& east, Store& west, Child& replicate,
                           Progress& progress) {
    Runtime& runtime = context.runtime();
    SteadyTime begin = runtime.clock.SteadyNow();
    DemoData data(runtime.random);
    for (int i = 0; i < kObjects; ++i) {
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
      if (replicate.ended()) co_return Corrupt("the replication ended by itself");
      DemoObject object = data.Next();
      Result<PutResult> put = co_await PutText(east,
                                               {.bucket = "data",
                                                .key = object.key,
                                                .headers = {.content_type = object.content_type},
                                                .metadata = {{"kind", object.kind}}},
                                               object.body);
      if (!put) co_return put.error();
      written_bytes_ += object.body.size();
      if (i % 40 == 39) {
        Result<void> removed = co_await east.Remove({.bucket = "data", .key = object.key});
        if (!removed) co_return removed.error();
      }
      if (i % 25 == 24) {
        Result<void> counted = co_await Count(context, west, progress);
        if (!counted) co_return counted.error();
      }
      auto due = begin + std::chrono::nanoseconds(kArrivalTime) * (i + 1) / kObjects;
      auto now = runtime.clock.SteadyNow();
      if (due > now) co_await runtime.clock.Sleep(due - now);
    }
    Result<uint64_t> there = co_await CountObjects(context, east, "data", nullptr);
    if (!there) co_return there.error();
    progress.totals.objects_total = *there;
    SteadyTime deadline = runtime.clock.SteadyNow() + kEqualTimeout;
    while (true) {
      if (context.stop().is_set()) co_return Cancelled("stopped on request");
      if (replicate.ended()) co_return Corrupt("the replication ended by itself");
      Result<void> counted = co_await Count(context, west, progress);
      if (!counted) co_return counted.error();
      CompareObserver silent;
      CompareTotals totals;
      Result<void> compared = co_await Compare(context, east, west, false, silent, totals);
      if (!compared) co_return compared.error();
      if (totals.different == 0 && totals.failed == 0) co_return true;
      if (runtime.clock.SteadyNow() > deadline) {
        co_return Corrupt(
            Counted(totals.different, "object still differs", "objects still differ") + " after " +
            std::to_string(kEqualTimeout.count()) + " s");
      }
      co_await runtime.clock.Sleep(seconds(1));
    }
  }

  static Async<uint64_t> CountObjects(RunContext& context, Store& store, std::string bucket,
                                      uint64_t* bytes) {
    std::unique_ptr<Listing> listing = OpenListing(context.runtime(), store, bucket, "");
    uint64_t count = 0;
    while (true) {
      Result<std::optional<ListedObject>> object = co_await listing->Next();
      if (!object || !*object) {
        co_await listing->Close();
        if (!object) co_return object.error();
        co_return count;
      }
      ++count;
      if (bytes != nullptr) *bytes += (*object)->size_bytes;
    }
  }

  // What is in the west now.
  Async<void> Count(RunContext& context, Store& west, Progress& progress) {
    uint64_t bytes = 0;
    Result<uint64_t> count = co_await CountObjects(context, west, "copy", &bytes);
    if (!count) co_return count.error();
    progress.totals.objects_done = *count;
    progress.totals.bytes_done = bytes;
    co_return Ok();
  }

  static Async<void> Compare(RunContext& context, Store& east, Store& west, bool download,
                             CompareObserver& observer, CompareTotals& totals) {
    co_return co_await CompareTrees(
        context.runtime(), {.store = east, .bucket = "data", .prefix = ""},
        {.store = west, .bucket = "copy", .prefix = ""},
        {.download = download, .stop = &context.stop()}, observer, totals);
  }

  Async<ExitCode> Prove(RunContext& context, Store& east, Store& west, Progress& progress,
                        std::optional<Carried> carried) {
    CompareObserver silent;
    CompareTotals totals;
    Result<void> compared = co_await Compare(context, east, west, true, silent, totals);
    if (!compared) co_return compared.error();
    bool equal = totals.different == 0 && totals.failed == 0 && totals.not_comparable == 0;
    std::vector<std::pair<std::string, std::string>> rows = {
        {"equal on both sides", Counted(totals.equal, "object") + ", " + FormatBytes(totals.bytes) +
                                    " (bytes, headers, metadata)"},
        {"different", FormatCount(totals.different)},
        {"time", FormatSeconds(progress.seconds())}};
    rows.insert(rows.begin() + 2, {"written in the east", FormatBytes(written_bytes_)});
    Message message("summary");
    message.With("equal", equal)
        .With("objects", totals.equal)
        .With("different", totals.different)
        .With("bytes_written", written_bytes_)
        .With("seconds", progress.seconds());
    if (carried) {
      // Against what was written, not what was read: an object that changes again soon is read
      // twice.
      const Savings savings{.plain_bytes = written_bytes_,
                            .sent_bytes = carried->sent_bytes,
                            .price_per_gib = price_per_gib_};
      rows.emplace_back("went over the wire",
                        FormatBytes(carried->sent_bytes) + " (" + savings.Ratio() + ")");
      rows.emplace_back("saved", savings.Describe());
      message.With("bytes_read", carried->raw_bytes)
          .With("bytes_sent", carried->sent_bytes)
          .With("saved_bytes", savings.bytes())
          .With("saved_money", savings.money());
    }
    context.output().Print(
        message.Says(std::string(equal ? "both sides are equal" : "the two sides differ") + "\n" +
                     RenderTable(rows)));
    co_return equal ? ExitCode::kDone : ExitCode::kDifferences;
  }

  double price_per_gib_ = 0.02;
  uint64_t written_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeDemoCommand() { return std::make_unique<DemoCommand>(); }

}  // namespace longhaul
