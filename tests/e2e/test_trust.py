# SPDX-License-Identifier: MIT
"""Endpoints that have nothing but the password: known_relays, and somebody in between."""

import socket
import ssl
import subprocess
import threading

import pytest

import relay_support
import support


class Stranger:
    """A state directory with the relay's password and nothing else."""

    def __init__(self, work, password=relay_support.PASSWORD):
        self.state = work / "stranger"
        self.password = relay_support.write_secret(work / "stranger.pw", password + "\n")
        self.known = self.state / "known_relays"

    def produce(self, port, *args, text="hello\n"):
        return support.run("endpoint", "produce", "--to", "g", "--connect",
                           f"tcp:127.0.0.1:{port}", "--state-dir", self.state,
                           "--password-file", self.password, *args, input=text)


@pytest.fixture
def relay(programs, work):
    (work / "relay").mkdir()
    return relay_support.NetkitRelay(programs, work / "relay")


def test_password_alone(relay, work):
    stranger = Stranger(work)
    done = stranger.produce(relay.port)
    assert done.returncode == 0, done.stderr
    assert "event=trust.new" in done.stderr
    first = stranger.known.read_text(encoding="utf-8")
    assert first.startswith("netkit-known-relays 1\n")
    assert f"127.0.0.1:{relay.port} sha256:" in first and " password " in first
    assert stranger.known.stat().st_mode & 0o777 == 0o600
    again = stranger.produce(relay.port)
    assert again.returncode == 0 and "trust." not in again.stderr
    assert stranger.known.read_text(encoding="utf-8") == first
    member = relay.joined(("g",))
    member.notify("g", -1)
    assert len(member.receive(2)) == 2
    assert member.stop()


def test_key_changes(relay, programs, work):
    stranger = Stranger(work)
    assert stranger.produce(relay.port).returncode == 0
    before = stranger.known.read_text(encoding="utf-8")
    (work / "other").mkdir()
    other = relay_support.NetkitRelay(programs, work / "other")
    # the address now leads to another relay with the same password: as after a new installation
    stranger.known.write_text(before.replace(f":{relay.port} ", f":{other.port} "),
                              encoding="utf-8")
    done = stranger.produce(other.port)
    assert done.returncode == 0 and "event=trust.changed" in done.stderr
    learnt = stranger.known.read_text(encoding="utf-8")
    assert learnt != before
    # what the user wrote is never replaced
    stranger.known.write_text(before.replace(f":{relay.port} ", f":{other.port} ")
                              .replace(" password ", " user "), encoding="utf-8")
    pinned = stranger.known.read_text(encoding="utf-8")
    assert stranger.produce(other.port).returncode == 77
    assert stranger.known.read_text(encoding="utf-8") == pinned


def test_wrong_password(relay, work):
    stranger = Stranger(work, "not the right one 4711")
    done = stranger.produce(relay.port)
    assert done.returncode == 77 and "does not know this password" in done.stderr
    assert not stranger.known.exists()
    relay.program.wait_line(r"event=auth\.fail")


def test_tlspyo_wire_needs_verification(relay, work):
    """It would show the password to whoever answers."""
    assert Stranger(work).produce(relay.port, "--wire", "tlspyo").returncode == 77


class Between:
    """TLS to both sides, and everything passed on; `seen` is what the client's side said."""

    def __init__(self, relay, work, alpn):
        assert support.run("cert", "new", "-o", work / "between").returncode == 0
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(work / "between" / "certificate.pem",
                                    work / "between" / "key.pem")
        self.client = ssl.create_default_context(cafile=relay.ca)
        if alpn:
            self.server.set_alpn_protocols(["netkit-relay/1"])
            self.client.set_alpn_protocols(["netkit-relay/1"])
        self.relay = relay
        self.seen = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                raw, _ = self.listener.accept()
                self._join(raw)
            except OSError:
                if self.listener.fileno() < 0:
                    return

    def _join(self, raw):
        victim = self.server.wrap_socket(raw, server_side=True)
        onward = self.client.wrap_socket(socket.create_connection(("127.0.0.1", self.relay.port)),
                                         server_hostname="default")
        back = threading.Thread(target=self._copy, args=(onward, victim), daemon=True)
        back.start()
        self._copy(victim, onward, keep=True)
        onward.close()
        back.join(support.PATIENCE)
        victim.close()

    def _copy(self, source, target, keep=False):
        try:
            while piece := source.recv(65536):
                if keep:
                    self.seen += piece
                target.sendall(piece)
        except OSError:
            pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.mark.parametrize("alpn", [True, False])
def test_somebody_in_between(relay, work, alpn):
    """He passes everything on, or pretends to know tlspyo's wire only: he gets nothing."""
    between = Between(relay, work, alpn)
    stranger = Stranger(work)
    start = len(relay.program.lines)
    done = stranger.produce(between.port, text="the secret object")
    between.stop()
    assert done.returncode != 0
    assert relay_support.PASSWORD.encode("ascii") not in between.seen
    assert b"the secret object" not in between.seen
    assert not stranger.known.exists()
    assert not [line for line in relay.program.lines[start:] if "event=auth.ok" in line]


KEYS = """
[identity robot]
key = {key}
[identity cert]
cert = CN:worker
[acl all]
identity = *
match = g
allow = produce
"""


def test_key_and_certificate(programs, work):
    keygen = support.need_command("ssh-keygen")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", work / "id"], check=True)
    public = (work / "id.pub").read_text(encoding="utf-8").strip()
    assert support.run("cert", "new", "--cn", "worker", "-o", work / "worker").returncode == 0
    worker = work / "worker" / "certificate.pem"
    (work / "relay").mkdir()
    relay = relay_support.NetkitRelay(programs, work / "relay", ini=KEYS.format(key=public),
                                      extra=("--client-ca", worker))
    tls = ["--client-cert", worker, "--client-key", work / "worker" / "key.pem",
           "--ca", relay.ca]

    def produce(*args):
        return support.run("endpoint", "produce", "--to", "g", "--connect",
                           f"tcp:127.0.0.1:{relay.port}", "--state-dir", work / "none", *args,
                           input="x")

    assert produce(*tls).returncode == 0
    relay.program.wait_line(r"certificate as 'cert', TLS event=auth\.ok")
    assert produce("--ca", relay.ca, "--login-key", work / "id").returncode == 77
    done = produce("--login-key", work / "id", "--client-cert", worker,
                   "--client-key", work / "worker" / "key.pem")
    assert done.returncode == 77         # nothing vouches for the relay


def test_key(programs, work):
    keygen = support.need_command("ssh-keygen")
    for name in ("id", "other"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", work / name], check=True)
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "secret", "-f", work / "locked"],
                   check=True)
    public = (work / "id.pub").read_text(encoding="utf-8").strip()
    (work / "relay").mkdir()
    relay = relay_support.NetkitRelay(
        programs, work / "relay", ini=f"[identity robot]\nkey = {public}\n")

    def produce(key, *args):
        return support.run("endpoint", "produce", "--to", "g", "--connect",
                           f"tcp:127.0.0.1:{relay.port}", "--state-dir", work / "none",
                           "--ca", relay.ca, "--login-key", work / key, *args, input="x")

    assert produce("id").returncode == 0
    relay.program.wait_line(r"key as 'robot', TLS event=auth\.ok")
    assert produce("id", "--identity", "robot").returncode == 0
    assert produce("id", "--identity", "default").returncode == 77
    assert produce("other").returncode == 77
    done = produce("locked")
    assert done.returncode == 78 and "passphrase" in done.stderr
    done = produce("id.pub")
    assert done.returncode in (77, 78)
