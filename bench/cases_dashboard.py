"""A `replicate` at rest, alone and with its dashboard open."""

import contextlib
import statistics
import threading
import time
from http.client import HTTPConnection

import dashboard_load
import many_rules
from buckets import Buckets, small_things
from harness import World, check, free_port, http, keys_of, put_all, rule, wait_until
from tables import MIB, SCHEMES, Table


class OpenDashboards:
    """So many tabs with the dashboard open, as far as the server sees them: each holds a stream, and
    asks again for what the overview asks for every minute."""

    def __init__(self, port: int, count: int, token: str = ""):
        self.port, self.headers = port, {"Authorization": f"Bearer {token}"} if token else {}
        self.closed = threading.Event()
        self.streams = []
        for _ in range(count):
            self.ask("v1/version", "v1/rules?limit=100", "v1/health", "v1/dead-letters?limit=1",
                     "v1/history")
            self.streams.append(HTTPConnection("127.0.0.1", port, timeout=60))
            self.streams[-1].request("GET", "/v1/stream", headers=self.headers)
            threading.Thread(target=self._read, args=(self.streams[-1].getresponse(),),
                             daemon=True).start()
            threading.Thread(target=self._look, daemon=True).start()

    def ask(self, *paths: str) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        for path in paths:
            connection.request("GET", f"/{path}", headers=self.headers)
            answer = connection.getresponse()
            answer.read()
            check(answer.status == 200, f"{path}: {answer.status}")
        connection.close()

    def _read(self, stream) -> None:
        with contextlib.suppress(Exception):  # It ends when it is closed.
            while stream.read1(1 << 16):
                pass
        check(self.closed.is_set(), "a stream has ended by itself")

    def _look(self) -> None:
        while not self.closed.wait(60):
            self.ask("v1/dead-letters?limit=1", "v1/history")

    def close(self) -> None:
        self.closed.set()
        for stream in self.streams:
            stream.close()


def idle(_: int) -> Table:
    seconds, tabs = 60, 3
    table = Table("Idle", f"A continuous `replicate` with one rule and nothing to do, {seconds} s; then "
                          f"as long with the dashboard open in {tabs} tabs, which hold their streams and "
                          "ask for what the overview asks for.")
    figures = {}
    for https in SCHEMES:
        with World("bench") as world:
            buckets = Buckets(world)
            to, staging = buckets.empty(), buckets.empty()
            put_all(buckets.source.s3, "data", small_things(10))
            port = free_port()
            config = world.config(buckets.stores(https),
                                  [rule("source:data/", f"target:{to}/", f"target:{staging}/")],
                                  listen=f"127.0.0.1:{port}")
            process = world.start("replicate", "--config", config, env=buckets.env)
            wait_until(lambda: len(keys_of(buckets.target.s3, to)) == 10, 60, "10 objects arrive")
            wait_until(lambda: http(f"http://127.0.0.1:{port}/readyz")[0] == 200, 30, "ready")

            def rest() -> tuple[float, float]:
                time.sleep(5)
                before = process.cpu_seconds()
                time.sleep(seconds)
                return (process.cpu_seconds() - before) / seconds, process.rss_bytes() / MIB

            figures[https] = rest()
            dashboards = OpenDashboards(port, tabs)
            figures[https] += rest()
            dashboards.close()
            process.kill(15)
            finished = process.wait(40)
            finished.code = 0
            table.add("longhaul replicate, from start to end", finished, https)
    table.goals_of_both("% of a core", lambda https: 100 * figures[https][0], 1, 1)
    table.goals_of_both("RSS MiB", lambda https: figures[https][1], 40, 40)
    table.goals_of_both("dashboard open: % of a core", lambda https: 100 * figures[https][2], 1.5, 1.5)
    table.goals_of_both("dashboard open: RSS MiB", lambda https: figures[https][3], 50, 50)
    return table


def dashboard(runs: int) -> Table:
    """What the dashboard costs where there is much to show."""
    rules, parked, seconds = 1000, 100_000, 60
    table = Table("Dashboard of 1,000 rules and 100,000 parked objects",
                  f"A continuous `replicate` of {rules:,} rules, each with {parked // rules} objects "
                  "that are parked, which nobody has asked for anything; then Chromium walks through its "
                  "pages. *First load*: from the request for the page until rules are painted, as many "
                  "as a screen shows, for somebody who never was there; the median of five in a browser "
                  f"that runs, and one in a browser that has just been started. *At rest*: {seconds} s with the dashboard open in 3 tabs.")
    loads, colds, shares, answers, looked = [], [], [], [], []
    for _ in range(runs):
        with World("bench") as world:
            port = free_port()
            url = f"http://127.0.0.1:{port}/"
            config = many_rules.make(world, port, rules, parked // rules)
            process = dashboard_load.start(world, config, port)
            time.sleep(30)  # Until each rule has said that it runs.
            before = process.cpu_seconds()
            seen = dashboard_load.browse(url, rules, parked // rules)
            looked.append(process.cpu_seconds() - before)
            loads += seen["first_load_ms"]
            colds.append(seen["cold_browser_ms"])
            answers += seen["first_answers"] + seen["answers"]
            dashboards = OpenDashboards(port, 3, many_rules.TOKEN)
            time.sleep(5)
            before = process.cpu_seconds()
            time.sleep(seconds)
            shares.append((process.cpu_seconds() - before) / seconds)
            dashboards.close()
            process.kill(15)
            finished = process.wait(40)
            finished.code = 0
            table.add("longhaul replicate, from start to end", finished)
    table.goal("first load: ms", statistics.median(loads), 300)
    table.goal("first load, browser just started: ms", statistics.median(colds), 500)
    table.goal("largest answer: KiB", max(answer["bytes"] for answer in answers) / 1024, 256)
    table.goal("slowest answer: ms", max(answer["ms"] for answer in answers), 300)
    table.goal("all pages walked through: CPU s of the server", statistics.median(looked), 2)
    table.goal("at rest, dashboard open: % of a core", 100 * statistics.median(shares), 5)
    return table
