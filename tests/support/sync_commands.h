// SyncCommandTest: commands that copy, move and remove, as people type them, and what they say.

#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/commands.h"

namespace longhaul::testing {

class SyncCommandTest : public CommandsTest {
 protected:
  bool Says(const std::string& text) const {
    return console.out.contains(text) || console.error.contains(text);
  }
};

}  // namespace longhaul::testing
