#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/import_files.h"
#include "cli/output.h"
#include "migration/import_run.h"

namespace longhaul {

namespace {

class MigrateImportCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "migrate import",
        .summary = "make a configuration and commands of another tool's run",
        .description =
            "Writes a configuration with the stores of FILE to standard output, and in its "
            "comments "
            "the command lines that do what was run. FILE is recognised by its content: "
            "s3_migration_cluster_config.ini with its bucket parameter (JSON) and ignore list, "
            "s3_upload_config.ini, s3_download_config.ini; a text file with an s3trans command "
            "line, its config.yaml, its ignore list, a list of jobs; config.yaml or the "
            "environment "
            "of the Data Transfer Hub; rclone.conf.\n\n"
            "Jobs of the cluster and of the Data Transfer Hub, which many machines did, again and "
            "again or by events, stand in a section `migrations:` too, for `longhaul migrate "
            "worker`.\n\n"
            "Standard error has a line for each setting that is not carried over, that behaves in "
            "another way, or that a person must fill in, with what to do; nothing is dropped "
            "without such a line. Keys are not copied: the configuration names the variables that "
            "hold them. With a mistake in FILE nothing is written and the exit code is 2.",
        .examples = {{"From the cluster, with its buckets and what it ignores",
                      "longhaul migrate import s3_migration_cluster_config.ini buckets.json "
                      "s3_migration_ignore_list.txt > longhaul.yaml"},
                     {"From a command line of s3trans",
                      "echo 's3trans s3://a/x s3://b/y --from-profile p -n 8' | longhaul migrate "
                      "import /dev/stdin > longhaul.yaml"},
                     {"The S3 remotes of rclone",
                      "longhaul migrate import ~/.config/rclone/rclone.conf > longhaul.yaml"}},
        .exit_codes = {}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("FILE", "What to import.", 1, files_).completes = Completes::kFiles;
  }
  [[nodiscard]] bool asynchronous() const override { return false; }

  Result<ExitCode> Run(Output& output) override {
    Result<std::vector<ImportFile>> files = ReadImportFiles(files_);
    if (!files) return files.error();
    Result<MigrationImport> imported = ImportMigration(*files);
    if (!imported) {
      output.console().WriteError(imported.error().message + "\n");
      return ExitCode::kUsage;
    }
    TellRemarks(output, imported->remarks);
    output.Raw(imported->yaml);
    return ExitCode::kDone;
  }

 private:
  std::vector<std::string> files_;
};

}  // namespace

std::unique_ptr<Command> MakeMigrateImportCommand() {
  return std::make_unique<MigrateImportCommand>();
}

}  // namespace longhaul
