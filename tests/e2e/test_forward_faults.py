# SPDX-License-Identifier: MIT
"""forward when things go wrong: PROXY protocol headers, half-closes, floods, a network that goes away, a full
disk under the log, and thousands of connections that must leave nothing behind."""

import contextlib
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import threading

from server_support import Echo, LocalServer, exchange
from support import NETKIT, PATIENCE, need_command, need_root, run, wait_until

from test_forward import LISTENING

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def forward(programs, *words, **kw):
    """The program, and the port that it listens on."""
    p = programs([NETKIT, "forward", *words], **kw)
    return p, int(p.wait_line(LISTENING)[1])


class Sink(LocalServer):
    """Keeps what each connection brings, to its end; answers with b"ok"."""

    def __init__(self):
        super().__init__()
        self.got = []
        self.done = threading.Semaphore(0)

    def talk(self, conn):
        data = b""
        while part := conn.recv(65536):
            data += part
        conn.sendall(b"ok")
        self.got.append(data)
        self.done.release()

    def next(self):
        assert self.done.acquire(timeout=PATIENCE)
        return self.got.pop(0)


def test_proxy_protocol_written(programs):
    with Sink() as sink:
        for version in ("v1", "v2"):
            p, port = forward(programs, "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{sink.port}", "--proxy-protocol",
                              version)
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
                own = conn.getsockname()[1]
                conn.sendall(b"hello")
                conn.shutdown(socket.SHUT_WR)
                assert conn.recv(10) == b"ok"
            if version == "v1":
                assert sink.next() == f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}\r\nhello".encode()
            else:
                address = socket.inet_aton("127.0.0.1")
                assert sink.next() == (SIGNATURE + b"\x21\x11\0\x0c" + address + address +
                                       struct.pack(">HH", own, port) + b"hello")
            assert p.stop() == 0


def test_proxy_protocol_chain(programs):
    """Two of us in a row: the second tells the target what the first one saw, and logs it."""
    with Sink() as sink:
        inner, port = forward(programs, "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{sink.port}", "-vv",
                              "--accept-proxy-protocol", "--proxy-protocol", "v1")
        _, front = forward(programs, "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{port}", "--proxy-protocol", "v2")
        with socket.create_connection(("127.0.0.1", front), PATIENCE) as conn:
            own = conn.getsockname()[1]
            conn.sendall(b"hello")
            conn.shutdown(socket.SHUT_WR)
            assert conn.recv(10) == b"ok"
        assert sink.next() == f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {front}\r\nhello".encode()
        inner.wait_line(rf"127\.0\.0\.1:{own}: ended, 5 bytes in, 2 out")
        for wrong in (b"GET / HTTP/1.0\r\n\r\n", SIGNATURE + b"\x21\x11\0\x01x", b"PROXY TCP4 1.1.1.1\r\n"):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    conn.sendall(wrong + bytes(100))
                    assert conn.recv(1) == b""
        inner.wait_line(r"warn forward: 127\.0\.0\.1:\d+: PROXY protocol: ")
        assert not sink.got  # none of these was connected to anything


