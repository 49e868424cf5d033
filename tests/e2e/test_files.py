# SPDX-License-Identifier: MIT
"""The limit of open files: services use what the hard limit allows, their programs get the soft one
that netkit was started with."""

import contextlib
import json
import resource
import socket

import pytest

import support
from relay_support import Relay
from support import NETKIT, PATIENCE, wait_until

SOFT = 64
CLIENTS = 200
LISTENING = r"listening on tcp:127\.0\.0\.1:(\d+)"


def prefix(soft, hard):
    return (support.need_command("prlimit"), f"--nofile={soft}:{hard}")


@pytest.fixture
def hard():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def status(relay):
    done = support.run("relay", "status", "--state-dir", relay.state, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_relay_serves_more_than_the_soft_limit(programs, work, hard):
    relay = Relay(programs, work, "--max-connections", "500", connection="TCP",
                  prefix=prefix(SOFT, hard))
    relay.program.wait_line('"ready"')
    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            conn = stack.enter_context(relay.connect())
            assert conn.recv(1) == b"2"  # its greeting has 20 bytes
        seen = status(relay)
        assert (seen["connections"], seen["max_connections"]) == (CLIENTS, 500)
        assert seen["max_files"] == min(hard, 1 << 20)
    assert relay.stop() == 0
    assert "cannot be reached" not in relay.program.stderr()


def test_relay_tells_what_it_cannot_reach(programs, work):
    relay = Relay(programs, work, connection="TCP", prefix=prefix(SOFT, 300))
    line = relay.program.wait_line(r".*max_connections = 16384 cannot be reached.*")[0]
    assert "LimitNOFILE=" in line and "ulimit -n" in line and "300 files" in line
    relay.program.wait_line('"ready"')
    assert status(relay)["max_files"] == 300
    assert relay.stop() == 0


def limits_of(conn):
    text = b""
    while part := conn.recv(100):
        text += part
    return text.decode().split()


def test_programs_get_the_original_limit(programs, work, hard):
    script = work / "limits"
    script.write_text("#!/bin/sh\nulimit -Sn\nulimit -Hn\n", encoding="utf-8")
    script.chmod(0o700)
    p = programs([*prefix(SOFT, hard), NETKIT, "forward", "tcp:127.0.0.1:0", f"exec:{script}"])
    port = int(p.wait_line(LISTENING)[1])

    def raised():
        with open(f"/proc/{p.pid}/limits", encoding="ascii") as f:
            return [line.split()[3] for line in f if line.startswith("Max open files")]

    wait_until(lambda: raised() == [str(min(hard, 1 << 20))])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
        conn.shutdown(socket.SHUT_WR)
        assert limits_of(conn) == [str(SOFT), str(hard)]
    assert p.stop() == 0


def test_wrapped_program_gets_the_original_limit(work, hard):
    done = support.subprocess.run(
        [*prefix(SOFT, hard), NETKIT, "run", "--state-dir", str(work / "state"), "--", "sh", "-c", "ulimit -Sn"],
        capture_output=True, text=True, env=support.clean_env(), timeout=PATIENCE)
    assert (done.returncode, done.stdout.split()) == (0, [str(SOFT)]), done.stderr
