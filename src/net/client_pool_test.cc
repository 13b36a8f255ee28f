#include "net/client_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <vector>

#include "tests/support/run.h"
#include "tests/support/silent_server.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// A process that runs for months must not hold what its busiest minute took: each connection is a
// descriptor and 16 KiB.
TEST(ClientPoolTest, WhatABurstLeftGoesAfterAMinute) {
  testing::FakeWorld world;
  ClientPool pool(world.runtime, 8);
  std::vector<std::shared_ptr<ClientConnection>> burst;
  for (int i = 0; i < 8; ++i) burst.push_back(pool.TakeNew("s3.example:80"));
  std::vector<std::weak_ptr<ClientConnection>> kept;
  for (auto& connection : burst) {
    kept.emplace_back(connection);
    pool.GiveBack(std::move(connection), true);
  }
  const auto kept_count = [&] {
    return std::ranges::count_if(kept,
                                 [](const auto& connection) { return !connection.expired(); });
  };
  const SteadyTime end = world.clock.SteadyNow() + 50s;
  while (world.clock.SteadyNow() < end) ASSERT_TRUE(world.clock.AdvanceToNextTimer());
  EXPECT_EQ(kept_count(), 8);
  while (world.clock.SteadyNow() < end + 11s && world.clock.AdvanceToNextTimer()) {
  }
  EXPECT_EQ(kept_count(), 0);
  EXPECT_FALSE(world.clock.AdvanceToNextTimer()) << "an idle process sleeps";
}

using Endpoint = ClientConnection::Endpoint;
using asio::ip::tcp;

Endpoint Numbered(int i) { return {asio::ip::make_address("192.0.2." + std::to_string(i)), 443}; }

// All connections to the one front end that the name service tells first would leave the others
// idle.
TEST(ClientPoolTest, EachConnectionBeginsAtAnotherAddress) {
  testing::FakeWorld world;
  ClientPool pool(world.runtime, 8);
  EXPECT_TRUE(pool.NextAddresses("o").empty());
  pool.NoteAddresses("o", {Numbered(1), Numbered(2), Numbered(3)});
  EXPECT_EQ(pool.NextAddresses("o"),
            (ClientPool::Endpoints{Numbered(1), Numbered(2), Numbered(3)}));
  EXPECT_EQ(pool.NextAddresses("o").front(), Numbered(2));
  // Many ask at once.
  pool.NoteAddresses("o", {Numbered(1), Numbered(2), Numbered(3)});
  EXPECT_EQ(pool.NextAddresses("o").front(), Numbered(3));
  EXPECT_EQ(pool.NextAddresses("o").front(), Numbered(1));
  world.clock.Advance(61s);
  EXPECT_TRUE(pool.NextAddresses("o").empty());
  pool.NoteAddresses("o", {Numbered(7)});
  EXPECT_EQ(pool.NextAddresses("o"), ClientPool::Endpoints{Numbered(7)});
}

struct Connecting {
  static Async<void> Begin(ClientConnection& connection, int* begun) {
    ++*begun;
    static_cast<void>(connection);
    co_return Ok();
  }
  static Async<void> Connect(ClientPool& pool, ClientConnection& connection, int* begun) {
    connection.connect_deadline = pool.clock().SteadyNow() + 4s;
    Result<void> connected =
        co_await pool.Connect(connection, "o", pool.NextAddresses("o"), "",
                              [begun](ClientConnection& to) { return Begin(to, begun); });
    if (!connected) co_return connected.error();
    // What the address before has left behind must not end this one.
    co_await pool.clock().Sleep(300ms);
    co_return connected;
  }
};

// One node of four without power must not take the store away.
TEST(ClientPoolTest, AnAddressThatIsSilentLeavesTimeForTheNextOne) {
  testing::RealWorld world;
  tcp::acceptor there(world.io, {asio::ip::address_v4::loopback(), 0});
  testing::SilentServer silent(world.io);
  ClientPool pool(world.runtime, 8);
  pool.NoteAddresses("o", {silent.endpoint(), there.local_endpoint()});
  int begun = 0;
  auto first = pool.TakeNew("o");
  Result<void> connected = world.Run(Connecting::Connect(pool, *first, &begun));
  ASSERT_TRUE(connected) << connected.error().Describe();
  EXPECT_EQ(begun, 1);
  // It is known now: the others do not wait for it.
  for (int i = 0; i < 2; ++i) {
    const SteadyTime begin = world.clock.SteadyNow();
    auto next = pool.TakeNew("o");
    ASSERT_TRUE(world.Run(Connecting::Connect(pool, *next, &begun)));
    EXPECT_LT(world.clock.SteadyNow() - begin, 1500ms);
    pool.GiveBack(std::move(next), false);
  }
  pool.GiveBack(std::move(first), false);
  EXPECT_EQ(begun, 3);
}

// With nobody there it ends when its time does.
TEST(ClientPoolTest, SilenceEverywhereEndsInTime) {
  testing::RealWorld world;
  testing::SilentServer silent(world.io);
  ClientPool pool(world.runtime, 8);
  pool.NoteAddresses("o", {silent.endpoint()});
  int begun = 0;
  auto connection = pool.TakeNew("o");
  const SteadyTime begin = world.clock.SteadyNow();
  Result<void> connected = world.Run(Connecting::Connect(pool, *connection, &begun));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, kNotSentCode);
  EXPECT_LT(world.clock.SteadyNow() - begin, 6s);
  EXPECT_EQ(begun, 0);
  pool.GiveBack(std::move(connection), false);
}

}  // namespace
}  // namespace longhaul
