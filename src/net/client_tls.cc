#include "net/client_tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>
#include <utility>

#include "base/check.h"
#include "net/http_client.h"
#include "net/pieces.h"

namespace longhaul {
namespace {

namespace ip = boost::asio::ip;

constexpr size_t kRecordBytes = 16 << 10;  // RFC 8446, 5.1.
constexpr size_t kRecordHeaderBytes = 5;
// A server gives two for each connection; a burst of new ones is what they are for.
constexpr size_t kSessionsPerOriginMax = 16;
constexpr size_t kOriginsMax = 256;
constexpr time_t kBurstSeconds = 10;
constexpr size_t kNamesShownMax = 5;

std::string ReasonOf(unsigned long code) {
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

int AsInt(size_t size) {
  return static_cast<int>(std::min<size_t>(size, std::numeric_limits<int>::max()));
}

// What some other operation left would be taken for ours.
void ClearErrors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

// The names that a certificate is for.
std::string NamesOf(X509* certificate) {
  std::string text;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names);
  for (int i = 0; i < count; ++i) {
    if (i == static_cast<int>(kNamesShownMax)) {
      text += ", …";
      break;
    }
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    std::string one;
    if (name->type == GEN_DNS) {
      const ASN1_STRING* dns = name->d.dNSName;
      one.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(dns)),
                 static_cast<size_t>(std::max(ASN1_STRING_length(dns), 0)));
    } else if (name->type == GEN_IPADD) {
      const ASN1_STRING* address = name->d.iPAddress;
      const unsigned char* data = ASN1_STRING_get0_data(address);
      if (ASN1_STRING_length(address) == 4) {
        ip::address_v4::bytes_type bytes;
        std::copy_n(data, bytes.size(), bytes.begin());
        one = ip::address_v4(bytes).to_string();
      } else if (ASN1_STRING_length(address) == 16) {
        ip::address_v6::bytes_type bytes;
        std::copy_n(data, bytes.size(), bytes.begin());
        one = ip::address_v6(bytes).to_string();
      }
    }
    // What a stranger wrote goes to a terminal.
    std::ranges::replace_if(
        one, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    if (!one.empty()) text += (text.empty() ? "" : ", ") + one;
  }
  GENERAL_NAMES_free(names);
  return text.empty() ? "no host" : text;
}

bool IsAddress(const std::string& host) {
  boost::system::error_code no_address;
  static_cast<void>(ip::make_address(host, no_address));
  return !no_address;
}

// None at all: nothing is trusted, and says so.
void TrustTheSystem(SSL_CTX* context) {
  SSL_CTX_set_default_verify_paths(context);  // SSL_CERT_FILE and SSL_CERT_DIR, too.
#ifdef OPENSSL_IS_BORINGSSL
  // That knows the places of Debian and Alpine; these are of Fedora and its kin, and of SUSE.
  for (const char* file : {"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"}) {
    if (::access(file, R_OK) == 0) SSL_CTX_load_verify_locations(context, file, nullptr);
  }
#endif
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::Make(const std::string& ca_file, bool verify,
                                                     std::string_view protocol) {
  std::shared_ptr<TlsContext> made(new TlsContext);
  SSL_CTX* context = made->context_ = SSL_CTX_new(TLS_client_method());
  LH_CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Idle connections hold no buffers; a record that has to wait is sent from where it then lies.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
#ifndef OPENSSL_IS_BORINGSSL  // Whose order that is, where the processor has AES.
  // AES-128 is as safe and costs a tenth less.
  SSL_CTX_set_ciphersuites(
      context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
#endif
  if (!protocol.empty()) {
    const std::string protocols = static_cast<char>(protocol.size()) + std::string(protocol);
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, &TlsStream::OnNewSession);
  SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     verify ? &TlsStream::OnVerify : nullptr);
  // What the bundle holds is trusted, be it the root, what stands between, or the server's own.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);

  ClearErrors();
  if (ca_file.empty()) {
    TrustTheSystem(context);
    ClearErrors();
    return made;
  }
  made->has_ca_file_ = true;
  struct stat status{};
  std::string why;
  if (::stat(ca_file.c_str(), &status) != 0) {
    why = std::strerror(errno);
  } else if (const bool folder = S_ISDIR(status.st_mode);
             SSL_CTX_load_verify_locations(context, folder ? nullptr : ca_file.c_str(),
                                           folder ? ca_file.c_str() : nullptr) != 1) {
    why = ReasonOf(ERR_peek_error());
    ClearErrors();
  }
  if (why.empty()) return made;
  return InvalidInput("no certificates to trust in " + ca_file +
                      " (--ca-bundle, AWS_CA_BUNDLE; a file in PEM is expected): " + why);
}

TlsContext::~TlsContext() {
  for (auto& [origin, sessions] : sessions_) {
    for (SSL_SESSION* session : sessions) SSL_SESSION_free(session);
  }
  SSL_CTX_free(context_);
}

SSL_SESSION* TlsContext::TakeSession(const std::string& origin) {
  auto found = sessions_.find(origin);
  if (found == sessions_.end() || found->second.empty()) return nullptr;
  SSL_SESSION* session = found->second.back();
  // Signed, and either way: time() may lie a tick behind the clock that BoringSSL reads.
  const auto age = std::time(nullptr) - static_cast<time_t>(SSL_SESSION_get_time(session));
  const bool fresh = -kBurstSeconds <= age && age <= kBurstSeconds;
  if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION ||
      (found->second.size() == 1 && fresh)) {
    SSL_SESSION_up_ref(session);
  } else {
    found->second.pop_back();
  }
  return session;
}

void TlsContext::KeepSession(const std::string& origin, SSL_SESSION* session) {
  if (sessions_.size() >= kOriginsMax && !sessions_.contains(origin)) {
    for (SSL_SESSION* old : sessions_.begin()->second) SSL_SESSION_free(old);
    sessions_.erase(sessions_.begin());
  }
  std::vector<SSL_SESSION*>& kept = sessions_[origin];
  // Of TLS 1.2 the newest will do; of TLS 1.3 the oldest goes.
  if (kept.size() >= kSessionsPerOriginMax ||
      (!kept.empty() && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION)) {
    SSL_SESSION_free(kept.front());
    kept.erase(kept.begin());
  }
  kept.push_back(session);
}

Result<std::unique_ptr<TlsStream>> TlsStream::Make(std::shared_ptr<TlsContext> context, int fd,
                                                   std::string host, std::string origin) {
  if (host.ends_with('.')) host.pop_back();  // The root's dot is of no certificate.
  std::unique_ptr<TlsStream> made(
      new TlsStream(std::move(context), fd, std::move(host), std::move(origin)));
  SSL* ssl = made->ssl_ = SSL_new(made->context_->context_);
  LH_CHECK(ssl != nullptr);
  SSL_set_app_data(ssl, made.get());
  BIO* bio = BIO_new(BioMethod());
  LH_CHECK(bio != nullptr);
  BIO_set_data(bio, made.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_connect_state(ssl);
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const std::string& name = made->host_;
  const bool named = IsAddress(name)
                         ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1
                         : !name.empty() && SSL_set1_host(ssl, name.c_str()) == 1 &&
                               SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
  if (!named) {
    ClearErrors();
    return InvalidInput("no certificate can be for the host '" + name + "'");
  }
  if (SSL_SESSION* session = made->context_->TakeSession(made->origin_)) {
    SSL_set_session(ssl, session);
    SSL_SESSION_free(session);  // It has its own.
  }
  return made;
}

TlsStream::~TlsStream() {
  // Else OpenSSL takes its session for one that must not be resumed.
  if (established_ && !failed_) SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN);
  SSL_free(ssl_);
}

bool TlsStream::resumed() const { return SSL_session_reused(ssl_) == 1; }

int TlsStream::OnNewSession(SSL* ssl, SSL_SESSION* session) {
  auto* stream = static_cast<TlsStream*>(SSL_get_app_data(ssl));
  if (SSL_SESSION_is_resumable(session) != 1) return 0;
  stream->context_->KeepSession(stream->origin_, session);
  return 1;  // It is ours.
}

int TlsStream::OnVerify(int trusted, X509_STORE_CTX* store) {
  if (trusted != 1) {
    auto* ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    static_cast<TlsStream*>(SSL_get_app_data(ssl))->NoteUntrusted(store);
  }
  return trusted;
}

void TlsStream::NoteUntrusted(X509_STORE_CTX* store) {
  const int reason = X509_STORE_CTX_get_error(store);
  X509* certificate = X509_STORE_CTX_get_current_cert(store);
  untrusted_ = X509_verify_cert_error_string(reason);
  switch (reason) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      if (certificate != nullptr) untrusted_ = "it is for " + NamesOf(certificate);
      untrusted_ += "; use a name in the endpoint that it is for";
      break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      untrusted_ += "; it must be renewed, or this machine's clock is wrong";
      break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      untrusted_ += context_->has_ca_file_
                        ? "; none of the certificates of --ca-bundle (or AWS_CA_BUNDLE) vouches "
                          "for it"
                        : "; if you trust it, give the certificate of its authority by "
                          "AWS_CA_BUNDLE, or --ca-bundle FILE where a command has that option "
                          "(the system's are those of the package ca-certificates)";
      break;
    default:
      break;
  }
}

