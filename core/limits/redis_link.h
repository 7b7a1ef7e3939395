#pragma once
// One connection to a Redis, without a thread and never blocking: bytes in, replies out.
//
// Connecting, TLS and the greeting (AUTH, SELECT) are steps that Advance takes as the descriptor becomes
// ready; until they are done nothing else is sent, and time is its owner's business.  Replies are read by
// hiredis; what we send is plain RESP2.  Commands appended in one turn leave in one write.  Belongs to one
// thread.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/limits/redis_url.h"

namespace gathering::limits {

struct RedisAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// A server with all that connecting needs and that takes a while to read from disk.  Shared between threads.
class RedisEndpoint {
 public:
  // Reads certificates.  Throws Error kInvalid when they cannot be used.
  explicit RedisEndpoint(RedisUrl url);
  ~RedisEndpoint();
  RedisEndpoint(const RedisEndpoint&) = delete;
  RedisEndpoint& operator=(const RedisEndpoint&) = delete;

  [[nodiscard]] const RedisUrl& url() const { return url_; }

  // Known without asking anybody: unix sockets and numeric addresses.  Empty: Resolve must ask.
  [[nodiscard]] std::vector<RedisAddress> Known() const;

  // Blocks as long as the system's resolver does.  Throws Error kUnavailable.
  [[nodiscard]] std::vector<RedisAddress> Resolve() const;

 private:
  friend class RedisLink;
  struct Tls;

  const RedisUrl url_;
  std::unique_ptr<Tls> tls_;
};

// A reply, as far as anything here asks for one.
struct RedisReply {
  enum class Kind : std::uint8_t { kOther, kInteger, kText, kError, kList };
  static constexpr std::size_t kIntegersMax = 16;

  Kind kind = Kind::kOther;
  std::string text;                                 // of kText and kError
  std::array<std::int64_t, kIntegersMax> integers;  // of kInteger the first; of kList its leading integers
  std::size_t size = 0;                             // of integers
};

class RedisLink {
 public:
  enum class State : std::uint8_t { kConnecting, kReady, kLost };

  RedisLink(const RedisEndpoint& endpoint, const RedisAddress& address);
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const std::string& cause() const { return cause_; }  // when lost
  [[nodiscard]] int descriptor() const { return fd_.get(); }
  [[nodiscard]] bool wants_output() const { return !connected_ || !wire_.empty(); }

  // The descriptor is ready: goes on with whatever can go on.
  void Advance();

  void Append(std::initializer_list<std::string_view> words);
  // A command word by word; `count` calls of Word follow.
  void Begin(std::size_t count);
  void Word(std::string_view word);

  void Flush();  // sends what was appended, as far as there is room

  // The next reply that has come whole, also before the link was lost; null when there is none.
  [[nodiscard]] const RedisReply* Next();

  static constexpr std::size_t kReplyBytesMax = 1'048'576;  // beyond: not a server for us, lost

 private:
  struct Engine;

  void Connect(const RedisAddress& address);
  bool FinishConnect();
  void Greet();
  void CheckGreeting();
  void Receive();
  void Feed(const char* bytes, std::size_t size);
  void Encrypt();
  void Decrypt();
  void Lose(std::string cause);

  const RedisEndpoint& endpoint_;
  State state_ = State::kConnecting;
  std::string cause_;
  Fd fd_;
  bool connected_ = false;
  bool greeted_ = false;
  std::uint32_t greetings_ = 0;  // replies to come before we are ready
  std::string plain_;            // to be encrypted
  std::string wire_;             // to be sent
  RedisReply reply_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace gathering::limits
