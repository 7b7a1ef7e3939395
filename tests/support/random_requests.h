#pragma once
// Requests at random, made from an OpenAPI document: some as the document wants them, most of the others
// with one thing wrong.  The same seed makes the same requests.
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/http.h"

namespace gathering::test {

struct Operation {
  std::string id;
  std::string method;
  std::string path;  // with {parameters}
  std::string authority;
  nlohmann::json parameters;  // as in the document
  nlohmann::json body;        // its schema; null when there is none
  bool form = false;          // the body is urlencoded, not JSON
  nlohmann::json responses;   // as in the document

  // A list of everything there is, as far as one can see from outside.
  [[nodiscard]] bool IsList() const { return method == "GET" && path.find('{') == std::string::npos; }
};

[[nodiscard]] std::vector<Operation> OperationsOf(const nlohmann::json& document);

struct RandomRequest {
  std::string method;
  std::string target;
  Headers headers;  // without Authorization
  std::string body;
  bool odd_path = false;  // may be another route's, or no one's
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  [[nodiscard]] std::size_t Below(std::size_t bound) {
    return static_cast<std::size_t>(engine_() % std::uint64_t{bound});
  }
  [[nodiscard]] std::int64_t Between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(most - least + 1));
  }
  [[nodiscard]] bool Percent(std::size_t chance) { return Below(100) < chance; }
  template <class List>
  [[nodiscard]] const auto& Pick(const List& list) {
    return list[Below(list.size())];
  }

 private:
  std::mt19937_64 engine_;
};

class RandomRequests {
 public:
  // What a parameter or member of this name should be, where the schema does not tell; none: the schema's.
  using Hint =
      std::function<std::optional<nlohmann::json>(const Operation&, const std::string& name, Dice& dice)>;

  RandomRequests(nlohmann::json document, Hint hint)
      : document_(std::move(document)), hint_(std::move(hint)) {}

  // Safe from any thread.
  [[nodiscard]] RandomRequest Make(const Operation& operation, std::uint64_t seed) const;

 private:
  class Maker;

  nlohmann::json document_;
  Hint hint_;
};

}  // namespace gathering::test
