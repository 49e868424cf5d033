# SPDX-License-Identifier: MIT
"""Bad input at a relay: a closed connection with a logged reason, or one clear line and the right exit
code; other clients unaffected; memory bounded before authentication."""

import os
import pickle
import random
import resource
import select
import socket
import ssl
import time

import pytest

import support
from relay_support import (Bystander, Relay, closed_by_peer, credentials, join, netkit_endpoint,
                           openssl_credentials, read_frame, reset, tlspyo_peer)
from support import check_error, run, wait_until

DENIED, CONFIG = 77, 78
KIB, MIB = 1024, 1024 * 1024


@pytest.fixture(params=["TLS", "TCP"])
def relay(request, programs, work):
    """A relay, with a pair of endpoints that work before and after each test."""
    r = Relay(programs, work, connection=request.param)
    others = Bystander(r)
    others.check()
    yield r
    assert r.program.alive(), r.program.stderr()
    others.close()
    assert r.program.stop() == 0
    assert r.password not in r.program.stderr()


@pytest.fixture
def tls_relay(programs, work):
    return Relay(programs, work)


def refused(relay, data, log=None, start=None):
    """Send data on a fresh connection: the relay must end it, and log why."""
    mark = relay.program.mark() if start is None else start
    with relay.connect() as sock:
        try:
            sock.sendall(data)
        except (ConnectionError, OSError):
            pass  # it may end the connection before everything is written
        assert closed_by_peer(sock), "the relay keeps the connection"
    return relay.program.wait_line(log, mark) if log else None


# --- passwords -------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["", "x", "close but no", "\u00e9" * 40, "A" * 4000])
def test_wrong_password(relay, wrong):
    mark = relay.program.mark()
    with relay.connect() as sock:
        me = "{}:{}".format(*sock.getsockname())
        sock.sendall(relay.command("HELLO", None, ("g",), password=wrong))
        assert closed_by_peer(sock)
    relay.program.wait_line(r'"auth.fail"', mark)
    events = [line for line in relay.log_lines(mark) if line.event == "auth.fail"]
    assert [line.peer for line in events] == [me]
    assert not wrong or wrong not in events[0].msg


