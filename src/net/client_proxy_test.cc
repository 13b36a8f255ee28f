#include "net/client_proxy.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <set>

#include "aws/sqs_client.h"
#include "net/http_client.h"
#include "observe/alarm_channel.h"
#include "observe/tracer.h"
#include "replication/context/loops.h"
#include "server/notification_webhook.h"
#include "tests/support/run.h"
#include "tests/support/tls.h"

namespace longhaul {
namespace {

using asio::ip::tcp;
using TlsStream = asio::ssl::stream<tcp::socket>;

bool Exempt(const std::string& url, const std::string& no_proxy) {
  return IsExemptFromProxy(ParseClientUrl(url)->origin, no_proxy);
}

TEST(ClientProxyTest, NoProxyIsReadAsOthersReadIt) {
  EXPECT_FALSE(Exempt("https://s3.test/", ""));
  EXPECT_FALSE(Exempt("https://s3.test/", "other.test,3.test,test.s3.test"));
  EXPECT_TRUE(Exempt("https://s3.test/", "other.test, S3.test"));
  EXPECT_TRUE(Exempt("https://a.S3.test/", ".s3.test"));
  EXPECT_TRUE(Exempt("https://a.s3.test/", "s3.test"));
  EXPECT_TRUE(Exempt("https://a.s3.test/", "*.s3.test"));
  EXPECT_TRUE(Exempt("https://s3.test/", "*"));
  EXPECT_TRUE(Exempt("https://s3.test:8443/", "s3.test:8443"));
  EXPECT_FALSE(Exempt("https://s3.test/", "s3.test:8443"));
  EXPECT_TRUE(Exempt("https://10.1.2.3/", "10.0.0.0/8"));
  EXPECT_FALSE(Exempt("https://11.1.2.3/", "10.0.0.0/8"));
  EXPECT_TRUE(Exempt("https://10.1.2.3:444/", "10.1.2.3"));
  EXPECT_TRUE(Exempt("https://[fd00::1]/", "fd00::/8"));
  EXPECT_TRUE(Exempt("https://[fd00::1]/", "[fd00::1]"));
  EXPECT_FALSE(Exempt("https://[fd00::1]/", "fd00::2"));
  // What runs on this machine is not to be looked for from another one.
  for (const char* own : {"https://localhost/", "https://127.0.0.2/", "https://[::1]:1/"}) {
    EXPECT_TRUE(Exempt(own, "")) << own;
  }
}

// A password that ends up in an error message ends up in a log.
TEST(ClientProxyTest, WhatIsNoProxyIsRefusedWithoutBeingQuoted) {
  Result<ClientProxy> proxy = ParseClientProxy("http://me:p%40ss@proxy.test:3128/");
  ASSERT_TRUE(proxy) << proxy.error().message;
  EXPECT_EQ(proxy->origin.name, "http://proxy.test:3128");
  EXPECT_EQ(proxy->authorization.Reveal(), "Basic bWU6cEBzcw==");
  EXPECT_EQ(ParseClientProxy("proxy.test:3128")->origin.name, "http://proxy.test:3128");
  for (const char* bad : {"https://u:HUSH@proxy.test", "socks5://u:HUSH@proxy.test", "http://",
                          "http://u:HUSH%0d%0a@proxy.test", "http://u:HUSH@proxy.test/path",
                          "http://u:HUSH@proxy test:1", "http://u:%HUSH@proxy.test"}) {
    Result<ClientProxy> refused = ParseClientProxy(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidInput);
    EXPECT_EQ(refused.error().message.find("HUSH"), std::string::npos);
  }
}

// A proxy that answers CONNECT with `answer`; where that is 200, it is the server as well.
class Proxy {
 public:
  Proxy(testing::RealWorld& world, asio::ssl::context& tls, std::string answer)
      : world_(world),
        tls_(tls),
        answer_(std::move(answer)),
        acceptor_(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    world.Start(Accept());
  }
  [[nodiscard]] std::string Place() const {
    return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }

  std::vector<std::string> heads;  // What was asked of it.
  std::string inside;              // The head that came through the tunnel.

