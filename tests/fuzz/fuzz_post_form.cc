// Any bytes as a form of an upload: no crash, a file that lies in the body, and bounded fields.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "gateway/protocol/post_form.h"

namespace longhaul {
namespace {

Result<PostForm> Parse(std::string_view content_type, std::string_view body) {
  std::string_view begin = body.substr(0, kPostFieldsBytesMax);
  Result<PostForm> form = ParsePostFields(content_type, begin, begin.size() < body.size());
  if (!form) return form;
  Result<void> found = FindPostFile(*form, body);
  if (!found) return found.error();
  return form;
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view body(reinterpret_cast<const char*>(data), size);
  (void)Parse(body, body);
  Result<PostForm> form = Parse("multipart/form-data; boundary=B", body);
  if (!form) return 0;
  LH_CHECK(form->file->data() >= body.data());
  LH_CHECK(form->file->data() + form->file->size() <= body.data() + body.size());
  size_t total = 0;
  for (const auto& [name, value] : form->fields) total += name.size() + value.size();
  LH_CHECK(total <= (20 << 10));
  (void)CheckPostPolicy(*form, "b", SystemTime());
  return 0;
}
