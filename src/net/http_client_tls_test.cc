// HttpClient over TLS, against a server with a certificate made here.

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/ssl/impl/src.hpp>  // Only this test speaks TLS by Asio.
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <fstream>

#include "net/http_client.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using asio::ip::tcp;

struct Identity {
  std::string certificate_pem;
  std::string key_pem;
};

std::string Pem(const std::function<int(BIO*)>& write) {
  BIO* memory = BIO_new(BIO_s_mem());
  write(memory);
  char* data = nullptr;
  long size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(memory);
  return text;
}

// Signed by itself, for `name` ("IP:127.0.0.1").
Identity MakeIdentity(const char* name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, name);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(certificate, key, EVP_sha256());
  Identity identity{
      Pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); }), Pem([&](BIO* out) {
        return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
      })};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
}

using TlsStream = asio::ssl::stream<tcp::socket>;

asio::awaitable<void> AnswerOne(std::unique_ptr<TlsStream> stream) {
  boost::system::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_await stream->async_handshake(asio::ssl::stream_base::server, token);
  if (error) co_return;
  asio::streambuf buffer;
  co_await asio::async_read_until(*stream, buffer, "\r\n\r\n", token);
  if (error) co_return;
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  co_await asio::async_write(*stream, asio::buffer(answer), token);
}

asio::awaitable<void> Accept(testing::RealWorld& world, tcp::acceptor& acceptor,
                             asio::ssl::context& context) {
  while (true) {
    boost::system::error_code error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    world.Start(AnswerOne(std::make_unique<TlsStream>(std::move(socket), context)));
  }
}

Async<std::string> Fetch(HttpClient& client, std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  Result<HttpResponse> response = co_await client.Send(std::move(request));
  if (!response) co_return response.error();
  co_return co_await ReadAll(*response->body, 1000);
}

// A certificate that nobody vouches for, or for another name, must end it before a key is sent.
TEST(HttpClientTlsTest, TrustsOnlyWhatItIsToldTo) {
  struct Case {
    const char* name;
    bool trusted;
    bool works;
  };
  for (const Case& one : {Case{"IP:127.0.0.1", true, true}, Case{"IP:127.0.0.1", false, false},
                          Case{"DNS:other.example", true, false}}) {
    testing::RealWorld world;
    Identity identity = MakeIdentity(one.name);
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.use_certificate_chain(asio::buffer(identity.certificate_pem));
    context.use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
    tcp::acceptor acceptor(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    world.Start(Accept(world, acceptor, context));

    char file[] = "/tmp/longhaul-ca-XXXXXX";
    int fd = ::mkstemp(file);
    ASSERT_GE(fd, 0);
    ::close(fd);
    std::ofstream(file) << (one.trusted ? identity : MakeIdentity("IP:127.0.0.1")).certificate_pem;
    auto client = MakeHttpClient(world.runtime, {.ca_file = file});
    Result<std::string> text = world.Run(Fetch(
        *client, "https://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()) + "/"));
    EXPECT_EQ(text.has_value(), one.works) << one.name;
    if (!text) EXPECT_EQ(text.error().kind, ErrorKind::kDenied) << text.error().Describe();
    std::remove(file);
  }
}

}  // namespace
}  // namespace longhaul
