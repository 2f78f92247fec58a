// Defines the command `completion`, which writes a shell's completion from the table of commands.
#include <fmt/format.h>

#include <iterator>
#include <memory>

#include "base/file.h"
#include "base/json_writer.h"
#include "cli/command.h"
#include "cli/option_text.h"
#include "cli/parser.h"

namespace lazuli::cli {

namespace {

using Out = fmt::memory_buffer;

/// What a value is completed with.
enum class Values { none, files, folders, choices, commands };

Values values_of(const Option& o) {
  if (!o.choices.empty()) return Values::choices;
  const std::string text = placeholder(o);
  if (text == "DIR") return Values::folders;
  if (text == "COMMAND") return Values::commands;
  return text.starts_with("FILE") || text == "PATH" || text == "-" ? Values::files : Values::none;
}

std::vector<Option> options_of(const Command& command, CommonTarget& target) {
  std::vector<Option> all = command.options;
  for (Option& o : common_options(target)) all.push_back(std::move(o));
  return all;
}

std::string names_of(const std::vector<Command>& commands) {
  std::string names;
  for (const Command& c : commands) names += (names.empty() ? "" : " ") + c.name;
  return names;
}

/// The words that a value is one of, with a space in between.
std::string words_of(const Option& o) {
  return values_of(o) == Values::commands ? names_of(all_commands()) : fmt::format("{}", fmt::join(o.choices, " "));
}

/// Inside single quotes.
std::string quoted(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

std::string bash_values(const Option& o) {
  switch (values_of(o)) {
    case Values::folders:
      return "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$word\")";
    case Values::files:
      return "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\")";
    case Values::choices:
    case Values::commands:
      return fmt::format("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\")", words_of(o));
    case Values::none:
      break;
  }
  return "COMPREPLY=()";
}

void bash_command(Out& out, const Command& command) {
  auto to = std::back_inserter(out);
  CommonTarget target;
  std::string flags = "--help", positional;
  fmt::format_to(to, "    {})\n      case $before in\n", command.name);
  for (const Option& o : options_of(command, target)) {
    if (is_positional(o)) {
      positional = bash_values(o);
      continue;
    }
    flags += " " + o.name;
    if (!is_flag(o)) fmt::format_to(to, "        {}) {}; return ;;\n", o.name, bash_values(o));
  }
  fmt::format_to(to, "      esac\n");
  if (!positional.empty()) fmt::format_to(to, "      if [[ $word != -* ]]; then {}; return; fi\n", positional);
  fmt::format_to(to, "      mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\") ;;\n", flags);
}

std::string bash_script(const std::vector<Command>& commands) {
  Out out;
  auto to = std::back_inserter(out);
  fmt::format_to(to,
                 "# Completion of lazuli for bash.\n_lazuli() {{\n"
                 "  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n"
                 "  COMPREPLY=()\n"
                 "  if [[ $COMP_CWORD == 1 ]]; then mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- \"$word\"); return; fi\n"
                 "  case ${{COMP_WORDS[1]}} in\n",
                 names_of(commands));
  for (const Command& c : commands) bash_command(out, c);
  fmt::format_to(to, "  esac\n}}\ncomplete -F _lazuli lazuli\n");
  return fmt::to_string(out);
}

std::string zsh_values(const Option& o) {
  switch (values_of(o)) {
    case Values::folders:
      return "_files -/";
    case Values::files:
      return "_files";
    case Values::choices:
    case Values::commands:
      return fmt::format("({})", words_of(o));
    case Values::none:
      break;
  }
  return " ";
}

std::string zsh_text(std::string_view text) {
  std::string out;
  for (char c : quoted(text)) {
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_script(const std::vector<Command>& commands) {
  Out out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "#compdef lazuli\n# Completion of lazuli for zsh.\n_lazuli() {{\n  local -a commands\n  commands=(\n");
  for (const Command& c : commands) fmt::format_to(to, "    '{}:{}'\n", c.name, zsh_text(c.summary));
  fmt::format_to(to,
                 "  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
                 "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n");
  for (const Command& c : commands) {
    CommonTarget target;
    fmt::format_to(to, "    {}) _arguments -s '--help[Print the help]'", c.name);
    int position = 0;
    for (const Option& o : options_of(c, target)) {
      const std::string value = is_flag(o) ? "" : fmt::format(":{}:{}", zsh_text(placeholder(o)), zsh_values(o));
      if (is_positional(o)) {
        fmt::format_to(to, " \\\n      '{}{}'", ++position, value);
      } else {
        fmt::format_to(to, " \\\n      '{}{}[{}]{}'", is_repeated(o) ? "*" : "", o.name, zsh_text(o.help), value);
      }
    }
    fmt::format_to(to, " ;;\n");
  }
  fmt::format_to(to, "  esac\n}}\nif [[ $funcstack[1] == _lazuli ]]; then _lazuli \"$@\"; else compdef _lazuli lazuli; fi\n");
  return fmt::to_string(out);
}

std::string fish_values(const Option& o) {
  switch (values_of(o)) {
    case Values::folders:
      return " -x -a '(__fish_complete_directories)'";
    case Values::files:
      return " -r -F";
    case Values::choices:
    case Values::commands:
      return fmt::format(" -x -a '{}'", words_of(o));
    case Values::none:
      break;
  }
  return is_flag(o) ? "" : " -x";
}

std::string fish_text(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out;
}

std::string fish_script(const std::vector<Command>& commands) {
  Out out;
  auto to = std::back_inserter(out);
  // Only the first word is a command: the value of an option, or what `man` takes, can be the name of another.
  fmt::format_to(to,
                 "# Completion of lazuli for fish.\n"
                 "function __lazuli_first\n  set -l words (commandline -opc)\n  test (count $words) -eq 1\nend\n"
                 "function __lazuli_command\n  set -l words (commandline -opc)\n"
                 "  test (count $words) -gt 1; and test $words[2] = $argv[1]\nend\n"
                 "complete -c lazuli -f\n"
                 "complete -c lazuli -l help -d 'Print the help'\n"
                 "complete -c lazuli -n __lazuli_first -l version -d 'Print the version'\n");
  for (const Command& c : commands) {
    fmt::format_to(to, "complete -c lazuli -n __lazuli_first -a {} -d '{}'\n", c.name, fish_text(c.summary));
    const std::string here = fmt::format("complete -c lazuli -n '__lazuli_command {}'", c.name);
    CommonTarget target;
    for (const Option& o : options_of(c, target)) {
      if (is_positional(o)) {
        fmt::format_to(to, "{}{}\n", here, values_of(o) == Values::none ? "" : values_of(o) == Values::files ? " -F" : fish_values(o));
      } else {
        fmt::format_to(to, "{} -l {} -d '{}'{}\n", here, o.name.substr(2), fish_text(o.help), is_flag(o) ? "" : fish_values(o));
      }
    }
  }
  return fmt::to_string(out);
}

struct CompletionFlags {
  std::string shell, output;
};

int run_completion(const CompletionFlags& flags, const Common& common) {
  const std::string& shell = flags.shell;
  const std::vector<Command> commands = all_commands();
  const std::string script = shell == "bash" ? bash_script(commands) : shell == "zsh" ? zsh_script(commands) : fish_script(commands);
  if (!flags.output.empty()) write_file(flags.output, script);
  if (common.json) {
    JsonWriter w;
    w.begin_object().field("shell", shell).field("script", script).end_object();
    print_json(w.text());
  } else if (flags.output.empty()) {
    print_text(script);
  }
  return kOk;
}

}  // namespace

Command completion_command() {
  const auto flags = std::make_shared<CompletionFlags>();
  Command c;
  c.name = "completion";
  c.summary = "Print a completion script for a shell";
  c.details =
      "For bash: eval \"$(lazuli completion bash)\" in ~/.bashrc. For zsh: the same in ~/.zshrc, or the file _lazuli in a folder of "
      "$fpath.\n"
      "For fish: ~/.config/fish/completions/lazuli.fish. An installed program brings all three.";
  c.examples =
      "lazuli completion bash > lazuli.bash\n"
      "lazuli completion zsh > _lazuli\n"
      "lazuli completion fish --output lazuli.fish";
  c.options = {
      {.name = "shell",
       .target = &flags->shell,
       .help = "Shell to write completions for",
       .required = true,
       .choices = {"bash", "zsh", "fish"}},
      {.name = "--output", .target = &flags->output, .help = "Write the completions to this file instead of stdout", .value = "FILE"},
  };
  c.run = [flags](const Common& common) { return run_completion(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
