#include <algorithm>

#include "archive/attributes.h"
#include "archive/index_attributes.h"
#include "migration/giant.h"
#include "transfer/runs/row.h"

namespace longhaul::migration {

uint32_t GiantRow::parts() const {
  return static_cast<uint32_t>(std::max<uint64_t>(1, (size_bytes + part_bytes - 1) / part_bytes));
}

uint32_t GiantRow::ranges() const { return (parts() + range_parts - 1) / range_parts; }

ByteRange GiantRow::RangeOfPart(uint32_t number) const {
  const uint64_t begin = (number - 1) * part_bytes;
  return {.offset_bytes = begin, .size_bytes = std::min(part_bytes, size_bytes - begin)};
}

uint32_t GiantRow::EndPart(uint32_t range) const {
  return std::min(FirstPart(range) + range_parts, parts() + 1);
}

uint64_t GiantRow::RangeBytes(uint32_t range) const {
  const uint64_t begin = (FirstPart(range) - 1) * part_bytes;
  return std::min((EndPart(range) - 1) * part_bytes, size_bytes) - begin;
}

std::string GiantKey(const std::string& task) { return "giant/" + task; }

std::string EncodeGiant(const GiantRow& row) {
  Row out;
  out.Set("plan", row.plan)
      .Set("planned", row.planned)
      .Set("name", row.name)
      .Set("etag", row.etag)
      .Set("version", row.version_id)
      .Set("modified", row.last_modified)
      .Set("replaces", row.replaces)
      .Set("size", row.size_bytes)
      .Set("checksum", row.checksum ? archive::ChecksumText(*row.checksum) : "")
      .Set("part_bytes", row.part_bytes)
      .Set("as_source", row.as_source)
      .Set("range_parts", static_cast<int64_t>(row.range_parts))
      .Set("verdict", row.verdict)
      .Set("reason", row.reason)
      .Set("own_parts", row.own_parts);
  return out.Encode();
}

Result<GiantRow> DecodeGiant(const StateRow& state) {
  Result<Row> row = Row::Decode(state.value);
  if (!row) return row.error();
  GiantRow giant{.plan = row->Text("plan"),
                 .name = row->Text("name"),
                 .etag = row->Text("etag"),
                 .version_id = row->Text("version"),
                 .replaces = row->Text("replaces"),
                 .size_bytes = static_cast<uint64_t>(row->Number("size")),
                 .part_bytes = static_cast<uint64_t>(row->Number("part_bytes")),
                 .as_source = row->Flag("as_source"),
                 .range_parts = static_cast<uint32_t>(row->Number("range_parts")),
                 .verdict = row->Text("verdict"),
                 .reason = row->Text("reason"),
                 .own_parts = row->Flag("own_parts"),
                 .revision = state.revision};
  giant.planned = row->Time("planned").value_or(SystemTime{});
  giant.last_modified = row->Time("modified").value_or(SystemTime{});
  if (!row->Text("checksum").empty()) giant.checksum = archive::ReadChecksum(row->Text("checksum"));
  if (giant.plan.empty() || giant.part_bytes == 0 || giant.range_parts == 0) {
    return Corrupt("State holds a giant that cannot be read: " + state.value.substr(0, 200));
  }
  return giant;
}

}  // namespace longhaul::migration
