// Result<T>: a value or an Error whose kind says what the caller should do next.
//
// Nothing in longhaul throws across a function boundary; whatever can fail returns Result<T>, and a
// coroutine returns Async<T> (base/async.h). Both are [[nodiscard]]. Each layer that passes an
// error on adds what it knew by Error::In().

#pragma once

#include <chrono>
#include <concepts>
#include <expected>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace longhaul {

// What to do about an error, not where it came from.
enum class ErrorKind {
  kRetryable,  // Wait and repeat: connection lost, timeout, 5xx. It may or may not have happened.
  kThrottled,  // Wait longer and repeat: 503 SlowDown, 429.
  kNotFound,   // It does not exist (NoSuchKey, NoSuchBucket, NoSuchUpload: see `code`).
  kPrecondition,  // The world is not as you said: read again and decide.
  kDenied,        // Not allowed: give up on this and tell someone.
  kCorrupt,       // Bytes are not what they should be: keep the evidence and alarm.
  kInvalidInput,  // The request makes no sense, now or later; also "not supported here".
  kCancelled,     // Stopped on purpose.
};

std::string_view ToString(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::kInvalidInput;
  std::string message;     // For a person, with the context of each layer in front.
  std::string code;        // The service's own code ("NoSuchKey"), where there is one.
  std::string request_id;  // The service's request id, where there is one.
  int http_status = 0;
  std::chrono::milliseconds retry_after{0};  // What the service asked for; 0: nothing.

  // The same error with `context` and ": " before its message.
  [[nodiscard]] Error In(std::string_view context) const;

  // "message (NoSuchKey, HTTP 404, request 4N8Q)".
  [[nodiscard]] std::string Describe() const;

  // Whether waiting and repeating can help.
  [[nodiscard]] bool Transient() const {
    return kind == ErrorKind::kRetryable || kind == ErrorKind::kThrottled;
  }
};

template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
  using Base = std::expected<T, Error>;

 public:
  Result()
    requires std::default_initializable<T>
  = default;
  template <class U = T>
    requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error>)
  Result(U&& value) : Base(std::in_place, std::forward<U>(value)) {}
  Result(Error error) : Base(std::unexpect, std::move(error)) {}
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
  using Base = std::expected<void, Error>;

 public:
  Result() = default;
  Result(Error error) : Base(std::unexpect, std::move(error)) {}
};

// `co_return Ok();` reads better than `co_return Result<void>();`.
inline Result<void> Ok() { return {}; }

inline Error Retryable(std::string message) {
  return {.kind = ErrorKind::kRetryable, .message = std::move(message)};
}
inline Error NotFound(std::string message, std::string code = "") {
  return {.kind = ErrorKind::kNotFound, .message = std::move(message), .code = std::move(code)};
}
inline Error PreconditionFailed(std::string message) {
  return {.kind = ErrorKind::kPrecondition, .message = std::move(message)};
}
inline Error Corrupt(std::string message) {
  return {.kind = ErrorKind::kCorrupt, .message = std::move(message)};
}
inline Error InvalidInput(std::string message) {
  return {.kind = ErrorKind::kInvalidInput, .message = std::move(message)};
}
inline Error Cancelled(std::string message) {
  return {.kind = ErrorKind::kCancelled, .message = std::move(message)};
}

}  // namespace longhaul
