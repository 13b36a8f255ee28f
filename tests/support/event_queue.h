// A queue of SQS into which S3 sends the events of buckets.

#pragma once

#include <string>

#include "tests/support/fake_sqs.h"

namespace longhaul::testing {

// As S3 sends it.
inline std::string S3EventOf(const std::string& bucket, const std::string& key) {
  return R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-03-01T08:30:00Z",)"
         R"("eventName":"ObjectCreated:Put","s3":{"bucket":{"name":")" +
         bucket + R"("},"object":{"key":")" + key + R"(","size":7}}}]})";
}

// With `dead` for what has been received five times.
inline void AddEventQueue(FakeSqs& sqs, const std::string& name, const std::string& dead) {
  sqs.queues[dead];
  sqs.queues[name].attributes["RedrivePolicy"] =
      R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111122223333:)" + dead +
      R"(","maxReceiveCount":5})";
}

}  // namespace longhaul::testing