Error TlsStream::Failure(int reason) {
  failed_ = true;
  if (!established_ && !untrusted_.empty()) {
    return {.kind = ErrorKind::kDenied,
            .message = "the certificate of " + host_ + " is not trusted: " + untrusted_,
            .code = std::string(kUntrustedCode)};
  }
  std::string why;
  const unsigned long code = ERR_peek_error();
  // After an error of TLS the alert to the peer may have failed, too: the first one counts.
  if (reason == SSL_ERROR_SSL && code != 0 && !ended_) {
    why = ReasonOf(code);
    if (!established_ && (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ||
                          ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST)) {
      why += " (does the server speak TLS on this port? Plain HTTP is http://)";
    }
  } else if (socket_error_ != 0) {
    why = std::strerror(socket_error_);
  } else if (ended_) {
    why = established_ ? "the connection ended without notice: it may have been cut"
                       : "the server closed the connection during the handshake";
  } else {
    why = "the connection is of no use any more";
  }
  ClearErrors();
  Error error = Retryable((established_ ? "TLS: " : "no TLS with " + host_ + ": ") + why);
  if (!established_) error.code = kNotSentCode;
  return error;
}

Result<TlsStream::Wants> TlsStream::WantsOrError(int returned) {
  const int reason = SSL_get_error(ssl_, returned);
  if (reason == SSL_ERROR_WANT_READ) return Wants::kInput;
  if (reason == SSL_ERROR_WANT_WRITE) return Wants::kOutput;
  return Failure(reason);
}

