#include "net/postgres_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Pair = std::pair<std::string, std::string>;

TEST(PostgresServers, AreThoseOfTheUrlEachWithItsPort) {
  EXPECT_THAT(PostgresServersOf({{"host", "a,b"}, {"port", "1,2"}}),
              ElementsAre(PostgresServer{.host = "a", .port = "1"},
                          PostgresServer{.host = "b", .port = "2"}));
  EXPECT_THAT(PostgresServersOf({{"host", "a,/run/pg"}, {"port", "1"}}),
              ElementsAre(PostgresServer{.host = "a", .port = "1"},
                          PostgresServer{.host = "/run/pg", .port = "1"}));
  EXPECT_THAT(PostgresServersOf({{"host", "a"}}), ElementsAre(PostgresServer{.host = "a"}));
  // What libpq is to find or to refuse itself.
  EXPECT_THAT(PostgresServersOf({{"dbname", "d"}}), IsEmpty());
  EXPECT_THAT(PostgresServersOf({{"host", "a"}, {"hostaddr", "10.0.0.1"}}), IsEmpty());
  EXPECT_THAT(PostgresServersOf({{"host", "a,b,c"}, {"port", "1,2"}}), IsEmpty());
}

// One list of libpq for each part: they have to be of one length, or it refuses them.
TEST(PostgresServers, EachAddressIsOneOfLibpqs) {
  PostgresKeywords keywords{{"host", "gone,there"}, {"port", "1,2"}, {"dbname", "d"}};
  SetPostgresServers(keywords, std::vector<PostgresServer>{
                                   {.host = "there", .port = "2", .address = "::1"},
                                   {.host = "there", .port = "2", .address = "127.0.0.1"}});
  EXPECT_THAT(keywords,
              UnorderedElementsAre(Pair("host", "there,there"), Pair("hostaddr", "::1,127.0.0.1"),
                                   Pair("port", "2,2"), Pair("dbname", "d")));
  keywords = {{"host", "/run/pg,there"}};
  SetPostgresServers(keywords, std::vector<PostgresServer>{
                                   {.host = "/run/pg"}, {.host = "there", .address = "10.0.0.1"}});
  EXPECT_THAT(keywords,
              UnorderedElementsAre(Pair("host", "/run/pg,there"), Pair("hostaddr", ",10.0.0.1")));
}

}  // namespace
}  // namespace longhaul
