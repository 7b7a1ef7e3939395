#pragma once
// Answers from memory (daemon/answers/answers.h), as handlers give them:
//
//   Remembered<Agent> Get(Call& call, Path<AgentRef> path) {
//     return Remember(call, Answers::Kind::kAgents, path->id, [&] { return agents::Get(call.db(), path->id);
//     });
//   }
//
// They carry an ETag; a client who has the answer already (If-None-Match) gets 304.  A client who wants no
// remembered answer says so: Cache-Control: no-cache.
#include <array>
#include <charconv>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "daemon/answers/answers.h"
#include "daemon/http/route.h"

namespace gathering::http {

// The key of a list, beside which those of what is in it are numbers.
inline constexpr std::string_view kWholeList = "list?";

namespace detail {

struct Kept {
  std::shared_ptr<const Answer> answer;
  bool not_modified = false;
};

}  // namespace detail

template <class T>
struct Remembered : detail::Kept {};

namespace detail {

// Throws the answer's refusal.
[[nodiscard]] Kept Remember(Call& call, Answers::Kind kind, std::string_view key, const Answers::Load& load);
void Write(Kept kept, Response& response);

template <class T>
Answer ToAnswer(const T& value) {
  std::string body;
  schema::WriteJson(value, body);
  Answer answer = Answer::Of(std::move(body));
  if constexpr (requires { value.session.holds_for; }) answer.holds_for = value.session.holds_for;
  return answer;
}

template <class T>
struct Outcome<Remembered<T>> {
  static constexpr int kStatus = 200;
  static void Write(Remembered<T>& remembered, Response& response) {
    detail::Write(std::move(remembered), response);
  }
  static constexpr void Describe(Shape& shape) {
    Outcome<T>::Describe(shape);
    shape.revalidates = true;
  }
};

}  // namespace detail

// What is known under this key, else what `load` finds.  That there is no such thing is told to all who wait
// for it, and not remembered.
template <class F>
auto Remember(Call& call, Answers::Kind kind, std::string_view key, F&& load) {
  const auto answer = [&] {
    try {
      return detail::ToAnswer(load());
    } catch (const Error& error) {
      if (error.code != Code::kNotFound) throw;
      return Answer{.body = {}, .etag = {}, .holds_for = {}, .refusal = std::current_exception()};
    }
  };
  return Remembered<std::invoke_result_t<F&>>{detail::Remember(call, kind, key, std::ref(answer))};
}

// What a request of this route changes, however it ends, if it is one that changes something (RFC 9111, 4.4).
// What that changes beside, the database tells of a moment later; deletions reach far, so after them nothing
// is remembered.
[[nodiscard]] std::optional<events::Change> ChangedBy(const Route& route, const schema::Pairs& parameters);

template <class F>
auto Remember(Call& call, Answers::Kind kind, std::int64_t id, F&& load) {
  std::array<char, 20> digits{};
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), id).ptr;
  return Remember(call, kind, std::string_view{digits.data(), end}, std::forward<F>(load));
}

}  // namespace gathering::http
