"""large_object.py [GIB]: one object of 1 GiB between two servers under --memory 256MiB.

Beyond 5 GiB it travels in segments. Memory is what was promised, whatever the size: for a release,
`tests/system/run large_object.py 20`, which says how many seconds and how much memory it took, and
needs four times the size in /dev/shm or the temporary folder.

Without it: an object that is held whole, or a buffer outside the budget, would be seen by users.
"""

import io
import random
import sys

from harness import (World, check, check_no_uploads, check_staging_empty, keys_of, make_buckets,
                     rule, step, text_bytes)

SIZE = int(sys.argv[1] if len(sys.argv) > 1 else 1) << 30
RSS_MAX = 320 << 20


class Pattern(io.RawIOBase):
    """Bytes that compress to about half, made as they are read; it can be rewound."""

    def __init__(self):
        random_ = random.Random(7)
        self.block = text_bytes(random_, 4 << 20) + random_.randbytes(4 << 20)
        self.at = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: SIZE}[whence] + offset
        return self.at

    def tell(self):
        return self.at

    def readinto(self, buffer):
        start = self.at % len(self.block)
        count = min(len(buffer), len(self.block) - start, SIZE - self.at)
        # The block's number is woven in, so that no two blocks are the same.
        chunk = bytearray(self.block[start:start + count])
        if start == 0 and count >= 8:
            chunk[:8] = (self.at // len(self.block)).to_bytes(8, "big")
        buffer[:count] = chunk
        self.at += count
        return count


def main() -> None:
    # At the source, at the target, there again by cp, and what the servers put together meanwhile.
    with World("large", bytes_needed=4 * SIZE) as world:
        # versitygw keeps what it knows of parts in an attribute of the file. Outside a tmpfs that is
        # 4 KiB at most (ext4), too little for the parts of a giant.
        source = world.serve("minio" if SIZE > 5 << 30 else "versitygw", "source")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        step(f"put {SIZE >> 30} GiB")
        source.s3.upload_fileobj(Pattern(), "data", "large.bin",
                                 ExtraArgs={"Metadata": {"kind": "large"}})
        config = world.config({"source": source, "target": target}, [rule()])
        step("replicate --once --memory 256MiB")
        ran = world.run("replicate", "--config", config, "--once", "--memory", "256MiB",
                        timeout=3600).expect(0)
        step(f"done: {ran.seconds:.0f} s, CPU {ran.cpu_seconds:.1f} s, "
             f"peak {ran.peak_rss_bytes / 2**20:.0f} MiB")
        check(ran.peak_rss_bytes <= RSS_MAX,
              f"peak RSS {ran.peak_rss_bytes / 2**20:.0f} MiB is more than {RSS_MAX >> 20} MiB")
        check(keys_of(target.s3, "copy") == ["large.bin"], "the object is not at the target")
        answer = target.s3.get_object(Bucket="copy", Key="large.bin")
        check(answer["Metadata"].get("kind") == "large", "metadata is not at the target")
        if SIZE > 5 << 30:  # Segments end where the source's parts end.
            head = source.s3.head_object(Bucket="data", Key="large.bin")
            check(answer["ETag"] == head["ETag"], f'{answer["ETag"]} instead of {head["ETag"]}')
        pattern = io.BufferedReader(Pattern(), 8 << 20)
        at = 0
        for chunk in answer["Body"].iter_chunks(8 << 20):
            check(chunk == pattern.read(len(chunk)), f"the 8 MiB from byte {at} differ")
            at += len(chunk)
        check(at == SIZE, f"{at} bytes at the target, not {SIZE}")
        check_staging_empty(target)
        check_no_uploads(target, "copy", "staging")
        step("cp under the same limit")
        copied = world.run("cp", "--config", config, "source:data/large.bin",
                           "target:copy/by-cp.bin", "--memory", "256MiB", timeout=3600).expect(0)
        step(f"done: {copied.seconds:.0f} s, CPU {copied.cpu_seconds:.1f} s, "
             f"peak {copied.peak_rss_bytes / 2**20:.0f} MiB")
        check(copied.peak_rss_bytes <= RSS_MAX,
              f"cp: peak RSS {copied.peak_rss_bytes / 2**20:.0f} MiB")
        check(target.s3.head_object(Bucket="copy", Key="by-cp.bin")["ContentLength"] == SIZE,
              "cp: wrong size at the target")
        step("ok")


if __name__ == "__main__":
    main()
