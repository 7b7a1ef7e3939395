#include "daemon/http/route.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/text.h"
#include "core/config/config.h"
#include "daemon/http/status.h"

namespace gathering::http {
namespace {

enum class MediaType : std::uint8_t { kNone, kJson, kForm, kOther };

// application/json and everything that ends in "+json" is JSON; parameters (charset) do not matter,
// the text must be UTF-8 anyway.
MediaType MediaTypeOf(const Request& request) {
  const auto header = request.Find("Content-Type");
  if (!header) return MediaType::kNone;
  const std::string type = Lower(Trimmed(header->substr(0, header->find(';'))));
  if (type.empty()) return MediaType::kNone;
  if (type == "application/json" || type.ends_with("+json")) return MediaType::kJson;
  return type == "application/x-www-form-urlencoded" ? MediaType::kForm : MediaType::kOther;
}

schema::Pairs Decoded(std::string_view encoded, const HttpLimits& limits, std::string_view what) {
  auto pairs = DecodePairs(encoded, limits.query_pairs_max);
  if (!pairs) {
    throw Error{Code::kRejected,
                fmt::format("the {} holds a broken escape, text that is not UTF-8, or more than {} values",
                            what, limits.query_pairs_max)};
  }
  return *std::move(pairs);
}

}  // namespace

struct Input::Parsed {
  std::optional<schema::Pairs> query;
  std::optional<schema::Pairs> form;
  std::optional<nlohmann::json> json;
};

Input::Input(const Request& request, const schema::Pairs& path_parameters, const HttpLimits& limits)
    : request_(request), path_(path_parameters), limits_(limits), parsed_(std::make_unique<Parsed>()) {}

Input::~Input() = default;

const schema::Pairs& Input::query() {
  if (!parsed_->query) parsed_->query = Decoded(request_.query, limits_, "query");
  return *parsed_->query;
}

const schema::Pairs& Input::form() {
  if (parsed_->form) return *parsed_->form;
  switch (MediaTypeOf(request_)) {
    case MediaType::kForm:
      parsed_->form = Decoded(request_.body, limits_, "form");
      break;
    case MediaType::kNone:
    case MediaType::kJson:  // read as an empty form: the client is told which fields are missing
      parsed_->form.emplace();
      break;
    case MediaType::kOther:
      throw HttpError{415, "Content-Type must be application/x-www-form-urlencoded"};
  }
  return *parsed_->form;
}

const nlohmann::json& Input::json() {
  if (parsed_->json) return *parsed_->json;
  if (request_.body.empty()) return parsed_->json.emplace(nullptr);
  const MediaType type = MediaTypeOf(request_);
  if (type != MediaType::kJson && type != MediaType::kNone) {
    throw HttpError{415, "Content-Type must be application/json"};
  }
  const schema::JsonLimits limits{.depth_max = limits_.json_depth_max,
                                  .nodes_max = limits_.json_nodes_max,
                                  .text_bytes_max = limits_.body_bytes_max};
  try {
    return parsed_->json.emplace(schema::ParseJson(request_.body, limits));
  } catch (const schema::JsonTooLarge& error) {
    throw HttpError{413, error.message};
  }
}

void Input::ThrowIfErrors() {
  if (!errors.empty()) throw Error{std::move(errors)};
}

}  // namespace gathering::http
