// What a message's bytes look like in SQS, which takes no bytes but text (XML 1.0's characters).
//
// Text goes as it is, so that a person can read it in the console. What cannot is Base64 behind
// "b64:". What is long is compressed, in Base64 behind "zst:": each 64 KiB of a request are paid
// for as one. A message that somebody else has put there is read as the text that it is.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

std::string EncodeSqsBody(std::string_view body);
// kInvalidInput: not what EncodeSqsBody makes, or more than kMessageSizeMaxBytes of it.
Result<std::string> DecodeSqsBody(std::string_view text);

}  // namespace longhaul
