"""Runs one daemon in a process of its own and prints what it cost, as JSON: so memory and CPU are the daemon's alone.

Usage: python -m tests.bench.run_line CONFIG UNTIL
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path

from cdc import config_file
from cdc.daemon import Daemon


def main() -> None:
    begun = time.monotonic()
    daemon = Daemon(config_file.load(Path(sys.argv[1]), {}), until=sys.argv[2])  # type: ignore[arg-type]
    streaming: list[float] = []
    watcher = threading.Thread(target=lambda: streaming.append(_when_streaming(daemon)), daemon=True)
    watcher.start()
    daemon.run(threading.Event())
    ended = time.monotonic()
    watcher.join()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cost = {
        "start_seconds": streaming[0] - begun,
        "stream_seconds": ended - streaming[0],
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "rss_mb": usage.ru_maxrss / 1024,
        "lag_p99": daemon.status().warehouses[0].lag_p99 or 0.0,
    }
    sys.stdout.write(json.dumps(cost) + "\n")


def _when_streaming(daemon: Daemon) -> float:
    daemon.line()
    return time.monotonic()


if __name__ == "__main__":
    main()
