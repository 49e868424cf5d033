# SPDX-License-Identifier: MIT
"""netkit cert serve and fetch, also against tlspyo's plain broadcast; relay password new."""

import socket
import stat
import threading

import pytest

import support

SERVING = r"on tcp:\S*:(\d+)$"


@pytest.fixture
def server(programs, work):
    """The address, the fingerprint and the files of a running `cert serve`."""
    return Server(programs, work)


class Server:
    def __init__(self, start, work, *extra):
        self.dir = work
        self.password = work / "pw"
        self.cert = work / "creds" / "certificate.pem"
        assert support.run("relay", "password", "new", self.password).returncode == 0
        assert support.run("cert", "new", "-o", work / "creds").returncode == 0
        self.program = start([support.NETKIT, "cert", "serve", "--port", "0", "--cert", self.cert,
                              "--password-file", self.password, *extra])
        self.port = int(self.program.wait_line(SERVING).group(1))
        self.pin = self.program.wait_line(r"fingerprint (sha256:\S+)$").group(1)
        self.address = f"127.0.0.1:{self.port}"

    def fetch(self, *args, out="got.pem"):
        return support.run("cert", "fetch", self.address, "-o", self.dir / out, *args)


def retrieve(address):
    """What tlspyo's --retrieve does: say nothing, read to the end."""
    got = b""
    with socket.create_connection(address, timeout=support.PATIENCE) as s:
        while piece := s.recv(4096):
            got += piece
    return got


def test_password(server):
    done = server.fetch("--password-file", server.password)
    assert done.returncode == 0, done.stderr
    got = server.dir / "got.pem"
    assert got.read_bytes() == server.cert.read_bytes()
    assert stat.S_IMODE(got.stat().st_mode) == 0o644
    assert server.pin in done.stdout
    assert "password" not in done.stdout
    again = server.fetch("--password-file", server.password)
    assert again.returncode == 73 and "--force" in again.stderr
    assert server.fetch("--password-file", server.password, "--force").returncode == 0


def test_wrong_password_and_no_proof(server):
    wrong = server.dir / "wrong"
    assert support.run("relay", "password", "new", wrong).returncode == 0
    for _ in range(2):
        done = server.fetch("--password-file", wrong)
        assert done.returncode == 77 and "does not know this password" in done.stderr
    assert not (server.dir / "got.pem").exists()
    assert server.fetch().returncode == 2
    server.program.wait_line(r"event=auth\.fail")


def test_fingerprint(server):
    assert server.fetch("--fingerprint", server.pin).returncode == 0
    assert (server.dir / "got.pem").read_bytes() == server.cert.read_bytes()
    done = server.fetch("--fingerprint", "sha256:" + 64 * "0", out="no.pem")
    assert done.returncode == 77 and not (server.dir / "no.pem").exists()


def test_plain_retrieve(server):
    assert retrieve(("127.0.0.1", server.port)) == server.cert.read_bytes()
    server.program.wait_line("gets the certificate as it is")


def test_no_plain(programs, work):
    server = Server(programs, work, "--no-plain")
    assert retrieve(("127.0.0.1", server.port)) == b""
    assert server.fetch("--password-file", server.password).returncode == 0


@pytest.fixture
def broadcaster(server):
    """tlspyo's --broadcast: every connection gets the file, then its end."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(server.cert.read_bytes())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(support.PATIENCE)


def test_from_a_plain_broadcast(server, broadcaster):
    out = server.dir / "b.pem"
    done = support.run("cert", "fetch", broadcaster, "--fingerprint", server.pin, "-o", out)
    assert done.returncode == 0 and out.read_bytes() == server.cert.read_bytes()
    done = support.run("cert", "fetch", broadcaster, "--password-file", server.password,
                       "-o", server.dir / "c.pem")
    assert done.returncode != 0 and not (server.dir / "c.pem").exists()


def test_password_new(work):
    path = work / "p"
    assert support.run("relay", "password", "new", path).stdout == f"{path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text(encoding="utf-8")
    assert len(first) == 27
    assert support.run("relay", "password", "new", path).returncode == 73
    assert path.read_text(encoding="utf-8") == first
    weak = work / "weak-source"
    weak.write_text("hello\n", encoding="utf-8")
    weak.chmod(0o600)
    done = support.run("relay", "password", "new", work / "q", "--from", weak)
    assert done.returncode == 0 and "weak" in done.stderr
    assert (work / "q").read_text(encoding="utf-8") == "hello\n"
