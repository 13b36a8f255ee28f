#include "replication/target/apply_trace.h"

#include <utility>

#include "observe/tracer.h"

namespace longhaul {

ApplyTrace::ApplyTrace(ReplicationContext& context, const TargetContext& target,
                       const ArchiveManifest& manifest, SystemTime begin)
    : context_(context) {
  if (context.tracer == nullptr || manifest.traceparent.empty()) return;
  const std::optional<SpanContext> source = Tracer::Follow(manifest.traceparent);
  if (!source) return;
  const SpanAttributes common{{"longhaul.rule", manifest.rule_id},
                              {"longhaul.target", target.config->name},
                              {"longhaul.archive", manifest.id}};
  apply_ = Span{.context = context.tracer->Another(*source),
                .parent_id = source->span_id,
                .name = "apply archive",
                .kind = Span::Kind::kConsumer,
                .begin = begin,
                .attributes = common,
                .error = "not all of it has been applied"};
  apply_->attributes.emplace_back("aws.s3.bucket", target.config->to.bucket);
  Span read{.context = context.tracer->Another(*source),
            .parent_id = apply_->context.span_id,
            .name = "read archive",
            .kind = Span::Kind::kClient,
            .begin = begin,
            .end = context.runtime.clock.Now(),
            .attributes = common};
  read.attributes.emplace_back("rpc.system", "aws-api");
  read.attributes.emplace_back("aws.s3.bucket", target.staging_bucket);
  context.tracer->Add(std::move(read));
}

ApplyTrace::~ApplyTrace() {
  if (!apply_) return;
  apply_->end = context_.runtime.clock.Now();
  context_.tracer->Add(std::move(*apply_));
}

void ApplyTrace::Applied(uint64_t objects, uint64_t applied) {
  if (!apply_) return;
  apply_->error.reset();
  apply_->attributes.emplace_back("longhaul.objects", static_cast<int64_t>(objects));
  apply_->attributes.emplace_back("longhaul.objects_applied", static_cast<int64_t>(applied));
}

}  // namespace longhaul
