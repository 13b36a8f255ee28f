// Which HttpClient serves a request: by its scheme, and by the proxy.

#include "net/http_client_curl.h"
#include "net/http_client_plain.h"

namespace longhaul {
namespace {

class ChoosingClient : public HttpClient {
 public:
  ChoosingClient(const Runtime& runtime, HttpClientOptions options)
      : runtime_(runtime), options_(std::move(options)) {}

  Async<HttpResponse> Send(HttpRequest request) override {
    const bool plain = options_.proxy.empty() && request.url.starts_with("http://");
    // Made when it is first needed: nearly every program speaks to one kind of server.
    std::unique_ptr<HttpClient>& client = plain ? plain_ : curl_;
    if (!client) {
      client =
          plain ? MakePlainHttpClient(runtime_, options_) : MakeCurlHttpClient(runtime_, options_);
    }
    return client->Send(std::move(request));
  }

 private:
  Runtime runtime_;
  HttpClientOptions options_;
  std::unique_ptr<HttpClient> plain_;
  std::unique_ptr<HttpClient> curl_;
};

}  // namespace

std::unique_ptr<HttpClient> MakeHttpClient(const Runtime& runtime, HttpClientOptions options) {
  return std::make_unique<ChoosingClient>(runtime, std::move(options));
}

}  // namespace longhaul
