# SPDX-License-Identifier: MIT
"""Forwards over an SSH server that breaks one rule at a time: what nobody asked for is refused, what may not be ends the
connection with a named error and its status, connections here come to a clean end, and nothing is kept for the server."""

import contextlib
import pathlib
import resource
import signal
import socket
import subprocess
import threading

import pytest

import support
from ssh_hostile_forwards import FAULTS, MANY, STATES, ForwardServer
from support import wait_until

PROTOCOL, UNAVAILABLE, FAILED = 76, 69, 255
MEMORY = 16 << 20  # bytes it may allocate, whatever a server sends
SANITIZED_MEMORY = 500  # MiB it may use with AddressSanitizer
SANITIZED = b"__asan_init" in pathlib.Path(support.NETKIT).read_bytes()
PORT = 4000  # to be listened on there; nobody does
HELLO = b"hello" * 1000

# What ends the connection of a client with a listener there: words of the message.
REMOTE = {
    "open-packet-zero": "CHANNEL_OPEN is malformed",
    "open-short": "CHANNEL_OPEN is malformed",
    "taken-overflow": "CHANNEL_WINDOW_ADJUST makes a window larger",
    "taken-beyond": "CHANNEL_DATA goes beyond its window",
    "taken-large": "CHANNEL_DATA goes beyond its window",
    "taken-after-eof": "CHANNEL_DATA comes after its end",
    "taken-after-close": "CHANNEL_DATA is about a channel that is not",
    "taken-close-twice": "CHANNEL_CLOSE is about a channel that is not",
    "taken-confirmed": "CHANNEL_OPEN_CONFIRMATION",
    "taken-refused": "CHANNEL_OPEN_FAILURE",
    "taken-replied": "CHANNEL_SUCCESS answers nothing",
    "stranger-confirmed": "CHANNEL_OPEN_CONFIRMATION is about a channel that is not there",
    "stranger-refused": "CHANNEL_OPEN_FAILURE is about a channel that is not there",
    "stranger-data": "CHANNEL_DATA is about a channel that is not there",
    "stranger-adjusted": "CHANNEL_WINDOW_ADJUST is about a channel that is not there",
    "granted-twice": "REQUEST_SUCCESS answers nothing",
    "granted-unasked": "REQUEST_SUCCESS answers nothing",
    "refused-unasked": "REQUEST_FAILURE answers nothing",
}
# What does not: how many channels are refused before an honest one is served.
REFUSED = {"honest": 0, "unasked": 1, "strangers": 10, "unasked-many": MANY, "before-granted": 1, "other-port": 2,
           "other-kind": 1, "no-port": 1, "no-origin": 1, "more-than-origin": 1, "giant-address": 1, "giant-origin": 0,
           "taken-asked": 0, "globals-many": 0, "path-nul": 3, "path-other": 3}
# The port that it has chosen is none.
NO_PORT = ("granted-nothing", "granted-short", "granted-long", "granted-zero", "granted-large")
# What ends the connection of a client that opens channels.
LOCAL = {
    "confirm-packet-zero": "CHANNEL_OPEN_CONFIRMATION",
    "confirm-short": "CHANNEL_OPEN_CONFIRMATION",
    "confirm-twice": "CHANNEL_OPEN_CONFIRMATION",
    "refuse-confirmed": "CHANNEL_OPEN_FAILURE",
    "close-unconfirmed": "CHANNEL_CLOSE is about a channel that is not open",
    "eof-unconfirmed": "CHANNEL_EOF is about a channel that is not open",
    "data-unconfirmed": "CHANNEL_DATA is about a channel that is not open",
    "adjust-unconfirmed": "CHANNEL_WINDOW_ADJUST is about a channel that is not open",
    "refuse-twice": "CHANNEL_OPEN_FAILURE",
    "data-after-close": "CHANNEL_DATA is about a channel that is not",
    "data-beyond": "CHANNEL_DATA goes beyond its window",
    "data-giant": "CHANNEL_DATA goes beyond its window",
    "data-lies": "CHANNEL_DATA is malformed",
    "window-overflow": "CHANNEL_WINDOW_ADJUST makes a window larger",
}
# What does not: whether the data come back.
ENDURED = {"honest": True, "refuse-giant": False, "refuse-bare": False, "close-at-once": False, "adjusts-many": True,
           "empty-data-many": True, "tiny-packets": True}
