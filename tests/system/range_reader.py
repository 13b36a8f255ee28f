"""range_reader.py HOW...: reads ranges of an object by the libraries that do so in data jobs.

    make FILE                     writes a Parquet file of some megabytes
    ranges ENDPOINT PATH FILE     s3fs and Arrow: a HEAD first, then many small ranges, those of s3fs
                                  with If-Match as Spark's are; suffixes; many at once
    parquet ENDPOINT PATH FILE    Arrow: the footer first, then the columns that are asked for
    changes ENDPOINT PATH         waits for a line between two ranges of one open file

Each compares with FILE, byte for byte. It is run by the Python of the clients
(tests/servers/install.sh), with the keys in the environment.
"""

import concurrent.futures
import os
import pathlib
import random
import sys

import pyarrow
import pyarrow.fs
import pyarrow.parquet
import s3fs
import s3fs.utils

RANGES, AT_ONCE, SMALL = 150, 8, 4000
ROWS, ROWS_OF_GROUP = 60_000, 5_000


def of_fsspec(endpoint: str) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(endpoint_url=endpoint, use_listings_cache=False,
                             skip_instance_cache=True,
                             client_kwargs={"region_name": os.environ["AWS_REGION"]})


def of_arrow(endpoint: str) -> pyarrow.fs.S3FileSystem:
    return pyarrow.fs.S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), scheme="http",
                                   region=os.environ["AWS_REGION"])


def want(got: bytes, wanted: bytes, what: str) -> None:
    if got != wanted:
        sys.exit(f"{what}: {len(got)} bytes that differ from the {len(wanted)} wanted")


def some(chance: random.Random, size: int, count: int) -> list[tuple[int, int]]:
    """Anywhere, and of any small size; the first byte and the last are among them."""
    begins = [0, size - 1, max(0, size - SMALL)]
    begins += [chance.randrange(size) for _ in range(count - len(begins))]
    return [(begin, min(size, begin + chance.randint(1, SMALL))) for begin in begins]


def ranges(endpoint: str, path: str, file: str) -> None:
    content = pathlib.Path(file).read_bytes()
    size = len(content)
    chance = random.Random(size)
    fsspec = of_fsspec(endpoint)
    with fsspec.open(path, cache_type="none") as opened:
        if "IfMatch" not in opened.read_kw:
            sys.exit("this s3fs sends no If-Match")
        for begin, end in some(chance, size, RANGES):
            opened.seek(begin)
            want(opened.read(end - begin), content[begin:end], f"s3fs, {begin} to {end}")
    for length in (1, 8, 65_536, size - 1, size, size + 1000):
        want(fsspec.cat_file(path, start=-length), content[-length:], f"s3fs, the last {length}")
    at = some(chance, size, RANGES)
    for (begin, end), got in zip(at, fsspec.cat_ranges(
            [path] * len(at), [begin for begin, _ in at], [end for _, end in at])):
        want(got, content[begin:end], f"s3fs, many at once, {begin} to {end}")

    def reader(seed: int) -> None:
        own = random.Random(seed)
        with fsspec.open(path, cache_type="none") as opened:
            for begin, end in some(own, size, RANGES // AT_ONCE):
                opened.seek(begin)
                want(opened.read(end - begin), content[begin:end], f"s3fs at once, {begin}")

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(reader, range(AT_ONCE)))
        with of_arrow(endpoint).open_input_file(path) as opened:
            if opened.size() != size:
                sys.exit(f"Arrow: {opened.size()} bytes, not {size}")
            at = some(chance, size, RANGES)
            for (begin, end), got in zip(at, pool.map(
                    lambda one: opened.read_at(one[1] - one[0], one[0]), at)):
                want(bytes(got), content[begin:end], f"Arrow, {begin} to {end}")
    want(fsspec.cat_file(path), content, "s3fs, all of it")


def make(file: str) -> None:
    chance = random.Random(1)
    table = pyarrow.table({
        "id": range(ROWS), "value": [chance.random() for _ in range(ROWS)],
        "text": [chance.randbytes(30).hex() for _ in range(ROWS)]})
    pyarrow.parquet.write_table(table, file, row_group_size=ROWS_OF_GROUP, compression="none")


def parquet(endpoint: str, path: str, file: str) -> None:
    there = of_arrow(endpoint)
    for columns in (["id"], ["value", "text"], None):
        for ahead in (False, True):
            got = pyarrow.parquet.ParquetFile(there.open_input_file(path), pre_buffer=ahead)
            if not got.read(columns=columns).equals(
                    pyarrow.parquet.read_table(file, columns=columns)):
                sys.exit(f"Arrow: columns {columns} differ")
    got = pyarrow.parquet.ParquetFile(there.open_input_file(path))
    here = pyarrow.parquet.ParquetFile(file)
    for group in reversed(range(got.num_row_groups)):
        if not got.read_row_group(group).equals(here.read_row_group(group)):
            sys.exit(f"Arrow: row group {group} differs")


def changes(endpoint: str, path: str) -> None:
    with of_fsspec(endpoint).open(path, cache_type="none") as opened:
        first = opened.read(100)
        print(first.hex(), flush=True)
        sys.stdin.readline()
        try:
            print(opened.read(100).hex(), flush=True)
        except s3fs.utils.FileExpired:
            print("expired", flush=True)


{"make": make, "ranges": ranges, "parquet": parquet, "changes": changes}[sys.argv[1]](*sys.argv[2:])
