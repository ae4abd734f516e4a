// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How a test says that it cannot run here.

#include <string_view>

namespace taskpeek::tests {

/// Marks the running test case as skipped, with the reason; the run prints and counts it. Leave the test case afterwards:
/// \code
/// if (getuid() != 0) return skip("only root may do this");
/// \endcode
/// A failed assertion of the same test case outweighs it.
void skip(std::string_view reason);

} // namespace taskpeek::tests
