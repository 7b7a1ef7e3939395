#pragma once
// What the events of a replay are brought to, a batch at a time.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/db/session.h"
#include "core/replay/source.h"

namespace gathering::replay {

// What became of a batch.
struct Delivery {
  std::int64_t delivered = 0;
  std::int64_t deduplicated = 0;  // were there already
  std::vector<Complaint> failed = {};
  bool closed = false;  // nobody reads what is written any more; the batch is lost
};

class Sink {
 public:
  virtual ~Sink() = default;

  // May take what the items hold.  When this returns the batch is where it belongs, also after a crash of
  // this process.  Throws Error.
  [[nodiscard]] virtual Delivery Deliver(std::span<Item> items) = 0;

  // What another run must know to go on behind the last batch.
  virtual void Note(Position&) const {}

  // Everything was delivered.
  virtual void Finish() {}
};

// Only counts.
class NoSink final : public Sink {
 public:
  [[nodiscard]] Delivery Deliver(std::span<Item> items) override {
    return {.delivered = static_cast<std::int64_t>(items.size())};
  }
};

// The log of a database, and with it every daemon's streams: a batch is one transaction and one
// notification.  An event that is there already, by its id and time, is left as it is.  Sequence numbers are
// drawn anew.
class SystemSink final : public Sink {
 public:
  explicit SystemSink(db::Session& session) : session_(session) {}
  [[nodiscard]] Delivery Deliver(std::span<Item> items) override;

 private:
  [[nodiscard]] std::int64_t Insert(std::span<const Item> items);

  db::Session& session_;
};

enum class Keep : std::uint8_t {
  kNothing,  // without Finish there is no file
  kPart,     // the part stays beside the file, for a run that goes on
};

// One event as JSON on each line.
//
// A file is written beside itself, as "<file>.partial", and gets its name in Finish; two at once in one place
// are refused (Error kRejected).  What is no file, such as a pipe, is written to as it is.
class FileSink final : public Sink {
 public:
  // Goes on behind the first `written` bytes of the part, or of the file that was finished then.
  FileSink(std::string file, Keep keep, std::optional<std::int64_t> written);
  FileSink(int fd, std::string name);  // an open one that is somebody else's, such as standard output
  ~FileSink() override;
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  [[nodiscard]] Delivery Deliver(std::span<Item> items) override;
  void Note(Position& position) const override;
  void Finish() override;

 private:
  void OpenPart(std::optional<std::int64_t> written);

  const std::string file_;
  const Keep keep_ = Keep::kNothing;
  std::string part_;  // empty: there is none
  Fd own_;
  int fd_;
  std::int64_t written_ = 0;
};

}  // namespace gathering::replay
