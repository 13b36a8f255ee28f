#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/console.h"

int main(int argc, char** argv) {
  longhaul::ProcessConsole console;
  return longhaul::RunProgram(std::vector<std::string>(argv + 1, argv + argc), console);
}
