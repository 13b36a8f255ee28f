#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "events/dead_letter.h"
#include "migration/task.h"

namespace longhaul {

namespace {

constexpr size_t kKeysTold = 3;
constexpr size_t kBodyBytesTold = 120;

class RulesDeadLettersCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "rules dead-letters",
        .summary = "list the messages that nobody could carry, and send them again",
        .description =
            "A message of the queue that nobody understands is set aside at once, and one that has "
            "been received 1,000 times without being carried, so that it does not come back for "
            "ever: a process died each time that it held it. This lists what is set aside, the "
            "oldest first: when it was sent, how often it was received, which keys it names, and "
            "why it could not be read, by which version of longhaul. It holds for the queue, so "
            "for all rules, and for the runs of migrations, also in a configuration that has no "
            "rules. Nothing is lost by it: the next comparison finds what differs, and who works "
            "on a run sends its tasks again; --redrive has it carried now.",
        .examples = {{"What is set aside", "longhaul rules dead-letters --config longhaul.yaml"},
                     {"Once the reason is mended: send all of it again",
                      "longhaul rules dead-letters --redrive --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    flags.Switch({.name = "redrive",
                  .help = "Puts all of them back into the queue, as if they had just been sent."},
                 redrive_);
    flags.Integer(
        {.name = "limit", .help = "How many are listed at most. Default: 100.", .value_name = "N"},
        1, kLimitMax, limit_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    std::vector<Backends> places;
    Result<Backends> opened = co_await OpenBackendsWithAllLanes(context.runtime(), **configuration,
                                                                TellingClock(context.troubles()));
    if (!opened) co_return opened.error();
    places.push_back(std::move(*opened));
    // In SQS one queue has those of all.
    if (!(*configuration)->queue.sqs) {
      opened = co_await OpenMigrationBackends(context, **configuration);
      if (!opened) co_return opened.error();
      places.push_back(std::move(*opened));
    }
    if (redrive_) {
      uint64_t count = 0;
      for (Backends& place : places) {
        Result<int64_t> redriven = co_await place.queue->Redrive();
        if (!redriven) co_return redriven.error();
        count += static_cast<uint64_t>(*redriven);
      }
      context.output().Print(
          Message("summary")
              .With("redriven", count)
              .Says(count == 0 ? "there are no dead letters"
                               : Counted(count, "message") + " will be received again"));
      co_return ExitCode::kDone;
    }
    std::vector<QueueMessage> dead;
    uint64_t all = 0;
    for (Backends& place : places) {
      Result<std::vector<QueueMessage>> found =
          co_await place.queue->DeadLetters(static_cast<int>(limit_));
      if (!found) co_return found.error().In("queue");
      Result<QueueDepth> depth = co_await place.queue->Depth();
      if (!depth) co_return depth.error().In("queue");
      all += static_cast<uint64_t>(std::max<int64_t>(depth->dead, std::ssize(*found)));
      for (QueueMessage& letter : *found) {
        const auto later = std::ranges::upper_bound(dead, letter.sent, {}, &QueueMessage::sent);
        dead.insert(later, std::move(letter));
      }
    }
    if (std::ssize(dead) > limit_) dead.resize(static_cast<size_t>(limit_));
    const size_t listed = dead.size();
    for (QueueMessage& letter : dead) Print(context, ReadDeadLetter(std::move(letter)));
    std::string text = all == 0 ? "there are no dead letters" : Counted(all, "dead letter");
    if (all > listed) text += ", of which the oldest " + FormatCount(listed);
    if (all > 0) text += "; once the reason is mended: longhaul rules dead-letters --redrive";
    context.output().Print(
        Message("summary").With("dead_letters", all).With("listed", listed).Says(text));
    co_return ExitCode::kDone;
  }

 private:
  static constexpr int64_t kLimitMax = 1000;  // Of 256 KiB each.

  static void Print(RunContext& context, const DeadLetter& dead) {
    const QueueMessage& letter = dead.message;
    Result<migration::TaskName> task = InvalidInput("hints");
    if (!dead.hints) task = migration::ReadMessage(letter.body);
    const std::string reason =
        task && letter.reason.empty() ? "never carried to its end" : dead.reason;
    Message message("dead_letter");
    message.With("lane", letter.lane)
        .With("sent", FormatRfc3339(letter.sent))
        .With("received", letter.receive_count)
        .With("bytes", letter.body.size())
        .With("reason", reason);
    std::string text = "sent " + AgoText(letter.sent, context.runtime().clock.Now()) +
                       ", received " +
                       Counted(static_cast<uint64_t>(letter.receive_count), "time") + ": ";
    if (dead.hints) {
      text += Describe(*dead.hints, message);
      // By now it is understood.
      if (!letter.reason.empty()) {
        text += "; who received it could not read it: " + Printable(letter.reason);
      }
    } else if (task) {
      message.With("run", task->run);
      text += "a task of run " + Printable(task->run) + ": " + Printable(reason);
    } else {
      message.With("body", Printable(std::string_view(letter.body).substr(0, kBodyBytesTold)) +
                               (letter.body.size() > kBodyBytesTold ? "…" : ""));
      text += "nobody understands it: " + Printable(reason);
    }
    context.output().Print(message.Says(text));
  }

  // "rule logs: 2 keys of disk:a, from events: k, l".
  static std::string Describe(const HintMessage& hints, Message& message) {
    message.With("rule", hints.rule)
        .With("target", hints.target)
        .With("source", hints.store + ":" + hints.bucket)
        .With("origin", longhaul::Describe(hints.origin))
        .With("keys", hints.hints.size());
    std::string keys;
    for (size_t i = 0; i < std::min(kKeysTold, hints.hints.size()); ++i) {
      keys += (i == 0 ? "" : ", ") + Printable(hints.hints[i].key);
    }
    if (!hints.hints.empty()) message.With("first_key", hints.hints.front().key);
    if (hints.hints.size() > kKeysTold) keys += ", …";
    return (hints.rule.empty() ? std::string("any rule") : "rule " + hints.rule) +
           (hints.target.empty() ? "" : ", target " + hints.target) + ": " +
           Counted(hints.hints.size(), "key") + " of " + hints.store + ":" + hints.bucket +
           ", from " + std::string(longhaul::Describe(hints.origin)) + ": " + keys;
  }

  bool redrive_ = false;
  int64_t limit_ = 100;
};

}  // namespace

std::unique_ptr<Command> MakeRulesDeadLettersCommand() {
  return std::make_unique<RulesDeadLettersCommand>();
}

}  // namespace longhaul
