#include "archive/content_label.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace longhaul {
namespace {

// A key says what its object is only by an ending that people know; numbers and hashes would make
// as many kinds as there are objects.
TEST(ContentLabel, AnEndingIsAShortWord) {
  EXPECT_EQ(KeyEnding("a/b.jpg"), "jpg");
  EXPECT_EQ(KeyEnding("a/b.csv.GZ"), "gz");
  EXPECT_EQ(KeyEnding("a/b.mp4"), "mp4");
  EXPECT_EQ(KeyEnding("a.d/b"), "");
  EXPECT_EQ(KeyEnding("b."), "");
  EXPECT_EQ(KeyEnding("b.2026"), "");
  EXPECT_EQ(KeyEnding("b.0123456789ab"), "");
  EXPECT_EQ(KeyEnding("b.j\xff"), "");
  EXPECT_EQ(KeyEnding(""), "");
}

// A table that somebody has compressed and called as before must not be taken for a table.
TEST(ContentLabel, FirstBytesTellWhatTheEndingDoesNot) {
  EXPECT_EQ(ContentLabel("a.csv", AsBytes("a,b\n")), "csv");
  EXPECT_EQ(ContentLabel("a.csv", AsBytes("\x1f\x8b\x08")), "csv gzip");
  EXPECT_EQ(ContentLabel("part-0000", AsBytes("PAR1....")), "parquet");
  EXPECT_EQ(ContentLabel("a.parquet", AsBytes("PAR1....")), "parquet");
  EXPECT_EQ(ContentLabel("a", {}), "");
  EXPECT_EQ(ContentLabel("a.log.3", AsBytes("[error]")), "");
}

}  // namespace
}  // namespace longhaul
