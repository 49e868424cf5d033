# SPDX-License-Identifier: MIT
"""Forwards of `netkit ssh`: -L, -R and -D against real servers, over TCP and unix sockets; their failures; and
--reconnect, with which they outlive the connection."""

import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import random
import signal
import socket
import socketserver
import struct
import subprocess
import threading
import time

import pytest
from server_support import free_port, rest, up_to
from support import NETKIT, Program, clean_env, run, wait_until

FAILED = 255
PATIENCE = 30.0
FORWARDING = ("openssh", "openssh-backports", "dropbear", "asyncssh", "conch")
UNIX = ("openssh", "openssh-backports", "asyncssh")  # that know forwards of unix sockets, both ways
CHOOSES = ("openssh", "openssh-backports", "dropbear", "asyncssh")  # that say which port they have chosen


class Echo(socketserver.BaseRequestHandler):
    """Gives everything back, but only when it has come to an end: both half-closes are needed for that."""

    def handle(self):
        with contextlib.suppress(OSError):
            data = b"".join(iter(lambda: self.request.recv(65536), b""))
            self.request.sendall(data)
            self.request.shutdown(socket.SHUT_WR)


class Parrot(socketserver.BaseRequestHandler):
    """Gives back what comes, as it comes."""

    def handle(self):
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


class TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # connections that are cut are part of the tests


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 256


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(name="echo", scope="module")
def _echo():
    with serving(TcpServer(("127.0.0.1", 0), Echo)) as server:
        yield server.server_address[1]


@pytest.fixture(name="parrot", scope="module")
def _parrot():
    with serving(TcpServer(("127.0.0.1", 0), Parrot)) as server:
        yield server.server_address[1]


@pytest.fixture(name="echo_unix")
def _echo_unix(ssh_servers):
    """A socket that the test, netkit and every server reach: (our path, the path in the server's namespace)."""
    path = ssh_servers.home / f"echo-{random.getrandbits(32):08x}"
    with serving(UnixServer(str(path), Echo)):
        os.chmod(path, 0o666)
        yield path
    path.unlink()


def there(server, path):
    """A path below the account's home as the server sees it."""
    return pathlib.Path(server.home) / pathlib.Path(path).name


@contextlib.contextmanager
def forwards(server, *words, ready=True, **settings):
    """netkit ssh with these words, without a program; ended by TERM."""
    argv = [NETKIT, "ssh", "-F", "none", "-N", "-o", "LogLevel=VERBOSE"]
    for key, value in settings.items():
        argv += ["-o", f"{key}={value}"]
    proc = Program([*argv, *words, *server.options(), server.host], env=clean_env(SSH_AUTH_SOCK=""))
    try:
        if ready:
            proc.wait_line("forwards are ready")
        yield proc
        if proc.alive():
            assert proc.stop() == 128 + signal.SIGTERM, proc.stderr()
    finally:
        proc.kill()


def connect(where):
    if isinstance(where, int):
        return socket.create_connection(("127.0.0.1", where), PATIENCE)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(str(where))
    return s


def check(where, n=100_000, prepare=None, ends=True):
    """What is sent comes back, after its end."""
    data = os.urandom(n)
    with (where if isinstance(where, socket.socket) else connect(where)) as s:
        if prepare:
            prepare(s)
        s.sendall(data)
        if not ends:
            assert up_to(s, n) == data
            return
        s.shutdown(socket.SHUT_WR)
        assert hashlib.sha256(rest(s)).digest() == hashlib.sha256(data).digest()


def socks5(port, host="127.0.0.1", login=None):
    """What a SOCKS client says; checks that it may go on."""
    def prepare(s):
        s.sendall(b"\5\1\2" if login else b"\5\1\0")
        assert up_to(s, 2) == (b"\5\2" if login else b"\5\0")
        if login:
            s.sendall(b"\1" + b"".join(bytes([len(x)]) + x for x in login))
            assert up_to(s, 2) == b"\1\0"
        s.sendall(b"\5\1\0\3" + bytes([len(host)]) + host.encode() + struct.pack(">H", port))
        reply = up_to(s, 10)
        assert reply[:2] == b"\5\0", reply
    return prepare


