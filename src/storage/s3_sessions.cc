#include "storage/s3_sessions.h"

#include <algorithm>
#include <utility>

#include "aws/refreshing_credentials.h"
#include "storage/s3_client.h"
#include "storage/s3_xml.h"

namespace longhaul {
namespace {

class SessionSource : public CredentialsSource {
 public:
  SessionSource(S3Client& client, std::string bucket)
      : client_(client), bucket_(std::move(bucket)) {}

  Async<Credentials> Fetch() override {
    S3Request request{.bucket = bucket_, .query = {{"session", ""}}};
    Result<S3Answer> answer = co_await client_.Call(request);
    if (!answer) co_return answer.error().In("CreateSession " + bucket_);
    Result<Credentials> session = ParseS3Session(answer->text);
    if (!session) co_return session.error().In("CreateSession " + bucket_);
    co_return session;
  }

 private:
  S3Client& client_;
  std::string bucket_;
};

}  // namespace

bool TakesSession(const S3Request& request) {
  if (request.key.empty()) {
    if (request.method == "HEAD") return false;
    return std::ranges::none_of(request.query,
                                [](const auto& field) { return field.first == "session"; });
  }
  // The session of one bucket says nothing of the other.
  return request.headers.Find("x-amz-copy-source") == nullptr;
}

std::shared_ptr<CredentialsProvider> MakeS3Sessions(S3Client& client, std::string bucket) {
  return MakeRefreshingCredentials(client.runtime(),
                                   std::make_unique<SessionSource>(client, std::move(bucket)));
}

}  // namespace longhaul
