#pragma once
// A fresh database with short words for what the tests of circles and tasks do.
#include <atomic>
#include <functional>
#include <latch>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "core/circles/circle.h"
#include "core/db/pool.h"
#include "core/schema/writer.h"
#include "core/tasks/task.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {

inline constexpr std::string_view kUser = "test-user";

// Calls `work(0)` … `work(threads - 1)` on threads that all begin at once; returns when all are done.
inline void Together(int threads, const std::function<void(int)>& work) {
  std::latch ready{threads};
  std::vector<std::jthread> all;
  all.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&ready, &work, i] {
      ready.arrive_and_wait();
      work(i);
    });
  }
}

inline circles::NewMember Named(std::int64_t agent_id, std::string name) {
  return {.agent_id = agent_id,
          .name = std::move(name),
          .provider = "anthropic",
          .model = "claude",
          .competencies = {},
          .can_review = {}};
}

class CircleFixture {
 public:
  template <class F>
  auto Read(F&& work) {
    return pool_.Read(std::forward<F>(work));
  }
  template <class F>
  auto Write(F&& work) {
    return pool_.Write(std::forward<F>(work));
  }
  // What `work` throws; fails the test when it throws nothing.
  template <class F>
  Error Refused(F&& work) {
    try {
      pool_.Write(std::forward<F>(work));
    } catch (const Error& error) {
      return error;
    }
    FAIL("nothing was refused");
    return Error{Code::kInternal, ""};
  }

  circles::CircleDetail MakeCircle(const circles::NewCircle& circle) {
    return Write([&](db::Tx& tx) { return circles::Create(tx, circle, kUser); });
  }
  void RunningCircle(const circles::NewCircle& circle) {
    MakeCircle(circle);
    Write([&](db::Tx& tx) { circles::Start(tx, circle.name, kUser); });
  }
  circles::CircleDetail Circle(std::string_view name) {
    return Read([&](db::Tx& tx) { return circles::Get(tx, name); });
  }
  nlohmann::json Members(std::string_view circle) {
    return nlohmann::json::parse(schema::ToJson(Circle(circle).agents));
  }
  circles::CircleMetrics Metrics(std::string_view circle) {
    return Read([&](db::Tx& tx) { return circles::Metrics(tx, circle); });
  }
  nlohmann::json MemberMetrics(std::string_view circle) {
    return nlohmann::json::parse(Metrics(circle).agents.text);
  }
  void Join(std::string_view circle, const circles::NewMember& member) {
    Write([&](db::Tx& tx) { circles::AddMember(tx, circle, member, kUser); });
  }
  void Leave(std::string_view circle, std::int64_t agent_id) {
    Write([&](db::Tx& tx) { circles::RemoveMember(tx, circle, {.agent_id = agent_id, .user = kUser}); });
  }

  tasks::Task MakeTask(std::string_view circle, const tasks::NewTask& task) {
    return Write([&](db::Tx& tx) { return tasks::Create(tx, circle, task, kUser); });
  }
  tasks::Task Task(std::string_view circle, std::int64_t number) {
    return Read([&](db::Tx& tx) { return tasks::Get(tx, circle, number); });
  }
  tasks::Task Submit(std::string_view circle, std::int64_t number, const tasks::Submission& submission) {
    return Write([&](db::Tx& tx) { return tasks::Submit(tx, circle, number, submission, kUser); });
  }
  void Approve(std::string_view circle, std::int64_t number, std::int64_t reviewer) {
    Write([&](db::Tx& tx) { tasks::Approve(tx, circle, number, {.reviewer_id = reviewer}, kUser); });
  }
  void Reject(std::string_view circle, std::int64_t number, std::int64_t reviewer) {
    Write([&](db::Tx& tx) {
      tasks::Reject(tx, circle, number, {.reviewer_id = reviewer, .comment = "again"}, kUser);
    });
  }
  circles::ConflictList Conflicts(std::string_view circle) {
    return Read([&](db::Tx& tx) { return circles::Conflicts(tx, circle, {}); });
  }

 private:
  FreshDatabase database_;
  SystemClock clock_;
  db::Pool pool_{{.url = database_.url(), .connections_max = 8}, clock_};
};

}  // namespace gathering::test
