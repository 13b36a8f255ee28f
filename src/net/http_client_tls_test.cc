// What only TLS adds to an HttpClient: whom it trusts, what it offers, and ends that are cuts. All
// else is in the other http_client_*test.cc, for http:// and https:// alike.

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/bytes.h"
#include "net/http_client.h"
#include "tests/support/run.h"
#include "tests/support/tls.h"

namespace longhaul {
namespace {

using asio::ip::tcp;
using TlsStream = asio::ssl::stream<tcp::socket>;

// Answers one request of each connection with `answer`, and ends without a notice.
class Server {
 public:
  Server(testing::RealWorld& world, asio::ssl::context* tls, std::string answer)
      : world_(world),
        tls_(tls),
        answer_(std::move(answer)),
        acceptor_(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    world.Start(Accept());
  }

  [[nodiscard]] std::string Url(const std::string& host = "127.0.0.1") const {
    return "https://" + host + ":" + std::to_string(acceptor_.local_endpoint().port()) + "/";
  }

  int handshakes = 0;
  int resumed = 0;
  std::string server_name;
  std::string version;

 private:
  asio::awaitable<void> Accept() {
    while (true) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      if (tls_ != nullptr) {
        world_.Start(AnswerTls(std::make_unique<TlsStream>(std::move(socket), *tls_)));
      } else {
        co_await asio::async_write(socket, asio::buffer(answer_),
                                   asio::redirect_error(asio::use_awaitable, error));
      }
    }
  }
  asio::awaitable<void> AnswerTls(std::unique_ptr<TlsStream> stream) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await stream->async_handshake(asio::ssl::stream_base::server, token);
    if (error) co_return;
    SSL* ssl = stream->native_handle();
    ++handshakes;
    resumed += SSL_session_reused(ssl);
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) server_name = name;
    version = SSL_get_version(ssl);
    asio::streambuf buffer;
    co_await asio::async_read_until(*stream, buffer, "\r\n\r\n", token);
    if (!error) co_await asio::async_write(*stream, asio::buffer(answer_), token);
  }

  testing::RealWorld& world_;
  asio::ssl::context* tls_;
  std::string answer_;
  tcp::acceptor acceptor_;
};

const std::string kHelloAndClose =
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";

Async<std::string> Fetch(HttpClient& client, std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  co_return co_await ReadAll(*response->body, 1000);
}

// A certificate that nobody vouches for, or for another name, or out of its time, must end it
// before a key is sent; and whoever meets that must learn what to do.
TEST(HttpClientTlsTest, TrustsOnlyWhatItIsToldTo) {
  struct Case {
    const char* name;
    int hours;
    const char* host;
    bool trusted;
    const char* says;  // Empty: it works.
  };
  for (const Case& one :
       {Case{"IP:127.0.0.1", 2, "127.0.0.1", true, ""},
        Case{"DNS:localhost", 2, "localhost", true, ""},
        Case{"IP:127.0.0.1", 2, "127.0.0.1", false, "vouches for it"},
        Case{"DNS:a.example,IP:::1", 2, "127.0.0.1", true, "it is for a.example, ::1;"},
        // A name that looks like an address is none.
        Case{"DNS:127.0.0.1", 2, "127.0.0.1", true, "it is for 127.0.0.1;"},
        Case{"IP:127.0.0.1", 2, "localhost", true, "it is for 127.0.0.1;"},
        Case{"DNS:*host", 2, "localhost", true, "it is for *host;"},
        Case{"IP:127.0.0.1", 0, "127.0.0.1", true, "expired"}}) {
    testing::RealWorld world;
    testing::TlsServer right(one.name, one.hours);
    testing::TlsServer other(one.name);
    Server server(world, &right.context(), kHelloAndClose);
    auto client =
        MakeHttpClient(world.runtime, {.ca_file = (one.trusted ? right : other).trust_file()});
    Result<std::string> text = world.Run(Fetch(*client, server.Url(one.host)));
    EXPECT_EQ(text.has_value(), std::string(one.says).empty()) << one.name;
    if (text) continue;
    EXPECT_EQ(text.error().kind, ErrorKind::kDenied) << text.error().Describe();
    EXPECT_NE(text.error().message.find(one.says), std::string::npos) << text.error().Describe();
    EXPECT_EQ(server.handshakes, 0) << one.name;
  }
}

// The certificates of the system do not vouch for ours; the message names what would.
TEST(HttpClientTlsTest, TheSystemsCertificatesAreTheDefault) {
  testing::RealWorld world;
  testing::TlsServer identity("IP:127.0.0.1");
  Server server(world, &identity.context(), kHelloAndClose);
  auto client = MakeHttpClient(world.runtime);
  Result<std::string> text = world.Run(Fetch(*client, server.Url()));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::kDenied);
  EXPECT_NE(text.error().message.find("--ca-bundle"), std::string::npos) << text.error().message;
}

