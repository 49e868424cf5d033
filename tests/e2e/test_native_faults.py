# SPDX-License-Identifier: MIT
"""The native wire in bad company: frames that no client should send, clients that do not read, lines
that go dead, clocks that jump, relays that are killed. Each leaves everybody else undisturbed."""

import os
import signal
import struct
import subprocess
import threading
import time

import pytest

import relay_support
import support
from relay_support import NetkitRelay, endpoint, lines, succeeded, tlspyo_peer  # noqa: F401 (path)
from support import wait_until

import native_peer as native
from native_peer import BROADCAST, ITEM, Peer, frame

BEGIN_EARLY = True  # see conftest.py
MIB = 1 << 20


class World:
    """A relay that also listens on a unix socket, where we are who we are."""

    def __init__(self, start, work, *extra, ini="", groups=None, **kw):
        self.start, self.work, self.kw = start, work, kw
        self.socket = work / "relay.sock"
        self.extra = ("--listen", f"unix:{self.socket}", *extra)
        self.ini, self.groups = ini, groups
        self.run()

    def run(self):
        self.relay = NetkitRelay(self.start, self.work, tls=False, extra=self.extra, ini=self.ini,
                                 groups=self.groups, **self.kw)
        self.relay.program.wait_line("listening on unix")

    def peer(self, **kw):
        return Peer.unix(self.socket, **kw)

    def member(self, name="g", **kw):
        p = self.peer(**kw)
        opened = p.open(name)
        assert opened.status == native.OK
        return p, opened.group


class Bystanders:
    """Two that talk to each other, whatever others do."""

    def __init__(self, world):
        self.sender, self.group = world.member("bystanders")
        self.receiver, _ = world.member("bystanders")
        self.count = 0

    def check(self):
        self.count += 1
        data = str(self.count).encode()
        self.sender.publish(BROADCAST, self.group, data)
        assert self.receiver.expect(BROADCAST).payload == data


@pytest.fixture
def world(programs, work):
    w = World(programs, work)
    others = Bystanders(w)
    others.check()
    yield w
    assert w.relay.program.alive(), w.relay.program.stderr()
    others.check()
    assert w.relay.stop() == 0


# --- frames ----------------------------------------------------------------------------------


def test_handles_that_are_twice_or_not_there(world):
    p, g = world.member()
    assert p.open("g").status == native.INVALID
    p.stored(ITEM, g, b"the connection goes on")
    p.send(native.CLOSE, group=g)
    again = p.open("g")
    assert (again.status, again.group) == (native.OK, g)
    other, h = world.member("h")
    for kind, payload, seq in ((BROADCAST, b"x", 1), (ITEM, b"x", 1), (native.CREDIT, bytes(8), 1),
                               (native.DRAIN, b"", 0), (native.ACK, b"", 1),
                               (native.NACK, bytes(4), 1), (native.EXTEND, bytes(4), 1),
                               (native.CLOSE, b"", 0)):
        for group in (h, 0xFFFFFFFF):  # opened by somebody else; by nobody
            p, _ = world.member()
            p.send(kind, payload, group=group, seq=seq)
            assert p.closed() == native.PROTOCOL, hex(kind)
    p, g = world.member()
    p.send(native.CLOSE, group=g)
    p.send(ITEM, b"x", group=g, seq=1)
    assert p.closed() == native.PROTOCOL
    other.stored(ITEM, h, b"untouched")


def test_every_length(world):
    """Refused at the head, whatever the type; nobody waits for the rest."""
    for kind in (native.HELLO, native.OPEN, native.CREDIT, native.DRAIN, native.ACK, native.EXTEND,
                 ITEM, BROADCAST, native.PING, native.GOAWAY, 0x00, 0x0F, 0x7F, 0xFF):
        for length in (native.FRAGMENT + 1, 0xFFFFFF):
            p, g = world.member()
            p.sock.sendall(frame(kind, group=g, seq=1, length=length))
            assert p.closed() == native.PROTOCOL, (hex(kind), length)
            guest = Peer(p.unix(world.socket, hello=False).sock, hello=False)
            guest.sock.sendall(frame(kind, length=length))
            first = native.PROTOCOL if kind == native.HELLO else None  # None: no frame of this wire
            assert guest.closed() == first, (hex(kind), length)


def test_credit_beyond_everything(world):
    p, g = world.member()
    producer, _ = world.member()
    p.credit(g, native.SEQ_MAX, (1 << 64) - 1)
    p.credit(g, native.SEQ_MAX, (1 << 64) - 1)
    p.credit(g, 1)  # lower ones do not count
    p.credit(g, native.SEQ_MAX)
    p.send(native.DRAIN, group=g, seq=native.SEQ_MAX)
    p.expect(native.DRAINED)
    for i in range(5):
        producer.stored(ITEM, g, str(i).encode())
    assert [data for _, data in p.items(g, 5)] == [b"0", b"1", b"2", b"3", b"4"]
    p.in_order()
    assert not p.unread


