// What goes to PostgreSQL with a statement and what comes back, in its binary formats.
// (PostgreSQL documentation, "libpq: Command Execution Functions"; the formats are those of the
// types' send and receive functions.)

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct pg_result;

namespace longhaul {

// The values of $1, $2, … in their order.
class PostgresArguments {
 public:
  PostgresArguments& Int(int64_t value);                     // bigint
  PostgresArguments& Bytes(std::string_view bytes);          // bytea
  PostgresArguments& Text(std::string_view text);            // text, UTF-8
  PostgresArguments& Ints(std::span<const int64_t> values);  // bigint[]
  PostgresArguments& Ints(std::span<const std::optional<int64_t>> values);
  PostgresArguments& Bytes(std::span<const std::string_view> values);  // bytea[]
  PostgresArguments& Bytes(std::span<const std::optional<std::string_view>> values);

 private:
  friend class PostgresConnection;
  struct Value {
    uint32_t type = 0;  // The object id of the type.
    std::string bytes;
  };
  PostgresArguments& Add(uint32_t type, std::string bytes);

  std::vector<Value> values_;
};

// The rows of an answer.
class PostgresRows {
 public:
  explicit PostgresRows(pg_result* result) : result_(result) {}

  [[nodiscard]] int size() const;
  [[nodiscard]] bool IsNull(int row, int column) const;
  // Of an integer of any size, or a boolean; 0 of what is none.
  [[nodiscard]] int64_t Int(int row, int column) const;
  [[nodiscard]] std::string Bytes(int row, int column) const;  // Of bytea or text.

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

}  // namespace longhaul
