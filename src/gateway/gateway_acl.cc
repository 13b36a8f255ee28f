// ACLs: an owner has all rights, and nobody else is named. Who may do what is a matter of users.

#include "gateway/gateway_impl.h"

namespace longhaul {

void WriteOwner(XmlWriter& xml) {
  xml.Open("Owner");
  xml.Text("ID", "longhaul");
  xml.Text("DisplayName", "longhaul");
  xml.Close();
}

Async<void> Gateway::Impl::GetAcl(GatewayCall& call) {
  Result<void> there = Ok();
  if (call.key.empty()) {
    there = co_await store.HeadBucket(call.bucket);
  } else {
    // Not Head: that of some stores does not prove that nothing is there.
    Result<Tags> tags = co_await store.GetTags(call.bucket, call.key, call.Query("versionId"));
    if (!tags) there = tags.error();
  }
  if (!there) co_return there.error();
  XmlWriter xml("AccessControlPolicy");
  WriteOwner(xml);
  xml.Open("AccessControlList");
  xml.Open("Grant");
  xml.Raw(
      "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
      "xsi:type=\"CanonicalUser\"><ID>longhaul</ID><DisplayName>longhaul</DisplayName>"
      "</Grantee>");
  xml.Text("Permission", "FULL_CONTROL");
  co_return co_await SendXml(call, xml.Finish());
}

// The table lets in no ACL but the one that is there anyway.
Async<void> Gateway::Impl::PutAcl(GatewayCall& call) {
  Result<std::string> body = co_await ReadBody(call, 64 << 10);
  if (!body) co_return body.error();
  if (!body->empty()) {
    co_return GatewayError("NotImplemented", "not implemented here: an ACL as a document");
  }
  Result<void> there = Ok();
  if (call.key.empty()) {
    there = co_await store.HeadBucket(call.bucket);
  } else {
    Result<Tags> tags = co_await store.GetTags(call.bucket, call.key, "");
    if (!tags) there = tags.error();
  }
  if (!there) co_return there.error();
  co_return co_await call.response.Send();
}

}  // namespace longhaul
