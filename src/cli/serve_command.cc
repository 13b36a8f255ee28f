#include <algorithm>
#include <fstream>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/run_context.h"
#include "gateway/gateway.h"
#include "net/client_url.h"
#include "rules/configuration.h"
#include "storage/file_store.h"

namespace longhaul {

namespace {

constexpr size_t kUsersBytesMax = 1 << 20;

class ServeS3Command : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "serve s3",
        .summary = "serve a local folder as an S3 endpoint",
        .description =
            "Serves the folders below --root as buckets, at an address that S3 clients can "
            "use as their endpoint (path style, no TLS), until it is stopped by a signal. "
            "Requests are signed with one pair of keys: that of --access-key-id and "
            "--secret-access-key, else a random pair that is printed at the start. With --users "
            "FILE there are further pairs, each with what it may read and write; without "
            "--access-key-id then no pair may do everything.",
        .examples = {{"Serve a folder on this machine",
                      "longhaul serve s3 --root ./buckets --listen 127.0.0.1:9000"},
                     {"With known keys, and events for every change",
                      "LONGHAUL_SECRET_ACCESS_KEY=secret longhaul serve s3 --root ./buckets "
                      "--access-key-id demo --event-webhook http://127.0.0.1:8787/v1/events"},
                     {"For users with rights of their own",
                      "longhaul serve s3 --root ./buckets --users users.yaml"}},
        .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Text({.name = "root",
                .help = "The folder whose folders are buckets; made when it is not there.",
                .value_name = "DIR",
                .completes = Completes::kFolders},
               root_);
    flags.Text({.name = "listen",
                .help = "Where to listen; port 0 takes a free one. Default: 127.0.0.1:9000.",
                .value_name = "ADDRESS"},
               listen_);
    flags.Text(
        {.name = "access-key-id", .help = "The key that clients sign with.", .value_name = "ID"},
        access_key_id_);
    flags.Text({.name = "secret-access-key",
                .help = "Its secret. Better given as LONGHAUL_SECRET_ACCESS_KEY: command lines can "
                        "be seen by others.",
                .value_name = "SECRET"},
               secret_access_key_);
    flags.Text({.name = "users",
                .help = "A YAML file of users: name, access_key_id, secret_access_key (${NAME} is "
                        "taken from the environment), and read: and write:, lists of BUCKET, "
                        "BUCKET/PREFIX or * for everything.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               users_file_);
    flags.Text({.name = "event-webhook",
                .help = "URL that gets an S3 event notification for every change.",
                .value_name = "URL"},
               event_webhook_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (root_.empty()) co_return InvalidInput("--root is missing: the folder to serve");
    if (access_key_id_.empty() != secret_access_key_.empty()) {
      co_return InvalidInput("--access-key-id and --secret-access-key go together");
    }
    if (!event_webhook_.empty()) {
      Result<ClientUrl> url = ParseClientUrl(event_webhook_);
      if (!url) {
        co_return InvalidInput("--event-webhook is " + url.error().message +
                               "; write http://HOST/PATH");
      }
    }
    std::vector<GatewayUser> users;
    if (!users_file_.empty()) {
      std::ifstream file(users_file_, std::ios::binary);
      std::string text(kUsersBytesMax + 1, '\0');
      file.read(text.data(), static_cast<std::streamsize>(text.size()));
      if (!file.is_open() || file.bad()) co_return NotFound("cannot read " + users_file_);
      text.resize(static_cast<size_t>(file.gcount()));
      Result<std::vector<GatewayUser>> parsed =
          ParseGatewayUsers(text, users_file_, ProcessEnvironment);
      if (!parsed) co_return parsed.error();
      users = std::move(*parsed);
      bool taken =
          std::ranges::find(users, access_key_id_, &GatewayUser::access_key_id) != users.end();
      if (taken) co_return InvalidInput("--access-key-id is also that of a user");
    }
    bool random_keys = access_key_id_.empty() && users.empty();
    if (random_keys) {
      access_key_id_ = "LH" + NewUlid(context.runtime().clock.Now(), context.runtime().random);
      std::string bytes;
      SystemRandom random;
      for (int i = 0; i < 30; ++i) bytes.push_back(static_cast<char>(random.Next()));
      secret_access_key_ = Base64Encode(bytes);
    }
    Result<std::unique_ptr<Store>> store =
        MakeFileStore(context.runtime(), {.root = root_, .create_root = true});
    if (!store) co_return store.error();
    Gateway gateway(context.runtime(), **store,
                    {.access_key_id = access_key_id_,
                     .secret_access_key = Secret(secret_access_key_),
                     .event_webhook = event_webhook_,
                     .users = std::move(users)});
    Result<void> started = co_await gateway.Start(listen_);
    if (!started) co_return started.error().In(listen_);
    Message message("listening");
    std::string text = "serving " + root_ + " at " + gateway.endpoint();
    message.With("endpoint", gateway.endpoint()).With("root", root_);
    if (random_keys) {
      message.With("access_key_id", access_key_id_).With("secret_access_key", secret_access_key_);
      text += "\n  access key id      " + access_key_id_ + "\n  secret access key  " +
              secret_access_key_;
    }
    context.output().Print(message.Says(text));
    co_await context.stop().Wait();
    Result<void> stopped = co_await gateway.Stop(context.flags().grace);
    if (!stopped) co_return stopped.error();
    co_return ExitCode::kInterrupted;  // Or whichever signal it was.
  }

 private:
  std::string root_;
  std::string listen_ = "127.0.0.1:9000";
  std::string access_key_id_;
  std::string secret_access_key_;
  std::string users_file_;
  std::string event_webhook_;
};

}  // namespace

std::unique_ptr<Command> MakeServeS3Command() { return std::make_unique<ServeS3Command>(); }

}  // namespace longhaul
