#include "server/api_request.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

Result<ApiRequest> Parse(std::string_view method, std::string_view path,
                         std::string_view query = "") {
  std::string allowed;
  return ParseApiTarget(method, path, query, &allowed);
}

// A rule whose name holds a "/" or a space could not be asked for otherwise.
TEST(ApiRequestTest, FindsTheOperationAndItsArguments) {
  Result<ApiRequest> request = Parse("POST", "/v1/rules/a%2Fb%20c/pause");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->route->operation, "pauseRule");
  EXPECT_EQ(request->arguments, std::vector<std::string>{"a/b c"});
  EXPECT_EQ(Parse("GET", "/v1/migrations/runs/x/objects")->route->operation,
            "listMigrationObjects");
  EXPECT_EQ(Parse("HEAD", "/v1/rules")->route->operation, "listRules");
}

// A GET that changed something could be sent by any link.
TEST(ApiRequestTest, RefusesOtherPathsAndMethods) {
  EXPECT_EQ(Parse("GET", "/v1/rules/a/pause").error().http_status, 405);
  EXPECT_EQ(Parse("DELETE", "/v1/rules").error().http_status, 405);
  for (const char* path :
       {"/v1/nothing", "/v1/rules/", "/v1/rules//pause", "/v1", "/v1/rules/a/b"}) {
    EXPECT_EQ(Parse("GET", path).error().kind, ErrorKind::kNotFound) << path;
  }
  EXPECT_EQ(Parse("GET", "/v1/rules/%zz").error().kind, ErrorKind::kInvalidInput);
  std::string allowed;
  EXPECT_FALSE(ParseApiTarget("PUT", "/v1/migrations/runs", "", &allowed));
  EXPECT_EQ(allowed, "GET, POST");
}

// Of two values of one parameter a proxy may see the other one.
TEST(ApiRequestTest, ReadsParameters) {
  Result<ApiRequest> request = Parse("GET", "/v1/parked", "rule=a+b%26c&limit=7&");
  ASSERT_TRUE(request);
  ApiQuery query(*request);
  EXPECT_EQ(query.Text("rule"), "a b&c");
  EXPECT_FALSE(query.Finish()) << "limit has not been asked for";
  EXPECT_EQ(*query.Limit(), 7);
  EXPECT_TRUE(query.Finish());
  EXPECT_EQ(Parse("GET", "/v1/parked", "a=1&a=2").error().code, "field:a");
  for (const char* limit : {"limit=0", "limit=501", "limit=x", "limit=-1", "limit=1e3"}) {
    Result<ApiRequest> bad = Parse("GET", "/v1/parked", limit);
    EXPECT_EQ(ApiQuery(*bad).Limit().error().code, "field:limit") << limit;
  }
}

// A form shows the message at the member that is wrong.
TEST(ApiRequestTest, ReadsBodies) {
  Result<ApiRequest> request = Parse("POST", "/v1/rules/a/pause");
  EXPECT_TRUE(ParseApiBody("", *request));
  EXPECT_FALSE(ParseApiBody("[]", *request));
  EXPECT_FALSE(ParseApiBody("{\"a\":1,\"a\":2}", *request));
  ASSERT_TRUE(ParseApiBody(R"({"target":"west","for_seconds":-1,"keys":["a",1],"x":1})", *request));
  ApiBody body(request->body);
  EXPECT_EQ(*body.Text("target"), "west");
  EXPECT_EQ(body.Integer("for_seconds", 1, 10).error().code, "field:for_seconds");
  EXPECT_EQ(body.Texts("keys", 5, 10).error().code, "field:keys");
  EXPECT_EQ(body.Finish().error().code, "field:x");
}

TEST(ApiRequestTest, CursorsComeBack) {
  const std::vector<std::string> parts{"rule", "", std::string("\0\xff/", 3)};
  EXPECT_EQ(*DecodeCursor(EncodeCursor(parts), 3), parts);
  EXPECT_FALSE(DecodeCursor(EncodeCursor(parts), 2));
  for (const char* bad : {"zz", "61", "616x", "6162x..x"})
    EXPECT_FALSE(DecodeCursor(bad, 1)) << bad;
}

}  // namespace
}  // namespace longhaul
