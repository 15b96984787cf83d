"""Every measurement, one after another: `uv run python -m tests.bench`. It takes about three minutes."""

import os
import platform
import subprocess
import sys

MEASUREMENTS = (
    ("cold_start", "from spawning the server to its list of tools, and its memory"),
    ("warm", "a warm check_quota over stdio"),
    ("over_http", "check_quota over /mcp"),
    ("many_calls", "calls under way at once over stdio"),
    ("costs", "what an agent reads"),
    ("sandbox_calls", "the sandbox"),
)


def main() -> int:
    """Run them; the exit code is 1 if one failed."""
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    codes: list[int] = []
    for name, what in MEASUREMENTS:
        print(f"\n== {what}: python -m tests.bench.{name}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
