# SPDX-License-Identifier: MIT
"""A relay with a very long object under way, with very many connections, and with more than it has
descriptors for. NK_LARGE_MIB and NK_IDLE set the sizes; tests/full/scale.sh has the large ones."""

import os
import resource
import socket
import ssl
import statistics
import threading
import time

import pytest

import support
from relay_support import NetkitRelay

import native_peer as native
from native_peer import BROADCAST, MORE, PING, PONG, Peer

MIB = 1 << 20
LARGE = int(os.environ.get("NK_LARGE_MIB", "64")) * MIB
IDLE = int(os.environ.get("NK_IDLE", "2000"))
DRAIN = 20_000_000      # bytes per second that the slow receiver takes
DELAY = 0.020           # what a long object may add to a ping
CONNECTION_BYTES = 2048  # of an idle one, at most
SPARE_FDS = 100

IDENTITY = "[identity worker]\ncert = CN:worker\n"


# --- a long object -----------------------------------------------------------------------------


class Net:
    """A relay with TLS over TCP, where a certificate is the login."""

    def __init__(self, start, work):
        assert support.run("cert", "new", "--cn", "worker", "-o", work / "worker").returncode == 0
        self.cert = work / "worker" / "certificate.pem"
        self.key = work / "worker" / "key.pem"
        (work / "relay").mkdir()
        self.relay = NetkitRelay(
            start, work / "relay", ini=IDENTITY,
            extra=("--client-ca", self.cert, "--engine", "memory", "--max-object", str(LARGE),
                   "--max-memory", str(4 * LARGE), "--max-backlog", str(2 * LARGE)))

    def peer(self, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, 25, 131072)  # TCP_NOTSENT_LOWAT
        sock.connect(("127.0.0.1", self.relay.port))
        tls = ssl.create_default_context(cafile=str(self.relay.ca))
        tls.check_hostname = False
        tls.set_alpn_protocols(["netkit-relay/1"])
        tls.load_cert_chain(str(self.cert), str(self.key))
        return Peer(tls.wrap_socket(sock), patience=120.0)


class SlowReader(threading.Thread):
    """Drains its connection at DRAIN bytes per second, and pings meanwhile."""

    def __init__(self, peer):
        super().__init__()
        self.peer, self.delays, self.got, self.failure = peer, [], 0, None

    def run(self):
        try:
            self.read()
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def read(self):
        sock, data, skip, taken = self.peer.sock, bytearray(), 0, 0
        begin = last_ping = None
        while self.got < LARGE:
            piece = sock.recv(32768)
            assert piece
            taken += len(piece)
            now = time.monotonic()
            begin = begin or now
            if last_ping is None or now - last_ping > 0.05:
                last_ping = now
                self.peer.send(PING, str(now).encode())
            data += piece
            while True:
                part = min(skip, len(data))
                del data[:part]
                skip -= part
                if skip or len(data) < 16:
                    break
                length = int.from_bytes(data[1:4], "little")
                if data[0] == PONG:
                    if len(data) < 16 + length:
                        break
                    self.delays.append(now - float(data[16:16 + length]))
                self.got += length if data[0] == BROADCAST else 0
                skip = 16 + length
            time.sleep(max(0, begin + taken / DRAIN - time.monotonic()))


def publish_slowly_enough(peer, group):
    """One object of LARGE bytes in fragments, with a ping after each MiB: their delays."""
    delays, seq, chunk = [], next(peer.seqs[group]), bytes(native.FRAGMENT)
    for at in range(0, LARGE, len(chunk)):
        while peer.used[group] + 16 + len(chunk) > peer.window[group]:
            peer.unread.append(peer.expect_new())
        last = at + len(chunk) >= LARGE
        peer.publish(BROADCAST, group, chunk, seq=seq, flags=0 if last else MORE)
        if at % MIB == 0:
            begin = time.monotonic()
            peer.in_order()
            delays.append(time.monotonic() - begin)
    assert not peer.receipt(group, seq)
    return delays


def show(what, delays):
    print(f"{what}: {len(delays)} pings, median {statistics.median(delays) * 1e3:.1f} ms, "
          f"largest {max(delays) * 1e3:.1f} ms")


