#pragma once
// The database of a command that is no daemon: the configured one, or the embedded one, which is joined
// where a daemon runs it and else started for as long as this lives.
#include <memory>

#include "cmd/command.h"
#include "core/base/clock.h"
#include "core/config/config.h"
#include "core/db/embedded.h"

namespace gathering::cmd {

// The event loops of a daemon with this configuration.
[[nodiscard]] std::uint32_t LoopCount(const Config& config);

// The embedded database of this configuration, with room for everybody who may connect.
[[nodiscard]] db::EmbeddedOptions EmbeddedOptionsOf(const Config& config);

class ToolDatabase {
 public:
  // Loads the configuration and starts the log, at warnings unless a level was chosen.  Throws as
  // Context::Load and db::EmbeddedPostgres do; connects nothing.
  ToolDatabase(const Context& context, const Clock& clock);

  // Its database.pool.url is never empty.
  [[nodiscard]] const Config& config() const { return config_; }

 private:
  Config config_;
  std::unique_ptr<db::EmbeddedPostgres> embedded_;
};

}  // namespace gathering::cmd
