#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include <catch2/catch.hpp>

#include "core/base/text.h"
#include "core/config/check.h"
#include "core/config/control_socket.h"
#include "core/config/keys.h"
#include "core/config/load.h"
#include "core/config/reload.h"
#include "core/config/value.h"

namespace gathering {
namespace {

using namespace std::chrono_literals;

const std::string kSecret = "0123456789abcdef0123456789abcdef";
const std::string kHash = "$2b$05$abcdefghijklmnopqrstuuBKTK.qTk510AXsl7sY1owdL2ZgkpwSq";

class Directory {
 public:
  Directory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / ("gathering-config-" + std::string(6, 'X'))).string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const std::string path = path_ + "/" + name;
    std::ofstream{path} << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Nothing of the machine the test runs on: a home, no default file.
LoadOptions Clean() {
  return {.environment = {{"HOME", "/home/ada"}}, .default_file = ""};
}

LoadedConfig Loaded(const Config& config, std::string file = "") {
  return {.config = config, .origins = {}, .warnings = {}, .file = std::move(file)};
}

std::vector<std::string> ProblemsOf(const LoadOptions& options) {
  try {
    static_cast<void>(LoadConfig(options));
  } catch (const ConfigError& error) {
    return error.problems;
  }
  return {};
}

std::string OnlyProblemOf(const LoadOptions& options) {
  const auto problems = ProblemsOf(options);
  REQUIRE(problems.size() == 1);
  return problems.front();
}

bool Has(const std::vector<std::string>& lines, std::string_view part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

// Converts to anything, so that brace initialisation counts an aggregate's members.
struct Anything {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};
template <class T, class... Members>
consteval std::size_t CountMembers() {
  if constexpr (requires { T{Members{}..., Anything{}}; }) {
    return CountMembers<T, Members..., Anything>();
  } else {
    return sizeof...(Members);
  }
}

}  // namespace

TEST_CASE("every member of the configuration has exactly one key", "[config]") {
  // http, tls, limits, database, pool, pipeline, lane, auth, rate_limits, caches, seven of them,
  // event_history, events, streams, log
  constexpr std::size_t kNested = 21;
  constexpr std::size_t kCaches = 7;
  // traffic, in_flight_bytes_max, avoid_for, statement_timeout and lifetime_max of a lane
  constexpr std::size_t kDerived = 5;
  constexpr std::size_t kMembers =
      CountMembers<Config>() + CountMembers<HttpConfig>() + CountMembers<tls::Files>() +
      CountMembers<HttpLimits>() + CountMembers<DatabaseConfig>() + CountMembers<db::PoolOptions>() +
      CountMembers<PipelineConfig>() + CountMembers<db::PipelineOptions>() + CountMembers<AuthConfig>() +
      CountMembers<RateLimitsConfig>() + CountMembers<CachesConfig>() +
      kCaches * CountMembers<CacheConfig>() + CountMembers<EventHistoryConfig>() +
      CountMembers<EventsConfig>() + CountMembers<StreamsConfig>() + CountMembers<LogConfig>() - kNested -
      kDerived;
  static_assert(CountMembers<LogConfig>() == 4);
  CHECK(config::Keys().size() == kMembers);

  // Each key reaches a member of its own: changing one changes no other.
  for (const config::Key& key : config::Keys()) {
    Config changed;
    const Config defaults;
    config::Value other = config::Get(key, defaults);
    if (auto* text = std::get_if<std::string>(&other)) {
      for (const char* candidate : {"2h", "7s", "7ms", "70ms", "sieve", "640KiB", "4KiB", "error", "console",
                                    "text", "fixed-window"}) {
        *text = candidate;
        if (!config::Set(key, other, changed) && config::Get(key, changed) != config::Get(key, defaults))
          break;
      }
    } else {
      if (auto* number = std::get_if<std::int64_t>(&other)) *number += *number > 500'000 ? -1 : 1;
      if (auto* truth = std::get_if<bool>(&other)) *truth = !*truth;
      if (auto* list = std::get_if<std::vector<std::string>>(&other)) list->push_back("x");
      CHECK_FALSE(config::Set(key, other, changed));
    }
    for (const config::Key& any : config::Keys()) {
      INFO(key.name << " and " << any.name);
      CHECK((config::Get(any, changed) != config::Get(any, defaults)) == (any.name == key.name));
    }
    // A reload takes it over, or names it.
    const config::ReloadPlan plan = config::PlanReload(Loaded(defaults), Loaded(changed));
    INFO(key.name);
    const bool at_once = key.holds == config::Holds::kAfterReload;
    CHECK((config::Get(key, plan.config) == config::Get(key, changed)) == at_once);
    CHECK(plan.changes.size() == (at_once ? 1 : 0));
    CHECK(plan.for_restart == (at_once ? std::vector<std::string_view>{} : std::vector{key.name}));
  }
}

TEST_CASE("a reload is told against what is in force, with secrets masked", "[config]") {
  LoadedConfig now;
  LoadedConfig next;
  next.config.rate_limits.read = "5/minute";
  next.config.auth.secret_key = kSecret;
  const config::ReloadPlan plan = config::PlanReload(now, next);
  REQUIRE(plan.changes.size() == 1);
  CHECK(plan.changes[0].key == "rate_limits.read");
  CHECK(plan.changes[0].before == "\"120/minute\"");
  CHECK(plan.changes[0].after == "\"5/minute\"");
  CHECK(plan.for_restart == std::vector<std::string_view>{"auth.secret_key"});
  CHECK(plan.config.auth.secret_key.empty());

  now.config = plan.config;
  CHECK(config::PlanReload(now, next).changes.empty());
  CHECK(config::PlanReload(now, next).for_restart == plan.for_restart);  // as long as it is so
  CHECK(config::PlanReload(now, now).for_restart.empty());
}

TEST_CASE("a file that was read and is gone is not taken for none", "[config]") {
  const LoadedConfig with_file = Loaded({}, "/etc/gathering/gathering.toml");
  const LoadedConfig without = Loaded({});
  CHECK_THROWS_AS(config::PlanReload(with_file, without), ConfigError);
  CHECK_NOTHROW(config::PlanReload(without, with_file));
  CHECK_NOTHROW(config::PlanReload(without, without));
}

TEST_CASE("every default satisfies the rules of its own key", "[config]") {
  const Config defaults;
  Config copy;
  for (const config::Key& key : config::Keys()) {
    INFO(key.name);
    CHECK_FALSE(config::Set(key, config::Get(key, defaults), copy));
    CHECK(config::Get(key, copy) == config::Get(key, defaults));
  }
  CHECK(ProblemsOf(Clean()).empty());
}

TEST_CASE("no two keys share a variable", "[config]") {
  std::set<std::string> names;
  for (const config::Key& key : config::Keys()) {
    CHECK(names.insert(config::EnvironmentName(key)).second);
    if (!key.legacy.empty()) CHECK(names.insert(std::string{key.legacy}).second);
  }
}

TEST_CASE("a flag wins over the environment, that over the file, that over the default", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  CHECK(LoadConfig(options).config.log.level == LogLevel::kInfo);
  CHECK(LoadConfig(options).origins.find("log.level")->second == "default");

  options.file = directory.Write("a.toml", "# first line\nlog.level = \"error\"\n[http]\nloops = 3\n");
  LoadedConfig loaded = LoadConfig(options);
  CHECK(loaded.config.log.level == LogLevel::kError);
  CHECK(loaded.config.http.loops == 3);
  CHECK(loaded.origins.find("log.level")->second == "file " + options.file + ":2");
  CHECK(loaded.origins.find("http.loops")->second == "file " + options.file + ":4");

  options.environment["LOG_LEVEL"] = "WARNING";
  loaded = LoadConfig(options);
  CHECK(loaded.config.log.level == LogLevel::kWarning);
  CHECK(loaded.origins.find("log.level")->second == "environment LOG_LEVEL");

  options.flags = {{"--log-level", "debug"}};
  loaded = LoadConfig(options);
  CHECK(loaded.config.log.level == LogLevel::kDebug);
  CHECK(loaded.origins.find("log.level")->second == "flag --log-level");
  CHECK(loaded.config.http.loops == 3);
}

TEST_CASE("our own variable wins over the one of the replaced system, and the difference is told",
          "[config]") {
  LoadOptions options = Clean();
  options.environment["LOG_LEVEL"] = "error";
  options.environment["GATHERING_LOG_LEVEL"] = "debug";
  const LoadedConfig loaded = LoadConfig(options);
  CHECK(loaded.config.log.level == LogLevel::kDebug);
  CHECK(Has(loaded.warnings, "GATHERING_LOG_LEVEL and LOG_LEVEL differ"));
}

TEST_CASE("an empty variable counts as unset", "[config]") {
  LoadOptions options = Clean();
  options.environment["SECRET_KEY"] = "";
  options.environment["LOG_LEVEL"] = "";
  CHECK(LoadConfig(options).origins.find("log.level")->second == "default");
}

TEST_CASE("lists are comma separated in variables and repeated as flags", "[config]") {
  LoadOptions options = Clean();
  options.environment["CORS_ORIGINS"] = "https://a.example, https://b.example,";
  options.flags = {{"--listen", "127.0.0.1:1"}, {"--listen", "unix:/run/a,b.sock"}};
  const Config config = LoadConfig(options).config;
  CHECK(config.http.cors_origins == std::vector<std::string>{"https://a.example", "https://b.example"});
  CHECK(config.http.listen == std::vector<std::string>{"127.0.0.1:1", "unix:/run/a,b.sock"});
}

TEST_CASE("every problem is reported at once, each with its place", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  options.file = directory.Write("bad.toml",
                                 "[http]\n"
                                 "lisen = [\"127.0.0.1:1\"]\n"
                                 "loops = 1000\n"
                                 "drain_timeout = 30\n"
                                 "[databse]\n"
                                 "url = \"x\"\n");
  options.environment["LOG_LEVEL"] = "wraning";
  options.flags = {{"--listen", "nowhere"}};
  const auto problems = ProblemsOf(options);
  CHECK(problems.size() == 6);
  const std::string file = "file " + options.file;
  CHECK(Has(problems, file + ":2: unknown key 'http.lisen'; did you mean 'http.listen'?"));
  CHECK(Has(problems, file + ":3: http.loops must be a number from 0 to 256, not 1000"));
  CHECK(
      Has(problems, file + ":4: http.drain_timeout must be a duration from 0ms to 1h, like \"10s\", not 30"));
  CHECK(Has(problems, file + ":6: unknown key 'databse.url'; did you mean 'database.url'?"));
  CHECK(Has(problems,
            "environment LOG_LEVEL: log.level must be one of debug, info, warning, error, not \"wraning\"; "
            "did you mean 'warning'?"));
  CHECK(Has(problems, "flag --listen: http.listen 'nowhere': the port is missing"));
}

TEST_CASE("a file that is not TOML is refused with line and column", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  options.file = directory.Write("broken.toml", "[http]\nloops = = 3\n");
  CHECK(OnlyProblemOf(options).starts_with("file " + options.file + ":2:"));
}

TEST_CASE("a file that was asked for must be readable, the default one may be absent", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  options.default_file = directory.path() + "/absent.toml";
  CHECK(ProblemsOf(options).empty());
  options.file = options.default_file;
  CHECK(OnlyProblemOf(options).find("No such file or directory") != std::string::npos);
  options.file = directory.path();
  CHECK(OnlyProblemOf(options).find("it is a directory") != std::string::npos);
}

TEST_CASE("a file over its limit is refused, one at the limit is read", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  const std::string line = "log.level = \"debug\"\n";
  options.file = directory.Write("big.toml", line + std::string(1'048'576 - line.size(), '\n'));
  CHECK(LoadConfig(options).config.log.level == LogLevel::kDebug);
  options.file = directory.Write("big.toml", line + std::string(1'048'577 - line.size(), '\n'));
  CHECK(OnlyProblemOf(options).find("over 1048576 bytes") != std::string::npos);
}

TEST_CASE("a number is taken at its bounds and refused beyond them", "[config]") {
  LoadOptions options = Clean();
  for (const auto& [text, good] : {std::pair{"0", true},
                                   {"256", true},
                                   {"257", false},
                                   {"-1", false},
                                   {"2x", false},
                                   {"99999999999999999999", false},
                                   {"1.5", false}}) {
    INFO(text);
    options.environment["GATHERING_HTTP_LOOPS"] = text;
    CHECK(ProblemsOf(options).empty() == good);
  }
}

TEST_CASE("a text with a NUL byte is refused, for the system would read what is before it", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  options.file = directory.Write("nul.toml",
                                 "[http]\n"
                                 "listen = [\"unix:/run/a\\u0000b\"]\n"
                                 "[database]\n"
                                 "url = \"host=a password=x\\u0000y\"\n");
  const auto problems = ProblemsOf(options);
  CHECK(problems.size() == 2);
  CHECK(Has(problems, "file " + options.file + ":2: http.listen holds a NUL byte; remove it"));
  CHECK(Has(problems, "file " + options.file + ":4: database.url holds a NUL byte; remove it"));
}

TEST_CASE("sizes and durations are read with their units and written in the largest that loses nothing",
          "[config]") {
  CHECK(config::ParseSize("4096") == 4096);
  CHECK(config::ParseSize("16 KiB") == 16'384);
  CHECK(config::ParseSize("1MiB") == 1'048'576);
  CHECK_FALSE(config::ParseSize("1MB"));
  CHECK_FALSE(config::ParseSize("-1KiB"));
  CHECK_FALSE(config::ParseSize("9223372036854775807GiB"));
  CHECK_FALSE(config::ParseSize(""));
  CHECK(config::SizeToText(1'048'576) == "1MiB");
  CHECK(config::SizeToText(1'025) == "1025");
  CHECK(config::ParseDuration("500ms") == 500ms);
  CHECK(config::ParseDuration("24h") == 24h);
  CHECK_FALSE(config::ParseDuration("10"));
  CHECK_FALSE(config::ParseDuration("1.5s"));
  CHECK_FALSE(config::ParseDuration("s"));
  CHECK(config::ToText(90'000ms) == "90s");
  CHECK(config::ToText(120'000ms) == "2m");
  CHECK(config::ToText(0ms) == "0ms");
}

TEST_CASE("what is printed as TOML reads back as the same value", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  const std::string nasty = "a\"b\\c\nd\x7f\xc3\xa9";
  options.file =
      directory.Write("n.toml", "database.pool.application_name = " + config::ToToml(nasty) + "\n");
  CHECK(LoadConfig(options).config.database.pool.application_name == nasty);
}

TEST_CASE("a secret comes from a file of its own without its last newline", "[config]") {
  const Directory directory;
  const std::string secret = directory.Write("key", kSecret + "\n");
  LoadOptions options = Clean();

  SECTION("named in the environment") {
    options.environment["SECRET_KEY_FILE"] = secret;
    const LoadedConfig loaded = LoadConfig(options);
    CHECK(loaded.config.auth.secret_key == kSecret);
    CHECK(loaded.origins.find("auth.secret_key")->second == "environment SECRET_KEY_FILE");
    CHECK(loaded.warnings.empty());
  }
  SECTION("named in the file") {
    options.file = directory.Write("a.toml", "[auth]\nsecret_key_file = \"" + secret + "\"\n");
    const LoadedConfig loaded = LoadConfig(options);
    CHECK(loaded.config.auth.secret_key == kSecret);
    CHECK(loaded.origins.find("auth.secret_key")->second == "file " + options.file + ":2 via " + secret);
  }
  SECTION("as systemd's credential") {
    directory.Write("auth_secret_key", kSecret + "\n");
    options.environment["CREDENTIALS_DIRECTORY"] = directory.path();
    const LoadedConfig loaded = LoadConfig(options);
    CHECK(loaded.config.auth.secret_key == kSecret);
    CHECK(loaded.origins.find("auth.secret_key")->second == "credential auth_secret_key");
  }
  SECTION("and everybody who may read it is told about") {
    options.environment["SECRET_KEY_FILE"] = directory.Write("open", kSecret, 0644);
    CHECK(Has(LoadConfig(options).warnings, "everybody may read"));
  }
  SECTION("but not from two places of one kind") {
    options.environment["SECRET_KEY_FILE"] = secret;
    options.environment["SECRET_KEY"] = kSecret;
    CHECK(Has(ProblemsOf(options), "SECRET_KEY_FILE is set too"));
    options = Clean();
    options.file =
        directory.Write("b.toml", "[auth]\nsecret_key = \"" + kSecret + "\"\nsecret_key_file = \"/x\"\n");
    CHECK(Has(ProblemsOf(options), "auth.secret_key and auth.secret_key_file are both set"));
  }
  SECTION("and a file that is away is a problem") {
    options.environment["SECRET_KEY_FILE"] = "/nowhere/key";
    CHECK(Has(ProblemsOf(options), "cannot read /nowhere/key"));
  }
}

TEST_CASE("what is no secret has no companion file", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  options.file = directory.Write("a.toml", "log.level_file = \"/x\"\n");
  CHECK(OnlyProblemOf(options).find("unknown key 'log.level_file'") != std::string::npos);
}

TEST_CASE("a secret of 31 bytes is refused and one of 32 taken, and neither is shown", "[config]") {
  LoadOptions options = Clean();
  options.environment["SECRET_KEY"] = kSecret.substr(1);
  const std::string problem = OnlyProblemOf(options);
  CHECK(problem.find("shorter than 32 bytes") != std::string::npos);
  CHECK(problem.find(kSecret.substr(1)) == std::string::npos);
  options.environment["SECRET_KEY"] = kSecret;
  const LoadedConfig loaded = LoadConfig(options);
  CHECK(loaded.config.auth.secret_key == kSecret);
  CHECK(config::GetMasked(*config::FindKey("auth.secret_key"), loaded.config) == config::Value{"[secret]"});
}

TEST_CASE("the password inside a database URL is masked, whatever the form", "[config]") {
  using config::WithoutPassword;
  CHECK(WithoutPassword("postgresql://ada:pw@db/x") == "postgresql://ada:[secret]@db/x");
  CHECK(WithoutPassword("postgresql://ada:p/w@2@db:5432/x") == "postgresql://ada:[secret]@db:5432/x");
  CHECK(WithoutPassword("postgresql://db:5432/x?user=ada&password=pw&connect_timeout=3") ==
        "postgresql://db:5432/x?user=ada&password=[secret]&connect_timeout=3");
  CHECK(WithoutPassword("host=db password=pw user=ada") == "host=db password=[secret] user=ada");
  CHECK(WithoutPassword("host=db password = 'p w\\'x' user=ada") == "host=db password = [secret] user=ada");
  CHECK(WithoutPassword("sslpassword=pw host=db") == "sslpassword=[secret] host=db");
  CHECK(WithoutPassword("postgresql:///gathering?host=/run/pg") == "postgresql:///gathering?host=/run/pg");
}

TEST_CASE("the password inside a database URL is masked as libpq reads it", "[config]") {
  using config::WithoutPassword;
  CHECK(WithoutPassword("password=a\\ b host=db") == "password=[secret] host=db");
  CHECK(WithoutPassword("password\t=\tpw\thost=db") == "password\t=\t[secret]\thost=db");
  CHECK(WithoutPassword("host=db password=\npw") == "host=db password=\n[secret]");
  CHECK(WithoutPassword("host=password= password = 'p w'") == "host=password= password = [secret]");
  CHECK(WithoutPassword("host=password='x password='y z'") == "host=password='x password=[secret]");
  CHECK(WithoutPassword("password='x'user=ada") == "password=[secret]user=ada");
  CHECK(WithoutPassword("password=a&b options=x://y") == "password=[secret] options=x://y");
  CHECK(WithoutPassword("postgresql://db/x?p%61ssword=pw&sslmode=require") ==
        "postgresql://db/x?p%61ssword=[secret]&sslmode=require");
  CHECK(WithoutPassword("postgresql://db/x?password='a'b&sslmode=require") ==
        "postgresql://db/x?password=[secret]&sslmode=require");
  CHECK(WithoutPassword("postgresql://db:1/x?password=a@b") == "postgresql://db:[secret]");
  CHECK(WithoutPassword("postgresql://ada:a?password=b@db/x").find("a?") == std::string::npos);
}

TEST_CASE("of a database URL that libpq refuses nothing behind the first password is shown", "[config]") {
  using config::WithoutPassword;
  CHECK(WithoutPassword("host=db password=p w") == "host=db password=[secret]");
  CHECK(WithoutPassword("host=db password='p w user=ada") == "host=db password=[secret]");
  CHECK(WithoutPassword("db password = pw host=db") == "db password = [secret]");
  CHECK(WithoutPassword("host=db user") == "host=db user");
}

TEST_CASE("a database URL may name a Python driver, but no other database", "[config]") {
  LoadOptions options = Clean();
  options.environment["DATABASE_URL"] = "postgresql+asyncpg://ada@db/x";
  CHECK(LoadConfig(options).config.database.pool.url == "postgresql://ada@db/x");
  options.environment["DATABASE_URL"] = "host=/run/pg dbname=x";
  CHECK(LoadConfig(options).config.database.pool.url == "host=/run/pg dbname=x");
  options.environment["DATABASE_URL"] = "sqlite:///x.db";
  CHECK(OnlyProblemOf(options).find("no other database") != std::string::npos);
  options.environment["DATABASE_URL"] = "gathering";
  CHECK(OnlyProblemOf(options).find("libpq keywords") != std::string::npos);
}

TEST_CASE("a password on the command line is warned about", "[config]") {
  LoadOptions options = Clean();
  options.flags = {{"--database-url", "postgresql://ada:hush@db/x"}};
  const LoadedConfig loaded = LoadConfig(options);
  CHECK(Has(loaded.warnings, "everybody on this machine can see"));
  CHECK_FALSE(Has(loaded.warnings, "hush"));
}

TEST_CASE("an administrator needs both an address and a hash that is one", "[config]") {
  LoadOptions options = Clean();
  options.environment["ADMIN_EMAIL"] = "ada@example.com";
  CHECK(OnlyProblemOf(options).find("without auth.admin_password_hash") != std::string::npos);
  options.environment["ADMIN_PASSWORD_HASH"] = kHash;
  CHECK(ProblemsOf(options).empty());
  options.environment["ADMIN_PASSWORD_HASH"] = "secret";
  CHECK(OnlyProblemOf(options).find("not a bcrypt or argon2id hash") != std::string::npos);
  options.environment.erase("ADMIN_EMAIL");
  CHECK(ProblemsOf(options).size() == 2);

  CHECK(config::LooksLikeHash("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g"));
  CHECK_FALSE(config::LooksLikeHash(kHash + "x"));
  CHECK_FALSE(config::LooksLikeHash("$2b$99" + kHash.substr(6)));
}

TEST_CASE("authentication can be off in development and never in production", "[config]") {
  LoadOptions options = Clean();
  options.environment["DISABLE_AUTH"] = "true";
  CHECK(Has(LoadConfig(options).warnings, "auth.disabled is on"));
  options.environment["GATHERING_ENV"] = "production";
  CHECK(OnlyProblemOf(options) ==
        "environment DISABLE_AUTH: auth.disabled is refused with GATHERING_ENV=production");
}

TEST_CASE("values that contradict each other are refused", "[config]") {
  const Directory directory;
  LoadOptions options = Clean();
  options.file =
      directory.Write("a.toml",
                      "[database.pool]\nconnections_min = 5\nconnections_max = 4\n"
                      "[http.limits]\npath_bytes_max = \"8KiB\"\nrequest_line_bytes_max = \"4KiB\"\n");
  const auto problems = ProblemsOf(options);
  CHECK(problems.size() == 2);
  CHECK(Has(problems, ":2: database.pool.connections_min is above database.pool.connections_max"));
  CHECK(Has(problems, ":5: http.limits.path_bytes_max is above http.limits.request_line_bytes_max"));
}

TEST_CASE("an address to listen on has one of three forms, two of them with or without TLS", "[config]") {
  for (const char* good : {"127.0.0.1:8000", "localhost:0", "[::1]:8000", "[::]:65535", "unix:/run/g.sock",
                           "tls:127.0.0.1:8443", "tls:[::]:0"}) {
    INFO(good);
    CHECK_FALSE(config::ListenProblem(good));
  }
  for (const char* bad : {"", "8000", ":8000", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+80", "::1:8000",
                          "[::1:8000", "unix:", "unix:run/g.sock", "a b:80", "http://x:80",
                          "tls:", "tls:unix:/run/g.sock", "tls:tls:a:80", "TLS:127.0.0.1:80"}) {
    INFO(bad);
    CHECK(config::ListenProblem(bad));
  }
  CHECK_FALSE(config::ListenProblem("unix:/" + std::string(106, 'a')));
  CHECK(config::ListenProblem("unix:/" + std::string(107, 'a')));
}

TEST_CASE("listening twice on one address is refused, on two free ports not", "[config]") {
  LoadOptions options = Clean();
  options.flags = {{"--listen", "127.0.0.1:80"}, {"--listen", "127.0.0.1:80"}};
  CHECK(OnlyProblemOf(options).find("twice") != std::string::npos);
  options.flags = {{"--listen", "127.0.0.1:80"}, {"--listen", "tls:127.0.0.1:80"}};
  options.environment["GATHERING_HTTP_TLS_CERTIFICATE"] = "c.pem";
  CHECK(OnlyProblemOf(options).find("twice") != std::string::npos);
  options.flags = {{"--listen", "127.0.0.1:0"}, {"--listen", "127.0.0.1:0"}};
  CHECK(ProblemsOf(options).empty());
}

TEST_CASE("the control socket is in the data directory unless it is elsewhere, or nowhere", "[config]") {
  LoadOptions options = Clean();
  const auto socket = [&] { return ControlSocketOf(LoadConfig(options).config); };
  CHECK(socket().path == "/home/ada/.local/state/gathering/control.sock");
  CHECK_FALSE(socket().required);
  options.flags = {{"--data-dir", "/srv/g"}};
  CHECK(socket().path == "/srv/g/control.sock");
  options.environment["GATHERING_HTTP_CONTROL_SOCKET"] = "/run/g.sock";
  CHECK(socket().path == "/run/g.sock");
  CHECK(socket().required);
  options.environment["GATHERING_HTTP_CONTROL_SOCKET"] = "none";
  CHECK(socket().path.empty());
}

TEST_CASE("a control socket nobody can listen on is refused", "[config]") {
  LoadOptions options = Clean();
  options.flags = {{"--listen", "unix:/run/g.sock"}};
  for (const std::string& bad : {std::string{"off"}, std::string{"run/g.sock"}, "/" + std::string(107, 'a'),
                                 std::string{"/run/g.sock"}}) {
    INFO(bad);
    options.environment["GATHERING_HTTP_CONTROL_SOCKET"] = bad;
    CHECK(OnlyProblemOf(options).find("http.control_socket is ") != std::string::npos);
  }
}

TEST_CASE("a variable with our prefix that is no key is told with what was meant", "[config]") {
  LoadOptions options = Clean();
  options.environment["GATHERING_HTTP_LISTN"] = "x";
  options.environment["GATHERING_ENV"] = "development";
  const auto warnings = LoadConfig(options).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] ==
        "environment GATHERING_HTTP_LISTN: no such key; did you mean 'GATHERING_HTTP_LISTEN'?");
}

TEST_CASE("the data directory follows systemd, then root, then XDG, then HOME", "[config]") {
  LoadOptions options = Clean();
  const auto directory = [&] { return LoadConfig(options).config.data_dir; };
  CHECK(directory() == "/home/ada/.local/state/gathering");
  options.environment["XDG_STATE_HOME"] = "/home/ada/state";
  CHECK(directory() == "/home/ada/state/gathering");
  options.root = true;
  CHECK(directory() == "/var/lib/gathering");
  options.environment["STATE_DIRECTORY"] = "/var/lib/g:/var/lib/h";
  CHECK(directory() == "/var/lib/g");
  options.flags = {{"--data-dir", "/srv/x/../g/"}};
  CHECK(directory() == "/srv/g");
  options = Clean();
  options.environment.clear();
  CHECK(OnlyProblemOf(options).find("there is no HOME") != std::string::npos);
}

TEST_CASE("daemons that share a database must be given their common secret", "[config]") {
  constexpr auto kNoRoute = [](std::string_view) { return false; };
  LoadOptions options = Clean();
  CHECK_NOTHROW(RequireServable(LoadConfig(options), +kNoRoute));
  options.environment["DATABASE_URL"] = "postgresql://db/x";
  CHECK_THROWS_AS(RequireServable(LoadConfig(options), +kNoRoute), ConfigError);
  options.environment["SECRET_KEY"] = kSecret;
  CHECK_NOTHROW(RequireServable(LoadConfig(options), +kNoRoute));
}

TEST_CASE("a limit for a route that does not exist is no configuration to serve with", "[config]") {
  const auto is_route = +[](std::string_view name) { return name == "agents.list"; };
  LoadOptions options = Clean();
  options.environment["GATHERING_RATE_LIMITS_ROUTES"] = "agents.list=5/minute";
  CHECK_NOTHROW(RequireServable(LoadConfig(options), is_route));
  options.environment["GATHERING_RATE_LIMITS_ROUTES"] = "agents.lust=5/minute";
  options.environment["GATHERING_RATE_LIMITS_EXEMPT_ROUTES"] = "agents.lost";
  try {
    RequireServable(LoadConfig(options), is_route);
    FAIL("nothing was thrown");
  } catch (const ConfigError& error) {
    CHECK(error.problems.size() == 2);
    CHECK(Has(error.problems, "there is no route 'agents.lust'"));
    CHECK(Has(error.problems, "there is no route 'agents.lost'"));
  }
}

TEST_CASE("a mistyped word is answered with the one that was meant, a foreign one with nothing", "[text]") {
  constexpr std::string_view kWords[] = {"serve", "migrate", "config", "to"};
  CHECK(Closest("srve", kWords) == "serve");
  CHECK(Closest("sevre", kWords) == "serve");
  CHECK(Closest("migrat", kWords) == "migrate");
  CHECK_FALSE(Closest("deploy", kWords));
  CHECK_FALSE(Closest("x", kWords));
  CHECK(EditDistance("", "abc") == 3);
  CHECK(EditDistance("ab", "ba") == 1);
  CHECK(EditDistance(std::string(1'000, 'a'), std::string(1'000, 'a')) == 0);
}

}  // namespace gathering
