// S3Endpoint: where the requests of an S3 store go: the host and the path of each bucket, and the
// region for which they are signed.
//
// Credentials go to no host but one below the endpoint that was configured: on AWS hosts are made
// of region names of the endpoint's own partition, elsewhere an answer may name another host only
// if that ends in the endpoint's, or is the endpoint's with the other region in it.
//
// Internal to the S3 store. Belongs to one shard.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_client.h"
#include "storage/s3_store.h"
#include "storage/s3_xml.h"

namespace longhaul {

// What an answer says of where a bucket is; empty: it does not say.
struct S3Redirect {
  std::string region;
  std::string host;  // With its port, perhaps with the bucket in front.
};
// nullopt: the answer sends nobody elsewhere. `text`: its body, where that is an <Error>.
std::optional<S3Redirect> FindS3Redirect(int status, const HttpHeaders& headers,
                                         const std::optional<S3ErrorText>& text);

class S3Endpoint {
 public:
  // kInvalidInput: no http(s) URL, no region, or options that contradict each other.
  static Result<S3Endpoint> Make(const S3StoreOptions& options);

  struct Place {
    std::string host;  // With the port, where it is not the scheme's own.
    std::string path;  // What stands before "/KEY"; empty, or begins with "/".
    std::string region;
    bool bucket_in_path = false;
    bool express = false;  // A directory bucket: signed for "s3express".
  };
  // `bucket` empty: the service itself. `object`: of a request for a key. kInvalidInput: no name
  // of a bucket, or an ARN of what cannot be reached.
  [[nodiscard]] Result<Place> PlaceOf(std::string_view bucket, bool object) const;

  // From now on requests for `bucket` go there. False: they do already, or it is outside of this
  // endpoint.
  bool Follow(const std::string& bucket, const S3Redirect& redirect);

  [[nodiscard]] const std::string& scheme() const { return scheme_; }
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] bool is_aws() const { return is_aws_; }

 private:
  struct Elsewhere {
    std::string host;
    std::string region;
    int hops = 0;
  };

  Result<void> ReadUrl();
  [[nodiscard]] bool UsesVirtualHost(std::string_view bucket) const;
  [[nodiscard]] Result<Place> PlaceOfAccessPoint(std::string_view arn) const;
  [[nodiscard]] Result<Place> PlaceOfDirectory(std::string_view bucket) const;
  // The host of another region of this endpoint; empty: there is none.
  [[nodiscard]] std::string HostIn(std::string_view region) const;

  std::string url_;
  std::string region_;
  AwsWishes wishes_;
  S3Addressing addressing_ = S3Addressing::kAuto;
  bool accelerate_ = false;
  std::string scheme_;
  std::string host_;
  std::string base_path_;  // Of the endpoint; without a slash at its end.
  bool is_aws_ = false;
  std::map<std::string, Elsewhere, std::less<>> elsewhere_;  // By bucket.
};

}  // namespace longhaul
