#include <postgresql/libpq-fe.h>
#include <sqlite3.h>
#include <zstd.h>

#include <string>

#include "base/version.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"

namespace longhaul {

namespace {

// 150018 -> "15.18", as PQlibVersion() counts since PostgreSQL 10.
std::string PostgresVersion(int number) {
  return std::to_string(number / 10'000) + "." + std::to_string(number % 10'000);
}

class VersionCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "version",
        .summary = "print the version",
        .description =
            "Prints the name and version of the program, and below it those of the "
            "libraries that it runs with: that of TLS where it has its own, else the machine's.",
        .examples = {{"Print the version", "longhaul version"},
                     {"For a script", "longhaul version --json | jq -r .version"}},
        .exit_codes = {}};
  }
  void Declare(FlagSet& flags) override {
    flags.Switch({.name = "json", .help = "Print it as a JSON event."}, json_);
  }
  [[nodiscard]] bool asynchronous() const override { return false; }
  Result<ExitCode> Run(Output& output) override {
    const std::string tls = TlsLibrary();
    const std::string postgres = PostgresVersion(PQlibVersion());
    const Message message = Message("version")
                                .With("version", kVersion)
                                .With("tls", tls)
                                .With("zstd", ZSTD_versionString())
                                .With("sqlite", sqlite3_libversion())
                                .With("libpq", postgres)
                                .Says("longhaul " + std::string(kVersion) + "\nwith " + tls +
                                      ", zstd " + ZSTD_versionString() + ", SQLite " +
                                      sqlite3_libversion() + ", libpq " + postgres);
    output.Raw((json_ ? message.Json() : message.text()) + "\n");
    return ExitCode::kDone;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeVersionCommand() { return std::make_unique<VersionCommand>(); }

}  // namespace longhaul
