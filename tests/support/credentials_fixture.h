// A home folder, an environment, and a local server that stands in for the services that give
// credentials: each answers as the test says, and what it was asked is kept.

#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/default_credentials.h"
#include "net/http_server.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace longhaul::testing {

// Reaches nobody, and keeps whom it was to ask.
class NobodyHttp : public HttpClient {
 public:
  Async<HttpResponse> Send(HttpRequest request) override {
    urls.push_back(request.url);
    co_return Retryable("nobody is there");
  }
  std::vector<std::string> urls;
};

// A client for which an hour is a minute and a second 17 ms: what is slow to it would be slow in
// earnest, and no test has to wait for it.
class HurriedHttp : public HttpClient {
 public:
  explicit HurriedHttp(const Runtime& runtime)
      : http_(MakeHttpClient(runtime, {.requests_max = 8})) {}
  Async<HttpResponse> Send(HttpRequest request) override {
    // None: it would wait for ever.
    EXPECT_GT(request.timeouts.total.count(), 0);
    EXPECT_LE(request.timeouts.total, std::chrono::seconds(10));
    for (std::chrono::milliseconds* time :
         {&request.timeouts.connect, &request.timeouts.stall, &request.timeouts.total}) {
      *time /= 60;
    }
    co_return co_await http_->Send(std::move(request));
  }

 private:
  std::unique_ptr<HttpClient> http_;
};

class CredentialsFixture : public ::testing::Test {
 protected:
  struct Asked {
    std::string method;
    std::string target;  // "/path?query"
    HttpHeaders headers;
    std::string body;
  };
  struct Answer {
    int status = 200;
    std::string body;
    HttpHeaders headers{};
    std::chrono::milliseconds after{0};
  };

  CredentialsFixture() {
    std::filesystem::create_directory(home_.file(".aws"));
    variables_["HOME"] = home_.path();
    // No test asks the machine that it runs on.
    variables_["AWS_EC2_METADATA_DISABLED"] = "true";
    server_ = std::make_unique<HttpServer>(
        world_.runtime, [this](HttpServerRequest& request, HttpServerResponse& response) {
          return Serve(request, response);
        });
    EXPECT_TRUE(world_.Run(server_->Listen("127.0.0.1:0")));
    url_ = "http://" + server_->address();
  }
  ~CredentialsFixture() override {
    stopping_.Set();
    EXPECT_TRUE(world_.Run(server_->Stop(std::chrono::milliseconds(0))));
  }

  std::string Write(const std::string& name, std::string_view text) {
    const std::string path = home_.file(".aws/" + name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  EnvironmentReader Environment() {
    return [this](const std::string& name) -> std::optional<std::string> {
      auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    };
  }
  std::shared_ptr<CredentialsProvider> Chain(DefaultCredentialsOptions options = {}) {
    return MakeDefaultCredentials(world_.runtime, Environment(), std::move(options));
  }
  Result<std::shared_ptr<const Credentials>> Get(DefaultCredentialsOptions options = {}) {
    auto chain = Chain(std::move(options));
    return world_.Run(chain->Get());
  }
  // The access key id, or the error as people see it.
  std::string Told(DefaultCredentialsOptions options = {}) {
    Result<std::shared_ptr<const Credentials>> got = Get(std::move(options));
    return got ? (*got)->access_key_id : got.error().Describe();
  }

  // A service that is slow, and one that stumbles, give what they have; one that never answers is
  // not waited for, and neither is one that stops in the middle. `id`: what it gives.
  void ExpectSlowAndBrokenAnswersAreHeld(const std::string& id, const std::string& service,
                                         const DefaultCredentialsOptions& options = {}) {
    const std::function<Answer(const Asked&)> good = answer_;
    size_t asked = 0;
    answer_ = [&](const Asked& question) {
      if (++asked == 1) return Answer{.status = 503, .body = "<html>"};
      Answer answer = good(question);
      answer.after = std::chrono::milliseconds(300);
      return answer;
    };
    EXPECT_EQ(Told(options), id);
    EXPECT_GE(asked, 2u);

    HurriedHttp http(world_.runtime);
    DefaultCredentialsOptions hurried = options;
    hurried.http = &http;
    variables_["AWS_MAX_ATTEMPTS"] = "2";
    asked_.clear();
    answer_ = [&](const Asked& question) {
      Answer answer = good(question);
      answer.after = std::chrono::seconds(60);
      return answer;
    };
    Result<std::shared_ptr<const Credentials>> got = Get(hurried);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, ErrorKind::kRetryable) << got.error().Describe();
    EXPECT_NE(got.error().Describe().find(service), std::string::npos) << got.error().Describe();
    EXPECT_NE(got.error().Describe().find("2 attempts"), std::string::npos)
        << got.error().Describe();
    EXPECT_EQ(asked_.size(), 2u);
    variables_.erase("AWS_MAX_ATTEMPTS");
    answer_ = good;
  }

  TempDir home_;
  std::map<std::string, std::string> variables_;
  RealWorld world_;
  std::function<Answer(const Asked&)> answer_ = [](const Asked&) {
    return Answer{.status = 404, .body = ""};
  };
  std::vector<Asked> asked_;
  std::string url_;

 private:
  asio::awaitable<void> Serve(HttpServerRequest& request, HttpServerResponse& response) {
    Result<std::string> body = co_await request.ReadBody(1 << 20);
    Asked asked{.method = request.method(),
                .target = std::string(request.head.target),
                .headers = request.headers(),
                .body = body ? *body : ""};
    asked_.push_back(asked);
    Answer answer = answer_(asked);
    if (answer.after.count() > 0) {
      co_await stopping_.WaitFor(world_.clock, answer.after);
    }
    response.status = answer.status;
    response.headers = answer.headers;
    // The client may have gone: nothing to do about that.
    static_cast<void>(co_await response.Send(std::move(answer.body)));
  }

  std::unique_ptr<HttpServer> server_;
  Event stopping_;  // Slow answers need not be waited for.
};

}  // namespace longhaul::testing
