// Precompiled for the tests: Catch2 and what nearly every test includes.
#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

// Made once, in json.cpp, and not again in each test.
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
