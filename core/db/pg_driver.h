#pragma once
// libpqxx 6.4, of Debian 12, and 7, of Debian 13, as one: a session that prepares each statement once, passes
// notices on, and once lost stays lost.  For core/db/pg.cpp only; the differences of the two are all in here.
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <pqxx/pqxx>

namespace gathering::db {

using NoticeHandler = std::function<void(const char* message)>;

// A statement is told by its name, which has one text.  Values are as libpq wants them: texts, or null for
// NULL. What can fail throws pqxx::failure.  Transactions are the caller's: BEGIN and COMMIT are statements
// like others, so that each failure is seen where it happens.  The handler may be called by every member and
// must not throw.
#if PQXX_VERSION_MAJOR >= 7

class DriverSession {
 public:
  DriverSession(const std::string& conninfo, NoticeHandler on_notice) : connection(conninfo) {
    connection.set_notice_handler(
        [on_notice = std::move(on_notice)](pqxx::zview message) { on_notice(message.c_str()); });
    connection.set_verbosity(pqxx::error_verbosity::verbose);
  }

  void PrepareOnce(const std::string& name, const std::string& text) {
    if (prepared_.contains(name)) return;
    connection.prepare(name, text);
    prepared_.insert(name);
  }
  pqxx::result RunPrepared(const std::string& name, const std::vector<const char*>& values) {
    return channel_.exec(pqxx::prepped{name}, ToParams(values));
  }
  pqxx::result Run(const std::string& sql, const std::vector<const char*>& values) {
    return channel_.exec(sql, ToParams(values));
  }
  pqxx::result Run(const std::string& sql) { return channel_.exec(sql); }

  pqxx::connection connection;

 private:
  static pqxx::params ToParams(const std::vector<const char*>& values) {
    pqxx::params params;
    params.reserve(values.size());
    for (const char* value : values) {
      if (value == nullptr) {
        params.append();
      } else {
        params.append(pqxx::zview{value});
      }
    }
    return params;
  }

  std::set<std::string, std::less<>> prepared_;
  pqxx::nontransaction channel_{connection};
};

#else

class DriverSession {
 public:
  DriverSession(const std::string& conninfo, NoticeHandler on_notice)
      : connection(conninfo), notices_(connection, std::move(on_notice)) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // libpqxx 7 knows no other behaviour
    connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
    connection.set_verbosity(pqxx::connection_base::verbose);
  }

  void PrepareOnce(const std::string& name, const std::string& text) {
    connection.prepare(name, text);
    connection.prepare_now(name);
  }
  pqxx::result RunPrepared(const std::string& name, const std::vector<const char*>& values) {
    return channel_.exec_prepared(name, pqxx::prepare::make_dynamic_params(values));
  }
  pqxx::result Run(const std::string& sql, const std::vector<const char*>& values) {
    return channel_.exec_params(sql, pqxx::prepare::make_dynamic_params(values));
  }
  pqxx::result Run(const std::string& sql) {
    return channel_.exec(sql);
  }

  pqxx::connection connection;

 private:
  class Notices final : public pqxx::errorhandler {
   public:
    Notices(pqxx::connection_base& connection, NoticeHandler on_notice)
        : pqxx::errorhandler(connection), on_notice_(std::move(on_notice)) {}
    bool operator()(const char message[]) noexcept override {
      on_notice_(message);
      return false;
    }

   private:
    NoticeHandler on_notice_;
  };

  Notices notices_;
  pqxx::nontransaction channel_{connection};
};

#endif

}  // namespace gathering::db
