#pragma once
// JSON as tests read and print it: made once, in json.cpp, and not again in each test.
#include <catch2/catch.hpp>

#include <string>

#include <nlohmann/json.hpp>

extern template class nlohmann::basic_json<>;
extern template nlohmann::json nlohmann::json::parse(std::string&, parser_callback_t, bool, bool);
extern template nlohmann::json nlohmann::json::parse(std::string&&, parser_callback_t, bool, bool);
extern template nlohmann::json nlohmann::json::parse(const std::string&, parser_callback_t, bool, bool);

namespace Catch {

template <>
struct StringMaker<nlohmann::json> {
  static std::string convert(const nlohmann::json& value);
};

}  // namespace Catch
