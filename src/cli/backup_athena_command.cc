#include <memory>
#include <optional>
#include <utility>

#include "backup/athena.h"
#include "cli/backup_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

class BackupAthenaCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "backup athena",
        .summary = "print the table by which Amazon Athena reads a backup's catalogs",
        .description =
            "Prints CREATE EXTERNAL TABLE over the catalogs of a vault, with the fields of their "
            "lines; nothing is sent anywhere. With --rule the table has the folders of days or "
            "months as its partitions (year, month, day), which Athena finds by itself: a query "
            "that names them reads those alone. Of an ADDRESS it has none, and each query reads "
            "all catalogs of its source bucket.\n\n"
            "Athena reads S3 of AWS, with engine version 3. docs/backup.md has queries, and the "
            "same for DuckDB.",
        .examples = {{"The table of a rule's backup",
                      "longhaul backup athena --rule app-logs --config longhaul.yaml"},
                     {"Into a database, by another name",
                      "longhaul backup athena --rule app-logs --table backups.logs --config "
                      "longhaul.yaml"},
                     {"Of a bucket in a vault",
                      "longhaul backup athena s3://vault/ --bucket "
                      "app-logs"}},
        .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }

  void Declare(FlagSet& flags) override {
    place_.Declare(flags, "ADDRESS", "{ADDRESS | --rule ID}",
                   "The vault: its address, or the rule whose backup it is.");
    flags.Text({.name = "table",
                .help = "The table's name, after its database and '.' if you want. Default: the "
                        "rule's or the source bucket's, with '_' for what may not stand in one.",
                .value_name = "NAME"},
               table_);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedVault> vault = co_await OpenVault(context, opener, place_, 0, 0);
    if (!vault) co_return vault.error();
    backup::AthenaTable table{.name = {}, .vault = vault->place, .source_bucket = vault->bucket};
    if (vault->rule != nullptr) {
      table.rule = backup::AthenaTable::OfRule{.prefix = vault->rule->source.prefix,
                                               .partition = vault->target->backup->partition};
    }
    table.name = table_.value_or(
        backup::AthenaName(vault->rule != nullptr ? vault->rule->id : vault->bucket));
    Result<std::string> ddl = backup::AthenaDdl(table);
    if (!ddl) co_return ddl.error();
    ddl->pop_back();
    context.output().Print(Message("table").With("name", table.name).With("ddl", *ddl).Says(*ddl));
    co_return ExitCode::kDone;
  }

 private:
  BackupFlags place_;
  std::optional<std::string> table_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeBackupAthenaCommand() {
  return std::make_unique<BackupAthenaCommand>();
}

}  // namespace longhaul
