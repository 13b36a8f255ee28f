#include "archive/tar.h"

#include <gtest/gtest.h>

#include "archive/json_text.h"
#include "archive/member_path.h"
#include "base/bytes.h"
#include "base/random.h"

namespace longhaul::archive {
namespace {

// Every path and link length around the limits of the fields must come back as it was.
TEST(Tar, HeadersOfEveryLengthComeBack) {
  for (size_t folder : {0, 1, 50, 99, 100, 150, 155, 156, 160, 400}) {
    for (size_t name : {1, 50, 98, 99, 100, 101, 102, 200}) {
      TarMember member{
          .path = std::string(folder, 'f') + (folder > 0 ? "/" : "") + std::string(name, 'n'),
          .size_bytes = folder * 1000003 + name,
          .mtime_seconds = 1772355600};
      if (name % 2 == 0) {
        member.link = std::string(name + 5, 'l');
        member.size_bytes = 0;
      }
      const std::string headers = WriteTarHeaders(member);
      EXPECT_EQ(headers.size() % kTarBlockBytes, 0);
      const auto parsed = ParseTarHeaders(AsBytes(headers + "content"));
      ASSERT_TRUE(parsed) << parsed.error().message;
      EXPECT_EQ(parsed->member.path, member.path);
      EXPECT_EQ(parsed->member.link, member.link);
      EXPECT_EQ(parsed->member.size_bytes, member.size_bytes);
      EXPECT_EQ(parsed->member.mtime_seconds, member.mtime_seconds);
      EXPECT_EQ(parsed->header_bytes, headers.size());
    }
  }
}

// A pax header costs a kilobyte before compression; paths that fit in two fields need none.
TEST(Tar, UsesPaxOnlyWhereItMust) {
  const auto size = [](std::string path) {
    return WriteTarHeaders({.path = std::move(path)}).size();
  };
  EXPECT_EQ(size(std::string(100, 'n')), 512);
  EXPECT_EQ(size(std::string(155, 'f') + "/" + std::string(100, 'n')), 512);
  EXPECT_EQ(size(std::string(101, 'n')), 1536);
  EXPECT_EQ(size(std::string(156, 'f') + "/" + std::string(100, 'n')), 1536);
}

TEST(Tar, RefusesDamagedHeaders) {
  const std::string good = WriteTarHeaders({.path = std::string(300, 'p'), .size_bytes = 5});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ParseTarHeaders(AsBytes(good.substr(0, size)))) << size;
  }
  std::string other = WriteTarHeaders({.path = "p"});
  other[156] = '2';  // A symbolic link, with the checksum that belongs to it.
  other[153] = static_cast<char>(other[153] + 2);
  EXPECT_FALSE(ParseTarHeaders(AsBytes(other)));
}

// Lengths that lie must not lead the parser outside, or round and round.
TEST(Tar, RefusesMalformedPaxRecords) {
  TarMember member;
  for (const std::string_view records :
       {"0 a=b\n", "5 a=b\n", "7 a=b\n", "99999999999999999999 a=b\n", "6 a=b ", "6 =ab\n",
        "6 abc\n", "-6 a=b\n", " 6 a=b\n", "6", "6 ", "10 size=x\n", "12 size=1x2\n"}) {
    EXPECT_FALSE(ParsePaxRecords(records, member)) << records;
  }
  EXPECT_TRUE(ParsePaxRecords("6 a=b\n11 path=x\xff\n12 size=123\n", member));
  EXPECT_EQ(member.path, "x\xff");
  EXPECT_EQ(member.size_bytes, 123);
}

// Whoever unpacks the tar by hand must get every object, and nothing outside the folder.
TEST(MemberPath, IsSafeUniqueAndMostlyTellsTheKey) {
  MemberPaths paths;
  EXPECT_EQ(paths.PathFor("logs/2026/a b.txt", 0), "objects/logs/2026/a b.txt");
  EXPECT_EQ(paths.PathFor("../x//y\n", 1), "objects/%2E%2E/x/%/y%0A");
  EXPECT_EQ(paths.PathFor("/", 2), "objects/%/%");
  EXPECT_EQ(paths.PathFor("50%", 3), "objects/50%25");
  EXPECT_EQ(paths.PathFor("Logs/2026/A B.txt", 4), "renamed/0000004-A B.txt");
  EXPECT_EQ(paths.PathFor("logs/2026", 5), "renamed/0000005-2026");
  EXPECT_EQ(paths.PathFor("logs/2026/a b.txt/c", 6), "renamed/0000006-c");
  EXPECT_EQ(paths.PathFor("logs/2026/a b.txt", 7), "renamed/0000007-a b.txt");
  const std::string cut = paths.PathFor(std::string(1024, 'k'), 8);
  EXPECT_EQ(cut.size(), 8 + 200);
  EXPECT_FALSE(KeyFromPath(cut));
  EXPECT_NE(paths.PathFor(std::string(1023, 'k') + "x", 9), cut);
  for (const std::string key :
       {"logs/2026/a b.txt", "../x//y\n", "/", "50%", "\xff\xfe/", "a\\b"}) {
    MemberPaths fresh;
    EXPECT_EQ(KeyFromPath(fresh.PathFor(key, 0)), key);
  }
}

// Bytes of any kind are keys and metadata somewhere; JSON knows only Unicode.
TEST(JsonText, BringsBackAnyBytes) {
  SeededRandom random(3);
  std::vector<std::string> texts = {"",
                                    "\"\\/\b\n\x7f",
                                    std::string("\0", 1),
                                    "ä鍵😀",
                                    "\xff",
                                    "\xc3(",
                                    "\xed\xa0\x80",
                                    "\xf4\x8f\xbc\x80",
                                    "\xf4\x8f\xbf\xbf",
                                    "\xf4\x90\x80\x80",
                                    "\xc0\x80"};
  for (int i = 0; i < 2000; ++i) {
    std::string text(random.Below(12), '\0');
    for (char& c : text)
      c = static_cast<char>(random.Below(4) == 0 ? 0xf0 + random.Below(16) : random.Next());
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    std::string json;
    AppendJsonString(json, text);
    JsonCursor cursor(json);
    std::string back;
    EXPECT_EQ(cursor.String(&back), text.size());
    cursor.AtEnd();
    EXPECT_TRUE(cursor.ok());
    EXPECT_EQ(back, text) << json;
  }
}

// What other writers of the format may use, and what they may not.
TEST(JsonText, ReadsEscapesAndRefusesMistakes) {
  std::string text;
  JsonCursor escapes("\"\\u00e4\\ud83d\\ude00\\n\\/\"");
  escapes.String(&text);
  EXPECT_TRUE(escapes.ok());
  EXPECT_EQ(text, "ä😀\n/");
  for (const std::string_view bad : {"\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"",
                                     "\"\\ud800\\u0041\"", "\"\n\"", "\"\xff\"", "x"}) {
    JsonCursor cursor(bad);
    cursor.String(&text);
    EXPECT_FALSE(cursor.ok()) << bad;
  }
}

}  // namespace
}  // namespace longhaul::archive
