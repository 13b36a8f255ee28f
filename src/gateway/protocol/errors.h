// S3's error codes, each with the status that it is answered with.
//
// Facts: S3 API Reference, "Error responses".

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

// kInvalidInput with one of S3's codes.
Error GatewayError(std::string code, std::string message);
// kDenied with one of S3's codes.
Error GatewayDenied(std::string code, std::string message);

struct GatewayErrorAnswer {
  std::string_view code;
  int status = 500;
};
// What S3 would have said: by the error's own code, and where that is none of S3's, by its kind.
GatewayErrorAnswer GatewayAnswerFor(const Error& error);

}  // namespace longhaul
