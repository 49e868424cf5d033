# SPDX-License-Identifier: MIT
"""socks5: as listener (netkit as SOCKS proxy) and as filter (netkit through one), with curl, raw
clients and a proxy of our own that knows what it was asked."""

import http.server
import os
import socket
import struct
import subprocess
import threading
import time

import pytest

from server_support import Echo, LocalServer, up_to
from support import NETKIT, PATIENCE, check_error, need_command, run

LISTENING = r"listening on socks5\+tcp:127\.0\.0\.1:(\d+)"
GREETING = b"\x05\x01\x00"


def name_request(name, port, command=1):
    return bytes([5, command, 0, 3, len(name)]) + name.encode() + struct.pack(">H", port)


def ask(port, request, greeting=GREETING, method=b"\x05\x00"):
    """Greets, asks, and returns (connection, reply code)."""
    conn = socket.create_connection(("127.0.0.1", port), PATIENCE)
    conn.sendall(greeting)
    assert up_to(conn, 2) == method
    conn.sendall(request)
    reply = up_to(conn, 10)
    assert len(reply) == 10 and reply[0] == 5 and reply[3] == 1
    return conn, reply[1]


class Proxy(LocalServer):
    """A SOCKS server of the simple kind: one recv per message, nothing after it is kept. Answers
    with a 22-byte address, connects nowhere, echoes. `asked` has (user, password, type, host)."""

    def __init__(self, code=0, login=False):
        super().__init__()
        self.code, self.login, self.asked = code, login, []

    def talk(self, conn):
        user = password = None
        methods = conn.recv(300)[2:]
        if self.login and 2 in methods:
            conn.sendall(b"\x05\x02")
            message = conn.recv(600)
            user = message[2:2 + message[1]]
            password = message[3 + message[1]:]
            conn.sendall(b"\x01\x00")
        else:
            conn.sendall(b"\x05\x00" if 0 in methods else b"\x05\xff")
        request = conn.recv(300)
        host = request[5:-2] if request[3] == 3 else request[4:-2]
        self.asked.append((user, password, request[3], host))
        conn.sendall(bytes([5, self.code, 0, 4]) + b"\0" * 15 + b"\x01\0\0")
        while self.code == 0 and (data := conn.recv(65536)):
            conn.sendall(data)


@pytest.fixture
def proxy(programs):
    """netkit as plain SOCKS proxy: (program, port)."""
    p = programs([NETKIT, "forward", "socks5:127.0.0.1:0,request_timeout=2s", "tcp:"])
    yield p, int(p.wait_line(LISTENING)[1])
    assert p.stop() == 0


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served\n")

    def log_message(self, *_):
        """Quiet."""


def test_curl_by_name_and_address(proxy):
    curl = need_command("curl")
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    port = web.server_address[1]
    for scheme, host in (("socks5h", "localhost"), ("socks5", "127.0.0.1")):
        for login in ("", "u:p@"):
            out = subprocess.run([curl, "-sS", "--max-time", "10", "--noproxy", "", "-x",
                                  f"{scheme}://{login}127.0.0.1:{proxy[1]}",
                                  f"http://{host}:{port}/page"],
                                 capture_output=True, timeout=PATIENCE, check=False)
            assert (out.returncode, out.stdout) == (0, b"served\n"), out.stderr
    web.shutdown()
    web.server_close()


def test_bytes_both_ways_and_half_close(proxy):
    data = os.urandom(1 << 20)
    with Echo(b"hello ") as echo:
        for request in (name_request("localhost", echo.port),
                        b"\x05\x01\x00\x01\x7f\0\0\x01" + struct.pack(">H", echo.port)):
            conn, code = ask(proxy[1], request)
            assert code == 0
            sender = threading.Thread(
                target=lambda c=conn: (c.sendall(data), c.shutdown(socket.SHUT_WR)))
            sender.start()
            assert up_to(conn, len(data) + 7) == b"hello " + data
            sender.join()
            conn.close()


def test_everything_in_one_packet(proxy):
    """Data behind the request are not lost, and arrive after the connection stands."""
    with Echo() as echo, socket.create_connection(("127.0.0.1", proxy[1]), PATIENCE) as conn:
        login = b"\x05\x01\x02\x01\x01u\x01p"
        conn.sendall(login + name_request("localhost", echo.port) + b"early")
        conn.shutdown(socket.SHUT_WR)
        assert up_to(conn, 2 + 2 + 10 + 5) == (b"\x05\x02\x01\x00\x05\0\0\x01\0\0\0\0\0\0early")


