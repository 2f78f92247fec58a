#include "cli/parser.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <sstream>
#include <type_traits>

#include "base/utf8.h"
#include "cli/build_info.h"
#include "cli/human.h"
#include "cli/option_text.h"

namespace lazuli::cli {
namespace {

constexpr const char* kCommonGroup = "Common options";

template <class Number>
CLI::Validator number_in(double low, double high) {
  auto check = [low, high](std::string& text) -> std::string {
    Number value{};
    const char* const end = text.data() + text.size();
    const char* const begin = text.starts_with('+') ? text.data() + 1 : text.data();
    const auto [stop, error] = std::from_chars(begin, end, value);
    constexpr const char* kind = std::is_same_v<Number, double> ? "a number" : "an integer";
    const bool beyond = error == std::errc::result_out_of_range && std::is_integral_v<Number>;
    const auto number = static_cast<double>(value);
    if (stop != end || (!beyond && (error != std::errc() || !std::isfinite(number))))
      return fmt::format("{} is expected, got '{}'", kind, text);
    if (!beyond && number >= low && number <= high) return {};
    if (beyond && std::isinf(high) && !text.starts_with('-')) {
      return fmt::format("{} of at most {} is expected, got {}", kind, std::numeric_limits<Number>::max(), text);
    }
    if (std::isinf(high)) return fmt::format("{} of at least {} is expected, got {}", kind, number_text(low), text);
    return fmt::format("{} from {} to {} is expected, got {}", kind, number_text(low), number_text(high), text);
  };
  return CLI::Validator(check, "");
}

CLI::Validator one_of(std::vector<std::string> choices, std::string numbered) {
  auto check = [choices = std::move(choices), numbered = std::move(numbered)](std::string& text) -> std::string {
    if (!numbered.empty() && text.starts_with(numbered + ":")) return "";
    for (const std::string& choice : choices) {
      if (choice == text) return {};
    }
    return fmt::format("one of {} is expected, got '{}'", fmt::join(choices, ", "), text);
  };
  return CLI::Validator(check, "");
}

/// Of a path or a name; an empty text would be taken for an option that is not there.
CLI::Validator not_empty(const std::string& what) {
  return CLI::Validator([what](std::string& text) { return text.empty() ? fmt::format("{} is expected, got ''", what) : std::string(); },
                        "");
}

CLI::Validator utf8() {
  auto check = [](const std::string& text) {
    const size_t at = utf8_end(text);
    if (at == text.size()) return std::string();
    return fmt::format("UTF-8 expected, got the byte {:#04x} at offset {}", static_cast<unsigned char>(text[at]), at);
  };
  return CLI::Validator(check, "");
}

void add_option(CLI::App& app, const Option& option, const char* group) {
  if (bool* const* flag = std::get_if<bool*>(&option.target)) {
    app.add_flag(option.name, **flag, option.help)->group(group)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    return;
  }
  CLI::Option* added = nullptr;
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (!std::is_same_v<T, bool>) {
          const std::string range = range_text(option);
          added = app.add_option(option.name, *target, range.empty() ? option.help : fmt::format("{} ({})", option.help, range));
          const std::string text = default_text(option);
          if (!text.empty()) added->default_str(text);
          if constexpr (std::is_arithmetic_v<T>) added->check(number_in<T>(option.low, option.high));
          if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            added->expected(1)->take_all();
          } else {
            added->take_last();
          }
        }
      },
      option.target);
  added->group(group)->type_name(placeholder(option))->required(option.required);
  if (!option.choices.empty()) {
    added->check(one_of(option.choices, option.numbered));
  } else if (option.value != "TEXT") {
    added->check(not_empty(placeholder(option)));
  }
  // Also of an option that does not say what its value is called.
  if (placeholder(option) == "TEXT") added->check(utf8());
}

DType dtype_by_name(const std::string& name) { return name == "bf16" ? DType::bf16 : name == "f16" ? DType::f16 : DType::f32; }

std::string quoted_for_shell(const std::string& word) {
  constexpr const char* plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string out = "'";
  for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string footer_of(const Command& command) {
  std::string text = command.details;
  if (command.examples.empty()) return text;
  text += "\n\nExamples:";
  std::istringstream lines(command.examples);
  for (std::string line; std::getline(lines, line);) text += "\n  " + line;
  return text;
}

// A misspelt word explains more than what is missing because of it.
std::string what_is_wrong(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining(true);
  if (!unknown.empty()) {
    CommonTarget target;
    for (const Option& option : common_options(target)) {
      // Each command knows it, so that it stands where no command has been named yet.
      if (unknown.front().substr(0, unknown.front().find('=')) == option.name) {
        return fmt::format("'{}' must stand behind the command", unknown.front());
      }
    }
    return fmt::format("'{}' is not known", unknown.front());
  }
  if (app.get_subcommands().empty()) return "a command is expected";
  return error.what();
}

}  // namespace

std::variant<Invocation, Answer> parse_command_line(const std::vector<Command>& commands, int argc, char** argv) {
  CLI::App app(kProgramSummary, "lazuli");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  app.footer("lazuli COMMAND --help shows a command's options and examples.");
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->label("Subcommands", "Commands");

  Invocation chosen;
  CommonTarget target;
  for (const Command& command : commands) {
    CLI::App* const sub = app.add_subcommand(command.name, command.summary);
    sub->group("Commands");
    sub->footer(footer_of(command));
    sub->get_formatter()->column_width(34);
    for (const Option& option : command.options) add_option(*sub, option, "Options");
    for (const Option& option : common_options(target)) add_option(*sub, option, kCommonGroup);
    sub->callback([&chosen, &command] { chosen.command = &command; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Answer{app.help()};
  } catch (const CLI::CallForVersion& version) {
    return Answer{std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    const auto subs = app.get_subcommands();
    const std::string name = subs.empty() ? "" : " " + subs.front()->get_name();
    throw UsageError(fmt::format("{} (see lazuli{} --help)", what_is_wrong(app, error), name));
  }
  chosen.common = target.common;
  try {
    chosen.common.device = parse_device(target.device);
  } catch (const ValueError& error) {
    throw UsageError(fmt::format("--{}", error.what()));
  }
  chosen.common.dtype = dtype_by_name(target.dtype);
  chosen.common.threads = static_cast<int>(target.threads);
  if (!target.max_memory.empty()) chosen.common.max_memory = parse_bytes("--max-memory", target.max_memory);
  for (const CLI::Option* option : app.get_subcommands().front()->get_options()) {
    if (option->count() > 0) chosen.common.given.push_back(option->get_name());
  }
  for (int k = 0; k < argc; ++k) chosen.common.command_line += (k == 0 ? "" : " ") + quoted_for_shell(argv[k]);
  return chosen;
}

}  // namespace lazuli::cli
