#pragma once
// cpp-httplib's request engine, between the gate and the handlers.
//
// The library never sees a byte of a client: it is fed a head of ours (method, "/", version),
// calls the handler from its pre-routing hook, and writes the status line and the fields that
// frame the answer.  All other fields are spliced in as one block, for the library takes its time
// with each; the body stays with us.
// What the packaged version does wrong with hostile input therefore cannot be reached.
//
// An engine belongs to one loop; Answer may be suspended on many fibers of it at once.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/http/message.h"
#include "daemon/http/server.h"

namespace gathering::http {

// One request and the answer to it.  Everything is borrowed.
struct Exchange {
  const Request* request = nullptr;  // null for a refusal: then `response` is ready
  const Context* context = nullptr;
  Response* response = nullptr;
  const std::atomic<bool>* closing = nullptr;  // true: no further request is wanted
  bool keep_alive = false;                     // in: may be kept; out: will be
  bool say_keep_alive = false;                 // HTTP/1.0 wants to read it
  bool bodyless = false;                       // HEAD: all fields, no body
  bool failed = false;                         // out: the handler's fault, answered with 500
  std::string* head = nullptr;  // out: the head is appended; the body is in `response`, empty if none is due
};

class Engine {
 public:
  // `date` gives the current Date field's value; it is called when an answer is about to be written.
  Engine(const Handler& handler, const Refusal& refusal, std::function<std::string_view()> date);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Never throws for what a handler does.  std::bad_alloc may come out.
  void Answer(Exchange& exchange);

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace gathering::http
