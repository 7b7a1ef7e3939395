#include "core/base/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"

namespace gathering {

WorkerPool::WorkerPool(WorkerPoolOptions options) : options_(std::move(options)) {
  threads_.reserve(options_.threads);
  stats_.threads = std::min(options_.threads, options_.threads_at_once);
  for (std::uint32_t i = 0; i < stats_.threads; ++i) threads_.emplace_back([this, i] { Work(i); });
}

WorkerPool::~WorkerPool() {
  Stop();
}

bool WorkerPool::TryPost(std::function<void()> job) {
  {
    std::scoped_lock lock{mutex_};
    if (stopping_ || queue_.size() >= options_.queue_max) {
      ++stats_.refused;
      return false;
    }
    const bool all_busy = stats_.running + queue_.size() >= stats_.threads;
    if (all_busy && stats_.threads < options_.threads) Grow();
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void WorkerPool::Grow() {
  try {
    threads_.emplace_back([this, index = stats_.threads] { Work(index); });
    ++stats_.threads;
  } catch (const std::system_error& error) {
    log::Warn("no thread for a pool; it goes on with those it has",
              {{"pool", options_.name}, {"cause", error.what()}});
  }
}

void WorkerPool::Stop() {
  std::vector<std::jthread> threads;
  {
    std::scoped_lock lock{mutex_};
    stopping_ = true;
    threads.swap(threads_);
  }
  wake_.notify_all();
  threads.clear();
}

WorkerPoolStats WorkerPool::Stats() const {
  std::scoped_lock lock{mutex_};
  WorkerPoolStats stats = stats_;
  stats.waiting = static_cast<std::uint32_t>(queue_.size());
  return stats;
}

void WorkerPool::Work(std::uint32_t index) {
  pthread_setname_np(pthread_self(), fmt::format("{}-{}", options_.name, index).substr(0, 15).c_str());
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::function<void()> job = std::move(queue_.front());
    queue_.pop_front();
    ++stats_.running;
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
    --stats_.running;
    ++stats_.done;
  }
}

}  // namespace gathering
