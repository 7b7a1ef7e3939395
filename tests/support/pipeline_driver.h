#pragma once
// A pipeline without a daemon: poll(2) on the test's own thread.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/db/connection.h"
#include "core/db/pipeline.h"

namespace gathering::test {

class PipelineDriver final : private db::Pipeline::Owner {
 public:
  PipelineDriver(std::string url, db::PipelineOptions options);
  ~PipelineDriver();

  // A statement with what became of it.
  class Statement final : public db::Pending {
   public:
    Statement(const db::Query& query, db::Params params)
        : Pending(query, values), query_copy(query), values(std::move(params)) {}
    void OnAnswered() override { answered = true; }
    [[nodiscard]] Code code() const { return error ? error->code : Code::kInternal; }

    const db::Query& query_copy;
    db::Params values;
    bool answered = false;
  };

  // Queues a statement; `query` outlives it.
  Statement& Send(const db::Query& query, db::Params params = {});

  // Turns until `done`; throws after 10 s.
  void Until(const std::function<bool()>& done);
  void UntilAnswered();
  void UntilConnected();

  [[nodiscard]] db::Pipeline& pipeline() { return pipeline_; }
  [[nodiscard]] int backend_pid() const { return backend_pid_; }
  [[nodiscard]] db::PipelineStats stats() const { return pipeline_.Stats(); }

  // From now on connecting fails with this.
  void FailConnects(Error error) { connect_error_ = std::move(error); }
  void AllowConnects() {
    connect_error_.reset();
    away_.reset();
  }

 private:
  std::optional<Error> Away() override { return away_; }
  void ConnectWanted() override { connect_wanted_ = true; }
  void Watch(int descriptor, bool output) override;
  void Unwatch(int) override { descriptor_ = -1; }
  void FlushWanted() override { flush_wanted_ = true; }
  void Cancel(int backend, std::chrono::milliseconds at_least) override;

  void Turn();
  void Connect();

  const std::string url_;
  const db::PipelineOptions options_;
  SystemClock clock_;
  db::QueryStatistics statistics_;
  db::Connection side_;  // for cancelling
  db::Pipeline pipeline_;
  std::vector<std::unique_ptr<Statement>> statements_;
  std::optional<Error> away_;
  std::optional<Error> connect_error_;
  int descriptor_ = -1;
  int backend_pid_ = 0;
  bool output_ = false;
  bool connect_wanted_ = false;
  bool flush_wanted_ = false;
};

}  // namespace gathering::test
