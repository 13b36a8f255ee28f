// The XML that the gateway reads and writes. Reading is bounded by the size of the body that the
// caller let in; entities that a document declares itself are not expanded (pugixml ignores DTDs).

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/store.h"

namespace longhaul {

// Writes elements; text is escaped, and what XML 1.0 cannot hold becomes a character reference.
class XmlWriter {
 public:
  explicit XmlWriter(std::string_view root);
  void Open(std::string_view name);
  void Close();
  void Text(std::string_view name, std::string_view value);
  void Raw(std::string_view xml) { text_ += xml; }
  [[nodiscard]] std::string Finish();

 private:
  std::string text_;
  std::vector<std::string> open_;
};

// kInvalidInput, code MalformedXML; NotImplemented for an element that asks for what the gateway
// does not do.
struct CompleteBody {
  std::vector<UploadedPart> parts;
};
Result<CompleteBody> ParseComplete(std::string_view xml);
struct DeleteBody {
  bool quiet = false;
  std::vector<RemoveRequest> requests;
};
Result<DeleteBody> ParseDelete(std::string_view xml);
Result<Tags> ParseTagging(std::string_view xml);
Result<bool> ParseVersioning(std::string_view xml);
// A CreateBucketConfiguration, or nothing. Any region will do: there is one place here.
Result<void> CheckCreateBucket(std::string_view xml);

}  // namespace longhaul
