# SPDX-License-Identifier: MIT
"""The usual mistakes with netkit tls: each line says what happened, where, and what to do next. Told by the side that can
know, and by the other one as far as it hears of it."""

import os
import re
import socket
import ssl

import pytest

from server_support import LocalServer
from support import NETKIT, PATIENCE, check_error, run

from test_tls_tunnel import LISTENING, certs, client, context, echo, server  # noqa: F401  (fixtures)

PEER = r"127\.0\.0\.1:\d+"


def says(program, text):
    """A line of its log: what and where, and in brackets what to do."""
    assert program.wait_line(text)[0].count("(hint: ") == 1, text


def talk(port, data=b"hello\r\n"):
    """Whatever comes of it."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
        try:
            s.sendall(data)
            return s.recv(100)
        except ConnectionError:
            return b""


@pytest.mark.parametrize("srv, trust, who, options, server_says, client_says", [
    # the client's ca is not the one that signed the server's certificate
    ("srv", "other_ca", "alice", (), rf"{PEER}: the peer refused us: unknown_ca \(hint: it does not trust the authority",
     rf"{PEER}: the certificate is issued by CN=test CA, an authority that is not trusted here \(hint: pin=sha256:"),
    # the client's certificate is from elsewhere
    ("srv", "ca", "stranger", (), r"issued by CN=other CA, an authority that is not trusted here \(hint: to let it in put "
     r"that authority into ca, or its key alone: allow_pin=sha256:[0-9a-f]{64}\) event=auth\.fail peer=127",
     rf"{PEER}: cut off on the target's side: the peer refused us: unknown_ca \(hint: it does not trust"),
    ("srv", "ca", "expired", (), r"the certificate of CN=alice expired on .* \(hint: .*event=auth\.fail",
     r"the peer refused us: certificate_expired \(hint: our certificate is too old"),
    ("expired_srv", "ca", "alice", (), r"the peer refused us: certificate_expired \(hint: our certificate is too old",
     rf"{PEER}: the certificate of CN=srv expired on \S+ \S+ UTC \(hint: ask its owner"),
    ("srv", "ca", "alice", ("--server-name", "db.test"), r"the peer refused us: bad_certificate \(hint: .*the name",
     r"the certificate is for DNS:localhost, DNS:srv\.test, IP:127\.0\.0\.1, not for 'db\.test' \(hint: .*server_name"),
    ("srv", "ca", None, (), None, r"the peer refused us: (no_certificate|certificate_required) \(hint: it wants a certificate"),
    ("srv", "ca", "bob", (), None, r"the peer refused us: access_denied \(hint: no rule"),
], ids=["wrong ca", "stranger", "expired client", "expired server", "other name", "no certificate", "no rule"])
def test_handshakes(server, client, certs, srv, trust, who, options, server_says, client_says):
    certs.expired_srv = getattr(certs, "expired_srv", None) or \
        certs.make(certs.dir, "expired-srv", "srv", certs.ca, ["IP:127.0.0.1"], days=-1)
    local = client(server("--allow-cn", "alice", cert=srv), *options, who=who, ca=trust)
    assert talk(local) == b""
    says(client.program, "warn tls: .*" + client_says)
    if server_says:
        says(server.program, "warn tls: .*" + server_says)


@pytest.mark.parametrize("hello, hint", [(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "https://, or netkit tls client"),
                                         (b"SSH-2.0-client\r\n", "https://"),
                                         (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "accept_proxy_protocol"),
                                         (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), "accept_proxy_protocol")],
                         ids=["http", "ssh", "proxy v1", "proxy v2"])
def test_clients_without_tls(server, hello, hint):
    port = server("--allow-all")
    assert talk(port, hello) == b""
    says(server.program, rf"warn tls: {PEER}: the peer does not speak TLS \(hint: .*{hint}")


class Banner(LocalServer):
    def talk(self, conn):
        conn.sendall(b"220 mail.test ESMTP\r\n")
        conn.recv(100)


def test_server_without_tls(client):
    with Banner() as target:
        assert talk(client(target.port)) == b""
        says(client.program, rf"warn tls: {PEER}: the peer does not speak TLS \(hint: is that the right port")


def test_tls_at_the_plain_side(server, client):
    """Two layers of TLS, as a rule because the program was set up for TLS as well; said once."""
    local = client(server("--allow-all"))
    for _ in range(2):
        with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", local), PATIENCE) as s:
            ssl._create_unverified_context().wrap_socket(s)
    says(client.program, r"warn tls: what is to be sent over TLS is TLS already \(hint: .* speak without")
    assert client.program.stop() == 0
    assert client.program.stderr().count("TLS already") == 1


def test_old_versions(server, client, certs):
    port = server("--allow-all")
    old = context(certs, certs.alice)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
        old.wrap_socket(s, server_hostname="srv.test")
    says(server.program, rf"warn tls: {PEER}: TLS handshake: no common protocol version \(hint: min_version = 1\.2")

    class Old(LocalServer):
        def talk(self, conn):
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.maximum_version = ssl.TLSVersion.TLSv1_2
            ctx.load_cert_chain(certs.srv.cert_path, certs.srv.key_path)
            ctx.wrap_socket(conn, server_side=True)

    with Old() as target:
        assert talk(client(target.port)) == b""
        says(client.program, r"the peer ended the TLS handshake: protocol_version \(hint: min_version = 1\.2")


def test_before_it_starts(certs, echo, work):
    """One line on stderr, the reason as exit code, and nothing listens."""
    target, cert, key = f"tcp:127.0.0.1:{echo.port}", work / "cert.pem", work / "key.pem"
    certs.srv.write(cert, key)

    def fails(code, *words, listen="tcp:127.0.0.1:0", connect=target, keys=(cert, key), who=("--client-cert", "none")):
        shown = ["--cert", keys[0], "--key", keys[1]] if keys else []
        done = run("tls", "server", "--listen", listen, "--connect", connect, *shown, *who)
        assert "(hint: " in check_error(done, code, "netkit tls server: ", *words)
        assert not re.search(LISTENING, done.stderr)

    fails(78, f"{certs.bob.key_path}: the private key does not belong", str(cert), keys=(cert, certs.bob.key_path))
    fails(69, f"{target}: Address already in use", "ss -", listen=target)
    fails(78, "nothing says which clients may connect", "allow_cn", "allow_all", who=("--ca", certs.ca.cert_path))
    fails(78, "'cert' and 'key'", "netkit cert new", keys=None)
    fails(78, "tcp:192.0.2.1:80 is not on this machine", "unsafe_target", connect="tcp:192.0.2.1:80")
    os.chmod(key, 0o644)
    fails(77, f"{key} (owner uid {os.getuid()}, mode 0644) can be read by others", f"chmod 600 {key}")
