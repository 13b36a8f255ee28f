// Whether a sanitizer watches this build. A test that plays long histories, so as to meet rare
// orders of events, does that in release; under a sanitizer, which is five to ten times slower, it
// plays as much as passes each line.

#pragma once

namespace longhaul::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace longhaul::testing
