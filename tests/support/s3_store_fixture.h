// S3StoreTest: an S3 store whose server gives planned answers.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "storage/s3_store.h"
#include "tests/support/run.h"

namespace longhaul::testing {

class AnswerBody : public HttpBody {
 public:
  // `asked_most`: set to how much has been asked for at once.
  AnswerBody(std::string text, bool cut, size_t* asked_most = nullptr)
      : text_(std::move(text)), cut_(cut), asked_most_(asked_most) {}
  Async<size_t> Read(std::span<std::byte> out) override {
    if (asked_most_ != nullptr) *asked_most_ = std::max(*asked_most_, out.size());
    size_t count = std::min(out.size(), text_.size() - at_);
    if (count == 0 && cut_) co_return Retryable("cut");
    std::memcpy(out.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

 private:
  std::string text_;
  bool cut_;
  size_t* asked_most_;
  size_t at_ = 0;
  HttpHeaders trailers_;
};

// Other keys after each renewal: K0, K1 …
class RenewedCredentials : public CredentialsProvider {
 public:
  Async<std::shared_ptr<const Credentials>> Get() override {
    co_return std::make_shared<const Credentials>(
        Credentials{.access_key_id = "K" + std::to_string(renewals),
                    .secret_access_key = Secret("S"),
                    .session_token = {},
                    .expires = {}});
  }
  bool Invalidate() override {
    ++renewals;
    return true;
  }
  int renewals = 0;
};

struct Answer {
  int status = 200;
  HttpHeaders headers;
  std::string body;
  bool cut_body = false;
  std::optional<Error> error;  // Instead of an answer.
};

struct Seen {
  HttpRequest request;
  std::string body;
};

// Gives the planned answers in order, and the last one for ever.
class PlannedHttp : public HttpClient {
 public:
  Async<HttpResponse> Send(HttpRequest request) override {
    std::string body;
    if (request.body) body = AsText(*request.body);
    if (request.source) {
      std::vector<std::byte> buffer(256 << 10);
      while (true) {
        Result<size_t> count = co_await request.source->Read(buffer);
        if (!count) co_return count.error();
        if (*count == 0) break;
        body += AsText(std::span(buffer).first(*count));
      }
    }
    seen.push_back({std::move(request), std::move(body)});
    under_way_most = std::max(under_way_most, ++under_way);
    if (takes.count() > 0) co_await world->clock.Sleep(takes);
    --under_way;
    Answer answer = answers.front();
    if (answers.size() > 1) answers.pop_front();
    if (answer.error) co_return *answer.error;
    HttpResponse response;
    response.status = answer.status;
    response.headers = answer.headers;
    response.body = std::make_unique<AnswerBody>(answer.body, answer.cut_body, &asked_most);
    co_return response;
  }
  std::deque<Answer> answers;
  std::vector<Seen> seen;
  FakeWorld* world = nullptr;
  std::chrono::milliseconds takes{0};
  int under_way = 0;
  int under_way_most = 0;
  size_t asked_most = 0;  // Of a body at once.
};

class S3StoreTest : public ::testing::Test {
 protected:
  S3StoreTest() {
    http.world = &world;
    options.endpoint = "http://127.0.0.1:9000";
    options.credentials = MakeStaticCredentials({.access_key_id = "K",
                                                 .secret_access_key = Secret("S"),
                                                 .session_token = {},
                                                 .expires = {}});
  }
  Store& Open() {
    Result<std::unique_ptr<Store>> made = MakeS3Store(world.runtime, options, &http);
    EXPECT_TRUE(made) << made.error().Describe();
    store = std::move(*made);
    return *store;
  }
  static PutRequest At(std::string key) {
    PutRequest request;
    request.bucket = "bucket";
    request.key = std::move(key);
    return request;
  }
  static GetRequest From(std::string key) {
    GetRequest request;
    request.bucket = "bucket";
    request.key = std::move(key);
    return request;
  }
  static Answer ErrorAnswer(int status, std::string code) {
    return {.status = status,
            .headers = {},
            .body = "<Error><Code>" + code + "</Code></Error>",
            .cut_body = false,
            .error = {}};
  }
  static Answer Broken() {
    return {.status = 0, .headers = {}, .body = "", .cut_body = false, .error = Retryable("reset")};
  }

  FakeWorld world;
  PlannedHttp http;
  S3StoreOptions options;
  std::unique_ptr<Store> store;
};

}  // namespace longhaul::testing
