// Any bytes as a form of an upload: no crash, a file that lies in the body, and bounded fields.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "gateway/protocol/post_form.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view body(reinterpret_cast<const char*>(data), size);
  (void)ParsePostForm(body, body);
  Result<PostForm> form = ParsePostForm("multipart/form-data; boundary=B", body);
  if (!form) return 0;
  LH_CHECK(form->file.data() >= body.data());
  LH_CHECK(form->file.data() + form->file.size() <= body.data() + body.size());
  size_t total = 0;
  for (const auto& [name, value] : form->fields) total += name.size() + value.size();
  LH_CHECK(total <= (20 << 10));
  (void)CheckPostPolicy(*form, "b", SystemTime());
  return 0;
}
