// WithoutPasswords: a text that a person wrote, perhaps not as it was meant, for a message.

#pragma once

#include <string>
#include <string_view>

namespace longhaul {

// Without what stands before an '@' behind a scheme, and without what follows "password=".
std::string WithoutPasswords(std::string_view text);

}  // namespace longhaul
