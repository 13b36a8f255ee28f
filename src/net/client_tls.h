// TLS of the clients, by OpenSSL or BoringSSL: whom a client trusts and the sessions it may resume
// (TlsContext), and the encryption of one connection (TlsStream).
//
// Internal to the clients of HTTP and SMTP. Belongs to its shard. Nothing here waits: a stream says
// for what its connection has to. TLS 1.2 and 1.3, ALPN; no early data and no renegotiation.

#pragma once

#include <openssl/ossl_typ.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

// As <openssl/ssl.h> and <openssl/bio.h> have them.
using SSL_SESSION = struct ssl_session_st;
using BIO_METHOD = struct bio_method_st;

namespace longhaul {

// The code of a kDenied error for a certificate.
inline constexpr std::string_view kUntrustedCode = "UntrustedCertificate";

class TlsContext {
 public:
  // `ca_file`: the certificates to trust, in PEM (or a folder of them by hash, as c_rehash makes
  // it), instead of the system's; empty: those.
  // `protocol`: what ALPN offers; empty: there is no ALPN.
  // kInvalidInput: it cannot be read, or holds none.
  static Result<std::shared_ptr<TlsContext>> Make(const std::string& ca_file, bool verify,
                                                  std::string_view protocol = "http/1.1");
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // The newest session of `origin`, to be freed by the caller; null: none is kept.
  // A session of TLS 1.3 is for one use: who watches could tell two uses of one (RFC 8446, C.4).
  // But the last one is for all connections of a burst, which anyone can tell to belong together.
  SSL_SESSION* TakeSession(const std::string& origin);
  // `session` is the context's from now on.
  void KeepSession(const std::string& origin, SSL_SESSION* session);

 private:
  friend class TlsStream;
  TlsContext() = default;

  SSL_CTX* context_ = nullptr;
  bool has_ca_file_ = false;
  std::map<std::string, std::vector<SSL_SESSION*>> sessions_;  // By origin; the newest last.
  // Where the pieces of one record meet; of no use between two calls.
  std::array<std::byte, 16 << 10> record_;
};

class TlsStream {
 public:
  enum class Wants { kNothing, kInput, kOutput };

  // For a socket that is connected to `host` (a name, or an address without brackets). `origin`:
  // under which its sessions are kept. kInvalidInput: no certificate can be for such a host.
  static Result<std::unique_ptr<TlsStream>> Make(std::shared_ptr<TlsContext> context, int fd,
                                                 std::string host, std::string origin);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Until it wants nothing. kDenied: the certificate is not trusted, with what to do about it;
  // else kRetryable with kNotSentCode.
  Result<Wants> Handshake();
  // Sends `pieces` and takes from them what has gone, in whole records.
  // Where it stopped, it goes on with the same pieces.
  Result<Wants> Write(std::span<iovec>& pieces);
  // Whether the socket has taken any byte since this was asked last.
  [[nodiscard]] bool TakeSent() { return std::exchange(sent_, false); }
  // Nothing is here to read, nor was anything more in the socket when it was read last: Read would
  // find nothing, at some cost.
  [[nodiscard]] bool IsDry() const;
  // Fills `out` as far as there is something. `count` 0 and kNothing: the peer has ended the stream
  // properly. kRetryable also for an end of the connection without that: it may have been cut.
  Result<Wants> Read(std::span<std::byte> out, size_t& count);
  // Something can be read: bytes, the end or an error. (What TLS sends by itself is none.)
  [[nodiscard]] bool HasInput();
  // Nothing at all has come, as it must be between two requests. `look`: to the socket either.
  [[nodiscard]] bool IsQuiet(bool look);
  // Tells the peer that this is the end, if that can be done at once.
  void Shutdown();

  // Where kInput was wanted: the next bytes of the socket go here, or are left to Read.
  [[nodiscard]] std::span<std::byte> input_room() { return ahead_; }
  // So many of them have come; 0: the peer has closed.
  void AddInput(size_t count);

  // Whether the handshake was spared by an earlier session.
  [[nodiscard]] bool resumed() const;

 private:
  TlsStream(std::shared_ptr<TlsContext> context, int fd, std::string host, std::string origin)
      : context_(std::move(context)), fd_(fd), host_(std::move(host)), origin_(std::move(origin)) {}
  // After `ssl_` said no.
  Result<Wants> WantsOrError(int returned);
  Error Failure(int reason);
  void NoteUntrusted(X509_STORE_CTX* store);

  friend class TlsContext;
  // OpenSSL's way to the socket.
  static BIO_METHOD* BioMethod();
  static int OnBioRead(BIO* bio, char* data, int size);
  static int OnBioWrite(BIO* bio, const char* data, int size);
  static long OnBioControl(BIO* bio, int command, long number, void* pointer);
  static int OnVerify(int trusted, X509_STORE_CTX* store);
  static int OnNewSession(SSL* ssl, SSL_SESSION* session);
  size_t ReadSocket(std::span<std::byte> out);

  std::shared_ptr<TlsContext> context_;
  int fd_;
  std::string host_;
  std::string origin_;
  SSL* ssl_ = nullptr;
  bool established_ = false;
  bool failed_ = false;
  std::optional<Error> read_failure_;
  std::string untrusted_;  // What is wrong with the certificate.

  // Bytes of the socket that OpenSSL has not asked for yet: from ahead_begin_ to ahead_end_. What a
  // small object's answer takes comes in one read.
  std::array<std::byte, (16 << 10) + 512> ahead_;
  size_t ahead_begin_ = 0;
  size_t ahead_end_ = 0;
  bool told_ = false;  // An end or an error has been found: Read says which.
  bool dry_ = false;   // The last read took all that the socket had.
  bool ended_ = false;
  bool sent_ = false;
  bool more_ = false;  // A further record follows at once.
  bool unreadable_ = false;
  int socket_error_ = 0;  // Of the last operation that failed.
};

}  // namespace longhaul
