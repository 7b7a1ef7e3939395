#pragma once
// The running daemon as commands ask it: over its control socket, where the file's permissions decide who
// may, or at a URL with an administrator's token.
#include <chrono>
#include <string>

#include "cmd/command.h"
#include "core/base/error.h"

namespace gathering::cmd {

struct DaemonOptions {
  std::string url;  // "http://host:port" or https; empty: the control socket of the configuration
  std::string token_file;
};

// --url and --token-file, and of the configuration --config and --data-dir.
void AddDaemonFlags(Syntax syntax, Context& context, DaemonOptions& options);

class DaemonClient {
 public:
  // Throws UsageError, and ConfigError when the configuration is needed and cannot be read.  Connects
  // nothing.
  DaemonClient(const Context& context, const DaemonOptions& options);

  // Whoever listens at an address of http.listen, without a token; waits `patience` at most for each step.
  // Under TLS any certificate will do.
  [[nodiscard]] static DaemonClient At(const std::string& text, std::chrono::milliseconds patience);

  // The body of the answer to GET `target`, a path with its query.  Waits some seconds at most.  Throws Error
  // with a sentence that says what to do: kUnavailable when no daemon answers or it cannot serve now,
  // kForbidden when it wants another token.
  [[nodiscard]] std::string Get(const std::string& target) const;

 private:
  DaemonClient() = default;
  [[nodiscard]] const std::string& place() const { return url_.empty() ? socket_ : url_; }
  [[nodiscard]] Error NoAnswer() const;
  [[nodiscard]] Error Refusal(int status, const std::string& target, const std::string& body) const;

  std::string url_;
  std::string socket_;
  std::string token_;  // only with a URL
  bool any_certificate_ = false;
  std::chrono::milliseconds connect_timeout_{3'000};
  std::chrono::milliseconds answer_timeout_{10'000};
};

}  // namespace gathering::cmd
