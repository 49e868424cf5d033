# SPDX-License-Identifier: MIT
"""Who may log in on the native wire, and do what: certificates and passwords at one listener, several
identities, rotation; what a login is bound to."""

import signal
import socket
import ssl
import struct
import subprocess

import pytest

import relay_support
import support
from relay_support import NetkitRelay, lines, succeeded

import native_peer as native

RULES = """
[identity alice]
password_file = {dir}/alice
{more}
[identity bob]
password_file = {dir}/bob
[identity worker]
cert = CN:worker

[acl makers]
identity = alice
match = jobs.*
allow = produce, broadcast
[acl takers]
identity = bob
identity = worker
match = jobs.*
allow = consume
[acl foreman]
identity = worker
match = jobs.mine
allow = admin
[acl boss]
identity = default
match = *
allow = produce, broadcast, consume, admin
"""


class World:
    """One listener with TLS: certificates are asked for, and may be missing."""

    def __init__(self, start, work, mode="optional"):
        self.dir = work
        for name in ("alice", "bob", "second"):
            relay_support.write_secret(work / name, f"the password of {name} 4711\n")
        for name in ("worker", "stranger"):
            succeeded(support.run("cert", "new", "--cn", name, "-o", work / f"{name}.tls"))
        (work / "relay").mkdir()
        self.relay = NetkitRelay(
            start, work / "relay", ini=self.text(),
            extra=("--client-ca", work / "worker.tls" / "certificate.pem", "--client-cert", mode))

    def text(self, more=""):
        return RULES.format(dir=self.dir, more=more)

    def run(self, verb, *args, **kw):
        return support.run("endpoint", verb, *args, "--connect", f"tcp:{self.relay.address}",
                           "--state-dir", self.dir / "none", "--ca", self.relay.ca, **kw)

    def password(self, name):
        return ["--password-file", self.dir / name]

    def certificate(self, name):
        folder = self.dir / f"{name}.tls"
        return ["--client-cert", folder / "certificate.pem", "--client-key", folder / "key.pem"]

    def reload(self, text):
        start = self.relay.program.mark()
        self.relay.config.write_text(text, encoding="utf-8")
        self.relay.program.proc.send_signal(signal.SIGHUP)
        self.relay.program.wait_line("reload", start)

    def tls(self, name, version=ssl.TLSVersion.TLSv1_3, options=0):
        """A connection of Python's TLS with this certificate and our ALPN."""
        context = ssl.create_default_context(cafile=self.relay.ca)
        context.set_alpn_protocols(["netkit-relay/1"])
        context.minimum_version = context.maximum_version = version
        context.options |= options
        folder = self.dir / f"{name}.tls"
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        raw = socket.create_connection(("127.0.0.1", self.relay.port), timeout=support.PATIENCE)
        return context.wrap_socket(raw, server_hostname="default")


@pytest.fixture
def world(programs, work):
    return World(programs, work)


def test_certificates_and_passwords_at_one_listener(world):
    succeeded(world.run("produce", "--to", "jobs.a", "--text", "x", *world.password("alice")))
    world.relay.program.wait_line(r"password as 'alice', TLS event=auth\.ok")
    got = lines(world.run("notify", "jobs.a", *world.certificate("worker")))
    assert [d["value"] for d in got] == ["x"]
    world.relay.program.wait_line(r"certificate as 'worker', TLS event=auth\.ok")
    stock = world.relay.joined(("jobs.a",))  # tlspyo's wire, without a certificate
    assert stock.stop()
    start = world.relay.program.mark()
    done = world.run("notify", "jobs.a", *world.certificate("stranger"))
    assert done.returncode != 0  # a bad certificate is worse than none
    world.relay.program.wait_line(r"not trusted", start)
    done = world.run("notify", "jobs.a", *world.certificate("stranger"), *world.password("bob"))
    assert done.returncode != 0
    with pytest.raises((ssl.SSLError, ConnectionError, native.Closed)):
        native.Peer(world.tls("stranger", ssl.TLSVersion.TLSv1_2))


def test_certificates_are_required_unless_told_otherwise(programs, work):
    world = World(programs, work, mode="required")
    assert world.run("produce", "--to", "jobs.a", "--text", "x",
                     *world.password("alice")).returncode != 0
    assert world.run("notify", "jobs.a", "--no-wait", *world.certificate("worker")).returncode == 0