 private:
  asio::awaitable<void> Accept() {
    while (true) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      world_.Start(Serve(std::move(socket)));
    }
  }
  asio::awaitable<void> Serve(tcp::socket socket) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    std::string head;
    co_await asio::async_read_until(socket, asio::dynamic_buffer(head), "\r\n\r\n", token);
    if (error) co_return;
    heads.push_back(head);
    co_await asio::async_write(socket, asio::buffer(answer_), token);
    if (error || !answer_.starts_with("HTTP/1.1 200")) co_return;
    TlsStream stream(std::move(socket), tls_);
    co_await stream.async_handshake(asio::ssl::stream_base::server, token);
    if (error) co_return;
    co_await asio::async_read_until(stream, asio::dynamic_buffer(inside), "\r\n\r\n", token);
    const std::string hello =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    if (!error) co_await asio::async_write(stream, asio::buffer(hello), token);
  }

  testing::RealWorld& world_;
  asio::ssl::context& tls_;
  std::string answer_;
  tcp::acceptor acceptor_;
};

Async<std::string> FetchByProxy(HttpClient& client, std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  request.headers.Add("X-Own", "HUSH");
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  co_return co_await ReadAll(*response->body, 1000);
}

// The name is the proxy's to find (there is no such host here), and it sees nothing but the name.
TEST(ClientProxyTest, HttpsGoesThroughATunnel) {
  testing::RealWorld world;
  testing::TlsServer identity("DNS:bucket.s3.test");
  Proxy proxy(world, identity.context(), "HTTP/1.1 200 Connection established\r\n\r\n");
  auto client =
      MakeHttpClient(world.runtime, {.ca_file = identity.trust_file(),
                                     .proxy = {.url = Secret("http://me:pw@" + proxy.Place())}});
  Result<std::string> text = world.Run(FetchByProxy(*client, "https://bucket.s3.test/key"));
  ASSERT_TRUE(text) << text.error().Describe();
  EXPECT_EQ(*text, "hello");
  ASSERT_EQ(proxy.heads.size(), 1u);
  EXPECT_EQ(proxy.heads[0],
            "CONNECT bucket.s3.test:443 HTTP/1.1\r\nHost: bucket.s3.test:443\r\n"
            "Proxy-Authorization: Basic bWU6cHc=\r\n\r\n");
  EXPECT_TRUE(proxy.inside.starts_with("GET /key HTTP/1.1\r\n")) << proxy.inside;
  EXPECT_EQ(proxy.inside.find("Proxy-"), std::string::npos);
}

// A proxy that is trusted with more than the way could read and change everything.
TEST(ClientProxyTest, TheCertificateIsStillThatOfTheServer) {
  testing::RealWorld world;
  testing::TlsServer identity("DNS:proxy.test,IP:127.0.0.1");
  Proxy proxy(world, identity.context(), "HTTP/1.1 200 OK\r\n\r\n");
  auto client = MakeHttpClient(
      world.runtime,
      {.ca_file = identity.trust_file(), .proxy = {.url = Secret("http://" + proxy.Place())}});
  Result<std::string> text = world.Run(FetchByProxy(*client, "https://s3.test/"));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::kDenied) << text.error().Describe();
  EXPECT_TRUE(proxy.inside.empty());
}

TEST(ClientProxyTest, APlainRequestAndAnExemptOneGoStraight) {
  testing::RealWorld world;
  testing::TlsServer identity("DNS:s3.test");
  Proxy proxy(world, identity.context(), "HTTP/1.1 200 OK\r\n\r\n");
  auto client = MakeHttpClient(world.runtime, {.proxy = {.url = Secret("http://" + proxy.Place()),
                                                         .no_proxy = "nowhere.invalid"}});
  EXPECT_FALSE(world.Run(FetchByProxy(*client, "http://other.invalid/")));
  EXPECT_FALSE(world.Run(FetchByProxy(*client, "https://nowhere.invalid/")));
  EXPECT_TRUE(proxy.heads.empty());
}

