#include "base/stream_logger.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace longhaul {
namespace {

SystemTime HalfPastNine() { return *ParseRfc3339("2026-03-01T09:30:01.25Z"); }

// What `write` logs.
template <class Write>
std::string Logged(LogOptions options, Write write) {
  char* data = nullptr;
  size_t size = 0;
  std::FILE* memory = open_memstream(&data, &size);
  StreamLogger logger(memory, options, HalfPastNine);
  write(logger);
  std::fclose(memory);
  std::string text(data, size);
  std::free(data);
  return text;
}

// A machine reads these lines: one that is not JSON stops its reader.
TEST(StreamLoggerTest, WritesJsonLines) {
  EXPECT_EQ(Logged({},
                   [](Logger& log) {
                     log.Info("object applied", {{"key", "a \"b\"\n\x01\xff\xc3\xa4"},
                                                 {"size", uint64_t{5}},
                                                 {"ratio", 0.5},
                                                 {"bad", std::numeric_limits<double>::infinity()},
                                                 {"last", true}});
                   }),
            "{\"ts\":\"2026-03-01T09:30:01.250000Z\",\"level\":\"info\",\"event\":\"object "
            "applied\",\"key\":\"a \\\"b\\\"\\n\\u0001\xef\xbf\xbd\xc3\xa4\",\"size\":5,\"ratio\":"
            "0.5,\"bad\":null,\"last\":true}\n");
}

// A person reads these; a key must not be able to forge a line or move the cursor.
TEST(StreamLoggerTest, WritesTextWithoutControlCharacters) {
  LogOptions text{.format = LogFormat::kText};
  EXPECT_EQ(Logged(text,
                   [](Logger& log) {
                     log.Failure("put failed", {{"key", "a\x1b[2J\nb \xc2\x9b\xff"},
                                                {"plain", "x/\xc3\xa4.log"},
                                                {"empty", ""},
                                                {"n", -3},
                                                Error{.message = "no", .code = "AccessDenied"}});
                   }),
            "09:30:01.250 error put failed  key=\"a\\x1b[2J\\nb \\xc2\\x9b\\xff\" "
            "plain=x/\xc3\xa4.log empty=\"\" n=-3 error=\"no (AccessDenied)\"\n");
  text.color = true;
  EXPECT_EQ(Logged(text, [](Logger& log) { log.Warning("slow"); }),
            "09:30:01.250 \x1b[33mwarn \x1b[0m slow\n");
}

// Debug lines of a busy process would bury what matters.
TEST(StreamLoggerTest, LeavesOutWhatIsBelowTheLevel) {
  EXPECT_EQ(Logged({.level_min = LogLevel::kError},
                   [](Logger& log) {
                     log.Debug("a");
                     log.Info("b");
                     log.Warning("c");
                   }),
            "");
  EXPECT_EQ(*ParseLogLevel("warn"), LogLevel::kWarning);
  EXPECT_FALSE(ParseLogLevel("loud"));
}

// Shards log at once.
TEST(StreamLoggerTest, LinesDoNotMix) {
  const std::string text = Logged({.format = LogFormat::kText}, [](Logger& log) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&log] {
        for (int n = 0; n < 200; ++n) log.Info("tick", {{"text", std::string(100, 'x')}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  const std::string line = "09:30:01.250 info  tick  text=" + std::string(100, 'x') + "\n";
  ASSERT_EQ(text.size(), 800 * line.size());
  for (size_t at = 0; at < text.size(); at += line.size()) {
    ASSERT_EQ(text.substr(at, line.size()), line);
  }
}

// Escape sequences in a file or a pipe are noise.
TEST(StreamLoggerTest, IsJsonWhereNobodyWatches) {
  std::FILE* file = std::tmpfile();
  LogOptions options = LogOptionsFor(file, [](std::string_view) { return std::string(); });
  EXPECT_EQ(options.format, LogFormat::kJson);
  EXPECT_FALSE(options.color);
  std::fclose(file);
}

}  // namespace
}  // namespace longhaul
