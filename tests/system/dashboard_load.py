"""dashboard_load.py [RULES [PARKED]]: the dashboard and the API of a process that has many rules, of
which many objects are parked.

Without it: a list that is counted, decoded or drawn whole would be seen by those alone who have so
many. What is asked here is that each answer is a page of bounded size, that a page of the browser
draws what is looked at and no more, and that all of it can be reached. How long it takes is for
`./dev bench dashboard`.
"""

import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import many_rules
from harness import ROOT, World, check, free_port, http, step, wait_until

ANSWER_BYTES_MAX = 1 << 20
GRAPHS_MAX = 60  # Of the rows in sight, and those of all rules together.


def get(url: str, path: str, **query) -> tuple[dict, int]:
    request = urllib.request.Request(
        f"{url}{path}?{urllib.parse.urlencode(query)}",
        headers={"Authorization": f"Bearer {many_rules.TOKEN}"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = answer.read()
    return json.loads(text), len(text)


def pages(url: str, path: str, member: str, **query) -> list[dict]:
    """All rows of a list, page by page; no answer is longer than it may be."""
    rows, cursor = [], None
    while True:
        page, size = get(url, path, **query, **({"cursor": cursor} if cursor else {}))
        check(size <= ANSWER_BYTES_MAX, f"{path} answers {size} bytes")
        check(len(page[member]) <= query["limit"], f"{path}: {len(page[member])} rows")
        rows += page[member]
        cursor = page["next"]
        if cursor is None:
            return rows


def browse(url: str, rules: int, parked_each: int) -> dict:
    done = subprocess.run(
        [str(ROOT / "web/build"), "run", "node", "test/load.mjs", url, many_rules.TOKEN, str(rules),
         str(parked_each)], capture_output=True, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    check(lines, f"the browser: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    seen = json.loads(lines[-1])
    check(done.returncode == 0, f"the browser: {seen}")
    return seen


def start(world: World, config, port: int):
    process = world.start("replicate", "--config", config)
    wait_until(lambda: http(f"http://127.0.0.1:{port}/readyz")[0] == 200, 300, "ready")
    return process


def main() -> None:
    rules, parked = (int(word) for word in (sys.argv[1:3] + ["1000", "100000"])[:2])
    with World("dashboard-load") as world:
        port = free_port()
        url = f"http://127.0.0.1:{port}/"
        config = many_rules.make(world, port, rules, parked // rules)
        step(f"{rules} rules, {parked} parked objects")
        start(world, config, port)
        step("ready")

        # Every process says of each rule that it runs it, some seconds after its start.
        wait_until(lambda: get(url, "v1/rules", limit=1)[0]["counts"]["warn"] == rules, 60,
                   "every rule is seen to run", every=1)
        listed = pages(url, "v1/rules", "rules", limit=100)
        check([rule["id"] for rule in listed] == [many_rules.name(n) for n in range(rules)],
              f"{len(listed)} rules")
        wrong = [rule["id"] for rule in listed if rule["parked"] != parked // rules]
        check(not wrong, f"a wrong number of parked objects: {wrong[:5]}")
        some = pages(url, "v1/parked", "parked", rule=many_rules.name(rules - 1), limit=100)
        check(len({one["key"] for one in some}) == parked // rules, f"{len(some)} of a rule")
        everything = pages(url, "v1/parked", "parked", limit=500)
        check(len({(one["rule"], one["key"]) for one in everything}) == parked,
              f"{len(everything)} of all rules")
        step("the lists are whole")

        seen = browse(url, rules, parked // rules)
        for answer in seen["first_answers"] + seen["answers"]:
            check(answer["bytes"] <= ANSWER_BYTES_MAX, f"{answer}")
        check(seen["graphs_all"] <= GRAPHS_MAX, f"the browser has drawn {seen['graphs_all']} graphs")
        step(f"the browser: first loads {seen['first_load_ms']} ms, {seen['graphs_all']} graphs of "
             f"{rules} rules, {len(seen['first_answers'])} requests at first")
        print(json.dumps(seen))


if __name__ == "__main__":
    main()
