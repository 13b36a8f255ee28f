// What is asked of the machine's processor: how long a thread has used it, and which one it is.

#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace longhaul {

// Processor time of the calling thread so far.
std::chrono::nanoseconds ThreadCpuTime();

// "intel-xeon-platinum-8259cl-2-50ghz": equal on machines whose processors are of one make; up to
// 48 of a-z, 0-9 and "-". "unknown" where the system does not say.
std::string ProcessorName();
// The same, from the text of /proc/cpuinfo.
std::string ProcessorNameIn(std::string_view cpuinfo);

}  // namespace longhaul