def test_optional_needs_something_to_be_optional(work):
    done = support.run("relay", "--state-dir", work / "state", "--listen", "tcp:127.0.0.1:0",
                       "--client-cert", "optional")
    assert done.returncode == 78 and "client_ca" in done.stderr


def test_several_identities(world):
    def denied(done):
        assert done.returncode == 77, (done.returncode, done.stderr)

    succeeded(world.run("produce", "--to", "jobs.a", "--text", "x", *world.password("alice")))
    denied(world.run("produce", "--to", "other", "--text", "x", *world.password("alice")))
    denied(world.run("produce", "--to", "jobs.a", "--text", "x", *world.password("bob")))
    denied(world.run("broadcast", "--to", "jobs.a", "--text", "x", *world.certificate("worker")))
    denied(world.run("notify", "jobs.a", "--no-wait", *world.password("alice")))
    denied(world.run("notify", "other", "--no-wait", *world.password("bob")))
    world.relay.program.wait_line(r"'bob' may not produce in group 'jobs\.a'.*event=acl\.deny")
    denied(world.run("notify", "jobs.a", "--no-wait", "--identity", "alice",
                     *world.password("bob")))  # the password of somebody else
    got = lines(world.run("notify", "jobs.a", "--identity", "bob", *world.password("bob")))
    assert [d["value"] for d in got] == ["x"]


def test_rotation(world, programs):
    """Two passwords are valid at once, then only the new one; who is in stays in."""
    alice = programs([support.NETKIT, "endpoint", "produce", "--to", "jobs.a", "--lines", "--connect",
                      f"tcp:{world.relay.address}", "--state-dir", world.dir / "none", "--ca",
                      world.relay.ca, *world.password("alice")], stdin=subprocess.PIPE)
    alice.proc.stdin.write(b"before\n")
    alice.proc.stdin.flush()
    world.relay.program.wait_line(r"password as 'alice'")
    words = ["produce", "--to", "jobs.a", "--text", "x"]
    assert world.run(*words, *world.password("second")).returncode == 77
    world.reload(world.text(f"password_file = {world.dir}/second\n"))
    support.wait_until(lambda: world.run(*words, *world.password("second")).returncode == 0)
    succeeded(world.run(*words, *world.password("alice")))
    world.reload(world.text().replace(f"{world.dir}/alice", f"{world.dir}/second"))
    support.wait_until(lambda: world.run(*words, *world.password("alice")).returncode == 77)
    succeeded(world.run(*words, *world.password("second")))
    alice.proc.stdin.write(b"after\n")
    alice.proc.stdin.close()
    assert alice.wait() == 0, alice.stderr()


