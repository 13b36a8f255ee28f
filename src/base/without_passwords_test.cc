#include "base/without_passwords.h"

#include <gtest/gtest.h>

#include <utility>

namespace longhaul {
namespace {

// A mistake in a URL is told, and what is told is logged.
TEST(WithoutPasswordsTest, MessagesShowNone) {
  const std::pair<const char*, const char*> kTexts[] = {
      {"Postgresql://longhaul:hunter2@db/jobs", "Postgresql://…@db/jobs"},
      {"mysql://longhaul:hun@ter/2@db/jobs", "mysql://…@db/jobs"},
      {"postgresql:/longhaul:hunter2@db", "postgresql:…@db"},
      {"longhaul:hunter2@db/jobs", "longhaul:…@db/jobs"},
      {"https://hunter2@host", "https://…@host"},
      {"postgre:host=db password=hunter2 user=x", "postgre:host=db password=…"},
      {"pg:host=db PassWord = 'hunter2'", "pg:host=db PassWord =…"},
      {"pg://db/jobs?sslpassword=hunter2", "pg://db/jobs?sslpassword=…"},
      {"pg:host=password-db user=x password=hunter2", "pg:host=password-db user=x password=…"},
      {"pg:dbname=passwords passwordpassword = x", "pg:dbname=passwords passwordpassword =…"},
      {"dynamodb:jobs", "dynamodb:jobs"},
      {"http://h:99999", "http://h:99999"},
      {"a@b", "a@b"},
      {"sqlite:passwords", "sqlite:passwords"},
      {"", ""}};
  for (const auto& [text, shown] : kTexts) EXPECT_EQ(WithoutPasswords(text), shown);
}

}  // namespace
}  // namespace longhaul
