#include "transfer/uploads/piece_upload.h"

namespace longhaul {

namespace {

Error Busy(std::string why) {
  Error error = Retryable(std::move(why));
  error.code = kUploadBusyCode;
  return error;
}

bool UploadIsGone(const Error& error) { return error.code == "NoSuchUpload"; }

// A transfer whose upload is lost makes way for the one that was planned for it.
bool Replaces(const UploadPlan& plan, const SharedUpload& other) {
  return other.stamp < plan.stamp ||
         (other.stamp == plan.stamp && other.lost_at && other.plan < plan.plan);
}

class PieceSending {
 public:
  PieceSending(SharedUploads& uploads, PieceWork& work)
      : uploads_(uploads), work_(work), plan_(work.Plan()), request_(work.Request()) {}

  // The row of the upload that takes the piece, or what there is to say without one.
  Async<std::optional<PieceResult>> FindUpload() {
    using Done = std::optional<PieceResult>;
    Result<std::optional<SharedUpload>> found = co_await uploads_.Find(request_.key);
    if (!found) co_return found.error();
    const bool same_plan = *found && (*found)->plan == plan_.plan;
    if (same_plan) upload_ = std::move(**found);
    // First: whoever completed it may have been killed before he could say so.
    Result<bool> settled = co_await work_.Settled();
    if (!settled) co_return settled.error();
    if (*settled) {
      Result<PieceResult> over = co_await Over();
      if (!over) co_return over.error();
      co_return Done(*over);
    }
    if (same_plan && upload_->stored.size() != plan_.pieces) {
      Error other = Corrupt("a transfer of " + std::to_string(upload_->stored.size()) +
                            " pieces has one of " + std::to_string(plan_.pieces));
      other.code = kOtherPiecesCode;
      co_return other;
    }
    if (same_plan && upload_->lost_at) co_return Done(Lost());
    if (same_plan) co_return std::nullopt;

    if (*found && !Replaces(plan_, **found)) {
      const bool clash = (*found)->stamp == plan_.stamp && (*found)->etag != plan_.etag;
      co_return Done(Said(clash ? PieceEnd::kClash : PieceEnd::kOutdated));
    }
    Result<SharedUpload> begun = co_await uploads_.Begin(plan_, request_, std::move(*found));
    if (!begun && begun.error().kind == ErrorKind::kPrecondition) {
      co_return Busy("another process has begun the upload");
    }
    if (!begun) co_return begun.error();
    upload_ = std::move(*begun);
    co_return std::nullopt;
  }

  Async<PieceResult> Send() {
    if (!upload_->stored[work_.number()]) {
      Result<std::vector<UploadedPart>> parts = co_await work_.Send(
          {.bucket = uploads_.bucket(), .key = request_.key, .upload_id = upload_->upload_id});
      if (!parts) {
        if (UploadIsGone(parts.error())) co_return co_await AfterLoss();
        co_return parts.error();
      }
      Result<SharedUpload> stored = co_await uploads_.RecordParts(
          request_.key, *upload_, work_.number(), std::move(*parts), work_.md5s());
      if (!stored && stored.error().kind == ErrorKind::kPrecondition) {
        co_return Busy(stored.error().message);
      }
      if (!stored) co_return stored.error();
      upload_ = std::move(*stored);
    }
    if (!upload_->complete()) co_return PieceResult{};

    Result<void> completed = co_await work_.Complete(uploads_, *upload_);
    if (!completed) {
      if (UploadIsGone(completed.error())) co_return co_await AfterLoss();
      co_return completed.error();
    }
    co_return co_await Over();
  }

 private:
  // Said by whoever ends the upload; without one by the first piece.
  PieceResult Said(PieceEnd end) {
    return {.end = end, .speaks = upload_.has_value() || work_.number() == 0};
  }

  Async<PieceResult> Over() {
    // Who completed it may not be who began it, and may have died before he had done all.
    Result<void> done = co_await work_.BeforeEnd();
    if (!done) co_return done.error();
    if (upload_) {
      Result<void> ended = co_await uploads_.End(request_.key, *upload_);
      if (!ended) co_return ended.error();
    }
    co_return Said(PieceEnd::kSettled);
  }

  // Its upload was completed by another process, superseded, or removed by someone.
  Async<PieceResult> AfterLoss() {
    Result<bool> settled = co_await work_.Settled();
    if (!settled) co_return settled.error();
    if (*settled) co_return co_await Over();
    // The row stays until the object has been planned anew: without it the pieces that are still to
    // come would begin an upload that nothing completes.
    Result<SharedUpload> lost =
        co_await uploads_.RecordLoss(request_.key, *upload_, work_.number());
    if (!lost && lost.error().kind == ErrorKind::kPrecondition) {
      co_return Busy(lost.error().message);
    }
    if (!lost) co_return lost.error();
    upload_ = std::move(*lost);
    co_return Lost();
  }

  PieceResult Lost() {
    return {.end = PieceEnd::kLost, .speaks = *upload_->lost_at == work_.number()};
  }

  SharedUploads& uploads_;
  PieceWork& work_;
  const UploadPlan plan_;
  const PutRequest request_;
  std::optional<SharedUpload> upload_;  // That of this transfer.
};

}  // namespace

Async<PieceResult> SendPiece(SharedUploads& uploads, PieceWork& work) {
  PieceSending sending(uploads, work);
  Result<std::optional<PieceResult>> said = co_await sending.FindUpload();
  if (!said) co_return said.error();
  if (*said) co_return **said;
  co_return co_await sending.Send();
}

Async<int> SweepSharedUploads(SharedUploads& uploads, Clock& clock, UploadJudge& judge,
                              std::vector<std::pair<std::string, SharedUpload>> known,
                              std::chrono::nanoseconds idle_max) {
  int swept = 0;
  for (auto& [key, upload] : known) {
    bool doomed = clock.Now() - upload.touched >= idle_max;
    if (!doomed) {
      Result<bool> settled = co_await judge.IsSettled(key, upload);
      if (!settled) co_return settled.error();
      doomed = *settled;
    }
    if (!doomed) continue;
    Result<std::optional<SharedUpload>> now = co_await uploads.Find(key);
    if (!now) co_return now.error();
    if (!*now || (*now)->revision != upload.revision) continue;
    Result<void> ended = co_await uploads.End(key, std::move(upload));
    if (!ended) co_return ended.error();
    ++swept;
  }
  co_return swept;
}

}  // namespace longhaul
