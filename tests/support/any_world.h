// AnyWorld: a FakeWorld or a RealWorld behind one face, for suites that run on both.

#pragma once

#include <memory>

#include "tests/support/run.h"

namespace longhaul::testing {

class AnyWorld {
 public:
  static AnyWorld Fake() { return AnyWorld(std::make_unique<FakeWorld>(), nullptr); }
  static AnyWorld Real() { return AnyWorld(nullptr, std::make_unique<RealWorld>()); }

  template <class T>
  T Run(asio::awaitable<T> task) {
    return fake_ ? fake_->Run(std::move(task)) : real_->Run(std::move(task));
  }
  [[nodiscard]] Runtime& runtime() { return fake_ ? fake_->runtime : real_->runtime; }
  [[nodiscard]] Clock& clock() { return runtime().clock; }
  [[nodiscard]] bool is_fake() const { return fake_ != nullptr; }

 private:
  AnyWorld(std::unique_ptr<FakeWorld> fake, std::unique_ptr<RealWorld> real)
      : fake_(std::move(fake)), real_(std::move(real)) {}
  std::unique_ptr<FakeWorld> fake_;
  std::unique_ptr<RealWorld> real_;
};

}  // namespace longhaul::testing
