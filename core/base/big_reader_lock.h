#pragma once
// A lock for what is read a thousand times for each time it is changed (the big-reader lock of Linux 2.4).
//
// It consists of stripes.  A reader takes one, its thread's own if that is free, and so writes no memory that
// a reader on another core needs; a writer takes all of them, which costs it a few hundred nanoseconds.  Each
// stripe has a Part, for whoever holds the stripe to write: what readers leave behind without meeting.
//
// - Reading: what the lock guards, and the Part of the stripe.  Must be short and wait for nothing.
// - Quiet: keeps writers out, not readers: for what readers do not look at, and for looking long.
// - Writing: everything.
//
// Not recursive: who holds any of these must not ask for another.  Safe from any thread.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

#include "core/base/spin.h"

namespace gathering {

template <class Part>
class BigReaderLock {
  struct alignas(64) Stripe {
    std::atomic<bool> taken = false;
    Part part;

    [[nodiscard]] bool TryTake() {
      return !taken.load(std::memory_order_relaxed) && !taken.exchange(true, std::memory_order_acquire);
    }
    void Take() {
      constexpr int kTriesMax = 100;  // then its holder does not run
      for (int tries = 1; !TryTake(); ++tries) {
        if (tries < kTriesMax) {
          SpinPause();
        } else {
          std::this_thread::yield();
        }
      }
    }
    void Release() { taken.store(false, std::memory_order_release); }
  };

 public:
  static constexpr std::size_t kStripes = 8;

  class Quiet;

  class Reading {
   public:
    explicit Reading(BigReaderLock& lock) : Reading(lock.TakeOne()) {}
    ~Reading() { stripe_.Release(); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    [[nodiscard]] Part& part() const { return stripe_.part; }
    [[nodiscard]] std::size_t stripe(const BigReaderLock& lock) const {
      return static_cast<std::size_t>(&stripe_ - lock.stripes_.data());
    }

   private:
    friend class Quiet;
    explicit Reading(Stripe& taken) : stripe_(taken) {}

    Stripe& stripe_;
  };

  class Quiet {
   public:
    explicit Quiet(BigReaderLock& lock) : lock_(lock), writers_(lock.writers_) {}

    template <class F>
    void WithPart(std::size_t stripe, F&& f) const {
      lock_.stripes_[stripe].Take();
      const Reading taken{lock_.stripes_[stripe]};
      f(taken.part());
    }
    // One after the other.
    template <class F>
    void ForEachPart(F&& f) const {
      for (std::size_t stripe = 0; stripe < kStripes; ++stripe) WithPart(stripe, f);
    }

   private:
    BigReaderLock& lock_;
    std::scoped_lock<std::mutex> writers_;
  };

  class Writing {
   public:
    explicit Writing(BigReaderLock& lock) : lock_(lock), writers_(lock.writers_) {
      for (Stripe& stripe : lock_.stripes_) stripe.Take();
    }
    ~Writing() {
      for (Stripe& stripe : lock_.stripes_) stripe.Release();
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

    template <class F>
    void ForEachPart(F&& f) const {
      for (Stripe& stripe : lock_.stripes_) f(stripe.part);
    }

   private:
    BigReaderLock& lock_;
    std::scoped_lock<std::mutex> writers_;
  };

 private:
  Stripe& TakeOne() {
    std::size_t& own = OfThisThread();
    for (std::size_t i = own; i < own + kStripes; ++i) {
      Stripe& stripe = stripes_[i % kStripes];
      if (!stripe.TryTake()) continue;
      own = i % kStripes;  // who met somebody goes elsewhere from now on
      return stripe;
    }
    // There is a writer, or there are many readers.
    std::scoped_lock lock{writers_};
    stripes_[own].Take();
    return stripes_[own];
  }

  // Threads begin with stripes in turns.
  static std::size_t& OfThisThread() {
    static constinit std::atomic<std::uint32_t> threads = 0;
    thread_local std::size_t own = threads.fetch_add(1, std::memory_order_relaxed) % kStripes;
    return own;
  }

  std::mutex writers_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace gathering
