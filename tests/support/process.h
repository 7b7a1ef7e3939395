#pragma once
// A command run to its end, with everything it said.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gathering::test {

enum class Stdout : std::uint8_t {
  kCaptured,
  kReaderGone,  // a pipe nobody reads any more
  kClosed,      // no file descriptor 1 at all
  kFull,        // a device without space
};

struct ProcessOptions {
  std::vector<std::string> arguments = {};              // without the program
  std::map<std::string, std::string> environment = {};  // the whole of it, besides PATH and sanitizer options
  std::string input = {};                               // at most what a pipe holds
  Stdout output = Stdout::kCaptured;
  std::string directory = {};  // where it runs; empty: here
  std::string stop_at = {};    // once it has said this, it gets stop_signal
  int stop_signal = 0;
  std::chrono::seconds deadline{20};
};

struct ProcessResult {
  int code = -1;    // the exit code, or 128 + signal
  std::string out;  // stdout
  std::string err;  // stderr
};

// Throws std::runtime_error when it cannot be started, or still runs at the deadline (it is killed then).
ProcessResult Run(const std::string& program, const ProcessOptions& options);

}  // namespace gathering::test
