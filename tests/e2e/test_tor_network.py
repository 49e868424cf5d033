# SPDX-License-Identifier: MIT
"""The private Tor network itself: names, exits and clients are as the tests of netkit suppose."""

import json
import signal
import socket
import subprocess
import sys
import threading

import support
from tor_network import __file__ as PROGRAM
from tor_network import is_ours


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


def test_exits_reach_this_machine(tor_network):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"through three relays")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = tor_network.client.socks.split(":")
        name = b"exit.test"
        ask = b"\5\1\0" + b"\5\1\0\3" + bytes([len(name)]) + name + server.getsockname()[1].to_bytes(2, "big")
        answers = []
        # a network that has just come up on a busy machine may refuse the first ones
        while not (answers and answers[-1].endswith(b"three relays")) and len(answers) < 5:
            with socket.create_connection((host, int(port)), timeout=60) as socks:
                socks.sendall(ask)
                answers.append(b"")
                while part := socks.recv(100):
                    answers[-1] += part
        thread.join(support.PATIENCE)
    assert answers[-1].endswith(b"through three relays"), answers


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
        return subprocess.run([sys.executable, PROGRAM, *words], check=True, text=True, timeout=120,
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
