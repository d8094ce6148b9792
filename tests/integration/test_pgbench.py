"""Real input: pgbench with several clients, while `cdc run` copies and follows; then `cdc verify` is equal."""

from __future__ import annotations

import subprocess

from tests.fixtures.line import Replica, are_live, eventually

CLIENTS, SECONDS = 4, 5


def pgbench(replica: Replica, *arguments: str) -> None:
    command = [replica.database.server.bin("pgbench"), *arguments, replica.database.dsn]
    subprocess.run(command, check=True, capture_output=True, text=True)


def test_pgbench_arrives(replica: Replica) -> None:
    """Its history table has no key, and needs no REPLICA IDENTITY FULL for rows that only come."""
    replica.listen()
    replica.settings["snapshot"] = {"chunk_rows": 20_000}
    pgbench(replica, "--initialize", "--scale=1", "--quiet", "--foreign-keys")
    with replica.process() as daemon:
        scripts = ["--builtin=tpcb-like", "--builtin=simple-update", "--builtin=select-only"]
        pgbench(replica, *scripts, f"--client={CLIENTS}", "--jobs=2", f"--time={SECONDS}", "--no-vacuum")
        eventually(lambda: are_live(replica.status()), "every table is live")
        with replica.process("verify") as verify:
            told = verify.communicate()
            assert verify.returncode == 0, told
        daemon.terminate()
        told = daemon.communicate()
        assert daemon.returncode == 0, told
    replica.assert_equal()
    assert replica.source_rows("public.pgbench_history").total() > 10
