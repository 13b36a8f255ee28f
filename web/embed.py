#!/usr/bin/env python3
"""embed.py DIST OUT.cc: the files of the folder DIST as C++ (src/server/static_files.h).

Without a folder (DIST is "none"): one page that says that this build has no dashboard.
"""

import gzip
import hashlib
import pathlib
import re
import sys

SIZE_MAX = 200_000

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

NONE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>longhaul</title>
<h1>This longhaul was built without its dashboard</h1>
<p>Build it with ./dev build, or with cmake without -DLONGHAUL_WEB=OFF.
The API is there, and so are longhaul rules status, savings and explain.</p>
"""


def files_of(dist: str) -> dict[str, tuple[bytes, str]]:
    if dist == "none":
        return {"/": (NONE, ".html")}
    found = {}
    root = pathlib.Path(dist)
    for path in root.rglob("*"):
        if path.is_file():
            name = "/" + path.relative_to(root).as_posix()
            found["/" if name == "/index.html" else name] = (path.read_bytes(), path.suffix)
    if "/" not in found:
        sys.exit(f"embed.py: no index.html in {dist}")
    return found


def literal(data: bytes) -> str:
    # Three octal digits always: no digit that follows can be taken for part of one.
    lines = [data[at : at + 32] for at in range(0, len(data), 32)]
    return "\n".join('    "' + "".join(f"\\{byte:03o}" for byte in line) + '"' for line in lines)


def main() -> None:
    dist, out = sys.argv[1:]
    rows, total = [], 0
    for path, (data, suffix) in sorted(files_of(dist).items()):
        # No time in it: the same files give the same bytes.
        packed = gzip.compress(data, 9, mtime=0)
        total += len(packed)
        # Vite puts a hash into the names of what it makes; what is copied keeps its name.
        immutable = "true" if re.search(r"-[\w-]{8}\.\w+$", path) else "false"
        rows.append(
            f'      StaticFile{{.path = "{path}",\n'
            f'                 .content_type = "{TYPES[suffix]}",\n'
            f'                 .etag = "\\"{hashlib.sha256(data).hexdigest()[:32]}\\"",\n'
            f"                 .gzip = std::string_view(\n{literal(packed)},\n"
            f"                     {len(packed)}),\n"
            f"                 .size_bytes = {len(data)},\n"
            f"                 .immutable = {immutable}}},\n"
        )
    if total > SIZE_MAX:
        sys.exit(f"embed.py: {total} bytes as gzip; at most {SIZE_MAX}, for the sake of slow lines")
    text = (
        "// Written by web/embed.py.\n\n"
        '#include "server/static_files.h"\n\n'
        "namespace longhaul {\n\n"
        "std::span<const StaticFile> EmbeddedFiles() {\n"
        "  static constexpr StaticFile kFiles[] = {\n" + "".join(rows) + "  };\n"
        "  return kFiles;\n}\n\n}  // namespace longhaul\n"
    )
    pathlib.Path(out).write_text(text)
    print(f"dashboard: {len(rows)} files, {total / 1000:.1f} KB as gzip")


if __name__ == "__main__":
    main()
