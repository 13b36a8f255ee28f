#include "aws/iam_command.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(IamCommandTest, IsForWhomTheRefusalNames) {
  EXPECT_EQ(IamCommand("User: arn:aws:sts::1:assumed-role/mover/i-1 is not authorized", "p", "{}"),
            "aws iam put-role-policy --role-name mover --policy-name p --policy-document '{}'");
  EXPECT_EQ(IamCommand("User: arn:aws:iam::1:user/ann is not authorized", "p", "{}"),
            "aws iam put-user-policy --user-name ann --policy-name p --policy-document '{}'");
  // The name is what stands behind its path.
  EXPECT_EQ(IamCommand("User: arn:aws:iam::1:user/team/a/ann is not authorized", "p", "{}"),
            "aws iam put-user-policy --user-name ann --policy-name p --policy-document '{}'");
  EXPECT_EQ(IamCommand("no", "p", "{}"),
            "aws iam put-role-policy --role-name ROLE --policy-name p --policy-document '{}'");
}

// What a policy forbids no other one allows.
TEST(IamCommandTest, KnowsWhatNoPolicyMends) {
  EXPECT_TRUE(IsForbidden("… is not authorized to perform: x with an explicit deny in a …"));
  EXPECT_FALSE(IsForbidden("… because no identity-based policy allows the x action"));
}

}  // namespace
}  // namespace longhaul
