// ParseJson: nlohmann's tokenizer under our limits.  The library's own tree builder
// knows none, and keeps the last of equal names in silence.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/schema/reader.h"

namespace gathering::schema {
namespace {

using nlohmann::json;

// What the tokenizer says, and how we say it; the first that fits.
constexpr std::pair<std::string_view, std::string_view> kFaults[] = {
    {"missing closing quote", "Unterminated string"},
    {"ill-formed UTF-8", "Invalid UTF-8"},
    {"control character", "Invalid control character in a string"},
    {"invalid string", "Invalid \\escape"},
    {"number overflow", "Number out of range"},
    {"; expected end of input", "Extra data"},
    {"parsing object key", "Expecting property name enclosed in double quotes"},
    {"parsing object separator", "Expecting ':' delimiter"},
    {"parsing object", "Expecting ',' delimiter"},
    {"parsing array", "Expecting ',' delimiter"},
};

std::string_view Sentence(std::string_view said) {
  for (const auto& [needle, sentence] : kFaults) {
    if (said.find(needle) != std::string_view::npos) return sentence;
  }
  return "Expecting value";
}

[[noreturn]] void ThrowInvalid(std::string_view sentence, std::size_t offset) {
  throw Error{{FieldError{.type = "json_invalid",
                          .location = {std::string{"body"}, static_cast<std::int64_t>(offset)},
                          .message = "JSON decode error",
                          .input = "{}",
                          .context = json{{"error", sentence}}.dump()}}};
}

// Walks over the text and lets others see how far it came: the tokenizer tells its position only
// when it fails itself.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, std::size_t* passed) : at_(at), passed_(passed) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    ++at_;
    ++*passed_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  std::size_t* passed_;
};

class Builder : public json::json_sax_t {
 public:
  Builder(const JsonLimits& limits, const std::size_t& passed) : limits_(limits), passed_(passed) {}

  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(std::int64_t value) override { return Add(value); }
  bool number_unsigned(std::uint64_t value) override { return Add(value); }
  bool number_float(double value, const std::string&) override { return Add(value); }
  bool string(std::string& value) override {
    CheckText(value);
    return Add(std::move(value));
  }
  bool binary(json::binary_t&) override { return false; }

  bool start_object(std::size_t) override { return Open(json::object()); }
  bool start_array(std::size_t) override { return Open(json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(std::string& name) override {
    CheckText(name);
    const auto [it, is_new] = open_.back()->emplace(name, nullptr);
    if (!is_new) ThrowInvalid("Duplicate name", passed_);
    member_ = &*it;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token, const json::exception& error) override {
    const std::string_view said = error.what();
    // A wrong but whole token is blamed where it begins, a broken one where it broke.  Only for words
    // does `token` hold nothing else.
    const std::size_t unexpected = said.find("unexpected ");
    const bool is_word =
        unexpected != std::string_view::npos &&
        said.substr(unexpected, said.find(';', unexpected) - unexpected).ends_with(" literal");
    const std::size_t back = is_word ? token.size() : 1;
    ThrowInvalid(Sentence(said), position > back ? position - back : 0);
  }

  json Take() { return std::move(root_); }

 private:
  void CheckText(const std::string& text) const {
    if (text.size() > limits_.text_bytes_max) {
      throw JsonTooLarge{
          fmt::format("the JSON text holds a string of more than {} bytes", limits_.text_bytes_max)};
    }
  }

  json* Place(json value) {
    if (++nodes_ > limits_.nodes_max) {
      throw JsonTooLarge{fmt::format("the JSON text holds more than {} values", limits_.nodes_max)};
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) return &open_.back()->emplace_back(std::move(value));
    *member_ = std::move(value);
    return member_;
  }
  bool Add(json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(json empty) {
    if (open_.size() >= limits_.depth_max) {
      throw Error{Code::kRejected,
                  fmt::format("the JSON text is nested deeper than {} levels", limits_.depth_max)};
    }
    open_.push_back(Place(std::move(empty)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  const std::size_t& passed_;
  json root_;
  std::vector<json*> open_;  // from the root to the innermost object or list not yet closed
  json* member_ = nullptr;   // where the next value of an object goes
  std::uint32_t nodes_ = 0;
};

}  // namespace

json ParseJson(std::string_view text, const JsonLimits& limits) {
  // The tokenizer would take a NUL for the end of the text and not look further.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    ThrowInvalid("Invalid control character", nul);
  }
  std::size_t passed = 0;
  Builder builder{limits, passed};
  std::size_t unused = 0;
  json::sax_parse(Cursor{text.data(), &passed}, Cursor{text.data() + text.size(), &unused}, &builder);
  return builder.Take();
}

}  // namespace gathering::schema
