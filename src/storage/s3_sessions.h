// The sessions of directory buckets: credentials of a few minutes, one set for each bucket, which
// CreateSession gives for the account's own.
//
// Internal to the S3 store. Source: S3 User Guide, "Authorizing Zonal endpoint API operations with
// CreateSession"; S3 API Reference, CreateSession, CopyObject and HeadBucket (which take none).

#pragma once

#include <memory>
#include <string>

#include "aws/credentials.h"

namespace longhaul {

class S3Client;
struct S3Request;

// Whether a request at a directory bucket is signed with a session; else with the credentials that
// sessions are made of.
bool TakesSession(const S3Request& request);

// Fetched when they are first asked for, and again before they run out
// (aws/refreshing_credentials.h). `client` outlives them.
std::shared_ptr<CredentialsProvider> MakeS3Sessions(S3Client& client, std::string bucket);

}  // namespace longhaul