def test_a_long_object_does_not_delay_pings(programs, work):
    """Neither of who sends it, nor of who receives it at 20 MB/s: of what the kernel would queue,
    TCP_NOTSENT_LOWAT leaves 128 KiB, and answers overtake the object's fragments."""
    net = Net(programs, work)
    receiver = net.peer(receive_buffer=65536)
    assert receiver.open("g").status == native.OK
    sender = net.peer()
    group = sender.open("g", member=False).group
    reader = SlowReader(receiver)
    reader.start()
    up = publish_slowly_enough(sender, group)
    reader.join()
    assert reader.failure is None, reader.failure
    assert reader.got == LARGE
    show("sender", up)
    show("receiver", reader.delays)
    assert len(reader.delays) >= LARGE / DRAIN * 5  # they came while it did, not behind it
    assert statistics.median(up) <= DELAY
    assert statistics.median(reader.delays) <= DELAY
    assert net.relay.stop() == 0


# --- many connections --------------------------------------------------------------------------


class World:
    """A relay on a unix socket, where the uid is the login."""

    def __init__(self, start, work, *extra, **kw):
        self.socket = work / "s"
        self.relay = NetkitRelay(
            start, work, tls=False, extra=("--listen", f"unix:{self.socket}", "--engine", "memory",
                                           "--ping-interval", "1h", "--ping-timeout", "2h", *extra),
            **kw)
        self.relay.program.wait_line("listening on unix")
        self.live, self.group = self.member("live")

    def member(self, name, **kw):
        p = Peer.unix(self.socket, **kw)
        return p, p.open(name).group

    def cpu(self):
        """Seconds that the relay has used so far."""
        text = open(f"/proc/{self.relay.program.pid}/stat", encoding="ascii").read()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def responds(self):
        """The live connection gets its own broadcasts back: the median time."""
        times = []
        for i in range(100):
            begin = time.monotonic()
            self.live.publish(BROADCAST, self.group, str(i).encode())
            assert self.live.expect(BROADCAST).payload == str(i).encode()
            times.append(time.monotonic() - begin)
        return statistics.median(times)


@pytest.fixture
def descriptors():
    """As many as the system lets us have, for us and what we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_idle_connections(programs, work, descriptors):
    n = min(IDLE, descriptors - SPARE_FDS)
    world = World(programs, work, "--max-connections", str(n + 10))
    warm = [world.member("idle")[0] for _ in range(50)]
    before = world.relay.program.rss()
    idle = [world.member("idle")[0] for _ in range(n - len(warm))]
    each = (world.relay.program.rss() - before) / len(idle)
    cpu = world.cpu()
    time.sleep(1)
    cpu = world.cpu() - cpu
    median = world.responds()
    print(f"{n} idle connections: {each:.0f} bytes each, {cpu:.2f} s of CPU in a second, a live one "
          f"is answered after {median * 1e3:.2f} ms")
    assert each <= CONNECTION_BYTES
    assert cpu <= 0.1
    assert median <= DELAY
    for p in warm + idle:
        p.close()
    again, _ = world.member("idle")
    again.in_order()
    assert world.relay.stop() == 0


def test_more_connections_than_descriptors(programs, work):
    """Who comes beyond the limit waits outside at no cost, and gets in when others leave."""
    limit = 150
    world = World(programs, work, prefix=(support.need_command("prlimit"), f"--nofile={limit}"))
    inside = []
    while world.relay.program.fds() < limit:
        inside.append(world.member("idle", patience=5.0)[0])
    outside = [Peer.unix(world.socket, hello=False) for _ in range(20)]
    for p in outside:
        p.send(native.HELLO, b"netkit-relay" + bytes([1, 1, 0, 0]) + bytes(28) + b"\x01x")
    world.relay.program.wait_line("cannot accept connections now")
    cpu = world.cpu()
    time.sleep(1)
    assert world.cpu() - cpu <= 0.1
    assert world.responds() <= DELAY
    for p in inside:
        p.close()
    for p in outside:
        assert p.expect(native.WELCOME)
    world.member("idle")[0].in_order()
    assert world.relay.stop() == 0
