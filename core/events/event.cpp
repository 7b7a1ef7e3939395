#include "core/events/event.h"

namespace gathering::events {
namespace {

// Of fixed length, so that what follows begins where it must.
void AppendId(const std::optional<std::int64_t>& id, std::string& out) {
  out.push_back(id ? '\1' : '\0');
  const auto bits = static_cast<std::uint64_t>(id.value_or(0));
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(bits >> shift & 0xff));
}

}  // namespace

std::string SamenessOf(const Event& event, std::string_view discriminator) {
  std::string key;
  key.reserve(1 + 3 * 9 + discriminator.size());
  key.push_back(static_cast<char>(event.type));
  AppendId(event.source_agent_id, key);
  AppendId(event.circle_id, key);
  AppendId(event.project_id, key);
  return key.append(discriminator);
}

}  // namespace gathering::events
