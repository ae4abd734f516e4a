// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Is this program instrumented? A sanitizer brings a malloc, signal handlers and threads of its own.

namespace taskpeek::tests {

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
inline constexpr bool sanitized = true;
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

} // namespace taskpeek::tests
