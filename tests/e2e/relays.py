# SPDX-License-Identifier: MIT
"""A relay under test: started from nothing in a private state directory, spoken to by the
independent peer of tests/peers."""

import pathlib
import pickle
import socket
import ssl
import struct
import subprocess
import sys
import time

import support

sys.path.insert(0, str(support.ROOT / "tests" / "peers"))
import tlspyo_peer  # noqa: E402

LISTENING = r"listening on .*?127\.0\.0\.1:(\d+)"


class Relay:
    """`netkit relay` on a free loopback port; `extra` are further options."""

    def __init__(self, programs, work, *extra, connection="TLS", env=None, prefix=()):
        self.state = work / "state"
        self.tls = connection == "TLS"
        self.argv = [*prefix, support.NETKIT, "relay", "--listen", "tcp:127.0.0.1:0", "--connection",
                     connection, "--state-dir", self.state, "--log-format", "json", *extra]
        self.program = programs(self.argv, env=env)
        self.port = int(self.program.wait_line(LISTENING).group(1))
        credentials = self.state / "credentials"
        self.password_file = credentials / "password"
        self.ca = credentials / "certificate.pem"
        self.password = ""
        if self.password_file.exists():
            self.password = self.password_file.read_text(encoding="utf-8").rstrip("\n")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def endpoint(self, groups=(), password=None, **kw):
        """The independent peer, connected but perhaps not joined yet."""
        return tlspyo_peer.Endpoint(self.address,
                                    password=self.password if password is None else password,
                                    groups=groups, ca=str(self.ca) if self.tls else None, **kw)

    def connect(self, handshake=True):
        """A plain or TLS socket on which tests write what they like."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=support.PATIENCE)
        if not (self.tls and handshake):
            return sock
        return tlspyo_peer.client_context(str(self.ca)).wrap_socket(sock, server_hostname="default")

    def frame(self, payload, password=None):
        password = self.password if password is None else password
        return tlspyo_peer.frame(payload, 10, password.encode("utf-8"))

    def command(self, cmd, dest=None, obj=None, stamp=1, password=None):
        return self.frame(pickle.dumps((stamp, cmd, dest, obj), 4), password)

    def log_lines(self, start=0):
        with self.program._new:
            return [support.LogLine.parse(line) for line in self.program.lines[start:]]


def read_frame(sock):
    """One frame that the relay sent: (stamp, command, object)."""
    head = read_exactly(sock, 10)
    return tlspyo_peer.loads(read_exactly(sock, int(head)))


def read_exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def join(sock, relay, *groups):
    """The handshake of an endpoint on a raw socket."""
    stamp, cmd, _ = read_frame(sock)
    assert cmd == "HELLO"
    sock.sendall(relay.command("ACK", stamp=stamp) + relay.command("HELLO", None, tuple(groups)))
    assert read_frame(sock)[1] == "ACK"


def closed_by_peer(sock, timeout=support.PATIENCE):
    """Wait until the other side has ended the connection; whatever it still sends is read away."""
    deadline = time.monotonic() + timeout
    try:
        while True:
            sock.settimeout(max(deadline - time.monotonic(), 0.01))
            if not sock.recv(65536):
                return True
    except TimeoutError:
        return False
    except (ConnectionError, ssl.SSLError):
        return True


def reset(sock):
    """Close with RST, without leaving the port in TIME_WAIT."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Bystander:
    """Two endpoints that must not notice anything of what others do."""

    def __init__(self, relay):
        self.sender = relay.endpoint()
        self.receiver = relay.endpoint(groups=("bystanders",))
        self.sender.wait_joined()
        self.receiver.wait_joined()
        self.count = 0

    def check(self):
        """An object makes its way."""
        self.count += 1
        self.sender.broadcast(self.count, "bystanders")
        assert self.receiver.pop(support.PATIENCE) == self.count

    def close(self):
        self.check()
        assert self.sender.stop() and self.receiver.stop()


def netkit_endpoint(relay, *args, **kw):
    """netkit's own endpoint command against the relay."""
    return support.run("endpoint", *args, "--connect", f"tcp:{relay.address}", **kw)


def credentials(work, name="own"):
    """A key and certificate of their own, made by netkit."""
    out = pathlib.Path(work) / name
    done = support.run("cert", "new", "-o", out)
    assert done.returncode == 0, done.stderr
    return out / "key.pem", out / "certificate.pem"


def openssl_credentials(work, name="foreign"):
    """The same, made by OpenSSL."""
    out = pathlib.Path(work) / name
    out.mkdir(mode=0o700)
    key, cert = out / "key.pem", out / "certificate.pem"
    subprocess.run([support.need_command("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=default", "-addext", "subjectAltName=DNS:default"],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return key, cert
