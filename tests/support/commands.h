// Commands as people type them, run in this process against folders.

#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_console.h"

namespace longhaul::testing {

// With a configuration c.yaml that has the store `disk`: a folder with the buckets a and b.
class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() {
    std::filesystem::create_directories(folder.file("root/a"));
    std::filesystem::create_directories(folder.file("root/b"));
    std::ofstream(folder.file("c.yaml"))
        << "version: 1\nstores:\n  disk: { type: file, root: root }\n";
    console.environment["LONGHAUL_CONFIG"] = folder.file("c.yaml");
  }
  void WriteFile(const std::string& name, const std::string& text) { folder.Write(name, text); }
  std::string ReadFile(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder.file(name)).rdbuf();
    return text.str();
  }
  int Run(std::vector<std::string> arguments) {
    console.out.clear();
    console.error.clear();
    return RunProgram(arguments, console);
  }

  TempDir folder;
  TestConsole console;
};

}  // namespace longhaul::testing