def test_rotation_of_keys(programs, work):
    """Two keys of one identity are valid at once, then only the new one; who is in stays in, and is
    refused when it comes again."""
    keygen = support.need_command("ssh-keygen")
    for name in ("old", "new"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", work / name], check=True)
    public = {name: (work / f"{name}.pub").read_text(encoding="utf-8").strip()
              for name in ("old", "new")}

    def text(*names):
        return "[identity robot]\n" + "".join(f"key = {public[name]}\n" for name in names)

    (work / "relay").mkdir()
    relay = NetkitRelay(programs, work / "relay", ini=text("old"))
    common = ["--to", "g", "--connect", f"tcp:{relay.address}", "--state-dir", work / "none", "--ca",
              relay.ca]

    def produce(name):
        return support.run("endpoint", "produce", *common, "--text", "x", "--login-key",
                           work / name)

    def reload(*names):
        start = relay.program.mark()
        relay.config.write_text(text(*names), encoding="utf-8")
        relay.program.proc.send_signal(signal.SIGHUP)
        relay.program.wait_line("reload", start)

    resident = programs([support.NETKIT, "endpoint", "produce", *common, "--lines", "--login-key",
                         work / "old"], stdin=subprocess.PIPE)
    resident.proc.stdin.write(b"before\n")
    resident.proc.stdin.flush()
    relay.program.wait_line(r"key as 'robot'")
    assert produce("new").returncode == 77
    reload("old", "new")
    support.wait_until(lambda: produce("new").returncode == 0)
    succeeded(produce("old"))
    reload("new")
    start = relay.program.mark()
    support.wait_until(lambda: produce("old").returncode == 77)
    relay.program.wait_line(r"an unknown key.*event=auth\.fail", start)
    succeeded(produce("new"))
    resident.proc.stdin.write(b"after\n")
    resident.proc.stdin.close()
    assert resident.wait() == 0, resident.stderr()
    assert "'robot' was removed" not in "\n".join(relay.program.lines)


@pytest.mark.parametrize("no_ems", [0, 1])
def test_client_without_extended_master_secret(work, no_ems):
    """A relay of TLS 1.2 without it: the client leaves before it says anything about its password."""
    succeeded(support.run("cert", "new", "--cn", "relay", "--san", "DNS:default", "-o",
                          work / "relay.tls"))
    certificate = work / "relay.tls" / "certificate.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= no_ems  # SSL_OP_NO_EXTENDED_MASTER_SECRET, which Python has no name for
    context.set_alpn_protocols(["netkit-relay/1"])
    context.load_cert_chain(certificate, work / "relay.tls" / "key.pem")
    relay_support.write_secret(work / "pw", relay_support.PASSWORD + "\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(support.PATIENCE)
        client = subprocess.Popen(
            [support.NETKIT, "endpoint", "produce", "--to", "g", "--text", "x", "--tls12",
             "--connect", f"tcp:127.0.0.1:{listener.getsockname()[1]}",
             "--state-dir", work / "none", "--ca", certificate, "--password-file", work / "pw"],
            stderr=subprocess.PIPE, text=True)
        sock = context.wrap_socket(listener.accept()[0], server_side=True)
        peer = native.Peer(sock, hello=False)
        assert peer.receive().type == native.HELLO
        peer.send(native.CHALLENGE, bytes([1, 8, 0, 0]) + bytes(4) + b"n" * 32 + b"s" * 16
                  + struct.pack("<II", 8192, 1) + bytes([1, 0]))
        if no_ems:
            assert peer.closed() in (native.LOGIN, None)
            assert not [f for f in peer.unread if f.type == native.AUTH]
        else:
            assert peer.receive().type == native.AUTH
            peer.close()
            client.terminate()
        _, err = client.communicate(timeout=support.PATIENCE)
        assert ("extended master secret" in err) == bool(no_ems), err
        if no_ems:
            assert client.returncode == 77, err


def test_who_may_purge(world):
    peer = native.Peer(world.tls("worker"))
    groups = {name: peer.open(name).group for name in ("jobs.a", "jobs.mine")}
    for name in groups:
        succeeded(world.run("produce", "--to", name, "--text", "x", *world.password("alice")))
    assert peer.purge(groups["jobs.a"]) == native.DENIED
    world.relay.program.wait_line(r"'worker' may not admin in group 'jobs\.a'.*event=acl\.deny")
    assert peer.purge(groups["jobs.mine"]) == native.OK
    world.relay.program.wait_line(r"'worker' purges group 'jobs\.mine'.*event=admin\.purge")
    assert len(peer.drain(groups["jobs.a"])) == 1
    assert peer.drain(groups["jobs.mine"]) == []
    peer.send(native.PURGE, group=0xFFFF, seq=1)
    assert peer.closed() == native.PROTOCOL


def test_purge_command(world):
    """`netkit relay purge --connect` may do what its identity may."""
    def purge(*args):
        return support.run("relay", "purge", *args, "--connect", f"tcp:{world.relay.address}",
                           "--state-dir", world.dir / "none", "--ca", world.relay.ca)

    def produce():
        for name in ("jobs.a", "jobs.mine"):
            succeeded(world.run("produce", "--to", name, "--text", "x", *world.password("alice")))

    def taken(name):
        return len(lines(world.run("notify", name, "--no-wait", *world.certificate("worker"))))

    produce()
    worker = world.certificate("worker")
    support.check_error(purge("jobs.mine", *worker), 2, "--yes")
    support.check_error(purge("jobs.mine", "--dry-run", *worker), 2, "--dry-run")
    support.check_error(purge("jobs.mine", "jobs.mine", "--yes", *worker), 2)
    support.check_error(purge("jobs.a", "--yes", *worker), 77, "jobs.a", "admin")
    support.check_error(purge("jobs.mine", "--yes", *world.password("bob")), 77, "jobs.mine")
    done = succeeded(purge("jobs.mine", "--yes", *worker))
    assert done.stdout == '{"groups":1}\n'
    world.relay.program.wait_line(r"'worker' purges group 'jobs\.mine'.*event=admin\.purge")
    assert (taken("jobs.a"), taken("jobs.mine")) == (1, 0)
    support.check_error(purge("jobs.mine", "--yes", "--wire", "tlspyo", *world.password("alice")), 1,
                        "native")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_login_over_foreign_tls(world, version):
    peer = native.Peer(world.tls("worker", version))
    assert peer.open("jobs.a").status == native.OK
    assert peer.open("other").status == native.DENIED
    peer.close()


def test_no_login_without_extended_master_secret(world):
    """TLS 1.2 without it: nothing that a login could be bound to. Not even by certificate."""
    no_ems = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET, which Python has no name for
    with pytest.raises(native.Closed) as refusal:
        native.Peer(world.tls("worker", ssl.TLSVersion.TLSv1_2, no_ems))
    assert refusal.value.code == native.LOGIN and "extended master secret" in str(refusal.value)


def test_renewed_certificate_with_the_same_key(programs, work):
    """Pins and known_relays are about the key: a renewal is no news, another key is."""
    (work / "relay").mkdir()
    relay = NetkitRelay(programs, work / "relay")
    mine = ["--state-dir", work / "mine", "--password-file", relay.password_file]
    pin = relay.program.wait_line(r"pin (sha256:[0-9a-f]+)").group(1)

    def produce(relay, *args):
        return support.run("endpoint", "produce", "--to", "g", "--text", "x", "--connect",
                           f"tcp:{relay.address}", *args)

    assert "event=trust.new" in succeeded(produce(relay, *mine)).stderr
    known = (work / "mine" / "known_relays").read_text(encoding="utf-8")
    assert relay.stop() == 0
    before = relay.ca.read_bytes()
    subprocess.run([support.need_command("openssl"), "req", "-x509", "-key",
                    relay.ca.with_name("key.pem"), "-out", relay.ca, "-days", "30", "-subj",
                    "/CN=default", "-addext", "subjectAltName=DNS:default"], check=True,
                   capture_output=True)
    assert relay.ca.read_bytes() != before
    renewed = NetkitRelay(programs, work / "relay", listen=f"tcp:{relay.address}")
    assert "trust." not in succeeded(produce(renewed, *mine)).stderr
    assert (work / "mine" / "known_relays").read_text(encoding="utf-8") == known
    succeeded(produce(renewed, "--state-dir", work / "other", "--password-file",
                      relay.password_file, "--pin", pin))


def test_short_guesses_on_tlspyo_s_wire_count(programs, work):
    """Complete frames with a password shorter than ours are never refused, and counted all the same."""
    relay = relay_support.Relay(programs, work, connection="TCP")
    long = "x" * 400  # the relay waits for as many bytes before it says anything
    relay_support.write_secret(relay.password_file, long + "\n")
    assert relay.stop() == 0
    relay = NetkitRelay(programs, work, tls=False, password=long)
    relay.command = relay_support.Relay.command.__get__(relay)
    relay.frame = relay_support.Relay.frame.__get__(relay)
    for guess in ("a", "guess", "x" * 20):
        mark = relay.program.mark()
        with socket.create_connection(("127.0.0.1", relay.port)) as sock:
            sock.sendall(relay.command("HELLO", None, ("g",), password=guess))
            sock.settimeout(0.2)
            relay_support.read_frame(sock)  # the relay's HELLO, and nothing else
            with pytest.raises(TimeoutError):
                sock.recv(1)
        relay.program.wait_line(r"event=auth\.fail", mark)
    mark = relay.program.mark()
    with socket.create_connection(("127.0.0.1", relay.port)) as sock:
        whole = relay.command("HELLO", None, ("g",), password=long)
        sock.sendall(whole[:30])  # half a frame is no guess
    assert relay.joined("g").stop()
    assert "auth.fail" not in "\n".join(relay.program.lines[mark:])
