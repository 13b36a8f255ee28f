#include "tests/support/tls.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl/impl/src.hpp>  // Only tests speak TLS by Asio.
#include <fstream>
#include <functional>

namespace longhaul::testing {
namespace {

std::string Pem(const std::function<int(BIO*)>& write) {
  BIO* memory = BIO_new(BIO_s_mem());
  write(memory);
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(memory);
  return text;
}

}  // namespace

TlsIdentity MakeTlsIdentity(const std::string& names, int hours) {
  EVP_PKEY* key = nullptr;
  EVP_PKEY_CTX* maker = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr);
  EVP_PKEY_keygen_init(maker);
  EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker, NID_X9_62_prime256v1);
  EVP_PKEY_keygen(maker, &key);
  EVP_PKEY_CTX_free(maker);
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600L * (hours - 1));
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_EXTENSION* extension =
      X509V3_EXT_nconf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(certificate, key, EVP_sha256());
  TlsIdentity identity{
      Pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); }), Pem([&](BIO* out) {
        return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
      })};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
}

TlsServer::TlsServer(const std::string& names, int hours) {
  const TlsIdentity identity = MakeTlsIdentity(names, hours);
  context_.use_certificate_chain(asio::buffer(identity.certificate_pem));
  context_.use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
  file_ = folder_.file("trusted.pem");
  std::ofstream(file_) << identity.certificate_pem;
}

}  // namespace longhaul::testing
