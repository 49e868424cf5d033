# SPDX-License-Identifier: MIT
"""netkit tls server, netkit tls client and [tls NAME] against OpenSSL, stunnel and RPyC."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from server_support import Echo, exchange, free_port, nobody_listens
from support import NETKIT, PATIENCE, missing_peer, need_command, run, wait_until

LISTENING = r"listening on tcp:127\.0\.0\.1:(\d+)"
HELLO = b"hello through the tunnel"


class CountingEcho(Echo):
    """Knows how many connections it got."""

    def __init__(self, *args, **kw):
        self.count = 0
        super().__init__(*args, **kw)

    def talk(self, conn):
        self.count += 1
        super().talk(conn)


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    try:
        from tls_certs import Identity
    except ImportError:
        missing_peer("python3-cryptography")

    class Certs:
        dir = tmp_path_factory.mktemp("certs")
        ca = Identity(dir, "ca", "test CA", ca=True)
        other_ca = Identity(dir, "other-ca", "other CA", ca=True)
        srv = Identity(dir, "srv", "srv", ca, ["DNS:localhost", "DNS:srv.test", "IP:127.0.0.1"])
        srv2 = Identity(dir, "srv2", "srv", ca, ["DNS:srv.test", "IP:127.0.0.1"])
        alice = Identity(dir, "alice", "alice", ca, ["DNS:alice.test", "URI:spiffe://test/alice"])
        bob = Identity(dir, "bob", "bob", ca, ["DNS:bob.test"])
        expired = Identity(dir, "expired", "alice", ca, days=-1)
        stranger = Identity(dir, "stranger", "alice", other_ca, ["DNS:alice.test"])
        make = Identity

    return Certs


@pytest.fixture(scope="module")
def echo():
    with CountingEcho() as e:
        yield e


def context(certs, who=None, ca=None):
    """A client that verifies the server, with a certificate or none."""
    c = ssl.create_default_context(cafile=(ca or certs.ca).cert_path)
    if who:
        c.load_cert_chain(who.cert_path, who.key_path)
    return c


@contextlib.contextmanager
def connected(port, ctx, session=None):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw, \
            ctx.wrap_socket(raw, server_hostname="srv.test", session=session) as s:
        yield s


def echoes(s, data=HELLO):
    s.sendall(data)
    got = b""
    while len(got) < len(data) and (part := s.recv(65536)):
        got += part
    return got == data


def refused(port, ctx):
    """Whether the connection ends without a byte; in TLS 1.3 that shows at the first read."""
    try:
        with connected(port, ctx) as s:
            s.sendall(HELLO)
            return s.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def nothing_comes(port, data=HELLO):
    """The connection ends, one way or another, without a byte."""
    try:
        return exchange(port, data) == b""
    except ConnectionError:
        return True


def server_args(certs, target, *more, cert="srv", ca="ca"):
    pair = getattr(certs, cert)
    trust = ["--ca", getattr(certs, ca).cert_path] if ca else []
    return ["tls", "server", "--listen", "tcp:127.0.0.1:0", "--connect", target, "--cert", pair.cert_path, "--key",
            pair.key_path, *trust, *more]


@pytest.fixture
def server(programs, certs, echo):
    """start(options) -> port of a server in front of the echo server; start.program is it."""
    def start(*more, target=None, **kw):
        start.program = programs([NETKIT, *server_args(certs, target or f"tcp:127.0.0.1:{echo.port}", *more, **kw)])
        return int(start.program.wait_line(LISTENING)[1])

    return start


@pytest.fixture
def client(programs, certs):
    """start(port, options) -> local port of a client that leads there, with alice's certificate."""
    def start(port, *more, who="alice", ca="ca"):
        pair = getattr(certs, who) if who else None
        shown = ["--cert", pair.cert_path, "--key", pair.key_path] if pair else []
        trust = ["--ca", getattr(certs, ca).cert_path] if ca else []
        start.program = programs([NETKIT, "tls", "client", "--listen", "tcp:127.0.0.1:0", "--connect",
                                  f"tcp:127.0.0.1:{port}", *trust, *shown, *more])
        return int(start.program.wait_line(LISTENING)[1])

    return start


