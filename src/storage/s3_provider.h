// Services and servers that speak the S3 API, by name: how their endpoint follows from a region,
// how buckets are addressed there, and what they do otherwise (S3Quirks). One table of data;
// nothing else asks for a provider's name. docs/stores.md shows the table and says what of it was
// tested.
//
// Facts: the services' own documentation of their S3 API, named at each row.

#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/s3_quirks.h"
#include "storage/s3_store.h"

namespace longhaul {

struct S3Provider {
  std::string_view name;
  std::string_view title;
  // "https://s3.{region}.example.com", "{account}" too; "": AWS by region; "-": the user's own,
  // which must be given.
  std::string_view endpoint;
  // What the host of every endpoint of it ends with; "": it may be anywhere.
  std::string_view host_ends;
  // What `region` is where none is given; "": it must be given where the endpoint has it, else
  // that of the environment.
  std::string_view region;
  std::string_view region_begins;
  std::string_view region_example;
  S3Addressing addressing = S3Addressing::kPath;
  bool virtual_only = false;  // Requests in path style are refused by the service.
  S3Quirks (*quirks)() = nullptr;
};

// All, in the order of the documentation; "generic" is the last.
std::span<const S3Provider> S3Providers();
// nullptr: no such provider.
const S3Provider* FindS3Provider(std::string_view name);
// The one that an endpoint belongs to, whoever named it. nullptr: no service that is known here.
const S3Provider* FindS3ProviderOf(std::string_view endpoint);
// "aws, aws-cn, …", for messages.
std::string S3ProviderNames();

// What is known of a store besides its provider.
struct S3Place {
  std::string endpoint;
  std::string region;
  std::string account;
};
// Fills in endpoint and region. kInvalidInput: one that must be given is missing, or is none.
Result<S3Place> PlaceAt(const S3Provider& provider, S3Place given);

}  // namespace longhaul
