#pragma once
// Threads for work that must block: transactions, password hashing, files.
//
// At most `threads` jobs run and at most `queue_max` wait.  A full queue
// refuses at once; it never blocks the caller.  A job must not throw.  All
// members are safe to call from any thread.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace gathering {

struct WorkerPoolOptions {
  std::string name;  // thread names and statistics; at most 15 bytes are shown by the kernel
  std::uint32_t threads = 1;
  // Of these, those that start at once.  The others start with a job that finds none free, and stay; where
  // the system has no thread to give, the pool goes on with those it has.
  std::uint32_t threads_at_once = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t queue_max = 128;
};

struct WorkerPoolStats {
  std::uint32_t threads = 0;
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  std::uint64_t done = 0;
  std::uint64_t refused = 0;
};

class WorkerPool {
 public:
  explicit WorkerPool(WorkerPoolOptions options);
  ~WorkerPool();  // finishes every accepted job
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or the pool is stopping; the job is then dropped unrun.
  [[nodiscard]] bool TryPost(std::function<void()> job);

  // Refuses new jobs, finishes the accepted ones and joins the threads.  Idempotent.
  void Stop();

  [[nodiscard]] std::string_view name() const { return options_.name; }

  WorkerPoolStats Stats() const;

 private:
  void Grow();
  void Work(std::uint32_t index);

  const WorkerPoolOptions options_;
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  WorkerPoolStats stats_;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace gathering
