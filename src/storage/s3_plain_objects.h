// The objects of a page of a listing, read straight from its text.
//
// A page is a thousand times the same few elements: to make a tree of them costs four times as much
// as to read them where they stand. What is not written as servers write it (with comments, CDATA,
// attributes, prefixes of names, other entities) is left to the parser of XML, so that nobody sees
// a difference. Internal to the S3 store.

#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/object.h"

namespace longhaul {

// Without white space at the ends.
std::string_view TrimmedXml(std::string_view text);

template <class T>
bool ParseXmlNumber(std::string_view text, T* value) {
  text = TrimmedXml(text);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

// What the elements of one object say, taken one by one.
struct ObjectFields {
  void Take(std::string_view name, std::string_view text);

  ListedObject object;  // The key as it is written: perhaps percent-encoded.
  bool has_size = false;
};

// An element that no server sends.
inline constexpr std::string_view kPlainObjectsMark = "longhaul-objects";

struct PlainObjects {
  std::vector<ListedObject> objects;  // Keys as they are written.
  // All else of the page, with the mark, empty, in their place: they are objects of the page if a
  // parser finds it right below the root, and no further object.
  std::string rest;
};

// The first run of <Contents> of `xml`. nullopt: there is none, or something in it is for the
// parser, be it unusual or wrong.
std::optional<PlainObjects> ReadPlainObjects(std::string_view xml);

}  // namespace longhaul
