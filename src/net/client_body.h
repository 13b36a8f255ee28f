// ClientBody: the body of an answer, as it comes on its connection.
//
// Internal to the HTTP client.

#pragma once

#include "net/client_pool.h"
#include "net/http_client.h"
#include "net/http_response_head.h"

namespace longhaul {

class ClientBody : public HttpBody {
 public:
  // `reusable`: whether the request has gone in full.
  ClientBody(ClientLease lease, const HttpResponseHead& head, bool no_body, bool reusable);

  Async<size_t> Read(std::span<std::byte> out) override;
  [[nodiscard]] const HttpHeaders& trailers() const override { return trailers_; }

  // What has come with the head, mostly all of a small body, if that can be had without waiting.
  // A body in chunks gives nothing.
  std::string TakeAhead();
  // All of it has been read, or lost.
  [[nodiscard]] bool ended() const { return lease_.connection() == nullptr; }

 private:
  void End() { lease_.End(keep_alive_); }
  // Goes to the bytes of the next chunk, or past the last one. (RFC 9112, 7.1.)
  Async<void> NextChunk();

  ClientLease lease_;
  bool keep_alive_;
  bool chunked_;
  bool until_close_;
  bool first_chunk_ = true;
  uint64_t left_;  // Of the body, or of the present chunk.
  HttpHeaders trailers_;
};

}  // namespace longhaul
