// Any bytes as tar headers, as pax records, and as a path that tells a key.

#include <cstdint>

#include "archive/member_path.h"
#include "archive/tar.h"
#include "base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  archive::TarMember member;
  (void)archive::ParsePaxRecords(text, member);
  if (auto parsed = archive::ParseTarHeaders(AsBytes(text)); parsed) {
    if (parsed->header_bytes > size) __builtin_trap();
    (void)archive::KeyFromPath(parsed->member.path);
  }
  // Every key has a path, and the path is one that any tar may unpack.
  if (size == 0) return 0;
  archive::MemberPaths paths;
  const std::string path = paths.PathFor(text, 1);
  const std::string again = paths.PathFor(text, 2);
  if (path == again || path.empty() || path.front() == '/' || path.back() == '/') __builtin_trap();
  if (("/" + path + "/").find("/../") != std::string::npos) __builtin_trap();
  if (const auto key = archive::KeyFromPath(path); key && *key != text) __builtin_trap();
  const std::string headers = archive::WriteTarHeaders({.path = path, .size_bytes = 7});
  const auto back = archive::ParseTarHeaders(AsBytes(headers));
  if (!back || back->member.path != path || back->header_bytes != headers.size()) __builtin_trap();
  return 0;
}
