// What a build without optimization spends much of its time in where each file compiles it for
// itself, as libstdc++ has it from C++20 on: the members of std::string. Compiled with optimization
// and linked before all else, as of several instances the linker takes the first.

#include <string>
#include <string_view>

template class std::basic_string<char>;
template class std::basic_string_view<char>;
