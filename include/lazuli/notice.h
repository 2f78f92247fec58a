// Defines notices: what a user should know about a result and what is no error.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lazuli {

/// Receives each notice, one sentence without a line's end. Any thread may call it.
using NoticeHandler = std::function<void(std::string_view text)>;

/// Replaces the handler and returns the one before. The first one writes a line to stderr; an empty one is nothing to be called.
NoticeHandler set_notice_handler(NoticeHandler handler);

/// Tells the handler what was left out of a computation, and why: a tensor that no part needs, a setting without effect. The same text is
/// told once in a process, however often a file is loaded.
void notice(const std::string& text);

}  // namespace lazuli
