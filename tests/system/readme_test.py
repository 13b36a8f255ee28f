"""The commands of README.md and docs/guide.md, as a reader would type them.

Every ```sh block is run, top to bottom, one shell per file, in an empty folder. Lines that begin
with ./dev are looked up in `./dev help` instead: they would run this test again.
"""

import os
import pathlib
import re
import subprocess

from harness import (BINARY, ROOT, SECRET_FLAG, SECRET_NAME, World, check, is_secret, step,
                     tells_none)

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main() -> None:
    known = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    for name in ("README.md", "docs/guide.md"):
        blocks = BLOCK.findall((ROOT / name).read_text())
        check(blocks, f"{name} shows no command")
        lines = "".join(blocks).splitlines()
        for line in (line for line in lines if line.startswith("./dev")):
            command = re.sub(r"\s+#.*", "", line)
            check(any(known_line.startswith(command) for known_line in known.splitlines()),
                  f"{name}: {command!r} is not in ./dev help")
        with World("readme") as world:
            script = "\n".join(line for line in lines if not line.startswith("./dev"))
            ran = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script], cwd=world.work, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200,
                env={**os.environ, "HOME": str(world.work),
                     "PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}"})
            check(ran.returncode == 0, f"{name}: exit {ran.returncode}:\n{ran.stdout[-4000:]}")
            words = script.split()
            secrets = {value for flag, value in zip(words, words[1:]) if SECRET_FLAG.fullmatch(flag)}
            secrets |= {value for key, value in os.environ.items() if SECRET_NAME.search(key)}
            tells_none(filter(is_secret, secrets), ran.stdout, name)
            step(f"{name}: {len(blocks)} blocks ok")


if __name__ == "__main__":
    main()
