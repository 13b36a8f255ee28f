#include "net/http_response_head.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

HttpResponseHead Parse(const std::string& text) {
  Result<HttpResponseHead> head = ParseResponseHead(text);
  EXPECT_TRUE(head) << text;
  return head.value_or(HttpResponseHead());
}

// A head that comes in pieces must not be taken for one before its empty line is here.
TEST(HttpResponseHeadTest, EndsWithAnEmptyLine) {
  std::string head = "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n";
  for (size_t size = 0; size < head.size(); ++size) {
    EXPECT_EQ(FindResponseHeadEnd(head.substr(0, size)), std::string::npos) << size;
  }
  EXPECT_EQ(FindResponseHeadEnd(head + "body\r\n\r\n"), head.size());
  EXPECT_EQ(FindResponseHeadEnd("HTTP/1.1 200 OK\nA: 1\n\nbody"), 22U);
}

// What says where the body ends: read wrongly, the rest of one answer is the next one's beginning.
TEST(HttpResponseHeadTest, FramesTheBody) {
  HttpResponseHead head = Parse("HTTP/1.1 200 OK\r\ncontent-LENGTH: \t12 \r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.headers.Get("Content-Length"), "12");

  head = Parse("HTTP/1.1 200\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n");
  EXPECT_TRUE(head.chunked);
  EXPECT_FALSE(head.content_length);
  EXPECT_EQ(
      Parse("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n").content_length,
      3U);
  EXPECT_FALSE(Parse("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n").keep_alive);
  EXPECT_FALSE(Parse("HTTP/1.0 200 OK\r\n\r\n").keep_alive);
  EXPECT_TRUE(Parse("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

// A head that can be read in two ways belongs to an attack or to a broken server.
TEST(HttpResponseHeadTest, RefusesWhatMakesNoSense) {
  for (const char* text :
       {"HTTP/2 200\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ""}) {
    Result<HttpResponseHead> head = ParseResponseHead(text);
    ASSERT_FALSE(head) << text;
    EXPECT_EQ(head.error().kind, ErrorKind::kRetryable);
  }
}

}  // namespace
}  // namespace longhaul
