#pragma once
// Executors for tests of what takes one.
#include <functional>
#include <utility>

#include "core/db/pool.h"

namespace gathering::test {

// Every statement in a transaction of its own, as on a pipeline; blocks.
class PoolExecutor final : public db::Executor {
 public:
  explicit PoolExecutor(db::Pool& pool) : pool_(pool) {}

  db::Rows Execute(const db::Query& query, const db::Params& params) override {
    return pool_.Write([&](db::Tx& tx) { return tx.Execute(query, params); });
  }

 private:
  db::Pool& pool_;
};

// Whatever a test wants a statement to do.
class ScriptedExecutor final : public db::Executor {
 public:
  using Script = std::function<db::Rows(const db::Query&, const db::Params&)>;
  explicit ScriptedExecutor(Script script) : script_(std::move(script)) {}

  db::Rows Execute(const db::Query& query, const db::Params& params) override {
    return script_(query, params);
  }

 private:
  const Script script_;
};

// An answer without rows.
class NoRows final : public db::Result {
 public:
  std::size_t rows() const override { return 0; }
  std::size_t columns() const override { return 0; }
  std::size_t affected() const override { return 0; }
  std::string_view column_name(std::size_t) const override { return {}; }
  std::optional<std::string_view> text(std::size_t, std::size_t) const override { return std::nullopt; }
};

}  // namespace gathering::test