def test_failures_have_their_codes(proxy):
    p, port = proxy
    closed = socket.create_server(("127.0.0.1", 0))
    dead = closed.getsockname()[1]
    closed.close()
    for request, code in ((name_request("localhost", dead), 5),
                          (name_request("abc.onion", 80), 2),
                          (name_request("127.1", 80), 2),
                          (name_request("localhost", 80, command=2), 7),
                          (name_request("localhost", 80, command=3), 7),
                          (name_request("localhost", 80, command=0xf0), 7),
                          (b"\x05\x01\x00\x02\x01\x01\x01\x01\0\x01", 8),
                          (b"\x05\x01\x00\x03\x03a\0b\0\x01", 1)):
        conn, got = ask(port, request)
        assert got == code, request
        assert conn.recv(1) == b""
        conn.close()
    p.wait_line(r"UDP ASSOCIATE")
    p.wait_line(r"onion addresses are only reachable through Tor")


@pytest.mark.parametrize("hello, answer, line", [
    (b"\x04\x01\x00\x50\x7f\0\0\x01\0", b"\0\x5b\0\0\0\0\0\0", r"SOCKS 4.*socks5h://"),
    (b"GET http://a/ HTTP/1.1\r\n\r\n", b"HTTP/1.0 501 ", r"speaks HTTP.*socks5h://"),
    (b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"HTTP/1.0 501 ", r"speaks HTTP"),
    (b"\x16\x03\x01\x02\x00\x01", b"", r"speaks TLS"),
    (b"\x05\x01\x01", b"\x05\xff", r"no method of login"),
])
def test_other_protocols_are_told(proxy, hello, answer, line):
    p, port = proxy
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
        conn.sendall(hello)
        assert up_to(conn, len(answer) or 1) == answer
    p.wait_line(line)


def test_a_slow_client_is_dropped(proxy):
    p, port = proxy
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
        start = time.monotonic()
        conn.sendall(b"\x05")
        assert conn.recv(1) == b""
        assert 1.5 < time.monotonic() - start < PATIENCE
    p.wait_line(r"no whole SOCKS request within 2 s")


