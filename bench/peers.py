"""What longhaul is measured beside, each run like longhaul itself."""

from harness import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Finished, Process, World, real_servers

RCLONE = real_servers.cache_dir() / "bin/rclone"
# All that makes it cheaper and leaves a right copy: no HEADs, no hashes, no look at times.
RCLONE_TUNED = ["--size-only", "--s3-no-head", "--s3-no-head-object", "--s3-disable-checksum",
                "--ignore-checksum", "--s3-use-unsigned-payload=true", "--fast-list",
                "--buffer-size", "0", "--transfers", "16"]


def run_command(world: World, command: list, env=None) -> Finished:
    """Any program, measured like longhaul."""
    return Process(command[1:], world.work, env, binary=str(command[0])).wait(3600)


def shell(world: World, text: str) -> Finished:
    ran = run_command(world, ["/bin/bash", "-c", "set -o pipefail; " + text])
    ran.peak_rss_bytes = 0  # That of the shell says nothing.
    return ran


def rclone(world: World, source, target, from_: str, to: str, flags) -> Finished:
    env = {"RCLONE_CONFIG": str(world.work / "rclone.conf")}
    if source.endpoint.startswith("https://"):
        flags = [*flags, "--ca-cert", str(world.work / "certificate.pem")]
    for name, server in (("A", source), ("B", target)):
        env |= {f"RCLONE_CONFIG_{name}_TYPE": "s3", f"RCLONE_CONFIG_{name}_PROVIDER": "Other",
                f"RCLONE_CONFIG_{name}_ENDPOINT": server.endpoint,
                f"RCLONE_CONFIG_{name}_REGION": REGION,
                f"RCLONE_CONFIG_{name}_ACCESS_KEY_ID": ACCESS_KEY_ID,
                f"RCLONE_CONFIG_{name}_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
    return run_command(world, [RCLONE, "copy", "-q", f"A:{from_}", f"B:{to}", *flags], env)
