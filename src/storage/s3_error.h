// The one place where an answer of an S3 server becomes an Error; the map is in storage/store.h.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_client.h"
#include "storage/s3_xml.h"

namespace longhaul {

// What an answer of 300 or more means. `body`: what came with it, if anything.
Error S3Error(int status, const HttpHeaders& headers, std::string_view body);

// An <Error> without a status of its own: inside an answer of 200, or for one key of many.
Error S3ErrorInside(const S3ErrorText& text);

// Codes that mean: sign again with other credentials.
bool IsCredentialsExpired(const Error& error);
// Codes that mean: our clock is wrong.
bool IsClockSkew(const Error& error);

}  // namespace longhaul
