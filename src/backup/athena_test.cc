#include "backup/athena.h"

#include <gtest/gtest.h>

#include "backup/catalog_record.h"

namespace longhaul::backup {
namespace {

AthenaTable Table() {
  return {.name = "backups.app_logs",
          .vault = {.bucket = "vault", .prefix = "b/"},
          .source_bucket = "app-logs",
          .rule = AthenaTable::OfRule{.prefix = "2026/"}};
}

std::string Ddl(const AthenaTable& table) {
  Result<std::string> ddl = AthenaDdl(table);
  EXPECT_TRUE(ddl) << ddl.error().Describe();
  return ddl ? *ddl : "";
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A folder that the table does not find is a day whose backups are not in any answer.
TEST(AthenaTest, FindsTheFoldersOfTheVault) {
  const std::string ddl = Ddl(Table());
  const std::string ulid = "01KAW8Z3Q0ABCDEFGHJKMNPQRS";
  VaultName name{.folder = VaultFolder({.bucket = "app-logs", .prefix = "2026/"},
                                       BackupOptions::Partition::kDaily, ulid),
                 .ulid = ulid};
  std::string key = VaultCatalogKey(Table().vault, name);
  key = key.substr(0, key.find("year="));
  EXPECT_TRUE(Has(ddl, "LOCATION 's3://vault/" + key + "'")) << ddl;
  EXPECT_TRUE(Has(ddl, "'storage.location.template' = 's3://vault/" + key +
                           "year=${year}/month=${month}/day=${day}/'"))
      << ddl;
  EXPECT_TRUE(Has(ddl, "EXISTS `backups`.`app_logs` (")) << ddl;
  AthenaTable monthly = Table();
  monthly.rule->partition = BackupOptions::Partition::kMonthly;
  EXPECT_TRUE(Has(Ddl(monthly), "month=${month}/'")) << Ddl(monthly);
  EXPECT_FALSE(Has(Ddl(monthly), "day")) << Ddl(monthly);
  AthenaTable all{.name = "t", .vault = {.bucket = "vault", .prefix = ""}, .source_bucket = ""};
  EXPECT_TRUE(Has(Ddl(all), "LOCATION 's3://vault/longhaul-catalog/';")) << Ddl(all);
  EXPECT_FALSE(Has(Ddl(all), "PARTITIONED")) << Ddl(all);
}

// A field that the table lacks can be asked for by nobody.
TEST(AthenaTest, HasEveryFieldOfALine) {
  std::string line;
  CatalogRecord record{.key = "k", .segment = Segment{}};
  AppendCatalogLine(line,
                    {.vault = Table().vault,
                     .name = {.folder = "f/", .ulid = "01KAW8Z3Q0ABCDEFGHJKMNPQRS"},
                     .source = {}},
                    record);
  const std::string ddl = Ddl(Table());
  int fields = 0;
  for (size_t at = 0; (at = line.find("\":", at)) != std::string::npos; at += 2) {
    const size_t begin = line.rfind('"', at - 1) + 1;
    const std::string field = line.substr(begin, at - begin);
    ++fields;
    EXPECT_TRUE(Has(ddl, "`" + field + "` ") || Has(ddl, field + ":")) << field;
  }
  EXPECT_EQ(fields, 26);
}

TEST(AthenaTest, RefusesWhatItCannotName) {
  AthenaTable table = Table();
  table.rule->prefix = "it's/";
  EXPECT_FALSE(AthenaDdl(table));
  table.rule->prefix = "${year}/";
  EXPECT_FALSE(AthenaDdl(table));
  for (const char* name : {"", "a b", "a.b.c", "a`; DROP"}) {
    table = Table();
    table.name = name;
    EXPECT_FALSE(AthenaDdl(table)) << name;
  }
  EXPECT_EQ(AthenaName("App-logs.2"), "app_logs_2");
}

}  // namespace
}  // namespace longhaul::backup
