// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Texts of one line of values with a blank between, such as `statm`: a record lists its fields, this reads them.

#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/values.hpp>

namespace taskpeek::text {

/// Reads the fields of \p record, one after the other, and goes to the next line. Values that later kernels append are passed over.
template <class Record>
constexpr void read_columns(cursor& in, Record& record) noexcept
{
    bool first = true;
    Record::each_field(record, [&](char const*, auto& field) {
        if (!first) in.expect(' ');
        first = false;
        read_value(in, field);
    });
    if (in.peek() != ' ' && in.peek() != '\n') in.fail(); // the last number was cut, or is none
    in.next_line();
}

} // namespace taskpeek::text