Result<TlsStream::Wants> TlsStream::Handshake() {
  ClearErrors();
  const int returned = SSL_do_handshake(ssl_);
  if (returned != 1) return WantsOrError(returned);
  established_ = true;
  return Wants::kNothing;
}

Result<TlsStream::Wants> TlsStream::Write(std::span<iovec>& pieces) {
  ClearErrors();
  size_t left = 0;
  for (const iovec& piece : pieces) left += piece.iov_len;
  while (left > 0) {
    const iovec& first = pieces.front();
    const void* data = first.iov_base;
    size_t size = std::min(first.iov_len, kRecordBytes);
    if (size < kRecordBytes && size < left) {
      // A head and a small body, say: one record for both.
      size = 0;
      for (const iovec& piece : pieces) {
        const size_t count = std::min(piece.iov_len, kRecordBytes - size);
        if (count == 0) break;
        std::memcpy(context_->record_.data() + size, piece.iov_base, count);
        size += count;
      }
      data = context_->record_.data();
    }
    more_ = size < left;
    const int returned = SSL_write(ssl_, data, static_cast<int>(size));
    if (returned <= 0) {
      Result<Wants> wants = WantsOrError(returned);
      // Only a new handshake would want that, and there is none.
      if (wants && *wants == Wants::kInput) return Retryable("TLS: the server wants new terms");
      return wants;
    }
    Advance(pieces, static_cast<size_t>(returned));
    left -= static_cast<size_t>(returned);
  }
  pieces = {};
  return Wants::kNothing;
}

bool TlsStream::IsDry() const {
  return dry_ && !told_ && !ended_ && ahead_begin_ == ahead_end_ && SSL_has_pending(ssl_) == 0;
}

Result<TlsStream::Wants> TlsStream::Read(std::span<std::byte> out, size_t& count) {
  ClearErrors();
  count = 0;
  if (read_failure_) return *read_failure_;
  while (count < out.size()) {
    const int returned = SSL_read(ssl_, out.data() + count, AsInt(out.size() - count));
    if (returned > 0) {
      count += static_cast<size_t>(returned);
      if (IsDry()) return Wants::kNothing;
      continue;
    }
    if (SSL_get_error(ssl_, returned) == SSL_ERROR_ZERO_RETURN) {
      told_ = true;
      return Wants::kNothing;
    }
    Result<Wants> wants = WantsOrError(returned);
    if (!wants) {
      told_ = true;
      read_failure_ = wants.error();
    }
    if (count > 0) return Wants::kNothing;  // What has come is given first.
    return wants;
  }
  return Wants::kNothing;
}

