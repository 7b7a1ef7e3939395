#pragma once
// Events written down, one as JSON on each line, as an input.
//
// Empty lines are passed over.  A line is no event when it is not JSON, no object, lacks a field or has it
// wrong, is longer than 1 MiB, or holds what PostgreSQL cannot store: a NUL, a type of over 100 characters.
// What is in `data` is kept as it was written.
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/fd.h"
#include "core/replay/source.h"

namespace gathering::replay {

inline constexpr std::size_t kLineBytesMax = 1 << 20;

// The event of a line, or what is wrong with it.
[[nodiscard]] std::variant<events::Record, std::string> ReadLine(std::string_view line);

class JsonlSource final : public Source {
 public:
  // `name` is for messages.  Once `stop` is set nothing is waited for any more.
  JsonlSource(Fd fd, std::string name, const std::atomic<bool>& stop);

  // Goes to where an earlier run was; before the first Next.  False when what is there is another text.
  [[nodiscard]] bool GoTo(const Place& place);

  [[nodiscard]] std::optional<std::variant<Item, Complaint>> Next() override;
  [[nodiscard]] const Place& place() const override { return place_; }
  [[nodiscard]] std::string_view unit() const override { return "line"; }

 private:
  [[nodiscard]] bool Fill();  // false: there is no more
  [[nodiscard]] bool Wait();  // false: somebody asked to stop
  [[nodiscard]] bool FindLine(bool& too_long, std::size_t& length);
  void Pass(std::size_t bytes);

  const Fd fd_;
  const std::string name_;
  const std::atomic<bool>& stop_;
  bool seekable_ = false;
  bool ended_ = false;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what was not passed yet
  std::string tail_;       // the last bytes passed
  Place place_;
};

}  // namespace gathering::replay