def test_more_than_the_window(programs, work):
    """The queue is full, so the window stands still; who sends on is sent away."""
    world = World(programs, work, groups={"g": {"policy": "block", "max_consumables": 1}})
    p = world.peer()
    opened = p.open("g", member=False)
    data = bytes(native.FRAGMENT)
    fits = opened.window // (16 + len(data))
    for seq in range(1, fits + 1):
        p.publish(ITEM, opened.group, data, seq=seq)
    refused = p.receipt(opened.group, fits)
    assert refused == {seq: native.FULL for seq in range(2, fits + 1)}
    p.in_order()
    assert not [f for f in p.unread if f.type == native.WINDOW]
    p.publish(ITEM, opened.group, data, seq=fits + 1)
    assert p.closed() == native.LIMIT
    q, g = world.member()
    assert len(q.drain(g)) == 1
    assert world.relay.stop() == 0


def test_leases_of_others(world):
    owner, g = world.member()
    thief, _ = world.member()
    for i in range(3):
        owner.stored(ITEM, g, str(i).encode())
    owner.credit(g, 3)
    (first, _), *_, (last, _) = owner.items(g, 3)
    for kind in (native.ACK, native.NACK, native.EXTEND):
        for pair in ((first, 3), (first, 1), (last + 1, 1), (1, 0xFFFFFFFF), (native.SEQ_MAX, 1)):
            assert thief.settle(kind, g, pair) == native.UNKNOWN, (kind, pair)
    assert thief.settle(native.NACK, g, (first, 1), ms=0xFFFFFFFF) == native.UNKNOWN  # dead letters
    assert owner.settle(native.EXTEND, g, (first, 3)) == native.OK
    assert owner.settle(native.ACK, g, (first, 3)) == native.OK
    assert owner.settle(native.ACK, g, (first, 1)) == native.UNKNOWN  # it was
    assert thief.drain(g) == []
    for bad in ((first, 0), ((1 << 64) - 1, 2)):  # none is no range, nor is one beyond all numbers
        thief, _ = world.member()
        thief.send(native.ACK, native.ranges(bad), group=g, seq=1)
        assert thief.closed() == native.PROTOCOL


@pytest.mark.parametrize("second", [
    {"seq": 2, "flags": native.MORE},       # another object in between
    {"seq": 2},
    {"seq": 1, "kind": BROADCAST},          # of another kind
    {"seq": 1, "flags": native.META},       # flags that only the first one has
    {"seq": 1, "flags": 0x04},
    {"seq": 1, "flags": native.MORE, "size": native.MORE_MIN - 1},  # too short to go on
    {"seq": 0},
])
def test_fragments_out_of_order(world, second):
    p, g = world.member()
    reader, _ = world.member()
    p.publish(ITEM, g, bytes(native.MORE_MIN), seq=1, flags=native.MORE)
    p.publish(second.get("kind", ITEM), g, bytes(second.get("size", native.MORE_MIN)),
              seq=second["seq"], flags=second.get("flags", 0))
    assert p.closed() == native.PROTOCOL
    assert reader.drain(g) == []  # half an object is none


def test_fragments_that_take_turns(world):
    """Of different groups they may; an object in fragments that never ends is never there."""
    p, g = world.member()
    h = p.open("h").group
    for i in range(3):
        for group in (g, h):
            p.publish(ITEM, group, bytes([group & 0xFF]) * native.MORE_MIN, seq=1,
                      flags=native.MORE if i < 2 else 0)
    p.publish(ITEM, g, bytes(native.MORE_MIN), seq=2, flags=native.MORE)
    p.receipt(g, 1)
    p.receipt(h, 1)
    assert [data for _, data in p.drain(h)] == [bytes([h & 0xFF]) * 3 * native.MORE_MIN]
    session = p.session
    p.close()
    p, g = world.member(session=session)
    assert p.resumed
    assert [len(data) for _, data in p.drain(g)] == [3 * native.MORE_MIN]