# --- who is let in -------------------------------------------------------------------------------

def test_rules(server, certs, echo):
    """Each kind of rule lets in alice and nobody else, and what is refused reaches nothing."""
    everybody = [None, certs.alice, certs.bob, certs.expired, certs.stranger]
    pin = certs.alice.pin()
    for rule, ca, allowed in ((["--allow-cn", "alice"], "ca", [certs.alice]),
                              (["--allow-dns", "ALICE.test"], "ca", [certs.alice]),
                              (["--allow-uri", "spiffe://test/alice"], "ca", [certs.alice]),
                              (["--allow-uri", "spiffe://test/*"], "ca", [certs.alice]),
                              (["--allow-pin", pin], "ca", [certs.alice]),
                              (["--allow-pin", pin], None, [certs.alice]),
                              (["--allow-cn", "carol", "--allow-cn", "bob"], "ca", [certs.bob]),
                              (["--allow-all"], "ca", [certs.alice, certs.bob]),
                              (["--client-cert", "none"], None, everybody)):
        port = server(*rule, ca=ca)
        for who in everybody:
            before = echo.count
            if who in allowed:
                with connected(port, context(certs, who)) as s:
                    assert echoes(s), (rule, who and who.cert_path)
            else:
                assert refused(port, context(certs, who)), (rule, who and who.cert_path)
                assert echo.count == before
        assert server.program.stop() == 0


def test_refusals_are_audited(server, certs):
    port = server("--allow-cn", "alice")
    p = server.program
    for who, line in ((certs.bob, r"warn tls: no rule lets the client in whose certificate says CN:bob DNS:bob\.test "
                                  r"event=acl\.deny peer=127\.0\.0\.1:\d+"),
                      (certs.stranger, r"authority that is not trusted here.* event=auth\.fail peer=127"),
                      (certs.expired, r"CN=alice expired on .* event=auth\.fail"),
                      (None, r"sent no certificate, and one is required event=auth\.fail")):
        mark = p.mark()
        assert refused(port, context(certs, who))
        p.wait_line(line, mark)


