// Checks completion in the shells themselves: what fish offers, and what zsh makes of a line at which Tab is pressed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "cli/program.h"

namespace lazuli {
namespace {

void write_script(const TestFolder& folder, const std::string& shell, const std::string& name) {
  ASSERT_EQ(Program(folder, {"completion", shell, "--output", folder / name}).wait(), 0);
}

/// What a command line prints, run in the folder.
std::string output_of(const TestFolder& folder, const std::string& line) {
  EXPECT_EQ(std::system(("cd '" + folder / "." + "' && export HOME=\"$PWD\" && { " + line + "; } > shown < /dev/null 2>&1").c_str()), 0)
      << line;
  return read_file(folder / "shown", 1 << 20);
}

TEST(Completion, ScriptsNameCommandsAndOptionsWhereNoShellIsThereToTry) {
  const TestFolder folder;
  write_script(folder, "fish", "lazuli.fish");
  write_script(folder, "zsh", "_lazuli");
  const std::string fish = read_file(folder / "lazuli.fish", 1 << 20), zsh = read_file(folder / "_lazuli", 1 << 20);
  for (const char* line : {"\ncomplete -c lazuli -n __lazuli_first -a eval -d 'Measure a model",
                           "'__lazuli_command eval' -l max-seq-length -d 'Window", "\ncomplete -c lazuli -l help -d 'Print the help'\n"}) {
    EXPECT_NE(fish.find(line), std::string::npos) << line;
  }
  for (const char* line : {"\n    'eval:Measure a model", "\n    eval) _arguments -s '--help[Print the help]'", "'--max-seq-length["}) {
    EXPECT_NE(zsh.find(line), std::string::npos) << line;
  }
}

TEST(Completion, FishOffersCommandsOptionsAndChoices) {
  if (!has_program("fish")) GTEST_SKIP() << "no fish";
  const TestFolder folder;
  write_script(folder, "fish", "lazuli.fish");
  const auto offers = [&](const std::string& line) {
    return output_of(folder, "fish --no-config -c \"source lazuli.fish; complete -C '" + line + "'\" | cut -f 1");
  };
  EXPECT_EQ(offers("lazuli fine"), "finetune\n");
  EXPECT_EQ(offers("lazuli eval --max-s"), "--max-seq-length\n");
  EXPECT_EQ(offers("lazuli eval --device "), "cpu\ncuda\nreference\n");
  EXPECT_EQ(offers("lazuli completion f"), "fish\n");
  EXPECT_EQ(offers("lazuli man fin"), "finetune\n");
  EXPECT_EQ(offers("lazuli man finetune --max-s"), "") << "the command is man";
  EXPECT_EQ(offers("lazuli similar --hel"), "--help\n");
}

TEST(Completion, ZshCompletesCommandsOptionsAndChoices) {
  if (!has_program("zsh")) GTEST_SKIP() << "no zsh";
  const TestFolder folder;
  write_script(folder, "zsh", "_lazuli");
  std::ofstream(folder / "setup.zsh") << "fpath=($PWD $fpath)\nautoload -Uz compinit && compinit -u -d dump\n"
                                         "show() { print -r -- \"$BUFFER\" >> lines; BUFFER=''; }\n"
                                         "zle -N show\nbindkey '^X' show\nprint READY\n";
  // An interactive zsh on a terminal of its own; after each line's Tab, Control-X writes down what stands there.
  std::ofstream(folder / "drive.zsh") << R"(zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source ./setup.zsh'
zpty -r shell seen $'*\nREADY*'
for line in 'fine' 'eval --max-s' 'eval --device r' 'completion f' 'man fin' 'inspect setu'; do
  zpty -w -n shell "lazuli $line"$'\t\x18'
done
for (( k = 0; k < 200; ++k )); do
  if [[ -f lines && $(wc -l < lines) -ge 6 ]]; then break; fi
  sleep 0.05
done
zpty -d shell
cat lines
)";
  EXPECT_EQ(output_of(folder, "timeout 60 zsh -f drive.zsh"),
            "lazuli finetune \nlazuli eval --max-seq-length \nlazuli eval --device reference \nlazuli completion fish \n"
            "lazuli man finetune \nlazuli inspect setup.zsh \n");
}

}  // namespace
}  // namespace lazuli
