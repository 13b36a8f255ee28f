// The operations of the S3 store, by subject: s3_object.cc, s3_list.cc, s3_multipart.cc,
// s3_bucket.cc. Each does what the method of that name in storage/store.h says.
//
// Internal to the S3 store. `client` outlives the call; so does what is passed by reference.

#pragma once

#include "storage/reads_locks.h"
#include "storage/restores_objects.h"
#include "storage/s3_client.h"
#include "storage/store.h"

namespace longhaul {

// s3_object.cc
// Sets the tags of what was just written where they are not `tags`: Ceph forgets those that an
// upload was created with, and the new ones of a copy. What has been written there since is left
// alone: without versions as far as a look just before tells.
Async<void> KeepTags(S3Client& client, std::string bucket, std::string key, PutResult written,
                     Tags tags);
Async<ObjectInfo> S3Head(S3Client& client, HeadRequest request);
Async<ObjectStream> S3Get(S3Client& client, GetRequest request, SystemTime* absent_at);
Async<PutResult> S3Copy(S3Client& client, CopyRequest request);
Async<UploadedPart> S3CopyPart(S3Client& client, const MultipartUpload& upload, int number,
                               CopyPartRequest request);
Async<void> S3Remove(S3Client& client, RemoveRequest request);
Async<std::vector<RemoveFailure>> S3RemoveMany(S3Client& client, std::string bucket,
                                               std::vector<RemoveRequest> requests);
Async<void> S3Restore(S3Client& client, RestoreRequest request);
Async<bool> S3IsBeingRestored(S3Client& client, std::string bucket, std::string key);
Async<void> S3ReadLock(S3Client& client, LockPart part, std::string bucket, std::string key);
Async<Tags> S3GetTags(S3Client& client, std::string bucket, std::string key,
                      std::string version_id);
Async<void> S3PutTags(S3Client& client, std::string bucket, std::string key, Tags tags,
                      std::string version_id = "");

// s3_put.cc
Async<PutResult> S3Put(S3Client& client, PutRequest request, ByteSource& body);
Async<UploadedPart> S3UploadPart(S3Client& client, const MultipartUpload& upload, int number,
                                 ByteSource& body);
// Whether an answer says that the object is encrypted so that its ETag is no MD5.
bool HasEncryptionOfItsOwn(const HttpHeaders& headers);
// The headers with which an object is created, of any kind of write.
void AddObjectHeaders(const PutRequest& request, HttpHeaders& headers);
// Refuses (NotImplemented) what the server is known to ignore or not to take. `completes`: of
// CompleteMultipartUpload.
Result<void> CheckWrite(const S3Client& client, const WriteCondition& condition, const Tags& tags,
                        bool completes);
// Empties the class of an object that is to be created where the server has one alone and it is
// that: such a server may refuse the header, whatever it says. NotImplemented: another class.
Result<void> SettleClass(const S3Client& client, const std::string& bucket,
                         std::string& storage_class);
void AddWriteCondition(const S3Client& client, const WriteCondition& condition,
                       HttpHeaders& headers);
// An ETag for If-Match of a write: in quotes as RFC 9110 has it, but bare where the server is not
// AWS: Ceph compares the quotes too, and the others take both.
std::string EtagToMatch(const S3Client& client, const std::string& etag);
// Adds Content-MD5, which some operations insist on.
void AddContentMd5(S3Request& request);

// s3_list.cc
Async<ListPage> S3List(S3Client& client, ListRequest request);
Async<std::vector<MultipartUpload>> S3ListMultipartUploads(S3Client& client, std::string bucket,
                                                           std::string prefix);

// s3_multipart.cc
// What the later steps of an upload need of the request that created it (S3Client::upload_notes).
void S3NoteUpload(S3Client& client, const std::string& upload_id, const PutRequest& request);
// `headers`: of an answer that says how the upload is encrypted.
void S3NoteEncryption(S3Client& client, const std::string& upload_id, const HttpHeaders& headers);
Async<MultipartUpload> S3CreateMultipart(S3Client& client, PutRequest request);
Async<std::vector<UploadedPart>> S3ListParts(S3Client& client, const MultipartUpload& upload);
Async<PutResult> S3CompleteMultipart(S3Client& client, CompleteRequest request);
Async<void> S3AbortMultipart(S3Client& client, const MultipartUpload& upload);

// s3_bucket.cc
Async<void> S3HeadBucket(S3Client& client, std::string bucket);
Async<void> S3CreateBucket(S3Client& client, std::string bucket);
Async<void> S3RemoveBucket(S3Client& client, std::string bucket);
Async<std::vector<BucketInfo>> S3ListBuckets(S3Client& client);
Async<bool> S3GetVersioning(S3Client& client, std::string bucket);
Async<void> S3SetVersioning(S3Client& client, std::string bucket, bool enabled);

}  // namespace longhaul
