#include "gateway/part_notes.h"

#include <utility>

namespace longhaul {
namespace {

constexpr size_t kNotesMax = 100'000;  // Of 150 bytes or so.

}  // namespace

void GatewayPartNotes::Add(const std::string& upload_id, int number, std::string etag,
                           Checksum checksum) {
  // Ids of uploads begin with their time in most stores: the first is the oldest.
  while (count_ >= kNotesMax) Forget(std::string(uploads_.begin()->first));
  auto [at, added] =
      uploads_[upload_id].insert_or_assign(number, Note{std::move(etag), std::move(checksum)});
  if (added) ++count_;
}

std::optional<Checksum> GatewayPartNotes::Find(const std::string& upload_id, int number,
                                               const std::string& etag,
                                               ChecksumAlgorithm algorithm) const {
  auto upload = uploads_.find(upload_id);
  if (upload == uploads_.end()) return std::nullopt;
  auto note = upload->second.find(number);
  if (note == upload->second.end() || note->second.etag != etag) return std::nullopt;
  if (note->second.checksum.algorithm != algorithm) return std::nullopt;
  return note->second.checksum;
}

void GatewayPartNotes::Forget(const std::string& upload_id) {
  auto upload = uploads_.find(upload_id);
  if (upload == uploads_.end()) return;
  count_ -= upload->second.size();
  uploads_.erase(upload);
}

}  // namespace longhaul
