#include "net/postgres_client.h"

#include <gtest/gtest.h>

#include "net/postgres_schema.h"
#include "tests/support/any_world.h"

namespace longhaul {
namespace {

TEST(PostgresUrl, SaysWhatItNeedsAndNoSecret) {
  for (const char* good : {"postgresql://u:p@db.example:5432/jobs?sslmode=verify-full",
                           "host=/run/postgresql dbname=x", "postgres://a,b/jobs",
                           "postgresql://h/d?schema=eu_west&sslmode=require"}) {
    EXPECT_TRUE(CheckPostgresUrl(Secret(good))) << good;
  }
  for (const char* bad : {"postgresql://u:hunter2@h:port-one/d?nonsense=1", "hunter2",
                          "postgresql://h/d?schema=hunter2;DROP", "postgresql://h/d?schema="}) {
    Result<void> checked = CheckPostgresUrl(Secret(bad));
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().kind, ErrorKind::kInvalidInput);
  }
  EXPECT_FALSE(CheckPostgresUrl(Secret("postgresql://u:hunter2@h:port-one/d?nonsense=1"))
                   .error()
                   .message.contains("hunter2"));
}

// The user of a URL may be any text, and the script is carried out by who owns the tables.
TEST(PostgresSetup, ARolesNameEndsNoComment) {
  for (const char* role : {"mover", "a\nDROP SCHEMA longhaul CASCADE; --", "a\rDROP TABLE x; --"}) {
    const std::string sql = PostgresSetupSql("longhaul", {}, role);
    EXPECT_EQ(sql.contains("TO \"mover\""), role == std::string("mover")) << sql;
    EXPECT_EQ(sql.contains("TO \"ROLE\""), role != std::string("mover")) << sql;
    EXPECT_FALSE(sql.contains("DROP")) << sql;
  }
}

// A schema's name stands in SQL without quotes.
TEST(PostgresUrl, SchemasHavePlainNames) {
  for (const char* good : {"longhaul", "_x", "a1_b2"}) EXPECT_TRUE(IsPostgresSchemaName(good));
  for (const char* bad : {"", "1a", "a-b", "A", "a b", "a;b", "pg_catalog", "ä"}) {
    EXPECT_FALSE(IsPostgresSchemaName(bad)) << bad;
  }
  EXPECT_FALSE(IsPostgresSchemaName(std::string(41, 'a')));
}

TEST(PostgresUrl, DescribesThePlaceWithoutWhoWeAre) {
  testing::AnyWorld world = testing::AnyWorld::Real();
  auto client = PostgresClient::Make(world.runtime(),
                                     {.url = Secret("postgresql://u:hunter2@h:99/d?schema=s")});
  ASSERT_TRUE(client);
  EXPECT_EQ((*client)->description(), "h:99/d");
  EXPECT_EQ((*client)->schema(), "s");
}

// A fail-over is waited out, a mistake is not.
TEST(PostgresErrors, KindsFollowTheSqlstate) {
  for (const char* passing :
       {"08006", "40001", "40P01", "53300", "57P01", "57P03", "25006", "58030"}) {
    EXPECT_EQ(PostgresErrorKind(passing), ErrorKind::kRetryable) << passing;
  }
  EXPECT_EQ(PostgresErrorKind("42501"), ErrorKind::kDenied);
  EXPECT_EQ(PostgresErrorKind("28P01"), ErrorKind::kDenied);
  EXPECT_EQ(PostgresErrorKind("XX001"), ErrorKind::kCorrupt);
  EXPECT_EQ(PostgresErrorKind("42P01"), ErrorKind::kInvalidInput);
  EXPECT_EQ(PostgresErrorKind("22021"), ErrorKind::kInvalidInput);
}

TEST(PostgresErrors, AServerThatIsNotThereIsRetryable) {
  testing::AnyWorld world = testing::AnyWorld::Real();
  auto client = PostgresClient::Make(world.runtime(), {.url = Secret("postgresql://127.0.0.1:1/d"),
                                                       .patience = std::chrono::milliseconds(300)});
  ASSERT_TRUE(client);
  Result<PostgresRows> rows = world.Run((*client)->Run("SELECT 1", PostgresArguments()));
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().kind, ErrorKind::kRetryable) << rows.error().Describe();
}

}  // namespace
}  // namespace longhaul