def test_password_that_differs_in_one_place(relay):
    for at in (0, len(relay.password) // 2, len(relay.password) - 1):
        wrong = relay.password[:at] + ("x" if relay.password[at] != "x" else "y") + \
            relay.password[at + 1:]
        refused(relay, relay.command("HELLO", None, ("g",), password=wrong), "auth.fail")


def test_right_password_first_wrong_later(relay):
    with relay.connect() as sock:
        join(sock, relay, "g")
        sock.sendall(relay.command("NTF", {"g": 1}, password="wrong"))
        assert closed_by_peer(sock)


def test_guessing_is_slowed_down(relay):
    times = []
    for i in range(3):
        started = time.monotonic()
        refused(relay, relay.command("HELLO", None, ("g",), password=f"guess {i}"))
        times.append(time.monotonic() - started)
    assert times[0] > 0.2 and times[-1] > 0.9, times  # 250 ms, doubled each time


# --- frames ----------------------------------------------------------------------------------

HEADERS = [b"+5        ", b"-1        ", b"1_0       ", b" 25       ", b"0x10      ", b"25\t       ",
           b"          ", b"\0" * 10, b"25\n       ", b"2 5       ", b"\xff" * 10, b"2.5       ",
           b"9999999999", b"99999999\0 ", b"GET / HTTP", b"SSH-2.0-Op", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"]


@pytest.mark.parametrize("header", HEADERS)
def test_bad_header(relay, header):
    refused(relay, header + relay.password.encode() + b"x" * 100, "127.0.0.1")


def test_truncated_header_and_silence(relay):
    """A connection that ends in the middle of a frame costs nothing and hurts nobody."""
    whole = relay.command("HELLO", None, ("g",))
    for n in (0, 1, 9, 10, 11, 15, len(whole) - 1):
        with relay.connect() as sock:
            sock.sendall(whole[:n])


def test_endless_header(relay):
    refused(relay, b"1" * (8 * MIB))


def test_oversized_frame_is_refused_at_its_header(relay):
    with relay.connect() as sock:
        join(sock, relay, "g")
        mark = relay.program.mark()
        before = relay.program.rss()
        sock.sendall(b"9999999999" + relay.password.encode())
        assert closed_by_peer(sock)
    relay.program.wait_line(r"127\.0\.0\.1", mark)
    assert relay.program.rss() - before < MIB


class Evil:
    """A pickle that runs a program where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


FORBIDDEN = {
    "global": b"\x80\x02cos\nsystem\n(S'true'\ntR.",
    "stack_global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "newobj": b"\x80\x02c__builtin__\nobject\n)\x81.",
    "persid": b"Psomething\n.",
    "ext": b"\x80\x02\x82\x01.",
    "next_buffer": b"\x80\x05\x97.",
    "text_int": b"I1\n.",
    "empty": b"",
    "stop": b".",
    "no_stop": b"\x80\x04(K\x01",
    "underflow": b"\x80\x04t.",
    "memo": b"\x80\x04hJ.",
    "trailing": pickle.dumps((1, "HELLO", None, ("g",)), 4) + b".",
    "not_a_tuple": pickle.dumps(["x"], 4),
    "short_tuple": pickle.dumps((1, "HELLO"), 4),
    "long_tuple": pickle.dumps((1, "HELLO", None, None, None), 4),
    "text_stamp": pickle.dumps(("1", "HELLO", None, ("g",)), 4),
    "bytes_command": pickle.dumps((1, b"HELLO", None, ("g",)), 4),
    "huge_string": b"\x80\x04(K\x01\x8d\xff\xff\xff\xff\xff\xff\xff\x7fHELLO",
    "huge_bytes": b"\x80\x04(K\x01B\xff\xff\xff\xffxx",
    "bad_utf8": b"\x80\x04(K\x01\x8c\x05HELL\xffNNt.",
    "deep": b"\x80\x04" + b"(" * 10000 + b"t" * 10000 + b".",
    "nested": b"\x80\x04K\x01" + b"\x85" * 10000 + b".",
    "long_stamp": b"\x80\x04(\x8a\xff" + b"\x01" * 255 + b"\x8c\x05HELLONNt.",
}


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_forbidden_pickle(relay, name):
    refused(relay, relay.frame(FORBIDDEN[name]), r"127\.0\.0\.1")


def test_pickle_is_never_executed(relay, work):
    target = work / "executed"
    for protocol in range(2, 6):
        evil = pickle.dumps((1, "HELLO", None, Evil(target)), protocol)
        refused(relay, relay.frame(evil))
    # As an object it is opaque: delivered, never looked into.
    with relay.connect() as sock:
        join(sock, relay, "opaque")
        payload = pickle.dumps(Evil(target), 4)
        sock.sendall(relay.command("OBJ", {"opaque": -1}, payload))
        frames = [read_frame(sock), read_frame(sock)]
    assert ("OBJ", payload) in [(cmd, obj) for _, cmd, obj in frames]
    assert not target.exists()


BAD_COMMANDS = {
    "unknown": ("FOO", None, None),
    "lower case": ("hello", None, ("g",)),
    "empty": ("", None, None),
    "group of numbers": ("HELLO", None, (1, 2)),
    "groups as number": ("HELLO", None, 7),
}


@pytest.mark.parametrize("name", sorted(BAD_COMMANDS))
def test_bad_command(relay, name):
    with relay.connect() as sock:
        if "group" not in name:
            join(sock, relay, "g")
        sock.sendall(relay.command(*BAD_COMMANDS[name]))
        assert closed_by_peer(sock)


def test_second_hello(relay):
    with relay.connect() as sock:
        join(sock, relay, "g")
        sock.sendall(relay.command("HELLO", None, ("g",)))
        assert closed_by_peer(sock)


@pytest.mark.parametrize("dest", [None, 5, "g", {"g": "1"}, {"g": None}, {5: 1}, {"g": 1.5},
                                  {"g": 10 ** 30}, [("g", 1)]])
@pytest.mark.parametrize("cmd", ["OBJ", "NTF"])
def test_bad_destination(relay, cmd, dest):
    with relay.connect() as sock:
        join(sock, relay, "g")
        sock.sendall(relay.command(cmd, dest, b"x"))
        assert closed_by_peer(sock)


def test_huge_counts_cost_nothing(relay):
    """tlspyo loops over the count of a produce."""
    with relay.connect() as sock:
        join(sock, relay)
        before = relay.program.rss()
        sock.sendall(relay.command("OBJ", {"many": 2 ** 31 - 1}, pickle.dumps("x", 4), stamp=5))
        assert read_frame(sock)[:2] == (5, "ACK")
    assert relay.program.rss() - before < MIB


def test_objects_before_hello_go_nowhere(relay):
    with relay.endpoint(groups=("g",)) as receiver, relay.connect() as sock:
        receiver.wait_joined()
        read_frame(sock)
        sock.sendall(relay.command("OBJ", {"g": -1}, pickle.dumps("too early", 4), stamp=1))
        sock.sendall(relay.command("HELLO", None, (), stamp=2))
        assert read_frame(sock)[:2] == (1, "ACK")
        assert read_frame(sock)[:2] == (2, "ACK")
        assert receiver.nothing()


def test_random_bytes(relay):
    """Seeded noise at every stage of a connection."""
    rng = random.Random(20261120)
    for i in range(150):
        with relay.connect() as sock:
            if i % 3 == 1:
                join(sock, relay, "noise")
            data = rng.randbytes(rng.choice([1, 5, 30, 1000, 70000]))
            if i % 3 == 2:
                data = relay.frame(data)
            try:
                sock.sendall(data)
                if rng.random() < 0.5:
                    reset(sock)
            except (ConnectionError, OSError):
                pass


def test_mutated_commands(relay):
    """Good frames with a few bytes changed, behind the right password."""
    rng = random.Random(4711)
    good = [pickle.dumps((1, "HELLO", None, ("g", "h")), p) for p in range(2, 6)] + \
        [pickle.dumps((2, "OBJ", {"g": -1, "h": 3}, b"payload"), 4)]
    for _ in range(150):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with relay.connect() as sock:
            try:
                sock.sendall(relay.frame(bytes(data)))
            except (ConnectionError, OSError):
                pass


# --- handshakes and floods -------------------------------------------------------------------


def test_no_tls_at_all(tls_relay):
    others = Bystander(tls_relay)
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 1000, os.urandom(5000),
                 tls_relay.command("HELLO", None, ("g",))):
        mark = tls_relay.program.mark()
        sock = tls_relay.connect(handshake=False)
        sock.sendall(data)
        assert closed_by_peer(sock)
        tls_relay.program.wait_line(r"127\.0\.0\.1", mark)
    others.close()


def test_slow_handshakes_are_ended(programs, work):
    """Silence, one byte at a time, and a handshake without HELLO: each has the same deadline."""
    relay = Relay(programs, work, "--hello-timeout", "1s")
    others = Bystander(relay)
    silent = relay.connect(handshake=False)
    dripping = relay.connect(handshake=False)
    greeted = relay.connect()
    started = time.monotonic()
    hello = b"\x16\x03\x01\x01\x00" + b"\x01" * 200
    open_socks = {silent, dripping, greeted}
    at = 0
    while open_socks and time.monotonic() - started < 10:
        try:
            dripping.sendall(hello[at:at + 1])
            at += 1
        except OSError:
            pass
        ready, _, _ = select.select(list(open_socks), [], [], 0.1)
        for sock in ready:
            try:
                if sock.recv(4096):
                    continue
            except OSError:
                pass
            open_socks.discard(sock)
    assert not open_socks, "not ended within 10 s"
    assert time.monotonic() - started >= 0.5
    others.close()


def raise_descriptor_limit(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(n, hard), hard))
    return min(n, hard)


def open_many(relay, total, held):
    """Connect `total` times, holding at most `held` at the same time (oldest given up first)."""
    socks = []
    for _ in range(total):
        socks.append(socket.create_connection(("127.0.0.1", relay.port), timeout=support.PATIENCE))
        if len(socks) > held:
            reset(socks.pop(0))
    return socks


def test_ten_thousand_connections_from_one_address(relay):
    limit = raise_descriptor_limit(1500)
    before = relay.program.rss()
    socks = open_many(relay, 10_000, held=min(1000, limit - 300))
    try:
        # While they are there: a newcomer gets through, and the memory stays bounded.
        with relay.endpoint(groups=("late",)) as late:
            late.wait_joined(support.PATIENCE)
            late.broadcast("through", "late")
            assert late.pop(support.PATIENCE) == "through"
        assert relay.program.rss() - before < 64 * MIB
    finally:
        for sock in socks:
            reset(sock)
    wait_until(lambda: relay.program.fds() < 64)


def test_descriptors_that_run_out(programs, work):
    """C35: `ulimit -n 64` and 200 clients: no spinning, and it recovers."""
    relay = Relay(programs, work, connection="TCP",
                  prefix=("sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"))
    socks = open_many(relay, 200, held=200)
    ticks = cpu_ticks(relay.program.pid)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        select.select([], [], [], deadline - time.monotonic())
    assert cpu_ticks(relay.program.pid) - ticks < 50  # of 100 in that second
    for sock in socks:
        reset(sock)
    others = Bystander(relay)
    others.close()
    assert len(relay.program.lines) < 300


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_memory_before_authentication(relay):
    """At most 64 KiB for each connection that has not shown the password."""
    n = 150
    socks = []
    before = relay.program.rss()
    start = b"50000000  " + relay.password.encode()[:-1]  # all of it but the last byte
    try:
        for _ in range(n):
            sock = relay.connect()
            sock.sendall(start)
            socks.append(sock)
        with relay.endpoint() as late:
            late.wait_joined(support.PATIENCE)
        assert relay.program.rss() - before < n * 64 * KIB
    finally:
        for sock in socks:
            reset(sock)


def client_hello(relay):
    """The first bytes of a real TLS handshake."""
    out = ssl.MemoryBIO()
    tls = tlspyo_peer.client_context(str(relay.ca)).wrap_bio(ssl.MemoryBIO(), out,
                                                             server_hostname="default")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def test_memory_of_half_open_handshakes_from_everywhere(tls_relay):
    """Many addresses with few connections each: no limit per address helps, but all of them share
    64 MiB, and a newcomer still gets in."""
    n = min(3000, raise_descriptor_limit(3500) - 300)
    others = Bystander(tls_relay)
    hello = client_hello(tls_relay)
    before = tls_relay.program.rss()
    socks = []
    try:
        for i in range(n):
            sock = socket.socket()
            sock.settimeout(support.PATIENCE)
            sock.bind((f"127.0.{1 + i // 200}.{1 + i % 100}", 0))
            sock.connect(("127.0.0.1", tls_relay.port))
            sock.sendall(hello)
            socks.append(sock)
        others.check()
        with tls_relay.endpoint() as late:
            late.wait_joined(support.PATIENCE)
        assert tls_relay.program.rss() - before < 72 * MIB  # 64 and what the allocator wastes
    finally:
        for sock in socks:
            reset(sock)
    others.close()
    assert tls_relay.program.stop() == 0


# --- the endpoint's side ---------------------------------------------------------------------


def test_endpoint_with_a_wrong_pin(tls_relay):
    done = netkit_endpoint(tls_relay, "broadcast", "--to", "g", "-", "--pin", "sha256:" + "00" * 32,
                           "--password-file", tls_relay.password_file, input="x", stdin=None)
    check_error(done, DENIED)


def test_endpoint_with_a_wrong_ca(tls_relay, work):
    _, other = openssl_credentials(work)
    done = netkit_endpoint(tls_relay, "broadcast", "--to", "g", "-", "--ca", other,
                           "--password-file", tls_relay.password_file, input="x", stdin=None)
    check_error(done, DENIED)


def test_endpoint_with_a_wrong_password(tls_relay, work):
    wrong = work / "wrong"
    wrong.write_text("certainly not this one\n", encoding="ascii")
    wrong.chmod(0o600)
    done = netkit_endpoint(tls_relay, "broadcast", "--to", "g", "-", "--ca", tls_relay.ca,
                           "--password-file", wrong, input="x", stdin=None)
    check_error(done, DENIED)


def test_endpoint_without_a_relay(work):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = run("endpoint", "broadcast", "--to", "g", "-", "--connect", f"tcp:127.0.0.1:{port}",
               "--state-dir", work / "state", "--timeout", "3s", input="x", stdin=None)
    assert done.returncode in (69, 75, DENIED, CONFIG)
    check_error(done, done.returncode)


# --- files and configuration -----------------------------------------------------------------


def serve(work, *args, timeout=10, **kw):
    """A relay that must refuse to start."""
    return run("relay", "--listen", "tcp:127.0.0.1:0", "--state-dir", work / "state", *args,
               timeout=timeout, **kw)


def make_bad(path, how, text):
    if how == "missing":
        return
    if how == "directory":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.write_text({"empty": "", "newline": "\n", "garbage": "no key\n"}.get(how, text),
                        encoding="ascii")
        path.chmod({"world-writable": 0o666, "world-readable": 0o644}.get(how, 0o600))


@pytest.mark.parametrize("how", ["missing", "empty", "newline", "world-writable", "world-readable",
                                 "directory", "fifo"])
def test_bad_password_file(work, how):
    path = work / "password"
    make_bad(path, how, "a good long password, really\n")
    line = check_error(serve(work, "--password-file", path, timeout=5),
                       DENIED if how.startswith("world") else CONFIG, str(path))
    assert "a good long" not in line
    if how.startswith("world"):
        assert "chmod 600" in line
    assert not (work / "state").exists(), "nothing may be made before all files are right"


# A certificate holds no secret: its mode is its owner's business.
BAD_PEM = [(which, how) for which in ("key", "cert")
           for how in ("missing", "empty", "garbage", "world-writable", "directory", "fifo")
           if (which, how) != ("cert", "world-writable")]


@pytest.mark.parametrize("which, how", BAD_PEM)
def test_bad_key_and_certificate_files(work, which, how):
    key, cert = openssl_credentials(work)
    path = work / "bad.pem"
    make_bad(path, how, (key if which == "key" else cert).read_text(encoding="ascii"))
    files = {"key": key, "cert": cert, which: path}
    check_error(serve(work, "--key", files["key"], "--cert", files["cert"], timeout=5),
                DENIED if how == "world-writable" else CONFIG, str(path))
    assert not (work / "state").exists()


def test_bad_client_ca_before_anything_is_made(work):
    path = work / "ca.pem"
    make_bad(path, "garbage", "")
    check_error(serve(work, "--client-ca", path), CONFIG, str(path))
    assert not (work / "state").exists()


def test_bad_own_file_before_anything_is_made(work):
    """A password that cannot be used is there already: no certificate is made beside it."""
    directory = work / "state" / "credentials"
    directory.mkdir(mode=0o700, parents=True)
    (work / "state").chmod(0o700)
    make_bad(directory / "password", "empty", "")
    check_error(serve(work), CONFIG, str(directory / "password"))
    assert [f.name for f in directory.iterdir()] == ["password"]


def test_password_from_a_pipe(programs, work):
    """It can be read only once, and is checked before the certificate is made."""
    done = run("relay", "--listen", "tcp:127.0.0.1:0", "--state-dir", work / "none",
               "--password-file", "-", input="\n", stdin=None, timeout=5)
    check_error(done, CONFIG)
    assert not (work / "none").exists()


def test_key_of_another_certificate(work):
    key, _ = openssl_credentials(work, "one")
    _, cert = credentials(work, "two")
    check_error(serve(work, "--key", key, "--cert", cert), CONFIG)


def test_broken_configuration(work):
    config = work / "netkit.ini"
    config.write_text("[relay]\nlisen = tcp:127.0.0.1:1\nheader_size = many\n[grup x]\n",
                      encoding="ascii")
    done = run("relay", "-c", config, "--state-dir", work / "state")
    assert done.returncode == CONFIG
    for n, word in ((2, "listen"), (3, "header_size"), (4, "grup")):
        assert any(f"{config}:{n}:" in line and word in line for line in done.stderr.splitlines())
    assert not (work / "state").exists(), "nothing may happen before everything is valid"


@pytest.mark.parametrize("listen", ["nonsense", "tcp:", "tcp:127.0.0.1", "tcp:127.0.0.1:99999",
                                    "tls+tcp:127.0.0.1:0", "tls:127.0.0.1:0", "unix:",
                                    "tcp:127.0.0.1:0,nosuch=1", "exec:cat", "tcp:127.0.0.1:0,x"])
def test_bad_listen(work, listen):
    done = run("relay", "--listen", listen, "--state-dir", work / "state")
    assert done.returncode in (2, CONFIG), done
    check_error(done, done.returncode)
    assert not (work / "state").exists()


def test_plain_tcp_beyond_loopback_must_be_allowed(work):
    done = run("relay", "--listen", "tcp:0.0.0.0:0", "--connection", "TCP", "--state-dir",
               work / "state", timeout=5)
    assert done.returncode in (2, CONFIG) and "allow" in done.stderr


def test_port_in_use(tls_relay, work):
    done = run("relay", "--listen", f"tcp:{tls_relay.address}", "--state-dir", work / "other",
               timeout=5)
    check_error(done, 69, str(tls_relay.port), "in use")


def test_second_instance_on_one_state_directory(tls_relay):
    done = run("relay", "--listen", "tcp:127.0.0.1:0", "--state-dir", tls_relay.state, timeout=5)
    check_error(done, 75)
    Bystander(tls_relay).close()


# --- secrets ---------------------------------------------------------------------------------


def test_credentials_are_private(tls_relay):
    for name, mode in (("key.pem", 0o600), ("password", 0o600)):
        assert os.stat(tls_relay.state / "credentials" / name).st_mode & 0o777 == mode
    assert os.stat(tls_relay.state).st_mode & 0o777 == 0o700
    with open(f"/proc/{tls_relay.program.pid}/cmdline", "rb") as f:
        assert tls_relay.password.encode() not in f.read()
    with open(f"/proc/{tls_relay.program.pid}/environ", "rb") as f:
        assert tls_relay.password.encode() not in f.read()
    assert tls_relay.password and tls_relay.password not in tls_relay.program.stderr()


def test_restart_keeps_credentials(programs, work):
    first = Relay(programs, work)
    kept = (first.password, first.ca.read_bytes())
    assert first.program.stop() == 0
    second = Relay(programs, work)
    assert kept == (second.password, second.ca.read_bytes())