@pytest.mark.parametrize("name", FORWARDING)
def test_every_kind(ssh_servers, echo, parrot, echo_unix, tmp_path, name):
    """All kinds at once over one connection, each with both half-closes, which only Conch does not pass on."""
    server = ssh_servers.get(name)
    ends = name != "conch"
    echo = echo if ends else parrot
    local, dynamic, remote, remote_socks = (free_port() for _ in range(4))
    words = ["-L", f"{local}:localhost:{echo}", "-D", dynamic, "-R", f"{remote}:localhost:{echo}", "-R", remote_socks]
    words += ["-L", f"{tmp_path}/l:127.0.0.1:{echo}", "-R", f"localhost:0:{echo_unix}"] * (name in CHOOSES)
    if name in UNIX:
        listens = ssh_servers.home / f"remote-{random.getrandbits(32):08x}"
        words += ["-L", f"{tmp_path}/u:{there(server, echo_unix)}", "-R", f"{there(server, listens)}:{echo_unix}"]
    with forwards(server, *words) as proc:
        check(local, ends=ends)
        check(dynamic, prepare=socks5(echo), ends=ends)
        check(dynamic, prepare=socks5(echo, "localhost", (b"alice", b"secret")), ends=ends)
        check(remote, ends=ends)
        check(remote_socks, prepare=socks5(echo), ends=ends)
        if name in CHOOSES:
            check(tmp_path / "l")
            check(int(proc.wait_line(r"Allocated port (\d+) for remote forward to /").group(1)))
        if name in UNIX:
            check(tmp_path / "u")
            check(listens)
            listens.unlink(missing_ok=True)
    with pytest.raises(OSError):  # cancelled, or gone with the connection
        connect(local)
    wait_until(lambda: not listening(remote))
    assert not (tmp_path / "l").exists()


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_many_connections(ssh_servers, echo):
    """Fifty at once, each with data of its own, in both directions of forwards."""
    local, remote = free_port(), free_port()
    with forwards(ssh_servers.get("openssh"), "-L", f"{local}:127.0.0.1:{echo}", "-R", f"{remote}:127.0.0.1:{echo}"):
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            for _ in pool.map(lambda i: check(local if i % 2 else remote, 200_000 + i), range(50)):
                pass


def test_where_it_listens(ssh_servers, echo):
    """Loopback of both families unless told otherwise; GatewayPorts and -g; addresses."""
    server = ssh_servers.get("openssh")
    six = socket.has_ipv6 and socket.socket(socket.AF_INET6).connect_ex(("::1", 1)) != 99
    for words, where in (([], ["localhost"]), (["-g"], ["any"]), (["-4"], ["v4"])):
        port = free_port()
        with forwards(server, *words, "-L", f"{port}:127.0.0.1:{echo}"):
            check(port)
            rows = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii")
            rows6 = pathlib.Path("/proc/net/tcp6").read_text(encoding="ascii") if six else ""
            mine = [r.split()[1] for r in (rows + rows6).splitlines() if f":{port:04X} 00000000" in r]
            loopback4, loopback6 = "0100007F", "00000000000000000000000001000000"
            found = {m.rpartition(":")[0] for m in mine}
            expected = {"localhost": {loopback4} | ({loopback6} if six else set()), "v4": {loopback4}}.get(where[0])
            if expected:
                assert found == expected, mine
            else:
                assert found <= {"0" * 8, "0" * 32} and found, mine
    port = free_port()
    with forwards(server, "-L", f"*:{port}:127.0.0.1:{echo}", AddressFamily="inet"):
        check(port)