# --- those who do not read ---------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["conflate", "drop-oldest", "disconnect", "block"])
def test_stalled_reader(programs, work, policy):
    """A member that reads nothing: the others get everything, or after a while everything."""
    world = World(programs, work, "--stall-timeout", "1s", "--max-backlog", "1M",
                  groups={"g": {"policy": policy}, "bystanders": {}})
    others = Bystanders(world)
    stalled, g = world.member()
    reader, _ = world.member()
    sender = world.peer()
    sender.open("g", member=False)
    before = world.relay.program.rss()
    count, data = 300, bytes(64 << 10)
    got = []
    room = threading.Semaphore(2)  # one who keeps up is never so far behind that the policy matters

    def read():
        for _ in range(count):
            got.append(reader.expect(BROADCAST).seq)
            room.release()
    thread = threading.Thread(target=read)
    thread.start()
    for i in range(count):
        assert room.acquire(timeout=support.PATIENCE), f"the reader stays at {got[-1:]}"
        sender.publish_in_time(BROADCAST, g, data)
        if i % 16 == 15:
            others.check()
    assert not sender.receipt(g, count)
    thread.join(support.PATIENCE)
    assert got == list(range(got[0], got[0] + count))
    assert world.relay.program.rss() - before < 24 * MIB
    if policy == "disconnect":
        world.relay.program.wait_line("too slow")
    stalled.close()
    assert world.relay.stop() == 0


# --- endings -----------------------------------------------------------------------------------


def test_goodbye_of_the_client(world):
    """Receipts for all that was said, then the relay's GOAWAY; the leases go back at once."""
    p, g = world.member()
    p.stored(ITEM, g, b"work")
    p.credit(g, 1)
    p.items(g, 1)
    for i in range(50):
        p.publish(ITEM, g, b"%d" % i)
    p.send(native.GOAWAY, struct.pack("<I", native.DONE))
    assert not p.receipt(g, 51)
    assert p.closed() == native.DONE
    q, g = world.member(session=p.session)
    assert not q.resumed
    assert len(q.drain(g)) == 51
    q.sock.sendall(frame(native.GOAWAY, struct.pack("<I", native.DONE))
                   + frame(ITEM, b"too late", group=g, seq=1))
    assert q.closed() == native.PROTOCOL


def test_goodbye_of_the_relay(programs, work):
    """It finishes what it has read, says that it goes, and nothing is lost."""
    world = World(programs, work)
    peers = [world.member() for _ in range(20)]
    for i, (p, g) in enumerate(peers):
        for k in range(10):
            p.publish(ITEM, g, b"%d.%d" % (i, k))
        p.in_order()
    world.relay.program.proc.send_signal(signal.SIGTERM)
    stored = 0
    for p, g in peers:
        assert p.closed() == native.LEAVING
        stored += max((f.seq for f in p.unread if f.type == native.RECEIPT), default=0)
    assert world.relay.program.wait() == 0
    assert stored == 200
    world.run()
    p, g = world.member()
    assert len(p.drain(g)) == 200


def test_killed_relay_and_many_sessions(programs, work):
    """Each comes back to its own leases; what nobody claims goes to others; nothing twice."""
    world = World(programs, work)
    producer, g = world.member(producer=7)
    many = 150
    for i in range(2 * many):
        producer.publish(ITEM, g, b"%d" % i)
    assert not producer.receipt(g, 2 * many)
    held = []
    for _ in range(many):
        p, _ = world.member()
        p.credit(g, 2)
        held.append((p, p.items(g, 2)))
    producer.stored(ITEM, producer.open("other").group, b"what came before it is on the disk")
    world.relay.program.kill()
    world.run()
    done = set()
    for i, (old, items) in enumerate(held):
        p, g = world.member(session=old.session)
        assert p.resumed
        (first, data), (second, _) = items
        assert p.settle(native.EXTEND, g, (first, 1)) == native.OK  # the other was lost on its way
        p.credit(g, 0)
        assert p.settle(native.ACK, g, (first, 1)) == native.OK
        assert p.settle(native.ACK, g, (second, 1)) == native.UNKNOWN
        done.add(data)
        p.close()
    p, g = world.member()
    rest = [data for _, data in p.drain(g)]
    assert len(rest) == len(set(rest)) == many
    assert set(rest) | done == {b"%d" % i for i in range(2 * many)}
    producer, g = world.member(session=producer.session, producer=7)
    producer.publish(ITEM, g, b"again", seq=2 * many)  # its receipt was lost, it believes
    assert producer.receipt(g, 2 * many) == {2 * many: native.DUPLICATE}


def test_broadcast_that_is_sent_again(world):
    sender, g = world.member(producer=9)
    reader, _ = world.member()
    for seq in (1, 2, 3):
        sender.publish(BROADCAST, g, b"%d" % seq, seq=seq)
    assert [reader.expect(BROADCAST).payload for _ in range(3)] == [b"1", b"2", b"3"]
    sender.close()  # without having read a receipt
    sender, g = world.member(session=sender.session, producer=9)
    for seq in (2, 3, 4):
        sender.publish(BROADCAST, g, b"%d" % seq, seq=seq)
    assert sender.receipt(g, 4) == {2: native.DUPLICATE, 3: native.DUPLICATE}
    assert reader.expect(BROADCAST).payload == b"4"
    reader.in_order()
    assert not [f for f in reader.unread if f.type == BROADCAST]


