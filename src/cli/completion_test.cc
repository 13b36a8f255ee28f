#include "cli/completion.h"

#include <array>
#include <cstdio>
#include <filesystem>

#include "tests/support/commands.h"

namespace longhaul {
namespace {

using testing::CommandsTest;

class CompletionTest : public CommandsTest {
 protected:
  // What bash offers after `typed`, with `longhaul completion addresses` answering `addresses`.
  std::string Offered(const std::string& typed, const std::string& addresses = "") {
    WriteFile("completion.bash", RenderCompletion(Shell::kBash));
    WriteFile("complete.bash",
              "source " + folder.file("completion.bash") + "\nlonghaul() { printf '%s' '" +
                  addresses + "'; }\n" + "cd " + folder.path() + "\nCOMP_LINE='" + typed +
                  "' COMP_POINT=" + std::to_string(typed.size()) +
                  "\nCOMP_WORDBREAKS=$' \\t\\n=:'\n_longhaul\necho \"${COMPREPLY[*]}\"\n");
    std::FILE* pipe = popen(("bash " + folder.file("complete.bash") + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return "no bash";
    std::string said;
    std::array<char, 256> buffer{};
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) said += buffer.data();
    if (pclose(pipe) != 0) said += "failed\n";
    return said;
  }
};

// A completion that does not parse breaks the shell of whoever sources it.
TEST_F(CompletionTest, CompletesCommandsAndOptions) {
  EXPECT_EQ(Offered("longhaul ch"), "check\n");
  EXPECT_EQ(Offered("longhaul config "), "check show schema\n");
  EXPECT_EQ(Offered("longhaul rules im"), "import\n");
  EXPECT_EQ(Offered("longhaul rules check --graph d"), "dot\n");
  EXPECT_EQ(Offered("longhaul cp --recur"), "--recursive\n");
  EXPECT_NE(RenderCompletion(Shell::kZsh).find("#compdef longhaul"), std::string::npos);
  EXPECT_NE(RenderCompletion(Shell::kFish).find("complete -c longhaul"), std::string::npos);
}

TEST_F(CompletionTest, CompletesValues) {
  EXPECT_EQ(Offered("longhaul replicate --roles t"), "target\n");
  EXPECT_EQ(Offered("longhaul replicate --roles=sou"), "source source,target\n");
  EXPECT_EQ(Offered("longhaul completion z"), "zsh\n");
  EXPECT_EQ(Offered("longhaul ls --log-level w"), "warning\n");
  EXPECT_EQ(Offered("longhaul config check c.y"), "c.yaml\n");
  EXPECT_EQ(Offered("longhaul ls --endpoint-url "), "\n");  // Nobody knows.
}

// A configuration may come from elsewhere, and a prefix is any text: to offer a name must not carry
// out what it says, nor change it.
TEST_F(CompletionTest, NamesAreOfferedAsTheyAreAndNotCarriedOut) {
  EXPECT_EQ(Offered("longhaul ls east:a/$", "east:a/$(touch carried-out)/\n"),
            "a/$(touch carried-out)/\n");
  EXPECT_EQ(Offered("longhaul rules parked ", "`touch carried-out`\n"), "`touch carried-out`\n");
  EXPECT_FALSE(std::filesystem::exists(folder.file("carried-out")));
  EXPECT_EQ(Offered("longhaul ls east:l", "east:logs/_$folder$\neast:logs/$date/ a\"b\\c*\n"),
            "logs/_$folder$ logs/$date/ a\"b\\c*\n");
}

// Bash cuts words at ':', and puts the reply behind the cut.
TEST_F(CompletionTest, CompletesAddresses) {
  EXPECT_EQ(Offered("longhaul ls di", "disk:\ndisk:a/\n"), "disk: disk:a/\n");
  EXPECT_EQ(Offered("longhaul cp -r x disk:", "disk:\ndisk:a/\neast:\n"), "a/\n");
  EXPECT_EQ(Offered("longhaul ls ro", "disk:\n"), "root\n");
  EXPECT_EQ(Offered("longhaul rules parked app", "app-logs\nother\n"), "app-logs\n");
}

TEST_F(CompletionTest, AddressesAreThoseOfTheConfiguration) {
  WriteFile(
      "r.yaml",
      "version: 1\nsite: s\nstores:\n  disk: { type: file, root: root }\n"
      "  east: { type: s3, access_key_id: \"${NOT_SET}\", secret_access_key: \"${NOR_THIS}\" }\n"
      "rules: [{ id: r, source: 'disk:a/in/', targets: [{ to: 'disk:b/', staging: "
      "'disk:c/' }] }]\n");
  EXPECT_EQ(Run({"completion", "addresses", "--config", folder.file("r.yaml")}), 0);
  EXPECT_EQ(console.out, "disk:\ndisk:a/in/\ndisk:b/\ndisk:c/\neast:\n");
  EXPECT_EQ(Run({"completion", "addresses"}), 0);
  EXPECT_EQ(console.out, "disk:\n");
  EXPECT_EQ(Run({"completion", "rules", "--config", folder.file("r.yaml")}), 0);
  EXPECT_EQ(console.out, "r\n");
  WriteFile("bad.yaml", "stores");
  EXPECT_EQ(Run({"completion", "addresses", "-c", folder.file("bad.yaml")}), 0);
  EXPECT_EQ(console.out + console.error, "");
}

}  // namespace
}  // namespace longhaul
