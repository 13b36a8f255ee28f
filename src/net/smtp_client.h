// SmtpClient: hands mail to a server, over TLS unless its caller wants none.
//
// One message at a time, each on a connection of its own: these are alarms. The certificate must be
// trusted and be for the host, as of https://. What comes from a server is bounded and is never
// taken for a command: nothing that came before TLS counts after it. Nothing of a message can
// become a header or a recipient: addresses are checked (IsMailAddress), a subject is encoded where
// it is not plain, and bodies go out in base64. No error holds a password, or what a server said
// to one.
//
// Belongs to one shard. Sources: RFC 5321 (SMTP), 3207 (STARTTLS), 4954 (AUTH), 5322, 2047, 3834.

#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/secret.h"

namespace longhaul {

struct Runtime;
class ClientConnection;
class ClientLease;
class ClientPool;
class TlsContext;

enum class SmtpSecurity {
  kStartTls,  // A server that does not offer it gets no mail.
  kTls,       // From the first byte on, as on port 465.
  kNone,
};

struct SmtpServer {
  std::string host;  // A name or an address; of IPv6 in brackets.
  uint16_t port = 587;
  SmtpSecurity security = SmtpSecurity::kStartTls;
  std::string username;  // Empty: nobody logs in. Never with kNone.
  Secret password;
  std::string ca_file;  // Certificates to trust; empty: those of the system.
};

struct MailMessage {
  std::string from;
  std::vector<std::string> to;
  std::string subject;
  std::string text;
};

// local@domain in printable ASCII, without what has a meaning in a header or a command.
bool IsMailAddress(std::string_view text);

// The message as it goes out, but for the dot at its end.
std::string WriteMail(const MailMessage& message, const std::string& id, SystemTime now);

class SmtpClient {
 public:
  SmtpClient(const Runtime& runtime, SmtpServer server);
  ~SmtpClient();

  // OK: the server has taken it, for one recipient or more; those that it refuses are logged.
  // kRetryable: network, time (a minute for all of it), an answer 4yz, or nonsense. kDenied: no
  // trusted certificate, no STARTTLS, or it takes user and password not. kInvalidInput: it refuses
  // the sender, all recipients or the message for good.
  Async<void> Send(MailMessage message);
  // The same as far as it goes without mail: connects, begins TLS and logs in.
  Async<void> Try();

 private:
  struct Reply {
    int code = 0;
    std::vector<std::string> lines;
  };

  [[nodiscard]] ClientLease TakeConnection();
  [[nodiscard]] std::string place() const;
  Async<void> Connect(ClientConnection& connection);
  // All that comes before the first message.
  Async<void> Begin(ClientConnection& connection);
  Async<void> Say(ClientConnection& connection, const MailMessage& message);
  Async<void> SayRecipients(ClientConnection& connection, const std::vector<std::string>& to);
  Async<void> StartTls(ClientConnection& connection);
  Async<Reply> ReadReply(ClientConnection& connection);
  // Sends a line and reads what is said to it.
  Async<Reply> Ask(ClientConnection& connection, std::string line);
  // Whether it is `code`. `what`: for the error.
  static Result<void> Expect(const Reply& reply, int code, const std::string& what);
  // Ask and Expect.
  Async<void> Command(ClientConnection& connection, std::string line, int code, std::string what);
  Async<std::vector<std::string>> Hello(ClientConnection& connection);
  Async<void> LogIn(ClientConnection& connection, const std::vector<std::string>& offers);

  const Runtime& runtime_;
  SmtpServer server_;
  std::shared_ptr<ClientPool> pool_;  // shared: a lease holds it weakly.
  std::shared_ptr<TlsContext> tls_;   // Made when it is first needed. shared with connections.
};

}  // namespace longhaul
