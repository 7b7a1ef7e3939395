#include "core/replay/filter.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/config/value.h"

namespace gathering::replay {
namespace {

bool Before(const events::Record& record, const Bound& bound) {
  if (const auto* number = std::get_if<std::int64_t>(&bound)) return record.sequence < *number;
  return record.timestamp < std::get<Timestamp>(bound);
}

bool Beyond(const events::Record& record, const Bound& bound) {
  if (const auto* number = std::get_if<std::int64_t>(&bound)) return record.sequence > *number;
  return record.timestamp >= std::get<Timestamp>(bound);
}

bool NamesCircle(const events::Record& record, const std::string& name) {
  const auto data = nlohmann::json::parse(record.data.text, nullptr, false);
  const auto circle = data.find("circle");
  return circle != data.end() && circle->is_string() && circle->get_ref<const std::string&>() == name;
}

}  // namespace

std::optional<Bound> ParseBound(std::string_view text) {
  if (const auto number = config::ParseInteger(text))
    return *number >= 0 ? std::optional<Bound>{*number} : std::nullopt;
  if (const auto time = ParseTimestamp(text)) return *time;
  return std::nullopt;
}

bool Filter::Fits(const events::Record& record) const {
  if (record.type == schema::ToText(events::EventType::kTokenRevoked)) return false;
  if ((from && Before(record, *from)) || (to && Beyond(record, *to))) return false;
  if (source_agent_id && record.source_agent_id != source_agent_id) return false;
  if (!events::FitsAny(types, record.type)) return false;
  if (circle_ids.empty() && !circle_name) return true;
  return (record.circle_id && std::ranges::find(circle_ids, *record.circle_id) != circle_ids.end()) ||
         (circle_name && NamesCircle(record, *circle_name));
}

}  // namespace gathering::replay
