#include "server/static_files.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// A path that is not exactly a file's must not become one, and other hosts' code must not run.
TEST(StaticFilesTest, FindsFilesByTheirExactPath) {
  static constexpr StaticFile kFiles[] = {
      {.path = "/", .content_type = "text/html"},
      {.path = "/assets/a.js", .content_type = "text/javascript"}};
  const StaticFiles files(kFiles);
  ASSERT_NE(files.Find("/index.html"), nullptr);
  EXPECT_EQ(files.Find("/index.html")->path, "/");
  EXPECT_EQ(files.Find("/assets/a.js")->path, "/assets/a.js");
  for (const char* path : {"/assets/", "/assets/../a.js", "/assets/a.js/", "/assets/A.js", ""}) {
    EXPECT_EQ(files.Find(path), nullptr) << path;
  }
  EXPECT_TRUE(StaticFiles::Owns("/") && StaticFiles::Owns("/assets/x"));
  EXPECT_FALSE(StaticFiles::Owns("/metrics") || StaticFiles::Owns("/v1/rules"));
  HttpHeaders headers;
  SetSecurityHeaders(headers);
  const std::string_view policy = headers.Get("Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'self'"), std::string_view::npos);
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string_view::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string_view::npos);
}

}  // namespace
}  // namespace longhaul
