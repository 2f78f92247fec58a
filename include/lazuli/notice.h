// Defines notices: facts about a result that a user should know and that are not errors.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lazuli {

/// Receives each notice, one sentence without a line end. Any thread may call it.
using NoticeHandler = std::function<void(std::string_view text)>;

/// Replaces the handler and returns the previous one. The initial handler writes a line to stderr. With an empty one, notices are dropped.
NoticeHandler set_notice_handler(NoticeHandler handler);

/// Tells the handler what a computation ignores and why: a tensor that no part needs, a setting without effect. The same text is reported
/// once per process, however often a file is loaded.
void notice(const std::string& text);

}  // namespace lazuli