// Nothing of the request is told to a proxy that opens no tunnel, and whoever reads the error
// learns that it was the proxy.
TEST(ClientProxyTest, ARefusalNamesTheProxyAndSendsNothing) {
  struct Case {
    const char* answer;
    ErrorKind kind;
    const char* says;
  };
  for (const Case& one :
       {Case{"HTTP/1.1 407 Who\r\n\r\n", ErrorKind::kDenied, "wants a user and a password"},
        Case{"HTTP/1.1 403 No\r\n\r\n", ErrorKind::kDenied, "HTTP 403"},
        Case{"HTTP/1.1 502 Bad\r\n\r\n", ErrorKind::kRetryable, "HTTP 502"},
        Case{"SSH-2.0-x\r\n", ErrorKind::kRetryable, "not HTTP"},
        Case{"HTTP/1.1 20", ErrorKind::kRetryable, "no complete head"},
        Case{"HTTP/1.1 200 OK\r\n\r\nmore", ErrorKind::kRetryable, "before any went in"}}) {
    testing::RealWorld world;
    testing::TlsServer identity("DNS:s3.test");
    Proxy proxy(world, identity.context(), one.answer);
    auto client =
        MakeHttpClient(world.runtime, {.ca_file = identity.trust_file(),
                                       .proxy = {.url = Secret("http://u:HUSH@" + proxy.Place())}});
    Result<std::string> text = world.Run(FetchByProxy(*client, "https://s3.test/"));
    ASSERT_FALSE(text) << one.answer;
    EXPECT_EQ(text.error().kind, one.kind) << text.error().Describe();
    EXPECT_NE(text.error().message.find(one.says), std::string::npos) << text.error().Describe();
    EXPECT_NE(text.error().message.find("proxy http://127.0.0.1:"), std::string::npos);
    EXPECT_EQ(text.error().message.find("HUSH"), std::string::npos);
    EXPECT_FALSE(MayHaveHappened(text.error())) << one.answer;
    for (const std::string& head : proxy.heads) EXPECT_EQ(head.find("X-Own"), std::string::npos);
  }
}

// Where there is no other way out, a client that goes straight reaches nobody: no queue, and nobody
// who is told.
TEST(ClientProxyTest, QueuesAlarmsNotificationsAndTracesGoByIt) {
  testing::RealWorld world;
  testing::TlsServer identity("DNS:s3.test");
  Proxy proxy(world, identity.context(), "HTTP/1.1 403 No\r\n\r\n");
  const HttpProxySettings settings{.url = Secret("http://" + proxy.Place())};
  AwsJsonOptions options{.service = "sqs",
                         .target = "AmazonSQS",
                         .endpoint = "https://sqs.test",
                         .region = "eu-west-1",
                         .credentials = MakeStaticCredentials({.access_key_id = "K",
                                                               .secret_access_key = Secret("S"),
                                                               .session_token = {},
                                                               .expires = {}}),
                         .proxy = settings};
  auto sqs = SqsClient::Make(world.runtime, std::move(options), 1);
  ASSERT_TRUE(sqs) << sqs.error().Describe();
  EXPECT_FALSE(world.Run((*sqs)->Find("q")));
  auto channel =
      MakeWebhookChannel(world.runtime, Secret("https://hooks.test/x"), false, {.proxy = settings});
  EXPECT_FALSE(world.Run(channel->Tell({.site = "s", .name = "a", .text = "a"})));
  Event stop;
  stop.Set();
  NotificationWebhook webhook(world.runtime, Secret("https://notify.test/x"), "s",
                              {.proxy = settings});
  webhook.Add("{}");
  static_cast<void>(world.Run(AsTask(webhook.Run(stop))));
  Tracer tracer(world.runtime, {.url = "https://traces.test", .http = {.proxy = settings}});
  tracer.Add({});
  static_cast<void>(world.Run(tracer.Run(stop)));
  std::set<std::string> hosts;
  for (const std::string& head : proxy.heads) hosts.insert(head.substr(0, head.find(':')));
  EXPECT_EQ(hosts, (std::set<std::string>{"CONNECT hooks.test", "CONNECT notify.test",
                                          "CONNECT sqs.test", "CONNECT traces.test"}));
}

// A silent proxy must not hold a request longer than a silent server does.
TEST(ClientProxyTest, ASilentProxyIsGivenUp) {
  testing::RealWorld world;
  tcp::acceptor silent(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  auto client = MakeHttpClient(
      world.runtime, {.proxy = {.url = Secret("http://127.0.0.1:" +
                                              std::to_string(silent.local_endpoint().port()))}});
  HttpRequest request;
  request.url = "https://s3.test/";
  request.timeouts = {.connect = std::chrono::milliseconds(300)};
  Result<HttpResponse> response = world.Run(client->Send(std::move(request)));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kRetryable) << response.error().Describe();
}

}  // namespace
}  // namespace longhaul