# --- time --------------------------------------------------------------------------------------


def test_relay_that_was_suspended(programs, work):
    """The silence was its own: nobody is taken for dead, no session or lease ends too early."""
    world = World(programs, work, "--ping-interval", "1s", "--ping-timeout", "2s",
                  "--session-grace", "5s")
    p, g = world.member()
    p.stored(ITEM, g, b"work")
    p.credit(g, 1)
    (seq, _), = p.items(g, 1)
    world.relay.program.proc.send_signal(signal.SIGSTOP)
    time.sleep(3)  # what passes is the subject here
    world.relay.program.proc.send_signal(signal.SIGCONT)
    p.in_order()
    assert p.settle(native.ACK, g, (seq, 1)) == native.OK
    assert world.relay.stop() == 0


def test_clock_of_another_boot(programs, work):
    """The monotonic clock begins again, far ahead or behind: what the log keeps counts by the wall
    clock, and leases by the time since the start."""
    offset = ["unshare", "--fork", "--kill-child", "--time", "--monotonic"]
    support.need_command("unshare")
    if subprocess.run([*offset, "1000", "true"], capture_output=True).returncode != 0:
        support.missing_peer("the right to make a time namespace")
    world = World(programs, work, groups={"g": {"lease": "1h", "ttl": "1h"}, "other": {}})
    p, g = world.member()
    for data in (b"leased", b"queued"):
        p.stored(ITEM, g, data)
    p.credit(g, 1)
    (seq, _), = p.items(g, 1)
    p.stored(ITEM, p.open("other", member=False).group, b"so the lease is on the disk")
    for seconds in ("3000000", "1"):
        world.relay.program.kill()
        world.kw["prefix"] = (*offset, seconds)
        world.run()
        p, g = world.member(session=p.session)
        assert p.resumed
        assert p.settle(native.EXTEND, g, (seq, 1)) == native.OK
        p.credit(g, 0)
        p.in_order()
        assert not [f for f in p.unread if f.type == ITEM]
    assert p.settle(native.ACK, g, (seq, 1)) == native.OK
    assert [data for _, data in p.drain(g)] == [b"queued"]


# --- lines that go dead ------------------------------------------------------------------------


class Net:
    """A network namespace whose loopback can be cut, so that neither side hears of it."""

    def __init__(self, programs):
        for command in ("unshare", "nsenter", "ip"):
            support.need_command(command)
        words = ["unshare", "--net", "--fork", "--kill-child"]
        if os.geteuid() != 0:
            words.insert(1, "--map-root-user")
        if subprocess.run([*words, "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
            support.missing_peer("the right to make a network namespace")
        holder = programs([*words, "sh", "-c", "echo ready >&2; exec sleep 1000"])
        holder.wait_line("ready")
        wait_until(lambda: self._child(holder.pid))
        self.words = ["nsenter", "--net", f"--target={self._child(holder.pid)}"]
        self.line("up")

    @staticmethod
    def _child(pid):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return (f.read().split() or [None])[0]

    def line(self, state):
        subprocess.run([*self.words, "ip", "link", "set", "lo", state], check=True)


def test_half_open_connection(programs, work):
    """The line is cut without a word: the relay gives the work to somebody else, the worker's own
    side notices, too, and comes back when it can."""
    net = Net(programs)
    world = World(programs, work, "--ping-interval", "1s", "--ping-timeout", "3s",
                  "--session-grace", "1s", prefix=net.words)
    argv = relay_support.endpoint_argv(world.relay, "receive", "--group", "g", "--notify", "1",
                                       "--format", "text", "--retry", "60")
    worker = programs([*net.words, *argv], stdout=subprocess.PIPE)
    world.relay.program.wait_line(r"auth\.ok peer=127\.0\.0\.1")
    net.line("down")
    producer, g = world.member()
    producer.stored(ITEM, g, b"into the void\n")
    producer.close()
    other, g = world.member()
    other.credit(g, 1)
    (seq, data), = other.items(g, 1)  # the first one never acknowledged it
    assert data == b"into the void\n"
    assert other.settle(native.ACK, g, (seq, 1)) == native.OK
    world.relay.program.wait_line(r"no sign of life .*peer=127\.0\.0\.1")
    worker.wait_line("next attempt", timeout=60)
    net.line("up")
    producer, g = world.member()
    producer.stored(ITEM, g, b"through\n")
    producer.close()
    assert worker.proc.stdout.readline() == b"through\n"
    assert worker.stop() == 0
