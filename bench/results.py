"""bench/RESULTS.md: on which machine a table was measured, and where it is kept."""

import json
import os
import pathlib
import platform
import re
import subprocess

from harness import BINARY
from tables import Table

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORES = os.cpu_count()


def tls_library() -> str:
    """The one that the program under test runs with: over HTTPS it is a good part of what is measured."""
    told = subprocess.run([BINARY, "version", "--json"], text=True, capture_output=True, check=True)
    return json.loads(told.stdout)["tls"]


def machine() -> str:
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (f"{CORES} × {model[1] if model else platform.machine()}, {memory:.0f} GiB, "
            f"Linux {platform.release()}, {tls_library()}")


def machine_kind() -> str:
    """What figures are compared within. Other libraries for TLS than what `./dev build` takes are
    machines of their own."""
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    library = tls_library()
    own = "" if library.startswith("BoringSSL") else ", " + ".".join(library.split(".")[:2])
    return f"{CORES} × {model[1] if model else platform.machine()}{own}"


RESULTS = ROOT / "bench/RESULTS.md"
HEAD = """# Measured

By `./dev bench --record`. CPU is user + system seconds of the whole process tree of the client; the
servers share the machine with it, data is on a tmpfs where there is one, and everything goes over
loopback: by HTTP, and by HTTPS with nginx in front of the servers. Times are medians, peak RSS is
the highest of the runs. There is one table for each kind of machine. Absolute figures drift with the
machine and with what else it does, and ratios from one kind of machine to the next: compare within a
table, where the tools took turns, and read differences below 20 % as none.
"""
KEPT = "<!-- Below this line nothing is generated. -->"


def sections_of(text: str, mark: str) -> tuple[str, dict[str, str]]:
    """What stands before the first heading that `mark` begins, and what below each of them."""
    first, *rest = ("\n" + text).split(f"\n{mark} ")
    return first.strip(), {title: below.strip() for title, _, below in
                           (section.partition("\n") for section in rest)}


def record(table: Table) -> None:
    """Puts one table into RESULTS, in the place of its predecessor of this kind of machine."""
    generated, mark, by_hand = (RESULTS.read_text() if RESULTS.exists() else "").partition(KEPT)
    sections = sections_of(generated, "##")[1] if mark else {}
    tables = sections_of(sections.get(table.title, ""), "###")[1]
    tables[machine_kind()] = table.markdown().strip()
    sections[table.title] = "\n\n".join(
        [table.explain, *(f"### {kind}\n\n{text}" for kind, text in sorted(tables.items()))])
    RESULTS.write_text(
        HEAD + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items()) +
        f"\n{KEPT}\n\n{by_hand.strip()}".rstrip() + "\n")
