#include "replication/source/pack_trace.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "observe/tracer.h"

namespace longhaul {

namespace {

// What a comparison has found bears the time at which the object was written: not one of an event.
constexpr std::chrono::hours kWaitMax{24};

}  // namespace

PackTrace::PackTrace(ReplicationContext& context, const Rule& rule, SystemTime heard)
    : context_(context), rule_(rule) {
  if (context.tracer == nullptr) return;
  const std::optional<SpanContext> first = context.tracer->Begin();
  if (!first) return;
  const SystemTime now = Now();
  events_ = Span{.context = *first,
                 .name = "take up events",
                 .kind = Span::Kind::kConsumer,
                 .begin = heard > now - kWaitMax ? std::min(heard, now) : now,
                 .end = now,
                 .attributes = {{"longhaul.rule", rule.id},
                                {"aws.s3.bucket", rule.source.bucket},
                                {"messaging.operation.type", "process"}}};
  pack_ = Span{.context = context.tracer->Another(*first),
               .parent_id = first->span_id,
               .name = "pack archive",
               .begin = now,
               .attributes = {{"longhaul.rule", rule.id}}};
}

void PackTrace::Destination(const std::string& bucket, const std::string& key) {
  if (!on()) return;
  uploads_.push_back({.context = context_.tracer->Another(pack_->context),
                      .parent_id = pack_->context.span_id,
                      .name = "upload archive",
                      .kind = Span::Kind::kClient,
                      .begin = Now(),
                      .attributes = {{"longhaul.rule", rule_.id},
                                     {"rpc.system", "aws-api"},
                                     {"aws.s3.bucket", bucket},
                                     {"aws.s3.key", key}}});
}

void PackTrace::Packed(const std::string& archive, const Result<ArchiveSummary>& summary,
                       const Content& content) {
  if (!on()) return;
  events_->attributes.emplace_back("messaging.batch.message_count",
                                   static_cast<int64_t>(content.objects));
  pack_->end = Now();
  pack_->attributes.emplace_back("longhaul.archive", archive);
  pack_->attributes.emplace_back("longhaul.objects", static_cast<int64_t>(content.objects));
  pack_->attributes.emplace_back("longhaul.bytes", static_cast<int64_t>(content.bytes));
  pack_->attributes.emplace_back("longhaul.level", static_cast<int64_t>(content.level));
  if (summary) {
    pack_->attributes.emplace_back("longhaul.archive_bytes",
                                   static_cast<int64_t>(summary->compressed_bytes));
  } else {
    pack_->error = summary.error().Describe();
    pack_->attributes.emplace_back("error.type", std::string(ToString(summary.error().kind)));
  }
  context_.tracer->Add(std::move(*events_));
  context_.tracer->Add(*pack_);
}

void PackTrace::Uploaded(const std::vector<Result<void>>& uploads) {
  if (!on()) return;
  for (size_t i = 0; i < uploads_.size() && i < uploads.size(); ++i) {
    uploads_[i].end = Now();
    if (!uploads[i]) {
      uploads_[i].error = uploads[i].error().Describe();
      uploads_[i].attributes.emplace_back("error.type",
                                          std::string(ToString(uploads[i].error().kind)));
    }
    context_.tracer->Add(std::move(uploads_[i]));
  }
  uploads_.clear();
}

}  // namespace longhaul