// A bundle that is missing, or holds none, must not mean "trust the system's instead".
TEST(HttpClientTlsTest, ABundleThatCannotBeReadIsAnError) {
  testing::TempDir folder;
  testing::RealWorld world;
  std::fclose(std::fopen(folder.file("empty.pem").c_str(), "w"));
  for (const std::string& file : {folder.file("none.pem"), folder.file("empty.pem")}) {
    auto client = MakeHttpClient(world.runtime, {.ca_file = file});
    testing::TlsServer identity("IP:127.0.0.1");
    Server server(world, &identity.context(), kHelloAndClose);
    Result<std::string> text = world.Run(Fetch(*client, server.Url()));
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().kind, ErrorKind::kInvalidInput) << text.error().Describe();
    EXPECT_NE(text.error().message.find(file), std::string::npos) << text.error().Describe();
  }
}

// Whoever can end a TCP connection can cut what it carries; only TLS's own end is the server's.
TEST(HttpClientTlsTest, AnEndWithoutNoticeIsACut) {
  for (const char* head : {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"}) {
    testing::RealWorld world;
    testing::TlsServer identity("IP:127.0.0.1");
    Server server(world, &identity.context(), std::string(head) + "hello");
    auto client = MakeHttpClient(world.runtime, {.ca_file = identity.trust_file()});
    Result<std::string> text = world.Run(Fetch(*client, server.Url()));
    ASSERT_FALSE(text) << head;
    EXPECT_EQ(text.error().kind, ErrorKind::kRetryable);
    EXPECT_NE(text.error().message.find("cut"), std::string::npos) << text.error().Describe();
  }
}

// A second handshake costs a hundredth of the first, at both ends.
TEST(HttpClientTlsTest, ResumesItsSessions) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    testing::RealWorld world;
    testing::TlsServer identity("DNS:localhost");
    SSL_CTX_set_max_proto_version(identity.context().native_handle(), version);
    Server server(world, &identity.context(), kHelloAndClose);
    auto client = MakeHttpClient(world.runtime, {.ca_file = identity.trust_file()});
    for (int i = 0; i < 4; ++i) {
      Result<std::string> text = world.Run(Fetch(*client, server.Url("localhost")));
      ASSERT_TRUE(text) << text.error().Describe();
    }
    EXPECT_EQ(server.handshakes, 4);
    EXPECT_EQ(server.resumed, 3) << server.version;
    EXPECT_EQ(server.version, version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    EXPECT_EQ(server.server_name, "localhost");
  }
}

// Many connections are opened at once, when there are few sessions or a single one.
TEST(HttpClientTlsTest, ABurstResumesOneSession) {
  testing::RealWorld world;
  testing::TlsServer identity("IP:127.0.0.1");
  SSL_CTX_set_num_tickets(identity.context().native_handle(), 1);
  Server server(world, &identity.context(), kHelloAndClose);
  auto client = MakeHttpClient(world.runtime, {.ca_file = identity.trust_file()});
  ASSERT_TRUE(world.Run(Fetch(*client, server.Url())));
  constexpr int kBurst = 8;
  auto fetch_at_once = [](testing::RealWorld& world, HttpClient& client,
                          std::string url) -> Async<void> {
    auto fetch = [](HttpClient& client, std::string url) -> Async<void> {
      Result<std::string> text = co_await Fetch(client, std::move(url));
      if (!text) co_return text.error();
      co_return Ok();
    };
    TaskGroup group(world.runtime.executor);
    for (int i = 0; i < kBurst; ++i) group.Spawn(fetch(client, url));
    co_return co_await group.Join();
  };
  Result<void> fetched = world.Run(fetch_at_once(world, *client, server.Url()));
  ASSERT_TRUE(fetched) << fetched.error().Describe();
  EXPECT_EQ(server.handshakes, 1 + kBurst);
  EXPECT_EQ(server.resumed, kBurst);
}

// A session of one host must not speak for another one.
TEST(HttpClientTlsTest, ASessionIsForItsOriginAlone) {
  testing::RealWorld world;
  testing::TlsServer identity("DNS:localhost");
  Server server(world, &identity.context(), kHelloAndClose);
  auto client = MakeHttpClient(world.runtime, {.ca_file = identity.trust_file()});
  ASSERT_TRUE(world.Run(Fetch(*client, server.Url("localhost"))));
  Result<std::string> text = world.Run(Fetch(*client, server.Url("127.0.0.1")));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::kDenied);
}

int SelectHttp1(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void* seen) {
  *static_cast<std::string*>(seen) = std::string(reinterpret_cast<const char*>(in), in_size);
  *out = in + 1;
  *out_size = *in;
  return SSL_TLSEXT_ERR_OK;
}

