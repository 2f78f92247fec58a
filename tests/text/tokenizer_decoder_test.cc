// Checks each step that turns tokens back into text, alone and beside another: state that one text or one token leaves must not reach the
// next. What is expected is what the decoders of the package `tokenizers` give.
#include <gtest/gtest.h>

#include "text/tokenizer/decoder.h"

namespace lazuli::tokenizer {
namespace {

using Tokens = std::vector<std::string>;

/// The text of tokens, twice by the same run.
std::string decoded(const Decoder& decoder, const Tokens& tokens) {
  DecoderRun run(decoder);
  std::string first, second;
  for (std::string* text : {&first, &second}) {
    for (const std::string& token : tokens) run.token(token, *text);
    run.finish(*text);
  }
  EXPECT_EQ(first, second) << "the second text of the same run";
  return first;
}

StripDecoder strip(size_t start, size_t stop) { return {" ", start, stop}; }

TEST(DecoderSteps, StripAloneStripsEveryToken) {
  EXPECT_EQ(decoded({strip(1, 0)}, {"  a", " b", "c ", " "}), " abc ");
  EXPECT_EQ(decoded({strip(2, 0)}, {" a", "  b", "   c"}), "ab c");
  EXPECT_EQ(decoded({strip(0, 1)}, {"a ", "b  ", " c"}), "ab  c");
  EXPECT_EQ(decoded({strip(0, 2)}, {"a  ", "b   "}), "ab ");
  EXPECT_EQ(decoded({strip(1, 1)}, {" a ", " b "}), "ab");
}

TEST(DecoderSteps, StripAfterFuseStripsTheWholeText) {
  EXPECT_EQ(decoded({FuseDecoder{}, strip(1, 0)}, {" a", " b", " c"}), "a b c");
  EXPECT_EQ(decoded({FuseDecoder{}, strip(2, 0)}, {" ", " ", " a"}), " a");
  EXPECT_EQ(decoded({FuseDecoder{}, strip(0, 1)}, {"a ", "b ", "c "}), "a b c");
  EXPECT_EQ(decoded({FuseDecoder{}, strip(0, 2)}, {"a ", " ", " "}), "a ");
}

TEST(DecoderSteps, BytesBecomeTextOnlyWhereTheySpellIt) {
  EXPECT_EQ(decoded({ByteFallbackDecoder{}}, {"a", "<0xC3>", "<0xA9>", "b"}), "aéb");
  EXPECT_EQ(decoded({ByteFallbackDecoder{}}, {"<0xC3>", "b"}), "\uFFFDb");
  EXPECT_EQ(decoded({ByteFallbackDecoder{}}, {"<0xC3>", "<0x41>"}), "\uFFFD\uFFFD") << "a run is one text or none";
  EXPECT_EQ(decoded({ByteFallbackDecoder{}}, {"<0xC3>", "<0xA9>", "x", "<0xC3>"}), "éx\uFFFD");
  EXPECT_EQ(decoded({ByteFallbackDecoder{}}, {"<0xG1>", "<0x4>"}), "<0xG1><0x4>");
}

TEST(DecoderSteps, ByteLevelTokensShareCharacters) {
  EXPECT_EQ(decoded({ByteLevelDecoder{}}, {"Ġa", "Ã", "©"}), " aé");
  EXPECT_EQ(decoded({ByteLevelDecoder{}}, {"Ã"}), "\uFFFD");
  EXPECT_EQ(decoded({ByteLevelDecoder{}}, {"a", "Ã", "b"}), "a\uFFFDb");
}

TEST(DecoderSteps, WordPiecesJoinOrStandApart) {
  EXPECT_EQ(decoded({WordPieceDecoder{"##", false}}, {"play", "##ing", "now", "!"}), "playing now !");
  EXPECT_EQ(decoded({WordPieceDecoder{"##", true}}, {"play", "##ing", "now", "!", "do", "n't"}), "playing now! don't");
  EXPECT_EQ(decoded({WordPieceDecoder{"##", true}}, {"##a", "##b"}), "##ab") << "the first token keeps its prefix";
}

TEST(DecoderSteps, TheFirstSpaceOfAMetaspaceTextMayBeOneThatEncodingPut) {
  EXPECT_EQ(decoded({MetaspaceDecoder{"\u2581", true}}, {"\u2581a", "\u2581b", "c"}), "a bc");
  EXPECT_EQ(decoded({MetaspaceDecoder{"\u2581", false}}, {"\u2581a", "\u2581b"}), " a b");
}

TEST(DecoderSteps, ASuffixIsASpaceButAtTheEnd) {
  EXPECT_EQ(decoded({BpeDecoder{"</w>"}}, {"ab</w>", "c", "d</w>"}), "ab cd");
  EXPECT_EQ(decoded({BpeDecoder{"</w>"}}, {"a</w>"}), "a");
  EXPECT_EQ(decoded({BpeDecoder{"</w>"}}, {}), "");
}

TEST(DecoderSteps, RepeatedCtcTokensCountOnce) {
  EXPECT_EQ(decoded({CtcDecoder{}}, {"h", "h", "<pad>", "h", "|", "|", "o"}), "hh o");
  EXPECT_EQ(decoded({CtcDecoder{"<pad>", "|", false}}, {"a", "|", "b"}), "a|b");
}

TEST(DecoderSteps, SpacesStandBetweenTokensOnly) { EXPECT_EQ(decoded({SpacedDecoder{}}, {"a", "b", "c"}), "a b c"); }

TEST(DecoderSteps, CharactersAreReplacedEverywhere) {
  EXPECT_EQ(decoded({CharacterDecoder{"_", " "}}, {"_a_", "b_"}), " a b ");
  EXPECT_EQ(decoded({CharacterDecoder{"_", " "}, strip(1, 0)}, {"_a", "_b"}), "ab");
}

TEST(DecoderSteps, TheUsualChainOfLlamaLeavesOutOneSpaceAtTheStart) {
  const Decoder chain{CharacterDecoder{"\u2581", " "}, ByteFallbackDecoder{}, FuseDecoder{}, strip(1, 0)};
  EXPECT_EQ(decoded(chain, {"\u2581a", "\u2581b", "<0xC3>", "<0xA9>", "c"}), "a béc");
  EXPECT_EQ(decoded(chain, {"\u2581\u2581a"}), " a");
}

}  // namespace
}  // namespace lazuli::tokenizer