def test_client_is_told(server, client, certs):
    """netkit's own client says what the server thought of it."""
    local = client(server("--allow-cn", "carol"))
    assert nothing_comes(local)
    client.program.wait_line("warn tls: .*permission refused|access_denied")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_client(programs, server, certs, version):
    openssl = need_command("openssl")
    port = server("--allow-cn", "alice", "--min-version", "1.2")
    p = programs([openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", version, "-CAfile",
                  certs.ca.cert_path, "-verify_return_error", "-verify_hostname", "srv.test", "-cert",
                  certs.alice.cert_path, "-key", certs.alice.key_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.proc.stdin.write(HELLO + b"\n")
    p.proc.stdin.flush()
    assert p.proc.stdout.readline() == HELLO + b"\n"


def test_versions_and_ciphers(server, certs):
    old = context(certs, certs.alice)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    port = server("--allow-all")
    assert refused(port, old)
    with connected(port, context(certs, certs.alice)) as s:
        assert s.version() == "TLSv1.3"
    port = server("--allow-all", "--min-version", "1.2", "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305", "--ciphers",
                  "TLS_CHACHA20_POLY1305_SHA256")
    with connected(port, old) as s:
        assert s.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
        assert echoes(s)
    with connected(port, context(certs, certs.alice)) as s:
        assert s.cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256"


def test_alpn_and_resumption(server, certs):
    """A server that asks for no certificates lets clients resume."""
    port = server("--client-cert", "none", "--alpn", "h2", "--alpn", "http/1.1", ca=None)
    ctx = context(certs)
    ctx.set_alpn_protocols(["http/1.1"])
    with connected(port, ctx) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
        assert echoes(s)  # the ticket comes before
        session = s.session
    with connected(port, ctx, session) as s:
        assert s.session_reused
        assert echoes(s)


# --- the client's side ---------------------------------------------------------------------------

def test_openssl_server(programs, client, certs):
    """A server that wants alice's certificate, and clients that verify it in every way there is."""
    openssl = need_command("openssl")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    programs([openssl, "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certs.srv.cert_path, "-key",
              certs.srv.key_path, "-CAfile", certs.ca.cert_path, "-Verify", "1", "-verify_return_error", "-rev",
              "-quiet"], stdout=subprocess.DEVNULL)

    def up():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_until(up)
    for ca, more in (("ca", ()), ("ca", ("--server-name", "srv.test")), (None, ("--pin", certs.srv.pin()))):
        local = client(port, *more, ca=ca)
        with socket.create_connection(("127.0.0.1", local), PATIENCE) as s:
            s.sendall(b"abc\n")
            assert s.recv(64) == b"cba\n"
        assert client.program.stop() == 0
    for ca, more, why in (("other_ca", (), "not trusted here"), ("ca", ("--server-name", "other.test"), "not for 'other.test'"),
                          (None, ("--pin", certs.bob.pin()), "does not match the pin")):
        local = client(port, *more, ca=ca)
        assert nothing_comes(local)
        client.program.wait_line(why)
        assert client.program.stop() == 0


def test_unix_listener_and_users(programs, server, certs, work):
    port = server("--allow-cn", "alice")
    for uid, served in ((os.getuid(), True), (os.getuid() + 1, False)):
        path = work / f"s{uid}"
        p = programs([NETKIT, "tls", "client", "--listen", f"unix:{path}", "--connect", f"tcp:127.0.0.1:{port}", "--ca",
                      certs.ca.cert_path, "--cert", certs.alice.cert_path, "--key", certs.alice.key_path,
                      "--allow-uid", uid])
        p.wait_line("listening on unix:")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(str(path))
            if served:
                assert echoes(s)
            else:
                p.wait_line("event=acl.deny")


# --- both sides ----------------------------------------------------------------------------------

def test_half_close_and_bulk(server, client):
    """Each direction ends by itself, also through TLS twice; nothing is lost before the end."""
    data = os.urandom(3 << 20)
    local = client(server("--allow-cn", "alice"))
    assert exchange(local, data) == data
    assert exchange(local, b"") == b""


def test_handshake_timeout_and_cap(server, certs):
    """Connections that say nothing go after the time for handshakes; beyond the cap clients wait, and are served."""
    port = server("--allow-all", "--max-connections", "4", "--handshake-timeout", "700ms")
    silent = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(12)]
    server.program.wait_line("4 connections: more have to wait")
    with connected(port, context(certs, certs.alice)) as s:  # waits until the silent ones are gone
        assert echoes(s)
    for c in silent:
        assert c.recv(1) == b""
        c.close()
    server.program.wait_line("handshake was not finished within 700 ms")
    assert server.program.alive()


def test_garbage(server, certs):
    port = server("--allow-all")
    for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as s, contextlib.suppress(ConnectionError):
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
    with connected(port, context(certs, certs.alice)) as s:
        assert echoes(s)


def peer_pin(port, certs):
    with connected(port, context(certs, certs.alice)) as s:
        return s.getpeercert(True)


def test_reload(programs, certs, echo, work):
    """Files that are replaced are taken over at HUP and by themselves; rubbish changes nothing."""
    cert, key, ca = work / "cert.pem", work / "key.pem", work / "ca.pem"
    certs.srv.write(cert, key)
    ca.write_bytes(certs.ca.cert_path.read_bytes())
    p = programs([NETKIT, "tls", "server", "--listen", "tcp:127.0.0.1:0", "--connect", f"tcp:127.0.0.1:{echo.port}",
                  "--cert", cert, "--key", key, "--ca", ca, "--allow-all", "--timed-reload", "0"])
    port = int(p.wait_line(LISTENING)[1])
    first = peer_pin(port, certs)
    with connected(port, context(certs, certs.alice)) as kept:
        for write, said, same in ((lambda: cert.write_text("rubbish"), "old configuration stays in force", True),
                                  (lambda: certs.srv2.write(cert, work / "unused"), "stays in force", True),
                                  (lambda: certs.srv2.write(cert, key), "new configuration is in force", False)):
            write()
            mark = p.mark()
            p.proc.send_signal(signal.SIGHUP)
            assert said in p.wait_line(r".*event=reload.*", mark)[0]
            assert (peer_pin(port, certs) == first) == same
        # an authority that is taken away: alice is a stranger from now on, but stays where she is
        ca.write_bytes(certs.other_ca.cert_path.read_bytes())
        mark = p.mark()
        p.proc.send_signal(signal.SIGHUP)
        p.wait_line(r"new configuration is in force.*event=reload", mark)
        assert refused(port, context(certs, certs.alice))
        with connected(port, context(certs, certs.stranger)) as s:
            assert echoes(s)
        assert echoes(kept)
    assert p.stop() == 0


def test_files_change(programs, certs, echo, work):
    """As Kubernetes renews them: the files are links through a directory link that is replaced."""
    for name, who in (("one", certs.srv), ("two", certs.srv2)):
        (work / name).mkdir()
        who.write(work / name / "cert.pem", work / name / "key.pem")
    (work / "data").symlink_to("one")
    for name in ("cert.pem", "key.pem"):
        (work / name).symlink_to(f"data/{name}")
    p = programs([NETKIT, "tls", "server", "--listen", "tcp:127.0.0.1:0", "--connect", f"tcp:127.0.0.1:{echo.port}",
                  "--cert", work / "cert.pem", "--key", work / "key.pem", "--client-cert", "none",
                  "--timed-reload", "200ms"])
    port = int(p.wait_line(LISTENING)[1])
    first = peer_pin(port, certs)
    (work / "next").symlink_to("two")
    os.replace(work / "next", work / "data")
    p.wait_line("new certificates are in use event=reload")
    second = peer_pin(port, certs)
    assert second != first
    (work / "two/cert.pem").write_text("rubbish")
    p.wait_line("what was read before stays in use event=reload")
    assert peer_pin(port, certs) == second


def test_drain(server, certs):
    """TERM: no new connections, the open one goes on until the time is over."""
    port = server("--allow-all", "--drain", "500ms")
    with connected(port, context(certs, certs.alice)) as s:
        assert echoes(s)
        server.program.proc.send_signal(signal.SIGTERM)
        wait_until(lambda: nobody_listens(port))
        assert echoes(s)
        server.program.wait_line("1 connections were still open")
        assert server.program.wait() == 0


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class HeaderServer(Echo):
    """Reads a header of the PROXY protocol, version 2, and sends back what comes after it."""

    def talk(self, conn):
        f = conn.makefile("rb")
        head = f.read(16)
        assert head[:12] == SIGNATURE and head[12] == 0x21, head
        body = f.read(int.from_bytes(head[14:16], "big"))
        self.client = (socket.inet_ntoa(body[:4]), int.from_bytes(body[8:10], "big"))
        self.fields = self.parse(body[12:])
        conn.sendall(f.read(len(HELLO)))

    @staticmethod
    def parse(data):
        out = {}
        while data:
            kind, size = data[0], int.from_bytes(data[1:3], "big")
            out[kind] = data[3:3 + size]
            data = data[3 + size:]
        return out


def test_proxy_protocol(server, certs):
    """The target learns where the client comes from and who it is; what a balancer in front says is believed about
    the address, but nobody can say who the client is."""
    with HeaderServer() as target:
        where = f"tcp:127.0.0.1:{target.port}"
        port = server("--allow-cn", "alice", "--proxy-protocol", "v2", "--alpn", "h2", target=where)
        ctx = context(certs, certs.alice)
        ctx.set_alpn_protocols(["h2"])
        with connected(port, ctx) as s:
            me = s.getsockname()
            assert echoes(s)
            assert target.client == me
            assert target.fields[0x01] == b"h2"
            tls = target.fields[0x20]
            assert tls[0] == 7 and tls[1:5] == bytes(4)  # TLS, a certificate, and it is good
            inner = target.parse(tls[5:])
            assert (inner[0x21], inner[0x22], inner[0x23]) == (b"TLSv1.3", b"alice", s.cipher()[0].encode())
            assert inner[0x28] == ssl.PEM_cert_to_DER_cert(certs.alice.cert_path.read_text())
        port = server("--client-cert", "none", "--proxy-protocol", "v2", "--accept-proxy-protocol", target=where, ca=None)
        forged = b"\x20" + (8).to_bytes(2, "big") + b"\x07" + bytes(4) + b"\x22\x00\x00"
        told = b"\xea" + (3).to_bytes(2, "big") + b"abc"
        addresses = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.8") + bytes((1, 2, 3, 4))
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw:
            body = addresses + forged + told
            raw.sendall(SIGNATURE + b"\x21\x11" + len(body).to_bytes(2, "big") + body)
            with context(certs).wrap_socket(raw, server_hostname="srv.test") as s:
                assert echoes(s)
        assert target.client == ("192.0.2.7", 258)
        assert target.fields[0x20][0] == 1  # TLS, but no certificate
        assert target.fields[0xea] == b"abc"
        assert refused(port, context(certs))  # no header


def test_run_and_status(programs, certs, echo, work):
    """[tls NAME] as services of one netkit run: two of them make a tunnel; the counters are in its status."""
    ini, state = work / "netkit.ini", work / "state"
    path = work / "in.sock"
    ini.write_text(f"""[tls out]
role = client
listen = unix:{path}
connect = unix:{work}/tls.sock
server_name = srv.test
cert = {certs.alice.cert_path}
key = {certs.alice.key_path}
ca = {certs.ca.cert_path}

[tls in]
listen = unix:{work}/tls.sock
connect = tcp:127.0.0.1:{echo.port}
cert = {certs.srv.cert_path}
key = {certs.srv.key_path}
ca = {certs.ca.cert_path}
allow_dns = nobody.test
allow_dns = alice.test
""")
    assert run("config", "check", "-c", ini).returncode == 0
    p = programs([NETKIT, "run", "-c", ini, "--state-dir", state])
    p.wait_line("2 services.* ready|ready")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(str(path))
        assert echoes(s)
        told = json.loads(run("status", "--json", "--state-dir", state).stdout)
        text = json.dumps(told)
        assert text.count('"active": 1') == 2, text
        assert text.count(f'"bytes_in": {len(HELLO)}') == 2, text
        assert '"role": "client"' in text and '"certificate_expires": 0' not in text
    assert p.stop() == 0


# --- stunnel -------------------------------------------------------------------------------------

def stunnel_program(programs, work, name, lines):
    conf = work / f"{name}.conf"
    conf.write_text(f"foreground = yes\npid =\ndebug = 5\n[{name}]\n" + "\n".join(lines) + "\n")
    p = programs([need_command("stunnel4"), conf])
    p.wait_line("Configuration successful")
    return p


def serves(port, data=HELLO):
    with contextlib.suppress(OSError):
        return exchange(port, data) == data
    return False


def test_stunnel_client(programs, server, certs, work):
    """stunnel with client = yes in front of netkit tls server, both verified."""
    port, local = server("--allow-cn", "alice"), free_port()
    stunnel_program(programs, work, "tunnel", [
        "client = yes", f"accept = 127.0.0.1:{local}", f"connect = 127.0.0.1:{port}", f"CAfile = {certs.ca.cert_path}",
        "verifyChain = yes", "checkHost = srv.test", f"cert = {certs.alice.cert_path}", f"key = {certs.alice.key_path}"])
    wait_until(lambda: serves(local))
    data = os.urandom(1 << 20)
    assert exchange(local, data) == data


def test_stunnel_server(programs, client, certs, echo, work):
    """netkit tls client in front of stunnel, which asks for a certificate of the CA."""
    port = free_port()
    stunnel_program(programs, work, "service", [
        f"accept = 127.0.0.1:{port}", f"connect = 127.0.0.1:{echo.port}", f"CAfile = {certs.ca.cert_path}",
        "verifyChain = yes", f"cert = {certs.srv.cert_path}", f"key = {certs.srv.key_path}"])
    local = client(port)
    wait_until(lambda: serves(local))
    data = os.urandom(1 << 20)
    assert exchange(local, data) == data
    stranger = client(port, who="stranger")
    assert nothing_comes(stranger)


# --- RPyC ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def rpyc():
    try:
        import rpyc as module
        import rpyc.utils.authenticators  # noqa: F401
        import rpyc.utils.server  # noqa: F401
    except ImportError:
        missing_peer("python3-rpyc")
    return module


@pytest.fixture
def rpyc_server(rpyc):
    """start(authenticator or None) -> port of a ThreadedServer whose service adds numbers."""
    servers = []

    class Service(rpyc.Service):
        def exposed_add(self, a, b):
            return a + b

        def exposed_call_back(self, fn, n):
            return sum(fn(i) for i in range(n))

    def start(authenticator=None):
        s = rpyc.utils.server.ThreadedServer(Service, hostname="127.0.0.1", port=0, authenticator=authenticator)
        thread = threading.Thread(target=s.start, daemon=True)
        thread.start()
        wait_until(lambda: s.active)
        servers.append((s, thread))
        return s.port

    yield start
    for s, thread in servers:
        s.close()
        thread.join(PATIENCE)


def uses(conn):
    """Calls both ways over one RPyC connection."""
    with contextlib.closing(conn):
        return conn.root.add(2, 40) == 42 and conn.root.call_back(lambda i: i * i, 5) == 30


@pytest.mark.parametrize("mutual", [False, True])
def test_rpyc_client(rpyc, rpyc_server, server, certs, mutual):
    """ssl_connect to netkit tls server in front of a server without SSL."""
    target = f"tcp:127.0.0.1:{rpyc_server()}"
    port = server("--allow-cn", "alice", target=target) if mutual else \
        server("--client-cert", "none", target=target, ca=None)
    who = {"keyfile": str(certs.alice.key_path), "certfile": str(certs.alice.cert_path)} if mutual else {}
    assert uses(rpyc.utils.factory.ssl_connect("127.0.0.1", port, ca_certs=str(certs.ca.cert_path), **who))
    if mutual:
        with pytest.raises((EOFError, OSError)):
            uses(rpyc.utils.factory.ssl_connect("127.0.0.1", port, ca_certs=str(certs.ca.cert_path)))


@pytest.mark.parametrize("mutual", [False, True])
def test_rpyc_server(rpyc, rpyc_server, client, certs, mutual):
    """A plain client through netkit tls client to a server with SSLAuthenticator."""
    auth = rpyc.utils.authenticators.SSLAuthenticator(
        certs.srv.key_path, certs.srv.cert_path, certs.ca.cert_path if mutual else None)
    port = rpyc_server(auth)
    assert uses(rpyc.connect("127.0.0.1", client(port, who="alice" if mutual else None)))
    if mutual:
        with pytest.raises((EOFError, OSError)):
            uses(rpyc.connect("127.0.0.1", client(port, who=None)))


def test_rpyc_both(rpyc, rpyc_server, server, client):
    """RPyC without SSL on either side."""
    local = client(server("--allow-cn", "alice", target=f"tcp:127.0.0.1:{rpyc_server()}"))
    assert uses(rpyc.connect("127.0.0.1", local))