def test_port_in_use(ssh_servers, echo):
    """Without ExitOnForwardFailure the others work; with it the command ends. Here and there."""
    server = ssh_servers.get("openssh")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, good = taken.getsockname()[1], free_port()
        for word in ("-L", "-R"):
            with forwards(server, word, f"127.0.0.1:{port}:127.0.0.1:{echo}", "-L", f"{good}:127.0.0.1:{echo}") as proc:
                check(good)
                assert "forward: " in proc.stderr()
            done = run("ssh", "-F", "none", "-N", "-o", "ExitOnForwardFailure=yes", word,
                       f"127.0.0.1:{port}:127.0.0.1:{echo}", *server.options(), server.host,
                       env=clean_env(SSH_AUTH_SOCK=""))
            assert done.returncode == FAILED and str(port) in done.stderr, done.stderr


def test_socks_answers(ssh_servers):
    """What the server says becomes the code of SOCKS: refused 5; not allowed 2."""
    def code(port, to):
        with connect(port) as s:
            s.sendall(b"\5\1\0")
            assert up_to(s, 2) == b"\5\0"
            s.sendall(b"\5\1\0\1\x7f\0\0\1" + struct.pack(">H", to))
            return up_to(s, 10)[1]

    port = free_port()
    with forwards(ssh_servers.get("openssh"), "-D", port):
        assert code(port, free_port()) == 5
    strict = ssh_servers.start("openssh", ["AllowTcpForwarding no"])
    with forwards(strict, "-D", port):
        assert code(port, 1) == 2
    strict.stop()


def test_what_may_be_reached(ssh_servers, echo):
    """PermitRemoteOpen bounds what clients of a SOCKS listener on the server reach from here."""
    server, port = ssh_servers.get("openssh"), free_port()
    with forwards(server, "-R", port, PermitRemoteOpen=f"*:1 127.0.0.1:{echo}"):
        check(port, prepare=socks5(echo))
        with connect(port) as s:
            s.sendall(b"\5\1\0\5\1\0\3\x09localhost" + struct.pack(">H", echo))
            assert up_to(s, 4) == b"\5\0\5\2"


def test_sockets_that_are_there(ssh_servers, echo, tmp_path):
    """A socket on which somebody listens is not taken away, but with StreamLocalBindUnlink."""
    server, path = ssh_servers.get("openssh"), tmp_path / "s"
    with serving(UnixServer(str(path), Parrot)):
        with forwards(server, "-L", f"{path}:127.0.0.1:{echo}") as proc:
            assert "forward: " in proc.stderr()
            check(path, ends=False)
        with forwards(server, "-L", f"{path}:127.0.0.1:{echo}", StreamLocalBindUnlink="yes"):
            check(path)


def test_orderly_end(ssh_servers, echo):
    """TERM: the server is told, with connections open, so that its ports are free at once."""
    server, remote = ssh_servers.get("openssh"), free_port()
    said = server.log().count("Received disconnect")
    with forwards(server, "-R", f"{remote}:127.0.0.1:{echo}"):
        with connect(remote) as s:
            s.sendall(b"x")
            with forwards(server, "-L", f"{free_port()}:127.0.0.1:{echo}"):
                pass
    wait_until(lambda: server.log().count("Received disconnect") >= said + 2)
    with forwards(server, "-R", f"{remote}:127.0.0.1:{echo}", ExitOnForwardFailure="yes"):
        check(remote)


def test_socks_versions(ssh_servers, echo, tmp_path):
    """SOCKS 4 and 4a are taken, unless clients need a login; a wrong one is refused."""
    def four(name):
        def prepare(s):
            address = b"\0\0\0\1" if name else b"\x7f\0\0\1"
            s.sendall(b"\4\1" + struct.pack(">H", echo) + address + b"me\0" + (b"localhost\0" if name else b""))
            assert up_to(s, 8)[:2] == b"\0\x5a"
        return prepare

    server, port, login = ssh_servers.get("openssh"), free_port(), tmp_path / "login"
    with forwards(server, "-D", port):
        check(port, prepare=four(False))
        check(port, prepare=four(True))
    login.write_text("alice:secret\n", encoding="ascii")
    login.chmod(0o600)
    with forwards(server, "--socks-login", login, "-D", port):
        check(port, prepare=socks5(echo, login=(b"alice", b"secret")))
        for hello, answer in ((b"\5\1\0", b"\5\xff"), (b"\5\1\2\1\5alice\1x", b"\5\2\1\1"),
                              (b"\4\1\0\1\1\2\3\4\0", b"\0\x5b")):
            with connect(port) as s:
                s.sendall(hello)
                assert up_to(s, len(answer)) == answer


