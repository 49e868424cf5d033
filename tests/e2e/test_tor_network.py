# SPDX-License-Identifier: MIT
"""The private Tor network itself: names, exits and clients are as the tests of netkit suppose."""

import json
import signal
import socket
import subprocess
import sys

from server_support import Server
from tor_network import __file__ as PROGRAM
from tor_network import PATIENCE, is_ours

BEGIN_EARLY = True  # see conftest.py


def resolved(control, request):
    control.command(f"RESOLVE {request}")
    return control._line().split(" ", 4)[2:4]


def test_names_are_resolved_by_exits(tor_network):
    before = len(tor_network.dns_log())
    control = tor_network.client.connect()
    control.command("SETEVENTS ADDRMAP")
    assert resolved(control, "somewhere.test") == ["somewhere.test", "127.0.0.1"]
    assert resolved(control, "192-0-2-9.ip.test") == ["192-0-2-9.ip.test", "192.0.2.9"]
    assert resolved(control, "nx.test") == ["nx.test", "<error>"]
    assert resolved(control, "mode=reverse 192.0.2.5") == ["192.0.2.5", "host-5.test"]
    control.close()
    assert set(tor_network.dns_log()[before:]) >= {"A somewhere.test", "PTR 5.2.0.192.in-addr.arpa"}


def asked(socks, name, port):
    """What comes through a SOCKS port (RFC 1928) after a request without user and password."""
    host, _, number = socks.rpartition(":")
    with socket.create_connection((host, int(number)), timeout=PATIENCE) as sock:
        sock.sendall(b"\5\1\0" + b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
        answer = b""
        while part := sock.recv(100):
            answer += part
        return answer


def test_exits_reach_this_machine(tor_network):
    with Server(greeting=b"through three relays") as server:
        port = int(server.target.rpartition(":")[2])
        answer = asked(tor_network.client.socks, b"exit.test", port)
    assert answer.endswith(b"through three relays"), answer


def test_a_client_of_ones_own_may_end(tor_network):
    with tor_network.tor() as tor:
        first = tor.pid
        tor.restart(signal.SIGKILL)
        assert tor.pid != first
        control = tor.connect()
        assert "100" in control.command("GETINFO status/bootstrap-phase")[0]
        control.close()
    assert not tor.alive()


def test_as_a_program(work):
    def call(*words):
        return subprocess.run([sys.executable, PROGRAM, *words], check=True, text=True, timeout=3 * PATIENCE,
                              stdout=subprocess.PIPE).stdout

    about = json.loads(call("start", work / "net"))
    try:
        assert call("torrc", work / "net").splitlines() == about["torrc"]
        call("seed", work / "net", work / "data")
        assert (work / "data" / "cached-microdesc-consensus").stat().st_size > 0
        assert all(line.endswith("runs") for line in call("status", work / "net").splitlines())
    finally:
        call("stop", work / "net")
    assert not any(is_ours(pid, str(work)) for pid in about["pids"])
