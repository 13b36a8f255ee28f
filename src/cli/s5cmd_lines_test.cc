// --json=s5cmd as people type it, run in this process against folders: scripts that read s5cmd's
// lines must find the same fields here.

#include "cli/s5cmd_lines.h"

#include <gtest/gtest.h>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class S5cmdLinesTest : public CommandsTest {};

TEST_F(S5cmdLinesTest, CopiesMovesAndRemovals) {
  WriteFile("root/a/x", "hello");
  ASSERT_EQ(Run({"cp", "--json=s5cmd", "disk:a/x", "disk:b/y"}), 0) << console.error;
  EXPECT_EQ(console.out,
            "{\"operation\":\"cp\",\"success\":true,\"source\":\"disk:a/x\","
            "\"destination\":\"disk:b/y\",\"object\":{\"type\":\"file\",\"size\":5}}\n");
  ASSERT_EQ(Run({"sync", "--json=s5cmd", "--delete", "disk:a", "disk:b"}), 0) << console.error;
  EXPECT_EQ(console.out,
            "{\"operation\":\"cp\",\"success\":true,\"source\":\"disk:a/x\","
            "\"destination\":\"disk:b/x\",\"object\":{\"type\":\"file\",\"size\":5}}\n"
            "{\"operation\":\"rm\",\"success\":true,\"source\":\"disk:b/y\"}\n");
  EXPECT_EQ(console.error, "");
  ASSERT_EQ(Run({"mv", "--json=s5cmd", "disk:b/x", "disk:b/z"}), 0) << console.error;
  EXPECT_EQ(console.out,
            "{\"operation\":\"mv\",\"success\":true,\"source\":\"disk:b/x\","
            "\"destination\":\"disk:b/z\",\"object\":{\"type\":\"file\",\"size\":5}}\n");
  ASSERT_EQ(Run({"rm", "--json=s5cmd", "disk:b/z"}), 0) << console.error;
  EXPECT_EQ(console.out, "{\"operation\":\"rm\",\"success\":true,\"source\":\"disk:b/z\"}\n");
}

TEST_F(S5cmdLinesTest, ErrorsGoToStandardError) {
  EXPECT_EQ(Run({"cp", "--json=s5cmd", "disk:a/none", "disk:b/y"}), 3);
  EXPECT_EQ(console.out, "");
  EXPECT_TRUE(console.error.starts_with("{\"operation\":\"cp\",\"job\":\"cp\",\"error\":\""))
      << console.error;
  // Of many, each with its address.
  EXPECT_EQ(S5cmdError("cp", "s3://a/x", "denied"),
            R"({"operation":"cp","job":"cp s3://a/x","error":"denied"})");
}

TEST_F(S5cmdLinesTest, Listings) {
  WriteFile("root/a/sub/x", "hello");
  WriteFile("root/a/y", "1");
  ASSERT_EQ(Run({"ls", "--json=s5cmd", "disk:a"}), 0) << console.error;
  EXPECT_TRUE(console.out.starts_with("{\"key\":\"disk:a/sub/\",\"type\":\"directory\"}\n"))
      << console.out;
  EXPECT_TRUE(console.out.contains("{\"key\":\"disk:a/y\",\"etag\":\"")) << console.out;
  EXPECT_TRUE(console.out.contains("\"type\":\"file\",\"size\":1")) << console.out;
  ASSERT_EQ(Run({"ls", "-r", "--json=s5cmd", "disk:"}), 0) << console.error;
  EXPECT_TRUE(console.out.contains("\",\"name\":\"a\"}\n{\"created_at\":\"")) << console.out;
  const ListedObject object{.key = "x",
                            .size_bytes = 7,
                            .etag = "e7",
                            .storage_class = "STANDARD",
                            .last_modified = *ParseRfc3339("2026-03-01T09:30:00.5Z"),
                            .version_id = "3HL4"};
  EXPECT_EQ(S5cmdObject("s3://b/x", object),
            R"({"key":"s3://b/x","etag":"e7","last_modified":"2026-03-01T09:30:00Z",)"
            R"("type":"file","size":7,"storage_class":"STANDARD","version_id":"3HL4"})");
}

// A word that is accepted and means nothing would make a script wait for lines that never come.
TEST_F(S5cmdLinesTest, OnlyWhereItMeansSomething) {
  EXPECT_EQ(Run({"du", "--json=s5cmd", "disk:a"}), 2);
  EXPECT_EQ(Run({"ls", "--json=s4cmd", "disk:a"}), 2);
  EXPECT_EQ(Run({"ls", "--json=true", "disk:a"}), 0);
  EXPECT_TRUE(console.out.contains("\"event\":\"summary\"")) << console.out;
  EXPECT_EQ(Run({"ls", "--json=false", "disk:a"}), 0);
  EXPECT_FALSE(console.out.contains("{")) << console.out;
}

}  // namespace
}  // namespace longhaul
