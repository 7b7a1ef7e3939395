#pragma once
// The bytes of one connection: a non-blocking socket, plain or under TLS.
//
// Both ways it is used like a socket under an edge-triggered epoll: read until there is no more, write until
// it no longer fits, then wait for any event.  A TLS handshake is part of whichever comes first, and takes as
// long as the caller's deadline for that lets it.  One thread at a time.
#include <openssl/bio.h>
#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "core/base/count.h"
#include "core/base/fd.h"

namespace gathering::tls {
class Identity;
}

namespace gathering::http {

// Of the connections of one loop.
struct HandshakeCounts {
  Count done;
  Count failed;  // not with us, or not this way; who went away or took too long is not counted
};

class Wire {
 public:
  // Plain.
  Wire(Fd socket, HandshakeCounts& handshakes) : socket_(std::move(socket)), handshakes_(handshakes) {}
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // Before anything was read or written: under TLS, as this server.  False without memory for it.
  [[nodiscard]] bool Secure(const tls::Identity& identity);

  [[nodiscard]] int descriptor() const { return socket_.get(); }
  [[nodiscard]] bool secure() const { return ssl_ != nullptr; }

  // As recv(2): how many bytes were taken, 0 at the end, or -1 with errno: EAGAIN when none are here, EINTR
  // when what was here held none for us: there may be more, but it is others' turn.
  ssize_t Read(char* into, std::size_t size);

  // After Read: whether another one would find nothing, unless more arrived meanwhile.
  [[nodiscard]] bool Emptied() const;

  // As send(2) of one and then the other, in one piece if it can be: how many bytes went, or -1 with errno:
  // EAGAIN when none fit.  Bytes that did not fit are to be given again, as they were, before any others.
  ssize_t Write(std::string_view first, std::string_view then = {});

  // Nothing more is written; the client hears so.
  void FinishWriting();

  // As Read, but what arrives is not looked at.
  ssize_t Discard(char* into, std::size_t size);

  // Says goodbye, if it has come so far that there is somebody to hear it, and closes the socket.
  void Close();

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const;
  };

  static const BIO_METHOD* SocketMethod();
  static int OnBioRead(BIO* bio, char* into, int size);
  static int OnBioWrite(BIO* bio, const char* bytes, int size);
  static long OnBioControl(BIO* bio, int command, long number, void* pointer);

  ssize_t Outcome(int result);
  void SayGoodbye();

  Fd socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  HandshakeCounts& handshakes_;
  bool greeted_ = false;  // the handshake is done
  bool ended_ = false;    // nothing can be said any more
  bool emptied_ = false;  // the last read took less than it had room for
  bool blocked_ = false;  // the socket had nothing more, or no more room
};

}  // namespace gathering::http
