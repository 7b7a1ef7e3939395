#include "core/events/changes.h"

#include <nlohmann/json.hpp>

#include "core/events/log.h"

namespace gathering::events {

Change ToChange(std::string_view notification) {
  const std::size_t space = notification.find(' ');
  const std::string_view subject = notification.substr(0, space);
  std::string key{space == std::string_view::npos ? "" : notification.substr(space + 1)};
  if (subject == "agent") return {.subject = Subject::kAgent, .key = std::move(key)};
  if (subject == "circle") return {.subject = Subject::kCircle, .key = std::move(key)};
  if (subject == "catalog") return {.subject = Subject::kCatalog};
  return {};
}

// Agents are told of by the database: what events say of them is not all there is to change.
std::optional<Change> ChangeOf(const Record& event) {
  if (!event.circle_id) return std::nullopt;
  const auto data = nlohmann::json::parse(event.data.text, nullptr, false);
  const auto circle = data.is_object() ? data.find("circle") : data.end();
  const bool named = circle != data.end() && circle->is_string();
  return Change{.subject = Subject::kCircle, .key = named ? circle->get<std::string>() : std::string{}};
}

}  // namespace gathering::events
