// Declares the rewriting of expressions so that a search does not try a long run of characters from each of its characters.
#pragma once

#include <string>
#include <string_view>

namespace lazuli::tokenizer {

/// The expression with a condition before every unbounded loop over one character or class that a match may begin with: that no such
/// character stands before it. It matches at a place exactly where the expression itself does, provided that the expression was tried at
/// the character before and failed: what follows the loop was then tried at every place where it could begin now. Expressions whose parts
/// depend on more than the place (back references, `\K`, recursion, conditions) stay as they are.
std::string with_run_guards(std::string_view expression);

}  // namespace lazuli::tokenizer
