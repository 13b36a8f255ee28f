#!/usr/bin/env python3
"""run.py [--runs N] [--record] [CASE...]: longhaul and its peers, measured side by side.

Cases: copy-small copy-large replicate-small replicate-files bundle csv targets backup cluster distance
listing idle latency dashboard cache-serve cache-fill shards (default: all).
Servers, clients and data are on this machine; data is on a tmpfs where there is one. Tools take
turns within a case, so that a busy spell of the machine meets them all; the table shows medians.
CPU is user + system time of the whole process tree of the client; servers are not counted. Read
differences below 20 % as none. Cases run over HTTP and over HTTPS: then nginx stands before the
servers, and nobody but the clients is measured.

--record writes the tables to bench/RESULTS.md, each with its commit, date, machine and command: one
for each case and kind of machine. The tables of other machines and of cases that did not run stay
as they are, and so does what stands below KEPT, by hand.
"""

import argparse
import datetime
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/system"))
import cases_cache  # noqa: E402
# Whoever measures something else by hand finds these here.
from buckets import Buckets, small_things  # noqa: E402, F401
from cases_cache import FILL_OBJECTS, cache_fill, cache_serve  # noqa: E402
from cases_copy import copy_large, copy_small, sync_small  # noqa: E402
from cases_dashboard import dashboard, idle  # noqa: E402
from cases_distance import distance  # noqa: E402
from cases_latency import latency  # noqa: E402
from cases_listing import list_flat, listing  # noqa: E402
from cases_replicate import bundle, csv, replicate_files, replicate_small  # noqa: E402
from cases_shards import shards  # noqa: E402
from cases_targets import backup, cluster, targets  # noqa: E402
from results import RESULTS, ROOT, machine, record  # noqa: E402

CASES = {"copy-small": copy_small, "sync-small": sync_small, "copy-large": copy_large,
         "replicate-small": replicate_small,
         "replicate-files": replicate_files, "bundle": bundle, "csv": csv, "targets": targets,
         "backup": backup, "cluster": cluster, "distance": distance, "listing": listing,
         "list-flat": list_flat, "idle": idle, "latency": latency, "dashboard": dashboard,
         "cache-serve": cache_serve, "cache-fill": cache_fill, "shards": shards}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=" ".join(CASES))
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--objects", type=int, default=FILL_OBJECTS, metavar="N",
                        help="of cache-fill; what it is to reach is said of 200,000")
    options = parser.parse_args()
    cases_cache.FILL_OBJECTS = options.objects
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {unknown}")
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], text=True,
                            capture_output=True).stdout.strip()
    if subprocess.run(["git", "-C", ROOT, "diff", "--quiet", "HEAD", "--", ".",
                       f":!{RESULTS.relative_to(ROOT)}"]).returncode != 0:
        commit += " with changes"
    tables = []
    for name in options.cases or CASES:
        origin = (f"{commit}, {datetime.date.today()}, {machine()}: "
                  f"`./dev bench --runs {options.runs} {name}"
                  f"{f' --objects {options.objects}' if name == 'cache-fill' else ''}`")
        tables.append(CASES[name](options.runs))
        tables[-1].origin = origin
        if options.record:  # At once: what was measured is kept when a later case fails.
            record(tables[-1])
    print("\n".join(f"## {table.title}\n\n{table.explain}\n\n{table.markdown()}"
                    for table in tables))


if __name__ == "__main__":
    main()
