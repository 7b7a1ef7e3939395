#include "core/base/uuid.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace gathering {

TEST_CASE("a UUID's text is read as it was written, in either case", "[uuid]") {
  const Uuid id{.high = 0x019aa0e46f5c7c3e, .low = 0xa2b10123456789ab};
  CHECK(ToText(id) == "019aa0e4-6f5c-7c3e-a2b1-0123456789ab");
  CHECK(ParseUuid(ToText(id)) == id);
  CHECK(ParseUuid("019AA0E4-6F5C-7C3E-A2B1-0123456789AB") == id);
  CHECK(ParseUuid("00000000-0000-0000-0000-000000000000") == Uuid{});
}

TEST_CASE("what is not a UUID is not read as one", "[uuid]") {
  const std::string_view text =
      GENERATE(as<std::string_view>{}, "", "019aa0e4", "019aa0e46f5c7c3ea2b10123456789ab",
               "019aa0e4-6f5c-7c3e-a2b1-0123456789a", "019aa0e4-6f5c-7c3e-a2b1-0123456789abc",
               "019aa0e4-6f5c-7c3e-a2b1-0123456789ag", "019aa0e4-6f5c-7c3e-a2b1-01234567-9ab",
               "+19aa0e4-6f5c-7c3e-a2b1-0123456789ab", "019aa0e4-6f5c-7c3e-+2b1-0123456789ab",
               "019aa0e4 6f5c-7c3e-a2b1-0123456789ab");
  CAPTURE(text);
  CHECK_FALSE(ParseUuid(text));
}

TEST_CASE("an id is a version 7 UUID that begins with its time and never comes again", "[uuid]") {
  Uuids ids;
  const Timestamp time{0x019aa0e46f5c * 1'000};
  std::vector<std::vector<Uuid>> made(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : made) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5'000; ++i) mine.push_back(ids.Next(time));
      });
    }
  }
  std::set<Uuid> seen;
  for (const auto& mine : made) {
    for (const Uuid& id : mine) {
      const std::string text = ToText(id);
      if (!text.starts_with("019aa0e4-6f5c-7") ||
          std::string_view{"89ab"}.find(text[19]) == std::string_view::npos)
        FAIL(text);
      if (!seen.insert(id).second) FAIL("twice: " << text);
    }
  }
  CHECK(Uuids{}.Next(time) != Uuids{}.Next(time));
}

}  // namespace gathering