OTHERS = ("refused-then-opened", "opens-many", "silent", "no-window", "never-reads")


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory):
    support.need_command("ssh-keygen")
    path = tmp_path_factory.mktemp("keys")
    path.chmod(0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path / "user"], check=True)
    return path


class Target:
    """What connections from there are led to: gives back what comes, or (deaf) reads nothing."""

    def __init__(self, deaf=False):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.deaf, self.accepted = deaf, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.accepted.append(sock)
                if not self.deaf:
                    threading.Thread(target=self.echo, args=(sock,), daemon=True).start()

    @staticmethod
    def echo(sock):
        with contextlib.suppress(OSError), sock:
            while data := sock.recv(65536):
                sock.sendall(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.accepted:
            sock.close()


@pytest.fixture(name="start")
def fixture_start(keys, work):
    """start(PROGRAM, SERVER, WORDS..): netkit ssh -N or netkit tunnel, with little memory."""
    running = []

    def run(program, server, *words):
        (work / "known_hosts").write_text(server.known_hosts_line(), encoding="ascii")
        argv = [support.NETKIT, program, "-F", "none", "-i", keys / "user", "-p", server.port]
        for key, value in {"UserKnownHostsFile": work / "known_hosts", "GlobalKnownHostsFile": "none", "IdentitiesOnly": "yes",
                           "StrictHostKeyChecking": "yes", "BatchMode": "yes"}.items():
            argv += ["-o", f"{key}={value}"]
        argv += [*words, *(["-N", "me@127.0.0.1"] if program == "ssh" else ["me@127.0.0.1", 1])]
        env = support.clean_env(SSH_AUTH_SOCK="", ASAN_OPTIONS=f"hard_rss_limit_mb={SANITIZED_MEMORY}")
        limit = None if SANITIZED else lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        running.append(support.Program(argv, env=env, preexec_fn=limit))
        return running[-1]

    yield run
    for proc in running:
        proc.kill()


def ended(proc, code, words=""):
    """It has ended by itself, with this status and one line that says why."""
    assert proc.wait() == code, proc.stderr()
    said = [line for line in proc.stderr().splitlines() if line.startswith("netkit ") or " error ssh: " in line]
    assert len(said) == 1 and words in said[0], proc.stderr()
    harmless(proc)


def stopped(proc, code=128 + signal.SIGTERM):
    """It goes on until it is told not to."""
    assert proc.alive(), proc.stderr()
    assert proc.stop() == code, proc.stderr()
    harmless(proc)


def harmless(proc):
    text = proc.stderr()
    assert "\x1b" not in text and "\x07" not in text and "Sanitizer" not in text and "runtime error" not in text, text
    assert len(text) < 20000, text[:2000]


def client(work, reads=True):
    """A connection here, which has said something, and (reads) that this was all."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(support.PATIENCE)
    wait_until(lambda: s.connect_ex(str(work / "local")) == 0)  # it listens a moment after the path is there
    with contextlib.suppress(OSError):
        s.sendall(HELLO)
        if reads:
            s.shutdown(socket.SHUT_WR)
    return s


def rest(s):
    data = b""
    with s, contextlib.suppress(ConnectionError):
        while piece := s.recv(65536):
            data += piece
    return data


def remote_words(fault, target):
    if fault.startswith("path"):
        return ["-R", f"/run/there:127.0.0.1:{target.port}"]
    return ["-R", f"{0 if fault in NO_PORT else PORT}:127.0.0.1:{target.port}"]


@pytest.mark.parametrize("program, code", [("ssh", FAILED), ("tunnel", PROTOCOL)])
@pytest.mark.parametrize("fault", sorted(REMOTE))
def test_listener_there(start, fault, program, code):
    with Target(deaf=fault == "taken-beyond") as target, ForwardServer(fault) as server:
        proc = start(program, server, *remote_words(fault, target))
        ended(proc, code, REMOTE[fault])
        for sock in target.accepted:  # whoever was connected is told
            assert target.deaf or sock.fileno() < 0 or rest(sock) == b""


@pytest.mark.parametrize("fault", sorted(REFUSED))
def test_listener_there_goes_on(start, fault):
    with Target() as target, ForwardServer(fault) as server:
        proc = start("ssh", server, *remote_words(fault, target))
        wait_until(lambda: "came back" in server.reached or not proc.alive())
        stopped(proc)
        assert server.reached.count("refused") == REFUSED[fault], (server.reached[-20:], server.errors)
        assert len(target.accepted) == (2 if fault == "giant-origin" else 1)
        assert proc.stderr().count("nobody asked for") <= 1
        name = "streamlocal-forward@openssh.com" if fault.startswith("path") else "tcpip-forward"
        wait_until(lambda: server.asked == [name.encode(), b"cancel-" + name.encode()])
        wait_until(lambda: server.errors == ["the client said DISCONNECT"])


@pytest.mark.parametrize("fault", [*NO_PORT, "refused-then-opened"])
def test_listener_that_is_none(start, fault):
    with Target() as target, ForwardServer(fault) as server:
        proc = start("ssh", server, *remote_words(fault, target), "-o", "ExitOnForwardFailure=yes")
        ended(proc, FAILED, "does not listen")
    with Target() as target, ForwardServer(fault) as server:
        proc = start("tunnel", server, *remote_words(fault, target))
        assert proc.wait() in (77, PROTOCOL), proc.stderr()
    with Target() as target, ForwardServer(fault) as server:
        proc = start("ssh", server, *remote_words(fault, target))
        proc.wait_line("does not listen")
        wait_until(lambda: fault in NO_PORT or "refused" in server.reached)
        stopped(proc)
        assert not target.accepted


def test_many_connections(start):
    """No more than there may be at once, whatever comes; the rest is refused."""
    with Target() as target, ForwardServer("opens-many") as server:
        proc = start("ssh", server, *remote_words("", target))
        wait_until(lambda: server.reached.count("refused") + server.reached.count("confirmed") == 3001 or not proc.alive())
        assert 0 < server.reached.count("confirmed") <= 1024
        stopped(proc)


@pytest.mark.parametrize("program, code", [("ssh", FAILED), ("tunnel", PROTOCOL)])
@pytest.mark.parametrize("fault", sorted(LOCAL))
def test_listener_here(start, work, fault, program, code):
    with ForwardServer(fault) as server:
        proc = start(program, server, "-L", f"{work}/local:far.example:80")
        s = client(work, reads=fault != "data-beyond")
        if fault == "data-beyond":
            ended(proc, code, LOCAL[fault])
        rest(s)  # comes to its end
        ended(proc, code, LOCAL[fault])
        assert server.opened == [(b"direct-tcpip", 32768, b"far.example")]


@pytest.mark.parametrize("fault", sorted(ENDURED))
def test_listener_here_goes_on(start, work, fault):
    with ForwardServer(fault, once=ENDURED[fault]) as server:
        proc = start("ssh", server, "-L", f"{work}/local:far.example:80")
        for _ in range(2):
            assert rest(client(work)) == (HELLO if ENDURED[fault] else b""), (server.reached[-20:], server.errors)
        stopped(proc)


@pytest.mark.parametrize("program, code", [("ssh", FAILED), ("tunnel", UNAVAILABLE)])
@pytest.mark.parametrize("how", ["end", "disconnect"])
@pytest.mark.parametrize("state", STATES)
def test_ends(start, work, state, how, program, code):
    """The connection ends at each step, with and without a word."""
    with Target() as target, ForwardServer(f"{how}-{state}") as server:
        remote = remote_words("", target) if state in ("asked", "granted", "taken") else []
        proc = start(program, server, "-L", f"{work}/local:far.example:80", *remote)
        if not remote:
            assert rest(client(work)) == b""
        said = "go away" if how == "disconnect" else ""
        ended(proc, code, said)


def test_silence(start, work):
    """Opens and requests that are never answered: connections here wait, end, and take nothing with them."""
    with ForwardServer("silent") as server:
        proc = start("ssh", server, "-L", f"{work}/local:far.example:80", "-o", "ServerAliveInterval=0")
        first = [client(work) for _ in range(200)]
        wait_until(lambda: len(server.opened) == 200)
        for s in first:
            s.close()
        s = client(work)
        wait_until(lambda: len(server.opened) == 201)
        stopped(proc)
        assert rest(s) == b""
    with Target() as target, ForwardServer("silent") as server:
        proc = start("ssh", server, *remote_words("", target))
        wait_until(lambda: "asked" in server.reached)
        stopped(proc)


@pytest.mark.parametrize("fault", ["no-window", "never-reads"])
def test_server_that_takes_nothing(start, work, fault):
    """What it does not take is not read here either."""
    with ForwardServer(fault) as server:
        proc = start("ssh", server, "-L", f"{work}/local:far.example:80")
        s = client(work, reads=False)
        s.setblocking(False)
        sent = full = 0
        while full < 20:  # in a row: nobody reads any more
            try:
                sent += s.send(bytes(1 << 16))
                full = 0
            except BlockingIOError:
                full += 1
                threading.Event().wait(0.05)
            assert sent < 64 << 20, "who has all this?"
        if not SANITIZED:
            assert proc.rss() < 24 << 20
        stopped(proc)
        s.setblocking(True)
        assert rest(s) == b""


@pytest.mark.parametrize("fault, code", [("honest", 0), ("refuse-bare", 1), ("refuse-giant", 2)])
def test_socks(start, work, fault, code):
    """The same through -D: the server's refusal becomes the code of SOCKS."""
    del work
    with ForwardServer(fault) as server, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        proc = start("ssh", server, "-D", f"127.0.0.1:{port}", "-o", "LogLevel=VERBOSE")
        proc.wait_line("forwards are ready")
        with socket.create_connection(("127.0.0.1", port), support.PATIENCE) as s:
            s.sendall(b"\5\1\0" + b"\5\1\0\3\x0bfar.example\0\x50")
            got = b""
            while len(got) < 4 and (piece := s.recv(100)):
                got += piece
            assert got[:4] == b"\5\0\5" + bytes([code]), got
        assert server.opened == [(b"direct-tcpip", 32768, b"far.example")]
        stopped(proc)


@pytest.mark.parametrize("program, code", [("ssh", 128 + signal.SIGTERM), ("tunnel", 0)])
def test_no_more_sessions(start, work, program, code):
    """An OpenSSH server is told that there will be none, after a listener was asked for; another one is not."""
    for ident, told in ((b"SSH-2.0-OpenSSH_9.9p1 x", [b"no-more-sessions@openssh.com"]), (b"SSH-2.0-OpenDSSH_1", [])):
        with Target() as target, ForwardServer("honest", ident=ident) as server:
            proc = start(program, server, "-L", f"{work}/local:far.example:80", *remote_words("", target))
            wait_until(lambda: "came back" in server.reached and len(server.asked) == 1 + len(told))
            assert rest(client(work)) == HELLO
            stopped(proc, code)
            assert sorted(server.asked[:1 + len(told)]) == [*told, b"tcpip-forward"]


def test_every_fault_is_tried():
    ends = {f"{how}-{state}" for how in ("end", "disconnect") for state in STATES}
    assert set(FAULTS) == {*REMOTE, *REFUSED, *NO_PORT, *LOCAL, *ENDURED, *OTHERS} | ends
