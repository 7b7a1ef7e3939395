#include "tests/support/json.h"

template class nlohmann::basic_json<>;
template nlohmann::json nlohmann::json::parse(std::string&, parser_callback_t, bool, bool);
template nlohmann::json nlohmann::json::parse(std::string&&, parser_callback_t, bool, bool);
template nlohmann::json nlohmann::json::parse(const std::string&, parser_callback_t, bool, bool);

std::string Catch::StringMaker<nlohmann::json>::convert(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
