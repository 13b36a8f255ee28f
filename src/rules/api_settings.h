// `api:` of a configuration: who may use the HTTP API beside whoever has `token:`, and by which
// names of hosts.
//
//   api:
//     tokens: [ { name: board, role: view, token: "${BOARD_TOKEN}" } ]
//     hosts: [ longhaul.example.com ]

#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/yaml.h"

namespace longhaul {

struct ApiToken {
  std::string name;      // What the audit log says; as of a rule, unique.
  bool operate = false;  // Else it reads alone.
  Secret token;          // 16 bytes at least.
};

struct ApiSettings {
  std::vector<ApiToken> tokens;
  std::vector<std::string> hosts;  // Lower case, without a port.
};

// Of the whole file.
ApiSettings ReadApiSettings(YamlFields& top);
// kInvalidInput: all mistakes of the file.
Result<ApiSettings> LoadApiSettings(const std::string& file, const Environment& environment);

}  // namespace longhaul
