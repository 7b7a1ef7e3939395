#pragma once
// What a connection goes on as after the head of an answer: bytes in both directions until one side ends it.
// Everything happens on the connection's loop, and nothing may block.
#include <cstddef>
#include <string_view>

namespace gathering::loop {
class Loop;
}

namespace gathering::http {

// The connection, as a stream sees it.  Lives as long as the stream.
class Outlet {
 public:
  [[nodiscard]] virtual loop::Loop& loop() = 0;

  // Kept until Flush, or until the call that the stream is in returns; then on its way.
  virtual void Send(std::string_view bytes) = 0;
  virtual void Flush() = 0;  // may call OnClosed

  // Bytes the client has not taken yet.
  [[nodiscard]] virtual std::size_t unsent() const = 0;

  // The connection closes when everything is sent; nothing more is read.
  virtual void Finish() = 0;

 protected:
  ~Outlet() = default;
};

class Stream {
 public:
  virtual ~Stream() = default;

  // The head is sent.  `outlet` is there until OnClosed.
  virtual void OnOpen(Outlet& outlet) = 0;

  // What the client sent, however it was cut.  Not called while too much is unsent (kStreamHoldBytes).
  virtual void OnInput(std::string_view bytes) = 0;

  // The server stops: say good-bye and Finish.
  virtual void OnDrain() = 0;

  // The connection is gone.  The stream is destroyed soon after.
  virtual void OnClosed() = 0;
};

}  // namespace gathering::http
