// Archives that somebody forged: the index is changed, its digest made anew, and the rest left as
// it was. What a forger cannot do is to make the seal anew.

#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/frame_codec.h"
#include "archive/seek_table.h"
#include "archive/tar.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul::testing {

struct Forgery {
  std::string what;   // "columns.key[2] = …"
  std::string bytes;  // The archive.
};

class Forger {
 public:
  explicit Forger(const std::string& archive) {
    const std::span<const std::byte> bytes = AsBytes(archive);
    const uint64_t tail = *archive::TailSizeBytes(bytes.last(archive::kSeekTableFooterBytes));
    tail_ = *archive::ParseTail(bytes.last(tail));
    const size_t data_frames = tail_.frames.size() - tail_.locator.index_frames;
    std::string index;
    for (size_t i = 0, offset = 0; i < tail_.frames.size(); ++i) {
      const archive::FrameSizes& sizes = tail_.frames[i];
      std::string raw(sizes.raw_bytes, '\0');
      EXPECT_TRUE(archive::DecompressFrame(bytes.subspan(offset, sizes.compressed_bytes),
                                           std::as_writable_bytes(std::span(raw)), false));
      if (i < data_frames) data_ += archive.substr(offset, sizes.compressed_bytes);
      (i < data_frames ? raw_ : index) += raw;
      offset += sizes.compressed_bytes;
    }
    tail_.frames.resize(data_frames);
    const archive::ParsedTarMember member = *archive::ParseTarHeaders(AsBytes(index));
    text_ = index.substr(member.header_bytes, member.member.size_bytes);
    const size_t end = text_.rfind(",\"digest\":\"");
    seal_ = text_.substr(end + std::string_view(",\"digest\":\"").size() + 65);
    index_ = boost::json::parse(text_.substr(0, end) + "}");
    EXPECT_EQ(TextOf(index_), text_) << "what is not changed must stay as it is";
  }

  [[nodiscard]] const boost::json::value& index() const { return index_; }
  // The bytes of the data frames, decompressed.
  [[nodiscard]] const std::string& raw() const { return raw_; }
  // What follows the digest: `,"seal":{…}}`, or `}`.
  [[nodiscard]] const std::string& seal() const { return seal_; }

  // The archive with this index, and with the seal that it had, or another one.
  [[nodiscard]] std::string With(const boost::json::value& index,
                                 std::optional<std::string> seal = std::nullopt) const {
    const std::string text = TextOf(index, seal);
    std::string member =
        archive::WriteTarHeaders({.path = "longhaul/index.json", .size_bytes = text.size()});
    member += text;
    member.append(archive::PaddingBytes(text.size()) + archive::kTarEndBytes, '\0');
    archive::FrameCompressor compressor(1, member.size());
    std::string frame(archive::FrameCompressor::BoundBytes(member.size()), '\0');
    frame.resize(*compressor.Compress(AsBytes(member), std::as_writable_bytes(std::span(frame))));
    archive::Locator locator = tail_.locator;
    locator.index_frames = 1;
    if (const boost::json::value* entries = index.as_object().if_contains("entries");
        entries != nullptr && entries->is_int64()) {
      locator.entries = static_cast<uint32_t>(entries->as_int64());
    }
    std::vector<archive::FrameSizes> frames = tail_.frames;
    frames.push_back({.compressed_bytes = static_cast<uint32_t>(frame.size()),
                      .raw_bytes = static_cast<uint32_t>(member.size())});
    return data_ + frame + archive::WriteTail(locator, frames);
  }

  // Every value that the index holds changed, one after the other, and every field left out.
  [[nodiscard]] std::vector<Forgery> EveryField() const {
    std::vector<Forgery> all;
    boost::json::value copy = index_;
    Change(copy, copy, "", all);
    return all;
  }

 private:
  using Value = boost::json::value;

  [[nodiscard]] std::string TextOf(const Value& index,
                                   std::optional<std::string> seal = std::nullopt) const {
    std::string text = boost::json::serialize(index);
    text.pop_back();
    return text + ",\"digest\":\"" + HexEncode(Sha256(text)) + "\"" + seal.value_or(seal_);
  }

  // `at` is a part of `whole`, and as it was when this returns.
  void Change(Value& whole, Value& at, const std::string& path, std::vector<Forgery>& all) const {
    auto try_out = [&](Value other, const std::string& how) {
      if (other == at) return;
      std::swap(at, other);
      all.push_back({.what = path + how, .bytes = With(whole)});
      std::swap(at, other);
    };
    if (at.is_object()) {
      std::vector<std::string> names;
      for (const auto& member : at.get_object()) names.emplace_back(member.key());
      for (const std::string& name : names) {
        Value without = at;
        without.get_object().erase(name);
        try_out(std::move(without), " without " + name);
        Change(whole, at.get_object()[name], path + "." + name, all);
      }
    } else if (at.is_array()) {
      for (size_t i = 0; i < at.get_array().size(); ++i) {
        Change(whole, at.get_array()[i], path + "[" + std::to_string(i) + "]", all);
      }
      if (!at.get_array().empty()) {
        Value shorter = at;
        shorter.get_array().pop_back();
        try_out(std::move(shorter), " is shorter");
      }
    } else if (at.is_string()) {
      const std::string text(at.get_string());
      try_out(Value(text + "x"), " + x");
      try_out(Value(""), " = nothing");
      if (!text.empty()) {
        std::string other = text;
        other[0] = other[0] == '1' ? '2' : '1';
        try_out(Value(other), " = " + other.substr(0, 40));
      }
    } else {
      const int64_t number = at.to_number<int64_t>();
      try_out(Value(number + 1), " + 1");
      try_out(Value(number == 0 ? 512 : 0), " = another number");
    }
  }

  archive::Tail tail_;  // Of the data frames.
  std::string data_;
  std::string raw_;
  std::string text_;
  std::string seal_;
  Value index_;
};

}  // namespace longhaul::testing
