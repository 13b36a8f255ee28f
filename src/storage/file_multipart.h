// Multipart uploads of a file store: .longhaul/uploads/<id>/ holds upload.json and a file for each
// part, whose name says what it is: <number>.<MD5>.<CRC64NVME>, and .<digest> where another
// checksum was announced. An upload is there while upload.json is: it goes with the key's lock held
// when the object is in place, and before something else takes that object's place, so that what
// completes an upload late or again replaces nothing. Everything here blocks.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "storage/file_object.h"
#include "storage/store.h"

namespace longhaul {

struct FileUpload {
  MultipartUpload upload;
  FileRecord record;  // Headers, metadata, tags and storage class of the object to be.
  std::optional<ChecksumAlgorithm> announced;
  bool composite = false;  // The whole has the checksum of its parts' checksums.
};

Result<void> CreateFileUpload(const FileTree& tree, const FileUpload& upload);
// kNotFound, code NoSuchUpload; the same where the id is that of another key's upload.
Result<FileUpload> OpenFileUpload(const FileTree& tree, const MultipartUpload& upload);
Result<std::vector<MultipartUpload>> ListFileUploads(const FileTree& tree,
                                                     const std::string& bucket,
                                                     const std::string& prefix);
// Takes what `writer` has written as part `number`.
Result<UploadedPart> AddFilePart(FileWriter& writer, const MultipartUpload& upload, int number);
Result<std::vector<UploadedPart>> ListFileParts(const FileTree& tree,
                                                const MultipartUpload& upload);
// Once more, or two at once: OK while the object is the one of these parts, else NoSuchUpload.
Result<PutResult> CompleteFileUpload(const FileTree& tree, const CompleteRequest& request,
                                     SystemTime now);
Result<void> AbortFileUpload(const FileTree& tree, const MultipartUpload& upload);

// For who changes the object, with the key's lock held.
// kNotFound, code NoSuchUpload, unless the upload can be completed.
Result<void> CheckFileUpload(const FileTree& tree, const std::string& upload_id);
// Nothing can be completed from it any more. Its parts may stay.
void EndFileUpload(const FileTree& tree, const std::string& upload_id);
// The same, and its parts go too: what one whose completion died has left, no listing shows.
void DropFileUpload(const FileTree& tree, const std::string& upload_id);
// The upload that the object there was completed from; empty: none.
std::string UploadOfFile(const FileTree& tree, std::string_view key, const struct stat& status);

}  // namespace longhaul
