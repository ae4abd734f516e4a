// SPDX-License-Identifier: BSL-1.0
// expect: deleted (member )?function
#include <taskpeek/error.hpp>

bool is_silent(taskpeek::error const& e);

bool is_silent(taskpeek::error const& e)
{
#ifdef MUST_NOT_COMPILE
    std::string_view const text = e.message().view();
    return text.empty();
#else
    auto const text = e.message();
    return text.view().empty();
#endif
}
