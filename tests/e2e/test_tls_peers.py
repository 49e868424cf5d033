# SPDX-License-Identifier: MIT
"""netkit tls and forward with socat, curl and stunnel's PROXY protocol: orderly ends are no cut connections."""

import os
import subprocess

import pytest

from server_support import exchange
from support import PATIENCE, need_command, run, wait_until

from test_forward_faults import Sink, forward
from test_tls_tunnel import HELLO, certs, client, echo, free_port, serves, server, stunnel_program  # noqa: F401  (fixtures)


def not_cut(program):
    """Neither while it ran nor at its end was anything taken for cut."""
    assert program.stop() == 0
    assert "cut off" not in program.stderr()


def test_socat_client(server, certs):
    """It ends its direction when its input does, with close_notify, and reads on."""
    data = os.urandom(1 << 20)
    port = server("--allow-cn", "alice")
    done = subprocess.run([need_command("socat"), "-t20", "-", f"OPENSSL:127.0.0.1:{port},cafile={certs.ca.cert_path},"
                           f"cert={certs.alice.cert_path},key={certs.alice.key_path},commonname=srv"],
                          input=data, capture_output=True, timeout=2 * PATIENCE)
    assert done.stdout == data, done.stderr
    not_cut(server.program)


def test_socat_server(programs, client, certs):
    port = free_port()
    programs([need_command("socat"), "-t20", f"OPENSSL-LISTEN:{port},reuseaddr,fork,bind=127.0.0.1,"
              f"cafile={certs.ca.cert_path},cert={certs.srv.cert_path},key={certs.srv.key_path}", "EXEC:cat"])
    local = client(port)
    wait_until(lambda: serves(local))
    # socat breaks off at the session that it has offered itself: once, as none is sent to it again
    assert not serves(local)
    client.program.wait_line("ended the TLS handshake: internal_error .*resumed sessions")
    data = os.urandom(1 << 20)
    mark = client.program.mark()
    for _ in range(3):
        assert exchange(local, data) == data
    assert client.program.stop() == 0
    assert "cut off" not in "\n".join(client.program.lines[mark:])


@pytest.mark.parametrize("version", ["--tlsv1.2", "--tlsv1.3"])
def test_curl(programs, server, certs, work, version):
    """As an HTTPS server in front of Python's HTTP server, which ends the connection after each answer."""
    (work / "file").write_bytes(os.urandom(1 << 20))
    port = free_port()
    programs(["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "-d", work, port])
    wait_until(lambda: run("forward", "stdio:", f"tcp:127.0.0.1:{port}", input="").returncode == 0)
    where = server("--client-cert", "none", "--min-version", "1.2", ca=None, target=f"tcp:127.0.0.1:{port}")
    done = subprocess.run([need_command("curl"), "-sS", version, "--tls-max", version[-3:], "--cacert", certs.ca.cert_path,
                           f"https://127.0.0.1:{where}/file"], capture_output=True, timeout=PATIENCE)
    assert done.stdout == (work / "file").read_bytes(), done.stderr
    not_cut(server.program)


def test_stunnels_proxy_header(programs, certs, work):
    """stunnel says in version 1 who its client is; forward believes it, and passes it on in version 2."""
    with Sink() as sink:
        inner, port = forward(programs, "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{sink.port}", "-vv", "--accept-proxy-protocol",
                              "--proxy-protocol", "v2")
        front = free_port()
        stunnel_program(programs, work, "front", [
            f"accept = 127.0.0.1:{front}", f"connect = 127.0.0.1:{port}", "protocol = proxy",
            f"cert = {certs.srv.cert_path}", f"key = {certs.srv.key_path}"])
        done = subprocess.run([need_command("openssl"), "s_client", "-connect", f"127.0.0.1:{front}", "-CAfile",
                               certs.ca.cert_path, "-verify_return_error", "-quiet", "-no_ign_eof"], input=HELLO + b"\n",
                              capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        got = sink.next()
        assert got[:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" and got[28:] == HELLO + b"\n"
        client_port = int.from_bytes(got[24:26], "big")
        assert int.from_bytes(got[26:28], "big") == front
        inner.wait_line(rf"connection of 127\.0\.0\.1:{client_port}")