bool TlsStream::HasInput() {
  ClearErrors();
  dry_ = false;
  std::byte byte;
  const int returned = SSL_peek(ssl_, &byte, 1);
  if (returned <= 0 && SSL_get_error(ssl_, returned) == SSL_ERROR_WANT_READ) return false;
  told_ = returned <= 0;
  return true;
}

bool TlsStream::IsQuiet(bool look) {
  if (failed_ || ended_ || unreadable_) return false;
  if (ahead_begin_ == ahead_end_ && SSL_has_pending(ssl_) == 0) {
    if (!look) return true;
    // Mostly there is nothing, and OpenSSL need not be asked.
    char byte;
    if (::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) return true;
  }
  return !HasInput() && ahead_begin_ == ahead_end_ && SSL_has_pending(ssl_) == 0;
}

void TlsStream::Shutdown() {
  // Not into the middle of a record that waits.
  if (!established_ || failed_ || SSL_want_write(ssl_)) return;
  ClearErrors();
  more_ = false;
  SSL_shutdown(ssl_);
  ClearErrors();
}

void TlsStream::AddInput(size_t count) {
  LH_CHECK(ahead_begin_ == ahead_end_ && count <= ahead_.size());
  ahead_begin_ = 0;
  ahead_end_ = count;
  dry_ = count < ahead_.size();
  if (count == 0) ended_ = true;
}

BIO_METHOD* TlsStream::BioMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "longhaul socket");
    BIO_meth_set_read(made, &OnBioRead);
    BIO_meth_set_write(made, &OnBioWrite);
    BIO_meth_set_ctrl(made, &OnBioControl);
    return made;
  }();
  return method;
}

long TlsStream::OnBioControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) {
    auto* stream = static_cast<TlsStream*>(BIO_get_data(bio));
    return stream->ended_ && stream->ahead_begin_ == stream->ahead_end_ ? 1 : 0;
  }
  return 0;
}

// Straight to where OpenSSL wants it, and with the body of a record the header of the next one: one
// system call for each record of 16 KiB, and no copy. Reading more of them at once costs a copy
// that is as dear.
size_t TlsStream::ReadSocket(std::span<std::byte> out) {
  const bool header = out.size() <= kRecordHeaderBytes;
  const size_t ahead = header ? ahead_.size() : kRecordHeaderBytes;
  std::array<iovec, 2> into{iovec{out.data(), out.size()}, iovec{ahead_.data(), ahead}};
  msghdr message{};
  message.msg_iov = into.data();
  message.msg_iovlen = into.size();
  ssize_t count;
  do {
    count = ::recvmsg(fd_, &message, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  dry_ = count < 0 || static_cast<size_t>(count) < out.size() + ahead;
  if (count < 0) {
    if (errno != EAGAIN) {
      unreadable_ = true;
      socket_error_ = errno;
    }
    return 0;
  }
  if (count == 0) ended_ = true;
  const size_t direct = std::min(static_cast<size_t>(count), out.size());
  ahead_begin_ = 0;
  ahead_end_ = static_cast<size_t>(count) - direct;
  return direct;
}

int TlsStream::OnBioRead(BIO* bio, char* data, int size) {
  auto& stream = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  std::span<std::byte> out =
      std::as_writable_bytes(std::span(data, static_cast<size_t>(std::max(size, 0))));
  size_t count = std::min(out.size(), stream.ahead_end_ - stream.ahead_begin_);
  std::memcpy(out.data(), stream.ahead_.data() + stream.ahead_begin_, count);
  stream.ahead_begin_ += count;
  if (count < out.size() && !stream.dry_ && !stream.ended_ && !stream.unreadable_) {
    count += stream.ReadSocket(out.subspan(count));
  }
  if (count > 0) return static_cast<int>(count);
  if (stream.ended_) return 0;
  if (!stream.unreadable_) BIO_set_retry_read(bio);
  return -1;
}

int TlsStream::OnBioWrite(BIO* bio, const char* data, int size) {
  auto& stream = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  // The kernel sends full packets and holds the rest for the record that follows.
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (stream.more_ ? MSG_MORE : 0);
  ssize_t sent;
  do {
    sent = ::send(stream.fd_, data, static_cast<size_t>(size), flags);
  } while (sent < 0 && errno == EINTR);
  if (sent > 0) {
    stream.sent_ = true;
    return static_cast<int>(sent);
  }
  if (errno == EAGAIN) {
    BIO_set_retry_write(bio);
  } else {
    stream.socket_error_ = errno;
  }
  return -1;
}

}  // namespace longhaul
