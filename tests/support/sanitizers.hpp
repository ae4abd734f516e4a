// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Is this program instrumented? A sanitizer brings a malloc, signal handlers and threads of its own.

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define TASKPEEK_SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TASKPEEK_SANITIZED 1
#endif
#endif
#ifndef TASKPEEK_SANITIZED
#define TASKPEEK_SANITIZED 0
#endif

namespace taskpeek::tests {

inline constexpr bool sanitized = TASKPEEK_SANITIZED != 0;

} // namespace taskpeek::tests
