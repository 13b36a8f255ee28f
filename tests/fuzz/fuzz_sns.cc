// Any bytes as an answer of SNS, or as the ARN of a topic: no crash, and what an error shows of
// them is bounded and printable.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "aws/sns_client.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string arn = "arn:aws:sns:eu-west-1:123456789012:alarms";
  const auto printable = [](std::string_view shown) {
    return std::ranges::all_of(shown, [](char c) { return c >= ' ' && c <= '~'; });
  };
  for (int status : {200, 400, 403, 404, 429, 500, 0}) {
    Result<void> answer = ReadSnsAnswer(status, text, arn);
    if (answer) {
      LH_CHECK(status == 200 && text.find("<MessageId>") != text.npos);
      continue;
    }
    const Error& error = answer.error();
    LH_CHECK(error.message.size() <= 1'000 && error.code.size() <= 1'000);
    LH_CHECK(printable(error.message) && printable(error.code) && printable(error.request_id));
  }
  Result<SnsTopic> topic = ParseSnsTopic(text);
  if (topic) LH_CHECK(topic->arn == text && !topic->region.empty());
  return 0;
}
