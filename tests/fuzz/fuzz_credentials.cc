// Any bytes as what services, processes and files say about credentials: no crash, and nothing that
// could not go into a header comes out.

#include <cstdint>
#include <string_view>

#include "aws/credentials_text.h"
#include "aws/profile_files.h"
#include "base/check.h"

namespace {

void Check(const longhaul::Result<longhaul::Credentials>& credentials) {
  if (!credentials) {
    LH_CHECK(credentials.error().kind == longhaul::ErrorKind::kDenied);
    return;
  }
  LH_CHECK(longhaul::IsHeaderText(credentials->access_key_id, 128));
  LH_CHECK(longhaul::IsHeaderText(credentials->secret_access_key.Reveal(), 1 << 10));
  LH_CHECK(credentials->session_token.empty() ||
           longhaul::IsHeaderText(credentials->session_token.Reveal(), 16 << 10));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Check(ParseMetadataCredentials(text));
  Check(ParseProcessCredentials(text));
  Check(ParseSsoCredentials(text));
  Check(ParseKeptCredentials(text));
  Check(ParseStsCredentials(text));
  Result<SsoToken> token = ParseSsoToken(text);
  if (token) LH_CHECK(IsHeaderText(token->access_token.Reveal(), 16 << 10));
  const StsErrorText error = ParseStsError(text);
  LH_CHECK(error.code.size() <= 64 && error.request_id.size() <= 64);
  LH_CHECK(Quotable(error.message).size() <= 310);
  Result<ProfileSections> sections = ParseProfileFile("config", text);
  if (sections) {
    for (const auto& [name, section] : *sections) LH_CHECK(!name.empty());
  }
  return 0;
}
