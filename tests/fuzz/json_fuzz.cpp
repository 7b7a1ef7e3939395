// JSON texts under limits: what is taken is what the library takes, and nothing beyond the limits is.
#include <nlohmann/json.hpp>

#include "core/schema/reader.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::Code;
using gathering::Error;
using gathering::fuzz::Require;
using nlohmann::json;

constexpr gathering::schema::JsonLimits kLimits{.depth_max = 8, .nodes_max = 64, .text_bytes_max = 64};

struct Size {
  std::size_t depth = 0;
  std::size_t nodes = 0;
  std::size_t text = 0;
};

void Measure(const json& value, std::size_t depth, Size& size) {
  ++size.nodes;
  if (value.is_string()) size.text = std::max(size.text, value.get_ref<const std::string&>().size());
  if (!value.is_structured()) return;
  size.depth = std::max(size.depth, depth + 1);
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (value.is_object()) size.text = std::max(size.text, it.key().size());
    Measure(*it, depth + 1, size);
  }
}

void RequireExplained(const Error& error, std::string_view text) {
  if (error.code == Code::kRejected) return;  // a limit
  Require(error.code == Code::kInvalid && error.fields.size() == 1, "a broken text is one broken rule");
  const gathering::FieldError& fault = error.fields.front();
  Require(fault.type == "json_invalid" && fault.location.size() == 2, "which says where");
  const auto* offset = std::get_if<std::int64_t>(&fault.location.back());
  Require(offset != nullptr && *offset >= 0 && *offset <= static_cast<std::int64_t>(text.size()),
          "in the text");
  const json context = json::parse(fault.context);
  const bool by_us = context["error"] == "Duplicate name" || context["error"] == "Invalid control character";
  Require(by_us || !json::accept(text), "what the library takes is only refused for a rule of ours");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  try {
    const json value = gathering::schema::ParseJson(text, kLimits);
    Size found;
    Measure(value, 0, found);
    Require(found.depth <= kLimits.depth_max, "the depth is bounded");
    Require(found.nodes <= kLimits.nodes_max, "the values are bounded");
    Require(found.text <= kLimits.text_bytes_max, "the strings are bounded");
    Require(value == json::parse(text), "it is what the library reads");
    Require(gathering::schema::ParseJson(value.dump(), kLimits) == value, "what is written is read back");
  } catch (const Error& error) {
    RequireExplained(error, text);
  }
  return 0;
}
