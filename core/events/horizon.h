#pragma once
// Up to where the log is complete: which sequence numbers nobody can add any more.
//
// Sequence numbers are drawn in one order and become visible in another, so a reader that goes on behind the
// highest number it has seen skips whoever commits late.  What is known: a transaction draws its numbers
// after it got its id, and ids rise.  Let a snapshot see the highest number N, and let the reader get an id X
// of its own after that.  Whoever gets a later id draws numbers above N.  So as soon as a later snapshot says
// that all transactions up to X are over, every number up to N is either visible to it or will never be.
// (The snapshot's own xmax would not do for X: transactions with later ids may be running already.)  The
// order is that of the numbers, which for changes under one lock (of one circle) is the order of the changes;
// ids would not do, as a transaction may begin early and change late.
//
// The price: one transaction that writes for long, anywhere in the server, holds the log up that long.
// Not thread-safe.
#include <cstdint>
#include <deque>
#include <optional>

namespace gathering::events {

// What one snapshot saw.
struct LogView {
  std::int64_t oldest_running = 0;            // its xmin: all transactions before are over
  std::int64_t newest = 0;                    // the highest sequence number it could see
  std::optional<std::int64_t> id_after = {};  // given to the reader after it; asked for when there is news
};

class Horizon {
 public:
  void Note(const LogView& view);

  // What was newest when an id was asked for the last time: more than that is news.  -1: nothing was.
  [[nodiscard]] std::int64_t marked() const { return marked_; }

  // All events up to this are visible to the snapshot noted last, and to every later one; none: it is not
  // known yet.
  [[nodiscard]] std::optional<std::int64_t> settled() const { return settled_; }

 private:
  static constexpr std::size_t kMarksMax = 64;  // beyond, the latest stands for the one before it

  struct Mark {
    std::int64_t id_after;
    std::int64_t newest;
  };

  std::optional<std::int64_t> settled_;
  std::int64_t marked_ = -1;
  std::deque<Mark> marks_;  // both rise
};

}  // namespace gathering::events