def test_half_close_both_ways(programs):
    """Bulk one way while the other way has ended, and the other way round."""
    data = random.Random(1).randbytes(8 << 20)
    with socket.create_server(("127.0.0.1", 0)) as target:
        p, port = forward(programs, "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{target.getsockname()[1]}")
        for first in range(2):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
                ends = [conn, target.accept()[0]]
                ends[1].settimeout(PATIENCE)
                quiet, busy = ends[first], ends[1 - first]
                quiet.shutdown(socket.SHUT_WR)
                assert busy.recv(1) == b""
                sender = threading.Thread(target=lambda s=busy: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
                sender.start()
                back = b"".join(iter(lambda s=quiet: s.recv(1 << 20), b""))
                sender.join()
                assert back == data
                ends[1].close()
        assert p.stop() == 0


def rss(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_flood(programs):
    """Clients that come in hundreds, send noise and reset: afterwards it serves, and has no more than before."""
    noise = os.urandom(100000)
    with Echo() as echo:
        p, port = forward(programs, "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{echo.port}")
        assert exchange(port, noise) == noise
        before = fds(p.pid)
        for _ in range(5):
            clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(150)]
            for c in clients:
                c.setblocking(False)
                with contextlib.suppress(OSError):
                    c.send(noise)
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close()
        assert exchange(port, noise) == noise
        wait_until(lambda: fds(p.pid) <= before + 16)  # idle pipes are kept
        assert rss(p.pid) < 64 << 20
        assert p.stop() == 0


def test_many_connections_leave_nothing(programs, work):
    """20,000 of them, counted in the status; the last 15,000 cost no memory and no descriptor."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as target:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    conn = target.accept()[0]
                    conn.send(b"x")
                    conn.close()

        threading.Thread(target=serve, daemon=True).start()
        ini = work / "netkit.ini"
        ini.write_text(f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = tcp:127.0.0.1:{target.getsockname()[1]}\n")
        p = programs([NETKIT, "--state-dir", work, "-c", ini, "run"])
        port = int(p.wait_line(LISTENING)[1])

        def cycle(n):
            for _ in range(n // 50):
                batch = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(50)]
                for c in batch:
                    assert c.recv(2) == b"x"
                    c.close()

        def counters():
            done = run("--state-dir", work, "status", "--json")
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)["forward a"]

        cycle(5000)
        wait_until(lambda: counters()["active"] == 0)
        memory, files = rss(p.pid), fds(p.pid)
        cycle(15000)
        wait_until(lambda: counters()["active"] == 0)
        end = counters()
        assert end["accepted"] == 20000 and end["failed"] == 0 and end["bytes_out"] == 20000
        assert rss(p.pid) - memory < 1 << 20
        assert fds(p.pid) <= files
        assert p.stop() == 0
        target.shutdown(socket.SHUT_RDWR)


HALF_OPEN = """
import re, socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
target = socket.create_server(("127.0.0.1", 0))
p = subprocess.Popen([sys.argv[1], "forward", "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{target.getsockname()[1]}",
                      "--idle", "2s"], stderr=subprocess.PIPE, text=True)
port = int(re.search(r"tcp:127.0.0.1:(\\d+)", p.stderr.readline())[1])
client = socket.create_connection(("127.0.0.1", port), 10)
server = target.accept()[0]
client.sendall(b"x")
assert server.recv(1) == b"x"
subprocess.run(["ip", "link", "set", "lo", "down"], check=True)   # and nobody is told
for line in p.stderr:
    if "nothing moved for too long" in line:
        break
else:
    sys.exit("it ended")
p.terminate()
sys.exit(p.wait())
"""


def test_network_that_goes_away():
    """Peers behind a link that is gone send no FIN: the idle limit ends what they left."""
    need_root()
    need_command("ip")
    subprocess.run([need_command("unshare"), "-n", sys.executable, "-c", HALF_OPEN, NETKIT], check=True,
                   timeout=2 * PATIENCE)


def test_full_disk_under_the_log(programs, work):
    """A log that cannot be written stops nothing."""
    need_root()
    script = 'mount -t tmpfs -o size=16k none "$1" && exec "$2" forward -vv "$3" "$4" 2>"$1/log"'
    (work / "log").mkdir()
    with Echo() as echo:
        programs([need_command("unshare"), "-m", "sh", "-c", script, "sh", work / "log", NETKIT,
                  f"unix:{work}/s", f"tcp:127.0.0.1:{echo.port}"])
        wait_until((work / "s").exists)
        for _ in range(300):
            with socket.socket(socket.AF_UNIX) as conn:
                conn.settimeout(PATIENCE)
                conn.connect(str(work / "s"))
                conn.sendall(b"hello")
                assert conn.recv(5) == b"hello"


def test_users_of_a_unix_listener(programs, work):
    """Only the listed users, whatever the mode of the socket says."""
    need_root()
    os.chmod(work, 0o755)
    script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'x'); "
              "sys.stdout.write(s.recv(1).decode())")
    with Echo() as echo:
        p = programs([NETKIT, "forward", f"unix:{work}/s,mode=0666", f"tcp:127.0.0.1:{echo.port}", "--allow-uid",
                      "12345"])
        wait_until((work / "s").exists)
        for uid, answer in ((12345, "x"), (12346, "")):
            done = subprocess.run([need_command("setpriv"), f"--reuid={uid}", "--regid=12345", "--clear-groups",
                                   "/usr/bin/python3", "-c", script, work / "s"], capture_output=True, text=True,
                                  timeout=PATIENCE)
            assert done.stdout == answer, done.stderr
        p.wait_line(r"acl\.deny.*uid.12346")