def test_dead_peer(ssh_servers, echo):
    """A server that does not answer any more is noticed, and the next one is found. The old session still has the
    port of the remote forward: it is asked for until that is gone."""
    server, port, remote = ssh_servers.start("openssh"), free_port(), free_port()
    with forwards(server, "--reconnect", "-L", f"{port}:127.0.0.1:{echo}", "-R", f"{remote}:127.0.0.1:{echo}",
                  ServerAliveInterval=1, ServerAliveCountMax=1) as proc:
        check(port)
        frozen = sessions(server)
        assert frozen
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)  # the session, while the listening server goes on
        try:
            proc.wait_line("lost the connection")
            check(port)
            proc.wait_line(f"does not listen on port {remote}; asking again")
            mark = proc.mark()
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGKILL)
        proc.wait_line(f"the server listens .port {remote}", mark)
        check(remote)
    server.stop()


def test_idle_connections(ssh_servers, parrot):
    """Three hundred of them cost at most 8 KiB each."""
    port = free_port()
    with forwards(ssh_servers.get("openssh"), "-L", f"{port}:127.0.0.1:{parrot}") as proc, contextlib.ExitStack() as all_:
        def more(n):
            for _ in range(n):
                s = all_.enter_context(connect(port))
                s.sendall(b"x" * 1000)
                assert up_to(s, 1000) == b"x" * 1000
        more(20)
        before = proc.rss()
        more(300)
        each = (proc.rss() - before) / 300
        print(f"{each:.0f} bytes for each idle connection")
        assert each <= 8192


def sessions(server):
    """Processes of a server's connections."""
    found, todo = [], [server.proc.pid]
    while todo:
        pid = todo.pop()
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        todo += map(int, children)
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        if words.startswith((b"sshd: nkuser", b"sshd-session: nkuser")):
            found.append(pid)
    return found