def test_many_at_once(proxy):
    failures = []
    with Echo() as echo:
        def one(i):
            try:
                conn, code = ask(proxy[1], name_request("localhost", echo.port))
                with conn:
                    conn.sendall(b"%d" % i)
                    conn.shutdown(socket.SHUT_WR)
                    assert code == 0 and up_to(conn, 99) == b"%d" % i
            except (OSError, AssertionError) as e:
                failures.append((i, repr(e)))
        threads = [threading.Thread(target=one, args=(i,)) for i in range(200)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(PATIENCE)
    assert failures == []


def test_over_unix_and_through_another(programs, work):
    """socks5+unix: as listener, and netkit itself as its client."""
    with Echo(b"hi ") as echo:
        p = programs([NETKIT, "forward", f"socks5+unix:{work}/s", "tcp:"])
        p.wait_line(r"listening on socks5\+unix:")
        q = programs([NETKIT, "forward", "tcp:127.0.0.1:0",
                      f"socks5+unix:{work}/s,to=localhost:{echo.port}"])
        port = int(q.wait_line(r"listening on tcp:127\.0\.0\.1:(\d+)")[1])
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
            assert up_to(conn, 3) == b"hi "
            conn.sendall(b"there")
            assert up_to(conn, 5) == b"there"
        assert q.stop() == 0
        assert p.stop() == 0


def test_names_and_logins_pass_through_a_chain(programs):
    """A listener joined to a proxy: the client's name is not resolved, its login is handed on."""
    with Proxy(login=True) as far:
        p = programs([NETKIT, "forward", "socks5:127.0.0.1:0", f"socks5:127.0.0.1:{far.port}"])
        port = int(p.wait_line(LISTENING)[1])
        login = b"\x05\x01\x02\x01\x05alice\x02pw"
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
            conn.sendall(login + name_request("only-the-proxy-knows.example", 80))
            assert up_to(conn, 4 + 10)[5] == 0
            conn.sendall(b"data")
            assert up_to(conn, 4) == b"data"
        conn, code = ask(port, name_request("other.onion", 80))
        conn.close()
        assert code == 0
        assert far.asked == [(b"alice", b"pw", 3, b"only-the-proxy-knows.example"),
                             (None, None, 3, b"other.onion")]
        assert p.stop() == 0


def test_password_file_and_refusals(work):
    (work / "pw").write_text("secret\n")
    (work / "pw").chmod(0o600)
    with Proxy(login=True) as far:
        r = run("forward", "stdio:", f"socks5:127.0.0.1:{far.port},to=[2001:db8::1]:9,user=bob,"
                f"password_file={work}/pw", input="echo")
        assert (r.returncode, r.stdout) == (0, "echo")
        assert far.asked == [(b"bob", b"secret", 4, socket.inet_pton(socket.AF_INET6,
                                                                     "2001:db8::1"))]
    for code, rc, text in ((1, 69, "general failure"), (2, 77, "not allowed by its rules"),
                           (4, 69, "no such name"), (5, 69, "connection refused"),
                           (6, 75, "no answer in time"), (0x63, 76, "unknown reply code")):
        with Proxy(code=code) as far:
            r = run("forward", "stdio:", f"socks5:127.0.0.1:{far.port},to=a.example:9")
            assert r.returncode == rc, r.stderr
            assert "socks5 to a.example:9" in r.stderr and text in r.stderr


@pytest.mark.parametrize("listen, connect, text", [
    ("socks5:127.0.0.1:0", "tcp:localhost:80", "has an end of its own"),
    ("socks5:127.0.0.1:0", "unix:/x", "has an end of its own"),
    ("tcp:127.0.0.1:0", "tcp:", "does not say where to connect"),
    ("tcp:127.0.0.1:0", "socks5:127.0.0.1:1", "does not say where to connect"),
    ("socks5:127.0.0.1:0,to=a:1", "tcp:", "clients say where they want to go"),
])
def test_ends_that_do_not_fit(listen, connect, text):
    r = run("forward", listen, connect)
    assert r.returncode == 78
    assert text in r.stderr


@pytest.mark.parametrize("listen", ["socks5:0.0.0.0:{}", "socks5::{}", "socks5+tcp:[::]:{}"])
def test_no_proxy_for_everybody_by_accident(programs, work, listen):
    """Refused before anything is bound, from the command line and from a file; possible when it is said."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]  # taken: who tried to bind it would say so
        listen = listen.format(port)
        check_error(run("forward", listen, "tcp:"), 78, "reachable from other machines", "in your name",
                    "allow_remote=yes")
        (work / "netkit.ini").write_text(f"[forward out]\nlisten = {listen}\nconnect = tcp:\n")
        r = run("config", "check", "-c", str(work / "netkit.ini"))
        assert r.returncode == 78 and "allow_remote=yes" in r.stdout + r.stderr
    p = programs([NETKIT, "forward", "socks5:0.0.0.0:0,allow_remote=yes", "tcp:"])
    port = int(p.wait_line(r"listening on socks5\+tcp:0\.0\.0\.0:(\d+)")[1])
    with Echo() as echo:
        conn, code = ask(port, name_request("localhost", echo.port))
        conn.close()
        assert code == 0
    assert p.stop() == 0


def test_an_inherited_socket_of_every_address_is_refused():
    with socket.create_server(("0.0.0.0", 0)) as s:
        check_error(run("forward", f"socks5+fd:{s.fileno()}", "tcp:", pass_fds=[s.fileno()]), 78,
                    f"tcp:0.0.0.0:{s.getsockname()[1]}", "allow_remote=yes")


def test_configuration_file(programs, work):
    (work / "netkit.ini").write_text("[forward out]\nlisten = socks5:127.0.0.1:0\nconnect = tcp:\n")
    with Echo() as echo:
        p = programs([NETKIT, "run", "-c", str(work / "netkit.ini"), "--state-dir", str(work)])
        port = int(p.wait_line(LISTENING)[1])
        conn, code = ask(port, name_request("localhost", echo.port))
        with conn:
            conn.sendall(b"x")
            assert code == 0 and up_to(conn, 1) == b"x"
        assert p.stop() == 0
