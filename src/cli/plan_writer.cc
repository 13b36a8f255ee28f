#include "cli/plan_writer.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace longhaul {

Result<PlanWriter> PlanWriter::Create(std::string path, const PlanHead& head) {
  File file(std::fopen(path.c_str(), "we"), std::fclose);
  if (file == nullptr) {
    return InvalidInput("--plan: cannot write to " + path + ": " + std::strerror(errno));
  }
  PlanWriter writer(std::move(path), std::move(file));
  writer.Write(EncodePlan(head));
  return writer;
}

void PlanWriter::Write(const std::string& line) {
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
      std::fputc('\n', file_.get()) == EOF) {
    failed_ = true;
  }
}

void PlanWriter::OnChosen(const SyncStep& step) {
  ++written_.copies;
  PlanStep planned{.kind = PlanStep::Kind::kCopy,
                   .name = std::string(step.name),
                   .size_bytes = step.source->size_bytes,
                   .etag = step.source->etag,
                   .reason = std::string(step.decision.reason)};
  if (step.target != nullptr) planned.target_etag = step.target->etag;
  Write(EncodePlan(planned));
}

void PlanWriter::OnRemoved(const SyncStep& step) {
  ++written_.removals;
  Write(EncodePlan(PlanStep{.kind = PlanStep::Kind::kRemove,
                            .name = std::string(step.name),
                            .size_bytes = step.target->size_bytes,
                            .etag = step.target->etag,
                            .reason = std::string(step.decision.reason)}));
}

Result<void> PlanWriter::Finish(uint64_t failed, bool removals_withheld) {
  written_.failed = failed;
  written_.removals_withheld = removals_withheld;
  Write(EncodePlan(written_));
  if (std::fclose(file_.release()) != 0 || failed_) {
    return Retryable("--plan: " + path_ + " could not be written in full");
  }
  return Ok();
}

}  // namespace longhaul