def test_configuration_and_program(ssh_servers, echo, tmp_path):
    """LocalForward of a file, with a program at the same time; ClearAllForwardings; the sockets' mode."""
    server, port = ssh_servers.get("openssh"), free_port()
    config = tmp_path / "config"
    config.write_text(f"Host *\n  LocalForward {port} 127.0.0.1:{echo}\n  LocalForward {tmp_path}/s 127.0.0.1:{echo}\n"
                      "  StreamLocalBindMask 0117\n", encoding="ascii")
    words = [*server.options(), server.host]
    with subprocess.Popen([NETKIT, "ssh", "-F", config, *words, "cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env=clean_env(SSH_AUTH_SOCK="")) as proc:
        proc.stdin.write(b"here")
        proc.stdin.flush()
        assert proc.stdout.read(4) == b"here"
        check(port)
        check(tmp_path / "s")
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660
        proc.stdin.close()
        assert proc.wait(PATIENCE) == 0
    with socket.create_server(("127.0.0.1", port)):  # it would fail
        done = run("ssh", "-F", str(config), "-o", "ClearAllForwardings=yes", "-o", "ExitOnForwardFailure=yes", *words,
                   "echo fine", env=clean_env(SSH_AUTH_SOCK=""))
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_server_restarts(ssh_servers, echo):
    """Under a hundred busy connections: the listener stays, new connections wait, all is well within a second of the
    server's return, and the remote forward is there again."""
    server = ssh_servers.start("openssh")
    local, remote = free_port(), free_port()
    with forwards(server, "--reconnect", "-L", f"{local}:127.0.0.1:{echo}", "-R", f"{remote}:127.0.0.1:{echo}") as proc:
        busy = [connect(local) for _ in range(100)]
        for s in busy:
            s.sendall(b"x" * 10_000)
        check(local)
        server.stop()
        for s in busy:
            with s, contextlib.suppress(OSError):
                assert rest(s) == b""
        held = connect(local)  # while there is no server
        mark = proc.mark()
        server.restart()
        back = time.monotonic()
        check(held)
        took = time.monotonic() - back
        proc.wait_line("connected to .* again", mark)
        proc.wait_line(f"the server listens .port {remote}", mark)
        check(remote)
        check(local)
        print(f"answered {took:.3f} s after the server was back")
    server.stop()


def test_refused_while_there_is_no_connection(ssh_servers, echo):
    """--hold 0: listeners stay open, and what connects meanwhile is told at once that it cannot."""
    server, local, dynamic = ssh_servers.start("openssh"), free_port(), free_port()
    with forwards(server, "--reconnect", "--hold", 0, "-L", f"{local}:127.0.0.1:{echo}", "-D", dynamic) as proc:
        check(local)
        server.stop()
        proc.wait_line("lost the connection")
        for _ in range(3):
            with contextlib.suppress(ConnectionResetError), connect(local) as s:
                assert rest(s) == b""
            with connect(dynamic) as s:
                s.sendall(b"\5\1\0\5\1\0\1\x7f\0\0\1\0\1")
                answer = up_to(s, 4)
                assert answer[:3] == b"\5\0\5" and answer[3] != 0
        mark = proc.mark()
        server.restart()
        proc.proc.send_signal(signal.SIGUSR1)
        proc.wait_line("connected to .* again", mark)
        check(local)
    server.stop()


def test_held_not_for_ever(ssh_servers, echo):
    server, local = ssh_servers.start("openssh"), free_port()
    with forwards(server, "--reconnect", "--hold", "300ms", "-L", f"{local}:127.0.0.1:{echo}") as proc:
        server.stop()
        proc.wait_line("lost the connection")
        with connect(local) as s:
            since = time.monotonic()
            with contextlib.suppress(ConnectionResetError):
                assert rest(s) == b""
            assert time.monotonic() - since >= 0.25
    for words in (["--hold", 1], ["--reconnect", "--hold", "soon"], ["--reconnect", "--hold", "2h"]):
        done = run("ssh", "-F", "none", "-N", *words, "-L", f"{local}:a:1", *server.options(), server.host, env=clean_env())
        assert done.returncode == 2 and "--hold" in done.stderr, done.stderr


def test_server_learns_of_failures(ssh_servers, parrot):
    """What cannot be connected on from here was never accepted there."""
    server, remote, good = ssh_servers.get("openssh"), free_port(), free_port()
    with forwards(server, "-R", f"{remote}:127.0.0.1:1", "-R", f"{good}:127.0.0.1:{parrot}") as proc:
        before = server.log().count("open failed: connect failed: Connection refused")
        for i in range(3):
            with contextlib.suppress(ConnectionResetError), connect(remote) as s:
                assert rest(s) == b""
            wait_until(lambda n=before + i + 1: server.log().count("open failed: connect failed: Connection refused") == n)
        check(good, ends=False)
        proc.wait_line("warn ssh: .*Connection refused")


def test_reconnect_ends_for_good(ssh_servers, echo):
    """A key that the host does not have is no reason to try again, nor is a refused login."""
    server = ssh_servers.get("openssh")
    words = ["--reconnect", "-L", f"{free_port()}:127.0.0.1:{echo}"]
    with forwards(server, *words, "--fingerprint", "SHA256:" + "A" * 43, ready=False) as proc:
        assert proc.wait() == FAILED
    with forwards(server, *words, "-l", "nobody", ready=False) as proc:
        assert proc.wait() == FAILED
    done = run("ssh", "--reconnect", "-F", "none", *server.options(), server.host, "true", env=clean_env())
    assert done.returncode == 2 and "-N" in done.stderr, done.stderr
