#include "aws/iam_command.h"

namespace longhaul {

namespace {

// What follows `before`, without its ends that no name has.
std::string_view After(std::string_view message, std::string_view before) {
  const size_t at = message.find(before);
  if (at == message.npos) return "";
  message.remove_prefix(at + before.size());
  return message.substr(
      0, message.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "+=,.@_-/"));
}

}  // namespace

std::string IamCommand(std::string_view refusal, const std::string& policy_name,
                       const std::string& document) {
  // A user may have a path before its name; a role that was assumed has its session behind it.
  std::string_view user = After(refusal, ":user/");
  user.remove_prefix(user.rfind('/') + 1);
  std::string_view role = After(refusal, ":assumed-role/");
  role = role.substr(0, role.find('/'));
  if (role.empty()) role = "ROLE";
  return (user.empty() ? "aws iam put-role-policy --role-name " + std::string(role)
                       : "aws iam put-user-policy --user-name " + std::string(user)) +
         " --policy-name " + policy_name + " --policy-document '" + document + "'";
}

bool IsForbidden(std::string_view refusal) { return refusal.contains("explicit deny"); }

}  // namespace longhaul
