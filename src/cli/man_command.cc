// Defines the command `man`, which writes the manual.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/json_writer.h"
#include "cli/command.h"
#include "cli/manual.h"

namespace lazuli::cli {

namespace {

struct ManFlags {
  std::string command, output;
  std::string format = "roff";
};

std::string page_of(const ManFlags& flags, const std::vector<Command>& commands) {
  const bool markdown = flags.format == "markdown";
  if (flags.command.empty()) return markdown ? markdown_manual(commands) : program_page(commands);
  for (const Command& c : commands) {
    if (c.name == flags.command) return markdown ? markdown_section(c) : command_page(c);
  }
  throw UsageError(fmt::format("'{}' is not a command (see lazuli --help)", flags.command));
}

std::vector<std::string> write_pages(const std::string& folder, const std::vector<Command>& commands) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw IoError(fmt::format("{}: cannot create: {}", folder, error.message()));
  std::vector<std::string> files;
  const auto write = [&](const std::string& name, const std::string& text) {
    files.push_back((std::filesystem::path(folder) / name).string());
    write_file(files.back(), text);
  };
  write("lazuli.1", program_page(commands));
  for (const Command& c : commands) write("lazuli-" + c.name + ".1", command_page(c));
  return files;
}

int run_man(const ManFlags& flags, const Common& common) {
  const std::vector<Command> commands = all_commands();
  JsonWriter w;
  w.begin_object();
  if (!flags.output.empty()) {
    if (flags.format != "roff" || !flags.command.empty()) throw UsageError("--output writes all pages, as roff (see lazuli man --help)");
    w.key("files").begin_array();
    for (const std::string& file : write_pages(flags.output, commands)) w.value(file);
    w.end_array();
  } else {
    const std::string page = page_of(flags, commands);
    if (!common.json) print_text(page);
    w.field("page", page);
  }
  if (common.json) print_json(w.end_object().text());
  return kOk;
}

}  // namespace

Command man_command() {
  const auto flags = std::make_shared<ManFlags>();
  Command c;
  c.name = "man";
  c.summary = "Print the manual of the program or of a command";
  c.details = "An installed program has the same pages for man(1): `man lazuli`, `man lazuli-finetune`.";
  c.examples =
      "lazuli man finetune > lazuli-finetune.1\n"
      "lazuli man --format markdown > commands.md\n"
      "lazuli man --output man1";
  c.options = {
      {.name = "command",
       .target = &flags->command,
       .help = "Command whose page to print; without one the program's page",
       .value = "COMMAND"},
      {.name = "--format",
       .target = &flags->format,
       .help = "Output format; markdown without COMMAND: all pages in one document",
       .choices = {"roff", "markdown"}},
      {.name = "--output", .target = &flags->output, .help = "Write all pages to this folder", .value = "DIR"},
  };
  c.run = [flags](const Common& common) { return run_man(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
