#include "transfer/listing/kept_file.h"

#include <zstd.h>

#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "transfer/local/local_file.h"

namespace longhaul {

namespace {
constexpr size_t kChunkBytes = 512 << 10;
}

struct KeptFile::Impl {
  explicit Impl(std::string where) : path(std::move(where)), context(ZSTD_createCCtx()) {
    LH_CHECK(context != nullptr);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  }
  ~Impl() { ZSTD_freeCCtx(context); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> Write(bool end) {
    if (file == nullptr) {
      Result<std::unique_ptr<NewFile>> created = NewFile::Create(path);
      if (!created) return InvalidInput(created.error().message);
      file = std::move(*created);
    }
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    std::string packed(ZSTD_CStreamOutSize(), '\0');
    while (true) {
      ZSTD_outBuffer out{packed.data(), packed.size(), 0};
      size_t left = ZSTD_compressStream2(context, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
      LH_CHECK(ZSTD_isError(left) == 0);
      Result<void> written = file->Write(AsBytes(std::string_view(packed).substr(0, out.pos)));
      if (!written) return written;
      if (end ? left == 0 : in.pos == in.size) break;
    }
    text.clear();
    if (!end) return Ok();
    Result<struct stat> committed = file->Commit(false);
    if (!committed) return committed.error();
    return Ok();
  }

  std::string path;
  std::string text;  // Not written yet.
  std::unique_ptr<Hasher> hasher = NewHasher(HashKind::kSha256);
  ZSTD_CCtx* context;
  std::unique_ptr<NewFile> file;
};

KeptFile::KeptFile(Runtime runtime, std::string path)
    : runtime_(runtime), impl_(std::make_unique<Impl>(std::move(path))) {}
KeptFile::~KeptFile() = default;

void KeptFile::Add(std::string_view lines) { impl_->text += lines; }

bool KeptFile::full() const { return impl_->text.size() >= kChunkBytes; }

Async<void> KeptFile::Write() {
  Result<void> written = co_await runtime_.pool.Run([this] {
    if (impl_->hasher != nullptr) impl_->hasher->Update(AsBytes(impl_->text));
    return impl_->Write(false);
  });
  if (!written) co_return written.error().In("write " + impl_->path);
  co_return Ok();
}

Async<std::string> KeptFile::Sum() {
  Result<void> written = co_await Write();
  if (!written) co_return written.error();
  co_return HexEncode(std::exchange(impl_->hasher, nullptr)->Finish());
}

Async<void> KeptFile::Finish() {
  Result<void> written = co_await runtime_.pool.Run([this] { return impl_->Write(true); });
  if (!written) co_return written.error().In("write " + impl_->path);
  co_return Ok();
}

}  // namespace longhaul
