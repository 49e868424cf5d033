# SPDX-License-Identifier: MIT
"""Relays and endpoints for the end-to-end tests: netkit's, and the independent peer's."""

import atexit
import functools
import json
import pathlib
import pickle
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

import support
from server_support import exactly

sys.path.insert(0, str(support.ROOT / "tests" / "peers"))

import tlspyo_peer  # noqa: E402  (found through the path above)

PASSWORD = "correct horse battery staple 7"


def write_secret(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


LISTENING = r"listening on .*?127\.0\.0\.1:(\d+)"


class NetkitRelay:
    """`netkit relay` on a free loopback port with a state directory of its own. tls=False speaks
    plain TCP. password=None: it starts from nothing and makes its own. groups is
    {name: {"max_count": n, ...}}: then only these groups are accepted. `extra` are further options."""

    def __init__(self, start, work, tls=True, groups=None, password=PASSWORD, header_size=10,
                 extra=(), ini="", env=None, prefix=(), listen="tcp:127.0.0.1:0"):
        self.state = work / "state"
        self.header_size = header_size
        self.tls = tls
        self.password_file = self.state / "credentials" / "password"
        self.ca = self.state / "credentials" / "certificate.pem"
        if password is not None:
            self.password_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.state.chmod(0o700)
            write_secret(self.password_file, password + "\n")
        argv = [*prefix, support.NETKIT, "relay", "--state-dir", self.state, "--listen",
                listen, "--connection", "TLS" if tls else "TCP"]
        if ini or groups:
            self.config = work / "relay.ini"
            self.config.write_text(ini + self._groups(groups), encoding="utf-8")
            argv += ["-c", self.config]
        if header_size != 10:
            argv += ["--header-size", header_size]
        self.program = start([*argv, *extra], env=env)
        self.port = int(self.program.wait_line(LISTENING).group(1))
        if password is None and self.password_file.exists():
            password = self.password_file.read_text(encoding="utf-8").rstrip("\n")
        self.password = password or ""

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @staticmethod
    def _groups(groups):
        """INI names are [a-z0-9-]+; the real name stands in `match`."""
        text = ""
        for i, (name, limits) in enumerate((groups or {}).items()):
            text += f"[group g{i}]\nmatch = {name}\n"
            text += "".join(f"{key} = {value}\n" for key, value in limits.items())
        return text

    def endpoint(self, groups=(), **kw):
        """A connected peer Endpoint."""
        kw.setdefault("password", self.password)
        kw.setdefault("header_size", self.header_size)
        return tlspyo_peer.Endpoint(self.address, groups=groups,
                                    ca=str(self.ca) if self.tls else None, **kw)

    def joined(self, groups=(), **kw):
        return self.endpoint(groups, **kw).wait_joined()

    def options(self):
        """What a `netkit endpoint` command needs to find this relay."""
        words = ["--connect", f"tcp:{self.address}", "--state-dir", self.state,
                 "--header-size", self.header_size]
        return words if self.tls else [*words, "--connection", "TCP"]

    def stop(self):
        return self.program.stop()


class Relay(NetkitRelay):
    """One that starts from nothing and logs in JSON, spoken to with whatever a test likes."""

    def __init__(self, programs, work, *extra, connection="TLS", env=None, prefix=()):
        super().__init__(programs, work, tls=connection == "TLS", password=None,
                         extra=("--log-format", "json", *extra), env=env, prefix=prefix)

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


class PeerRelay(tlspyo_peer.Relay):
    """The independent relay, with files for `netkit endpoint`."""

    def __init__(self, work, tls=True, password=PASSWORD, **kw):
        self.password_file = write_secret(work / "peer.password", password + "\n")
        self.ca = work / "peer.pem"
        key = work / "peer.key"
        if tls:
            for source, target in zip(stock_certificate(), (self.ca, key)):
                shutil.copy(source, target)
        super().__init__(password=password, cert=str(self.ca) if tls else None,
                         key=str(key) if tls else None, **kw)
        self.tls = tls

    def options(self):
        words = ["--connect", f"tcp:{self.address}", "--password-file", self.password_file,
                 "--state-dir", self.ca.parent / "none"]
        return [*words, "--ca", self.ca] if self.tls else [*words, "--connection", "TCP"]


def read_frame(sock):
    """One frame that the relay sent: (stamp, command, object)."""
    head = exactly(sock, 10)
    return tlspyo_peer.loads(exactly(sock, int(head)))


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


@functools.lru_cache(maxsize=None)
def stock_certificate():
    """Certificate and key as tlspyo makes them; once for all tests, because RSA takes its time."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="nk-e2e-cert-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    make_certificate(directory / "cert.pem", directory / "key.pem")
    return directory / "cert.pem", directory / "key.pem"


def make_certificate(cert, key, rsa=True):
    """As tlspyo's --generate makes them: RSA 4096 (smaller here, for speed), v3, SAN DNS:default and
    no other extension."""
    support.need_command("openssl")
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    config = pathlib.Path(str(key) + ".cnf")
    config.write_text("[req]\ndistinguished_name=d\nx509_extensions=x\nprompt=no\n[d]\nCN=default\n"
                      "[x]\nsubjectAltName=DNS:default\n", encoding="ascii")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-out",
                    cert, "-days", "3650", "-sha512", "-config", config], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def endpoint_argv(relay, verb, *args):
    """The command line of `netkit endpoint VERB`, for support.Program."""
    args = list(args)
    rest = []
    if "--" in args:
        rest = args[args.index("--"):]
        args = args[:args.index("--")]
    return [support.NETKIT, "endpoint", verb, *args, *relay.options(), *rest]


def endpoint(relay, verb, *args, **kw):
    """Run `netkit endpoint VERB` against a relay to its end."""
    return support.run(*endpoint_argv(relay, verb, *args)[1:], **kw)


def succeeded(done):
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done


def lines(done):
    """What a command that succeeded has printed, a JSON value a line."""
    return [json.loads(line) for line in succeeded(done).stdout.splitlines()]


class RunningEndpoint(support.Program):
    """A netkit endpoint whose output is read line by line."""

    def __init__(self, relay, verb, *args, **kw):
        super().__init__(endpoint_argv(relay, verb, *args), stdout=subprocess.PIPE, **kw)

    def line(self):
        return self.proc.stdout.readline().decode("utf-8").rstrip("\n")

    def rest(self):
        return self.proc.stdout.read().decode("utf-8")


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
