"""A configuration of many rules, of which objects are parked: for dashboard_load.py and the bench.

The rules go from folder to folder, so that nothing but longhaul works; what is parked is written by
longhaul's own code (parked_rows.cc), since to fail so often takes a real run too long.
"""

import pathlib
import subprocess

from harness import BINARY, World, check

TOKEN = "token-of-the-test"
TARGET = "copy"
PARKED_ROWS = pathlib.Path(BINARY).parent / "tests/parked_rows"


def name(number: int) -> str:
    return f"rule-{number:04}"


def make(world: World, port: int, rules: int, parked_each: int) -> pathlib.Path:
    """The configuration of `rules` rules, and so many keys parked at the target of each."""
    stores = {}
    for store, buckets in (("source", ("data",)), ("target", ("copy", "staging"))):
        for bucket in buckets:
            (world.folder / store / bucket).mkdir(parents=True)
        stores[store] = {"type": "file", "root": str(world.folder / store)}
    made = [{"id": name(number), "source": f"source:data/{number:04}/", "intake": {"webhook": True},
             "targets": [{"name": TARGET, "to": f"target:copy/{number:04}/",
                          "staging": "target:staging/"}]} for number in range(rules)]
    config = world.config(stores, made, "many.yaml", listen=f"127.0.0.1:{port}", token=TOKEN)
    for at in range(0, rules, 500):  # A command line has its limit.
        done = subprocess.run(
            [PARKED_ROWS, world.work / "longhaul.db", TARGET, str(parked_each),
             *(name(number) for number in range(at, min(rules, at + 500)))],
            capture_output=True, text=True)
        check(done.returncode == 0, f"parked_rows: {done.stderr}")
    return config
