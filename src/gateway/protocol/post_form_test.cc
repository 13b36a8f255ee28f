#include "gateway/protocol/post_form.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace longhaul {
namespace {

const SystemTime kNow = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);

std::string Field(const std::string& name, const std::string& value) {
  return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

Result<PostForm> ParsePostForm(std::string_view content_type, std::string_view body) {
  std::string_view begin = body.substr(0, kPostFieldsBytesMax);
  Result<PostForm> form = ParsePostFields(content_type, begin, begin.size() < body.size());
  if (!form) return form;
  Result<void> found = FindPostFile(*form, body);
  if (!found) return found.error();
  return form;
}

Result<PostForm> Parse(const std::string& fields) {
  static std::string body;
  body = fields + Field("file\"; filename=\"a\\\"b", "bytes\r\n--C") + "--B--\r\n";
  return ParsePostForm("multipart/form-data; boundary=B", body);
}

std::string CodeOf(const std::string& policy, const std::string& fields) {
  Result<PostForm> form = Parse(Field("policy", Base64Encode(policy)) + fields);
  EXPECT_TRUE(form) << form.error().Describe();
  Result<void> checked = CheckPostPolicy(*form, "b", kNow);
  return checked ? "" : checked.error().code;
}

TEST(PostFormTest, ReadsFieldsAndFile) {
  Result<PostForm> form = Parse(Field("Key", "k") + Field("x-amz-meta-a", ""));
  ASSERT_TRUE(form) << form.error().Describe();
  EXPECT_EQ(form->fields.at("key"), "k");
  EXPECT_EQ(form->file, "bytes\r\n--C");
  EXPECT_EQ(form->filename, "a\"b");
}

// An object would be made of a form that says two things, or has no end.
TEST(PostFormTest, MalformedFormsAreRefused) {
  auto code = [](const std::string& body) {
    Result<PostForm> form = ParsePostForm("multipart/form-data; boundary=B", body);
    return form ? "" : form.error().code;
  };
  EXPECT_EQ(code(""), "MalformedPOSTRequest");
  EXPECT_EQ(code("--B\r\n"), "MalformedPOSTRequest");
  EXPECT_EQ(code("--Bx\r\n\r\n"), "MalformedPOSTRequest");
  EXPECT_EQ(code(Field("file", "cut")), "MalformedPOSTRequest");
  EXPECT_EQ(code(Field("key", "k") + "--B--\r\n"), "InvalidArgument");
  EXPECT_EQ(code(Field("key", "k") + Field("KEY", "l") + "--B--\r\n"), "InvalidArgument");
  EXPECT_EQ(code(Field("key", std::string(30'000, 'k')) + Field("file", "x") + "--B--\r\n"),
            "MaxPostPreDataLengthExceededError");
  // The end of the last field, or of the head of the file, is not among the first bytes.
  for (size_t size = 20'000; size < 22'000; ++size) {
    const std::string form =
        Field("key", std::string(size, 'k')) + Field("file", std::string(9000, 'x')) + "--B--\r\n";
    const bool fits = form.find("\r\n\r\nx") <= (20 << 10);
    EXPECT_EQ(code(form), fits ? "" : "MaxPostPreDataLengthExceededError") << size;
  }
  EXPECT_FALSE(ParsePostForm("multipart/form-data", Field("file", "x") + "--B--"));
}

// A form would write what its maker did not sign for.
TEST(PostFormTest, PoliciesAreHeeded) {
  const std::string head =
      R"({"expiration":"2026-01-02T00:00:00.000Z","conditions":[{"bucket":"b"},)";
  const std::string key = Field("key", "in/1");
  EXPECT_EQ(CodeOf(head + R"(["starts-with","$key","in/"]]})", key), "");
  EXPECT_EQ(CodeOf(head + R"(["eq","$key","in/1"]]})", key), "");
  EXPECT_EQ(CodeOf(head + R"(["starts-with","$key","out/"]]})", key), "AccessDenied");
  EXPECT_EQ(CodeOf(head + R"({"key":"in/2"}]})", key), "AccessDenied");
  EXPECT_EQ(CodeOf(head + R"({"key":"in/1"}]})", key + Field("x-amz-meta-a", "1")), "AccessDenied");
  EXPECT_EQ(CodeOf(head + R"({"key":"in/1"},{"acl":"private"}]})", key), "AccessDenied");
  EXPECT_EQ(CodeOf(head + R"({"key":"in/1"}]})", key + Field("x-ignore-a", "1")), "");
  EXPECT_EQ(CodeOf(head + R"({"key":"in/1"},["content-length-range",1,5]]})", key),
            "EntityTooLarge");
  EXPECT_EQ(CodeOf(head + R"({"key":"in/1"},["content-length-range","20",30]]})", key),
            "EntityTooSmall");
  EXPECT_EQ(CodeOf(R"({"expiration":"2025-01-02T00:00:00Z","conditions":[]})", key),
            "AccessDenied");
  EXPECT_EQ(CodeOf(R"({"expiration":"2026-01-02T00:00:00Z","conditions":[{"key":"in/1"}]})", key),
            "AccessDenied");
  EXPECT_EQ(CodeOf(R"({"conditions":[]})", key), "InvalidPolicyDocument");
  EXPECT_EQ(CodeOf(R"({"expiration":"2026-01-02T00:00:00Z"})", key), "InvalidPolicyDocument");
  EXPECT_EQ(CodeOf("{", key), "InvalidPolicyDocument");
}

}  // namespace
}  // namespace longhaul
