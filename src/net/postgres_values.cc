#include "net/postgres_values.h"

#include <postgresql/libpq-fe.h>

#include <utility>

namespace longhaul {

namespace {

// Object ids of types never change. (PostgreSQL, src/include/catalog/pg_type.dat.)
constexpr uint32_t kBytea = 17;
constexpr uint32_t kBigint = 20;
constexpr uint32_t kText = 25;
constexpr uint32_t kByteaArray = 1001;
constexpr uint32_t kBigintArray = 1016;

void AppendBigEndian(std::string& to, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    to.push_back(static_cast<char>(value >> shift));
  }
}

std::string BigEndian(int64_t value) {
  std::string bytes;
  AppendBigEndian(bytes, static_cast<uint64_t>(value), 8);
  return bytes;
}

// One dimension, its bounds, then each element with its length; -1 is NULL.
template <class Elements, class Encode>
std::string ArrayOf(uint32_t type, const Elements& elements, Encode encode) {
  std::string bytes;
  AppendBigEndian(bytes, elements.empty() ? 0 : 1, 4);
  AppendBigEndian(bytes, 1, 4);  // There may be NULLs.
  AppendBigEndian(bytes, type, 4);
  if (elements.empty()) return bytes;
  AppendBigEndian(bytes, elements.size(), 4);
  AppendBigEndian(bytes, 1, 4);  // Of the first element.
  for (const auto& element : elements) {
    const std::optional<std::string> encoded = encode(element);
    AppendBigEndian(bytes, encoded ? encoded->size() : ~uint64_t{0}, 4);
    if (encoded) bytes += *encoded;
  }
  return bytes;
}

template <class T>
std::optional<std::string> EncodeInt(const T& value) {
  if constexpr (std::is_same_v<T, int64_t>) {
    return BigEndian(value);
  } else {
    return value ? std::optional(BigEndian(*value)) : std::nullopt;
  }
}

}  // namespace

PostgresArguments& PostgresArguments::Add(uint32_t type, std::string bytes) {
  values_.push_back({.type = type, .bytes = std::move(bytes)});
  return *this;
}

PostgresArguments& PostgresArguments::Int(int64_t value) { return Add(kBigint, BigEndian(value)); }
PostgresArguments& PostgresArguments::Bytes(std::string_view bytes) {
  return Add(kBytea, std::string(bytes));
}
PostgresArguments& PostgresArguments::Text(std::string_view text) {
  return Add(kText, std::string(text));
}
PostgresArguments& PostgresArguments::Ints(std::span<const int64_t> values) {
  return Add(kBigintArray, ArrayOf(kBigint, values, EncodeInt<int64_t>));
}
PostgresArguments& PostgresArguments::Ints(std::span<const std::optional<int64_t>> values) {
  return Add(kBigintArray, ArrayOf(kBigint, values, EncodeInt<std::optional<int64_t>>));
}
PostgresArguments& PostgresArguments::Bytes(std::span<const std::string_view> values) {
  return Add(kByteaArray, ArrayOf(kBytea, values, [](std::string_view bytes) {
               return std::optional(std::string(bytes));
             }));
}
PostgresArguments& PostgresArguments::Bytes(
    std::span<const std::optional<std::string_view>> values) {
  return Add(kByteaArray, ArrayOf(kBytea, values, [](const std::optional<std::string_view>& bytes) {
               return bytes ? std::optional(std::string(*bytes)) : std::nullopt;
             }));
}

void PostgresRows::Clear::operator()(pg_result* result) const { PQclear(result); }

int PostgresRows::size() const { return PQntuples(result_.get()); }

bool PostgresRows::IsNull(int row, int column) const {
  return PQgetisnull(result_.get(), row, column) != 0;
}

int64_t PostgresRows::Int(int row, int column) const {
  const int length = PQgetlength(result_.get(), row, column);
  const char* bytes = PQgetvalue(result_.get(), row, column);
  if (length < 1 || length > 8) return 0;
  // The sign is that of the first byte.
  int64_t value = static_cast<signed char>(bytes[0]);
  for (int i = 1; i < length; ++i) value = value * 256 + static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string PostgresRows::Bytes(int row, int column) const {
  const auto length = static_cast<size_t>(PQgetlength(result_.get(), row, column));
  return std::string(PQgetvalue(result_.get(), row, column), length);
}

}  // namespace longhaul