TEST(HttpClientTlsTest, OffersHttp1ByAlpnAndNoNameForAnAddress) {
  testing::RealWorld world;
  testing::TlsServer identity("IP:127.0.0.1");
  std::string offered;
  SSL_CTX_set_alpn_select_cb(identity.context().native_handle(), &SelectHttp1, &offered);
  Server server(world, &identity.context(), kHelloAndClose);
  auto client = MakeHttpClient(world.runtime, {.ca_file = identity.trust_file()});
  ASSERT_TRUE(world.Run(Fetch(*client, server.Url())));
  EXPECT_EQ(offered, "\x08http/1.1");
  EXPECT_EQ(server.server_name, "");
}

// What is known to be weak is not spoken; what is no TLS at all is named.
TEST(HttpClientTlsTest, RefusesOldVersionsAndWhatIsNoTls) {
  testing::RealWorld world;
  testing::TlsServer identity("IP:127.0.0.1");
  SSL_CTX_set_min_proto_version(identity.context().native_handle(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(identity.context().native_handle(), TLS1_1_VERSION);
#ifndef OPENSSL_IS_BORINGSSL  // Which has no levels.
  SSL_CTX_set_security_level(identity.context().native_handle(), 0);
#endif
  Server old(world, &identity.context(), kHelloAndClose);
  Server plain(world, nullptr, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  auto client = MakeHttpClient(world.runtime, {.ca_file = identity.trust_file()});
  for (Server* server : {&old, &plain}) {
    Result<std::string> text = world.Run(Fetch(*client, server->Url()));
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().kind, ErrorKind::kRetryable) << text.error().Describe();
    EXPECT_EQ(text.error().code, kNotSentCode) << text.error().Describe();
    if (server == &plain) {
      EXPECT_NE(text.error().message.find("speak TLS"), std::string::npos)
          << text.error().Describe();
    }
  }
  EXPECT_EQ(old.handshakes, 0);
}

Async<void> PutAndGet(HttpClient& client, std::string url, std::string_view body) {
  for (int i = 0; i < 3; ++i) {
    HttpRequest put;
    put.method = "PUT";
    put.url = url;
    put.body = AsBytes(body);
    put.timeouts.stall = std::chrono::seconds(10);
    Result<HttpResponse> response = co_await client.Send(std::move(put));
    if (!response) co_return response.error();
    Result<std::string> back = co_await ReadAll(*response->body, body.size());
    if (!back) co_return back.error();
    if (*back != body) co_return Corrupt("other bytes came back");
  }
  co_return Ok();
}

asio::awaitable<void> Echo(std::unique_ptr<TlsStream> stream, size_t size) {
  boost::system::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_await stream->async_handshake(asio::ssl::stream_base::server, token);
  std::string buffer;
  std::vector<char> piece(100'000);
  while (!error) {
    size_t end;
    while (!error && (end = buffer.find("\r\n\r\n")) == buffer.npos) {
      const size_t count = co_await stream->async_read_some(asio::buffer(piece), token);
      buffer.append(piece.data(), count);
    }
    if (error) co_return;
    // New keys in the middle of what the client sends: no answer, though something comes.
    if (SSL_version(stream->native_handle()) == TLS1_3_VERSION) {
      SSL_key_update(stream->native_handle(), SSL_KEY_UPDATE_REQUESTED);
      std::string interim = "HTTP/1.1 102 Processing\r\n\r\n";
      co_await asio::async_write(*stream, asio::buffer(interim), token);
    }
    while (!error && buffer.size() < end + 4 + size) {
      const size_t count = co_await stream->async_read_some(asio::buffer(piece), token);
      buffer.append(piece.data(), count);
    }
    std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                         buffer.substr(end + 4);
    buffer.clear();
    co_await asio::async_write(*stream, asio::buffer(answer), token);
  }
}

asio::awaitable<void> AcceptEchoes(testing::RealWorld& world, tcp::acceptor& acceptor,
                                   asio::ssl::context& context, size_t size) {
  while (true) {
    boost::system::error_code error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    world.Start(Echo(std::make_unique<TlsStream>(std::move(socket), context), size));
  }
}

// Sizes around those of records and buffers, in both versions; what TLS itself has to say meanwhile
// (tickets, new keys) is no answer and loses none.
TEST(HttpClientTlsTest, CarriesEveryByteThroughRecordsOfAnySize) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const size_t size : {size_t{1}, size_t{16'000}, size_t{16'384}, size_t{16'389},
                              size_t{40'000}, size_t{3'000'001}}) {
      testing::RealWorld world;
      testing::TlsServer identity("IP:127.0.0.1");
      SSL_CTX_set_max_proto_version(identity.context().native_handle(), version);
      tcp::acceptor acceptor(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
      world.Start(AcceptEchoes(world, acceptor, identity.context(), size));
      auto client = MakeHttpClient(world.runtime, {.ca_file = identity.trust_file()});
      std::string body(size, '\0');
      for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 31 % 251);
      Result<void> done = world.Run(PutAndGet(
          *client, "https://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()), body));
      EXPECT_TRUE(done) << version << " " << size << ": " << done.error().Describe();
    }
  }
}

}  // namespace
}  // namespace longhaul
