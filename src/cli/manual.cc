// Writes the manual's pages.
#include "cli/manual.h"

#include <fmt/format.h>

#include <iterator>

#include "cli/build_info.h"
#include "cli/option_text.h"
#include "cli/parser.h"

namespace lazuli::cli {

namespace {

using Out = fmt::memory_buffer;

constexpr const char* kExitCodes[][2] = {
    {"0", "Done."},
    {"1",
     "It failed; stderr says why, and with --json stdout has an object with the key error. Output that could not be written is a failure."},
    {"2", "The command line is wrong."},
    {"130", "Ended by Ctrl-C (SIGINT), in order; 143 by SIGTERM, 129 by SIGHUP."},
    {"141", "Nobody reads stdout any more: ended by SIGPIPE, without a word. Where SIGPIPE is ignored that is an error like others."},
};

/// Text for roff: backslashes and hyphens as they are, and no line that looks like a request.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    line_start = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

/// The numbers that an option takes, and what it is when it is not given.
std::string value_note(const Option& option) {
  const std::string range = range_text(option), standard = default_text(option);
  const std::string absent = option.required ? "required" : standard.empty() ? "" : fmt::format("default: {}", standard);
  if (range.empty() && absent.empty()) return {};
  return fmt::format(" ({}{}{})", range, range.empty() || absent.empty() ? "" : "; ", absent);
}

void roff_options(Out& out, const std::vector<Option>& options) {
  auto to = std::back_inserter(out);
  for (const Option& o : options) {
    const std::string value = is_flag(o) ? "" : fmt::format(" \\fI{}\\fR", roff(placeholder(o)));
    const std::string name = is_positional(o) ? "" : fmt::format("\\fB{}\\fR", roff(o.name));
    fmt::format_to(to, ".TP\n{}\n{}{}.\n", is_positional(o) ? value.substr(1) : name + value, roff(o.help), roff(value_note(o)));
  }
}

void roff_header(Out& out, const std::string& name, const std::string& summary) {
  std::string title = name;
  for (char& c : title) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  fmt::format_to(std::back_inserter(out), ".TH {} 1 \"\" \"lazuli {}\" \"Lazuli\"\n.SH NAME\n{} \\- {}\n", roff(title),
                 build_info().version, roff(name), roff(summary));
}

void roff_exit_codes(Out& out) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, ".SH EXIT STATUS\n");
  for (const auto& [code, meaning] : kExitCodes) fmt::format_to(to, ".TP\n{}\n{}\n", code, roff(meaning));
}

std::string positionals_of(const Command& command) {
  std::string text;
  for (const Option& o : command.options) {
    if (is_positional(o)) text += o.required ? " " + placeholder(o) : fmt::format(" [{}]", placeholder(o));
  }
  return text;
}

void markdown_options(Out& out, const std::vector<Option>& options) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "| option | what it does |\n| --- | --- |\n");
  for (const Option& o : options) {
    const std::string value = is_flag(o) ? "" : placeholder(o);
    const std::string name = is_positional(o) ? value : value.empty() ? o.name : o.name + " " + value;
    std::string cells = fmt::format("`{}` | {}{}", name, o.help, value_note(o));
    // A bar inside a cell would end it.
    for (size_t at = cells.find('|'); at != std::string::npos; at = cells.find('|', at + 1)) {
      if (at > 0 && at + 1 < cells.size() && cells[at - 1] == ' ' && cells[at + 1] == ' ') continue;
      cells.insert(at++, "\\");
    }
    fmt::format_to(to, "| {} |\n", cells);
  }
}

}  // namespace

std::string program_page(const std::vector<Command>& commands) {
  Out out;
  auto to = std::back_inserter(out);
  roff_header(out, "lazuli", "fine\\-tunes language models with LoRA, and runs them");
  fmt::format_to(to, ".SH SYNOPSIS\n\\fBlazuli\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH COMMANDS\n");
  for (const Command& c : commands)
    fmt::format_to(to, ".TP\n\\fB{}\\fR\n{}. See \\fBlazuli\\-{}\\fR(1).\n", c.name, roff(c.summary), c.name);
  fmt::format_to(to, ".SH COMMON OPTIONS\n");
  CommonTarget target;
  roff_options(out, common_options(target));
  roff_exit_codes(out);
  return fmt::to_string(out);
}

std::string command_page(const Command& command) {
  Out out;
  auto to = std::back_inserter(out);
  roff_header(out, "lazuli-" + command.name, command.summary);
  fmt::format_to(to, ".SH SYNOPSIS\n\\fBlazuli {}\\fR [\\fIOPTION\\fR]...{}\n", command.name, roff(positionals_of(command)));
  if (!command.details.empty()) fmt::format_to(to, ".SH DESCRIPTION\n{}\n", roff(command.details));
  if (!command.options.empty()) fmt::format_to(to, ".SH OPTIONS\n");
  roff_options(out, command.options);
  fmt::format_to(to, ".SH COMMON OPTIONS\n");
  CommonTarget target;
  roff_options(out, common_options(target));
  fmt::format_to(to, ".SH EXAMPLES\n.nf\n{}\n.fi\n", roff(command.examples));
  roff_exit_codes(out);
  fmt::format_to(to, ".SH SEE ALSO\n\\fBlazuli\\fR(1)\n");
  return fmt::to_string(out);
}

std::string markdown_manual(const std::vector<Command>& commands) {
  Out out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "# The commands\n{} Written by `lazuli man --format markdown`.\n\n| command | what it does |\n| --- | --- |\n",
                 kProgramSummary);
  for (const Command& c : commands) fmt::format_to(to, "| [`{}`](#lazuli-{}) | {} |\n", c.name, c.name, c.summary);
  fmt::format_to(to, "\n## Common options\nEvery command takes these.\n\n");
  CommonTarget target;
  markdown_options(out, common_options(target));
  fmt::format_to(to, "\n## Exit codes\n| code | meaning |\n| --- | --- |\n");
  for (const auto& [code, meaning] : kExitCodes) fmt::format_to(to, "| {} | {} |\n", code, meaning);
  for (const Command& c : commands) fmt::format_to(to, "\n{}", markdown_section(c));
  return fmt::to_string(out);
}

std::string markdown_section(const Command& command) {
  Out out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "## lazuli {}\n{}. {}\n\n", command.name, command.summary, command.details);
  fmt::format_to(to, "```sh\n{}\n```\n", command.examples);
  if (!command.options.empty()) {
    fmt::format_to(to, "\n");
    markdown_options(out, command.options);
  }
  return fmt::to_string(out);
}

}  // namespace lazuli::cli
