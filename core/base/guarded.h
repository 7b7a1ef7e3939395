#pragma once
// A value that can only be reached while its own lock is held.  The callback
// must not wait, must not take another lock, and must not let a reference out.
#include <mutex>
#include <utility>

namespace gathering {

template <class T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  template <class F>
  auto With(F&& f) {
    std::scoped_lock lock{mutex_};
    return std::forward<F>(f)(value_);
  }
  template <class F>
  auto With(F&& f) const {
    std::scoped_lock lock{mutex_};
    return std::forward<F>(f)(std::as_const(value_));
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace gathering
