#include "cmd/tool_database.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "core/base/log.h"

namespace gathering::cmd {
namespace {

constexpr std::uint32_t kConnectionsForOthers = 20;  // commands that share our database, and people

}  // namespace

std::uint32_t LoopCount(const Config& config) {
  return config.http.loops > 0 ? config.http.loops : std::max(1U, std::thread::hardware_concurrency());
}

db::EmbeddedOptions EmbeddedOptionsOf(const Config& config) {
  // A connection that is replaced has its successor beside it for a moment.
  const std::uint32_t of_pipelines = 4 * LoopCount(config) * config.database.pipeline.connections;
  return {.data_dir = config.data_dir,
          .binaries_dir = config.database.binaries_dir,
          .run_as = config.database.embedded_user,
          .connections_max = config.database.pool.connections_max + of_pipelines + kConnectionsForOthers};
}

ToolDatabase::ToolDatabase(const Context& context, const Clock& clock) {
  LoadedConfig loaded = context.Load();
  config_ = std::move(loaded.config);
  log::Start(config_.log);
  const auto level = loaded.origins.find("log.level");
  const bool chosen = level != loaded.origins.end() && level->second != "default";
  if (!chosen) log::SetLevel(LogLevel::kWarning);
  if (!config_.database.pool.url.empty()) return;
  embedded_ = std::make_unique<db::EmbeddedPostgres>(EmbeddedOptionsOf(config_),
                                                     db::EmbeddedPostgres::Sharing::kJoin, clock);
  config_.database.pool.url = embedded_->url();
}

}  // namespace gathering::cmd
