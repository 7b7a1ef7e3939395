#pragma once
// A directory of one's own, removed at the end with all it holds.
#include <string>

namespace gathering::test {

class TemporaryDirectory {
 public:
  // kMemory: where nothing is written to a disk, if the machine has such a place with a gigabyte of room.
  enum class Place { kTemporary, kMemory };

  explicit TemporaryDirectory(Place place = Place::kTemporary);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace gathering::test
