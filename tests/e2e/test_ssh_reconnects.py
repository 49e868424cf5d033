# SPDX-License-Identifier: MIT
"""A connection that is lost again and again, as in a day with a bad line: nothing of those before is left."""

import contextlib
import queue
import signal
import socket
import struct
import subprocess

import pytest

from server_support import Echo, free_port, up_to
from ssh_hostile import PACKET, WINDOW, HostileServer
from ssh_packets import CONFIRMATION, DATA, GLOBAL_REQUEST, OPEN, REQUEST_SUCCESS, Gone, string, u32
from support import NETKIT, PATIENCE, clean_env, need_command, wait_until
from test_ssh_forward import connect
from test_ssh_hostile import SANITIZED

TIMES, WARM = 300, 30
MORE = 128 << 10  # bytes that it may grow by; less than 500 for each connection


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory):
    need_command("ssh-keygen")
    path = tmp_path_factory.mktemp("keys")
    for name in ("user", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path / name], check=True)
    return path


class DroppingServer:
    """Serves one connection of each kind, and then drops the line in the middle of it: one that was made there is being
    connected on, one from here has brought a byte, one is about to be opened."""

    def __init__(self, keys):
        self.rounds = queue.Queue()
        self.server = HostileServer(host_key=keys / "host", above=self.above)

    def above(self, session):
        seen = {OPEN: 0, CONFIRMATION: 0, GLOBAL_REQUEST: 0}
        while seen[OPEN] < 2 or seen[CONFIRMATION] < 2:
            kind, body = session.expect(*seen)
            seen[kind] += 1
            name = body.string() if kind != CONFIRMATION else b""
            if name == b"tcpip-forward":
                session.send(REQUEST_SUCCESS)
                for i in range(2):
                    session.send(OPEN, string("forwarded-tcpip"), u32(i), u32(WINDOW), u32(PACKET), string(b"localhost"),
                                 u32(4711), string(b"192.0.2.1"), u32(1))
            if kind == OPEN and seen[OPEN] == 1:
                channel = body.u32()
                session.send(CONFIRMATION, u32(channel), u32(channel), u32(WINDOW), u32(PACKET))
                session.send(DATA, u32(channel), string(b"x"))
        self.rounds.put(session)
        session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        session.sock.close()
        raise Gone("dropped")


def patient(port):
    """A connection to somebody who may have been started only just now."""
    made = []

    def tried():
        with contextlib.suppress(ConnectionRefusedError):
            made.append(connect(port))
        return made

    wait_until(tried)
    return made[0]


def test_nothing_is_left(programs, keys, work):
    dropping, local, dynamic = DroppingServer(keys), free_port(), free_port()
    with dropping.server as server, Echo() as echo:
        (work / "known_hosts").write_text(server.known_hosts_line(), encoding="ascii")
        p = programs([NETKIT, "ssh", "-F", "none", "-N", "--reconnect", "-p", server.port, "-i", keys / "user",
                      "-o", f"UserKnownHostsFile={work}/known_hosts", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                      "-L", f"{local}:db:1", "-D", dynamic, "-R", f"4711:127.0.0.1:{echo.port}", "me@127.0.0.1"],
                     env=clean_env(HOME=str(work), SSH_AUTH_SOCK=""))
        sizes = []
        for i in range(WARM + TIMES):
            mark = p.mark()
            with patient(local) as a, patient(dynamic) as b:
                b.sendall(b"\5\1\0\5\1\0\1\x7f\0\0\1\0\1")
                dropping.rounds.get(timeout=PATIENCE)
                assert up_to(b, 2) == b"\5\0"
                p.wait_line("lost the connection", mark)
                p.proc.send_signal(signal.SIGUSR1)
                with contextlib.suppress(ConnectionResetError):
                    assert a.recv(10) in (b"x", b"")  # and no more
            if i + 1 >= WARM:
                sizes.append((p.fds(), p.rss()))
        print(f"{TIMES} connections: {sizes[0]} at first, {sizes[-1]} at last")
        assert max(n for n, _ in sizes[-20:]) <= max(n for n, _ in sizes[:20])
        if not SANITIZED:  # a sanitizer keeps for a while what was freed
            assert sizes[-1][1] <= sizes[0][1] + MORE, sizes[::20]
        assert p.stop() == 128 + signal.SIGTERM
