# SPDX-License-Identifier: MIT
"""netkit tls when things go wrong: a server that is killed, floods, few descriptors, servers that say nothing."""

import contextlib
import os
import resource
import signal
import socket
import struct
import threading

from server_support import exchange, is_reset
from support import NETKIT, PATIENCE, wait_until

from test_forward import ticks
from test_forward_faults import fds, rss
from test_tls_tunnel import LISTENING, HELLO, certs, client, connected, context, echo, echoes, server, server_args  # noqa: F401
from test_tls_truncation import outcome

BUSY = 100


def test_server_killed_under_busy_connections(programs, server, client, certs, echo):
    """All of them break off, none looks like an end; the next ones are served as soon as the server is back."""
    port = server("--allow-all")
    local = client(port)
    conns = [socket.create_connection(("127.0.0.1", local), PATIENCE) for _ in range(BUSY)]
    ready, ends = threading.Barrier(BUSY + 1, timeout=PATIENCE), []

    def busy(conn):
        with conn, contextlib.suppress(BrokenPipeError):
            assert echoes(conn)
            ready.wait()
            with contextlib.suppress(ConnectionError):
                while echoes(conn, HELLO * 100):
                    pass
                ends.append("end")
                return
            ends.append("reset")

    threads = [threading.Thread(target=busy, args=(c,)) for c in conns]
    for t in threads:
        t.start()
    ready.wait()
    server.program.proc.send_signal(signal.SIGKILL)
    server.program.wait()
    for t in threads:
        t.join(PATIENCE)
    assert ends == ["reset"] * BUSY
    words = server_args(certs, f"tcp:127.0.0.1:{echo.port}", "--allow-all")
    words[words.index("tcp:127.0.0.1:0")] = f"tcp:127.0.0.1:{port}"
    again = programs([NETKIT, *words])
    again.wait_line(LISTENING)
    assert exchange(local, HELLO) == HELLO
    mark = client.program.mark()
    client.program.proc.send_signal(signal.SIGUSR1)
    client.program.wait_line(rf'"accepted":{BUSY + 1},"denied":0,"failed":0,"cut":{BUSY},', mark)


def test_flood(server, certs):
    """Hundreds that never finish a handshake, in every way: afterwards it serves, and has no more than before."""
    port = server("--allow-all", "--handshake-timeout", "1s")
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    with connected(port, context(certs, certs.alice)) as s:
        assert echoes(s)
    before = fds(server.program.pid)
    for data in (b"", hello, hello + bytes(501), os.urandom(2000)):
        clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(100)]
        for i, c in enumerate(clients):
            c.setblocking(False)
            with contextlib.suppress(OSError):
                c.send(data)
            if i % 2:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close()
        with connected(port, context(certs, certs.alice)) as s:  # beside them
            assert echoes(s)
        for c in clients:
            c.close()
    wait_until(lambda: fds(server.program.pid) <= before + 16)  # idle pipes are kept
    assert rss(server.program.pid) < 64 << 20
    assert server.program.stop() == 0
    assert len(server.program.stderr().splitlines()) < 60  # failures do not fill the log


def test_few_descriptors(programs, certs, echo):
    """64 descriptors, 150 clients: no spinning, and it serves again afterwards."""
    p = programs([NETKIT, *server_args(certs, f"tcp:127.0.0.1:{echo.port}", "--allow-all")],
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    port = int(p.wait_line(LISTENING)[1])
    clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(150)]
    p.wait_line("warn .*(descriptors|open files)")
    before = ticks(p.pid)
    threading.Event().wait(0.5)  # what is measured: how much it does in that time
    assert ticks(p.pid) - before <= 15  # of 50
    for c in clients:
        c.close()

    def serves():
        with contextlib.suppress(OSError), connected(port, context(certs, certs.alice)) as s:
            return echoes(s)
        return False

    wait_until(serves)
    assert p.stop() == 0


def test_server_that_says_nothing(client):
    """It takes the connection and no more: the time for handshakes ends that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        local = client(silent.getsockname()[1], "--handshake-timeout", "300ms")
        assert is_reset(local, HELLO)
        client.program.wait_line(r"warn tls: .*the TLS handshake was not finished within 300 ms")


def test_half_idle(server, client):
    """One direction has ended, and the other one brings nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        local = client(server("--allow-all", "--half-idle", "300ms", target=f"tcp:127.0.0.1:{target.getsockname()[1]}"))
        with socket.create_connection(("127.0.0.1", local), PATIENCE) as conn:
            conn.sendall(HELLO)
            conn.shutdown(socket.SHUT_WR)
            other = target.accept()[0]
            with other:
                other.settimeout(PATIENCE)
                assert outcome(other) == (HELLO, "end")
                other.sendall(HELLO)
                assert outcome(conn) == (HELLO, "reset")
        server.program.wait_line("nothing moved for too long")
