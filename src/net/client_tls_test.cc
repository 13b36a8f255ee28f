#include "net/client_tls.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <ctime>
#include <memory>

namespace longhaul {
namespace {

SSL_SESSION* NewSession([[maybe_unused]] SSL_CTX* context) {
#ifdef OPENSSL_IS_BORINGSSL
  return SSL_SESSION_new(context);
#else
  return SSL_SESSION_new();
#endif
}

struct Free {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

// The clock that dates a session and the one that it is compared with are not the same to the tick.
TEST(TlsContextTest, TheLastSessionIsForABurst) {
  std::unique_ptr<SSL_CTX, Free> made_by(SSL_CTX_new(TLS_client_method()));
  struct Case {
    time_t age;
    bool for_all;
  };
  for (const Case& c :
       {Case{0, true}, Case{-1, true}, Case{5, true}, Case{3600, false}, Case{-3600, false}}) {
    Result<std::shared_ptr<TlsContext>> context = TlsContext::Make("", true);
    ASSERT_TRUE(context) << context.error().Describe();
    SSL_SESSION* session = NewSession(made_by.get());
    ASSERT_EQ(SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION), 1);
    SSL_SESSION_set_time(session, std::time(nullptr) - c.age);
    (*context)->KeepSession("origin", session);
    std::unique_ptr<SSL_SESSION, Free> first((*context)->TakeSession("origin"));
    std::unique_ptr<SSL_SESSION, Free> second((*context)->TakeSession("origin"));
    EXPECT_NE(first, nullptr) << c.age;
    EXPECT_EQ(second != nullptr, c.for_all) << c.age;
    EXPECT_EQ((*context)->TakeSession("another"), nullptr);
  }
}

}  // namespace
}  // namespace longhaul
