#include "cli/piped_names.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace longhaul {

namespace {

constexpr size_t kBufferBytes = 256 << 10;
constexpr int kPollMs = 200;  // So soon a stop is heeded.

Error Failed(std::string_view what) {
  return Retryable(std::string(what) + ": " + std::strerror(errno));
}

int OpenNameless() {
  const char* temporary = std::getenv("TMPDIR");
  const std::string where = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
  const int fd = ::open(where.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  // Not every file system has files without a name.
  std::string name = where + "/longhaul-names-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

Result<void> WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("keep a list of names on disk");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return Ok();
}

// One step of copying `from` to `to`: whether it has ended.
Result<bool> CopySome(int from, int to, std::vector<char>& buffer, const std::string& name) {
  pollfd waiting{.fd = from, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, kPollMs) == 0) return false;
  const ssize_t got = ::read(from, buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return false;
  if (got < 0) return InvalidInput(name + ": " + std::strerror(errno));
  if (got == 0) return true;
  Result<void> kept = WriteAll(to, {buffer.data(), static_cast<size_t>(got)});
  if (!kept) return kept.error();
  return false;
}

}  // namespace

bool PipedNames::Are(const std::string& path) {
  if (path == "-") return true;
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

Async<std::shared_ptr<PipedNames>> PipedNames::Read(RunContext& context, std::string path) {
  Runtime& runtime = context.runtime();
  const int kept = OpenNameless();
  if (kept < 0) co_return Failed("keep a list of names on disk");
  std::shared_ptr<PipedNames> names(new PipedNames(kept));
  const bool standard = path == "-";
  // A pipe with a name is open when somebody writes to it.
  Result<int> from = co_await runtime.pool.Run([standard, &path]() -> Result<int> {
    const int fd = standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return InvalidInput(path + ": " + std::strerror(errno));
    return fd;
  });
  if (!from) co_return from.error();
  std::vector<char> buffer(kBufferBytes);
  Result<bool> ended = false;
  while (ended && !*ended) {
    if (context.stop().is_set()) {
      ended = Cancelled("stopped on request");
    } else {
      ended = co_await runtime.pool.Run([&, fd = *from] {
        return CopySome(fd, kept, buffer, standard ? "standard input" : path);
      });
    }
  }
  if (!standard) ::close(*from);
  if (!ended) co_return ended.error();
  co_return names;
}

PipedNames::~PipedNames() { ::close(fd_); }

}  // namespace longhaul
