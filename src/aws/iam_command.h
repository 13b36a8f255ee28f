// The command of the AWS CLI that gives a right to whom a service has refused it.
//
// Sources: IAM User Guide, "Troubleshoot access denied error messages" and "IAM identifiers".

#pragma once

#include <string>
#include <string_view>

namespace longhaul {

// `refusal`: the service's message, which names the user or the role, else ROLE stands there.
// `policy_name`: a policy of that name is replaced. `document`: without single quotes.
std::string IamCommand(std::string_view refusal, const std::string& policy_name,
                       const std::string& document);

// Whether a policy forbids it: then no other can allow it.
bool IsForbidden(std::string_view refusal);

}  // namespace longhaul
