# SPDX-License-Identifier: MIT
"""What endpoints of tlspyo send to `netkit relay`: objects of every size, and what no endpoint should send. The
connection is closed then, a reason is logged, others go on."""

import os
import pickle
import socket

import pytest

from relay_support import closed_by_peer, tlspyo_peer
from support import PATIENCE


@pytest.fixture(params=["TLS", "TCP"])
def plain_relay(relays, request):
    """A relay that accepts every group, on both transports."""
    return relays(tls=request.param == "TLS")


# --- sizes and headers --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 64, 16 << 10, (64 << 10) - 8, 64 << 10, 1 << 20, 16 << 20])
def test_object_sizes(plain_relay, size):
    r = plain_relay
    s, c = r.joined(()), r.joined("g")
    data = os.urandom(size)
    s.broadcast(data, "g")
    assert c.pop() == data
    s.produce(data, "g", copies=2)
    c.notify("g", 2)
    assert c.receive(2, timeout=60) == [data, data]


def test_64_megabytes(plain_relay):
    r = plain_relay
    s, c = r.joined(()), r.joined("g")
    data = os.urandom((64 << 20) - 64)
    s.broadcast(data, "g")
    assert c.pop(timeout=120) == data
    late = r.joined("g")
    assert late.pop(timeout=120) == data


@pytest.mark.parametrize("header_size", [4, 12, 20])
def test_header_size(relays, header_size):
    r = relays(header_size=header_size)
    e = r.joined("g")
    e.broadcast("x", "g")
    assert e.pop() == "x" and e.stop()


def test_other_header_size_is_refused(relays):
    r = relays(header_size=12)
    e = r.endpoint("g", header_size=10)
    assert e.closed.wait(PATIENCE)
    assert not e.joined.is_set()


# --- bad input ----------------------------------------------------------------------------------------


@pytest.fixture
def bystander(relays):
    """A relay with a member that must still be served after whatever the test does."""
    r = relays(tls=False)
    e = r.joined("bystanders")
    yield r
    e.broadcast("still here", "bystanders")
    assert e.pop() == "still here"
    assert r.program.alive()


def raw_connect(r):
    return socket.create_connection(("127.0.0.1", r.port), PATIENCE)


@pytest.mark.parametrize("password", ["", "x", "correct horse battery staple", "correct horse battery "
                                      "staple 7 and more"])
def test_wrong_password(bystander, password):
    r = bystander
    mark = r.program.mark()
    e = r.endpoint("g", password=password)
    assert e.closed.wait(PATIENCE)
    assert not e.joined.is_set()
    line = r.program.wait_line(r"auth\.fail|password|frame", mark).string
    assert "staple" not in line


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
    b"          " + b"x" * 100,
    b"-1        " + b"x" * 100,
    b"99999999999999999999" + b"x" * 100,
    b"\0" * 100,
])
def test_garbage_instead_of_frames(bystander, data):
    s = raw_connect(bystander)
    mark = bystander.program.mark()
    s.sendall(data)
    assert closed_by_peer(s)
    s.close()
    bystander.program.wait_line(r"relay", mark)


def frames(r, *payloads):
    return b"".join(tlspyo_peer.frame(p, r.header_size, r.password.encode()) for p in payloads)


def hello(groups=("g",)):
    return pickle.dumps((1, "HELLO", None, groups), 4)


class Exploit:
    def __reduce__(self):
        return os.system, ("touch /tmp/netkit-was-exploited",)


@pytest.mark.parametrize("envelope", [
    pickle.dumps(Exploit(), 4),
    pickle.dumps((2, "OBJ", {"g": -1}, Exploit()), 4),
    pickle.dumps((2, "OBJ", Exploit(), b"x"), 2),
    pickle.dumps([2, "OBJ", {"g": -1}, b"x"], 4),
    pickle.dumps((2, "OBJ", {"g": -1}), 4),
    pickle.dumps((2, "OBJ", {"g": "1"}, b"x"), 4),
    pickle.dumps((2, "OBJ", {1: -1}, b"x"), 4),
    pickle.dumps((2, "OBJ", {"g": -1}, "str"), 4),
    pickle.dumps((2, "NOSUCH", None, None), 4),
    pickle.dumps(("2", "OBJ", {"g": -1}, b"x"), 4),
    pickle.dumps((2, "OBJ", {"g": 1 << 70}, b"x"), 4),
    pickle.dumps((2, "OBJ", {"g": -1}, b"x"), 4)[:-1],
    pickle.dumps((2, "OBJ", {"g": -1}, b"x"), 4) + b".",
    pickle.dumps((3, "HELLO", None, ("g",)), 4),
    b"",
    b".",
])
def test_bad_envelopes(bystander, envelope):
    r = bystander
    s = raw_connect(r)
    s.sendall(frames(r, hello()))
    mark = r.program.mark()
    s.sendall(frames(r, envelope))
    assert closed_by_peer(s)
    s.close()
    assert not os.path.exists("/tmp/netkit-was-exploited")
    r.program.wait_line(r"relay", mark)


def test_custom_serializer_is_recognised(bystander):
    """Such an endpoint wraps the envelope, too: it cannot be understood, and the log says why."""
    r = bystander
    mark = r.program.mark()
    e = r.endpoint("g", serialize=lambda o: b"header" + pickle.dumps(["TEST", pickle.dumps(o)]))
    assert e.closed.wait(PATIENCE)
    assert not e.joined.is_set()
    r.program.wait_line(r"serializer", mark)


def test_too_long_an_object_is_refused_at_its_header(relays):
    r = relays(tls=False, extra=("--max-object", "1M"))
    e = r.joined("g")
    e.raw_write(b"%-10d" % (2 << 20) + r.password.encode() + b"x" * 1000)
    assert e.closed.wait(PATIENCE)
    other = r.joined("g")
    other.broadcast(b"x" * ((1 << 20) - 100), "g")
    assert len(other.pop()) == (1 << 20) - 100


def test_commands_before_hello_have_no_effect(bystander):
    r = bystander
    member = r.joined("g")
    s = raw_connect(r)
    s.sendall(frames(r, pickle.dumps((1, "OBJ", {"g": -1}, pickle.dumps("early")), 4),
                     pickle.dumps((2, "NTF", {"g": 1}, b"\x80\x04N."), 4)))
    s.sendall(frames(r, hello()))
    member.broadcast("x", "g")
    assert member.pop() == "x"
    s.close()


def test_one_byte_at_a_time(bystander):
    r = bystander
    member = r.joined("g")
    s = raw_connect(r)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in frames(r, hello(()), pickle.dumps((2, "OBJ", {"g": -1}, pickle.dumps("slow")), 4)):
        s.send(bytes([byte]))
    assert member.pop() == "slow"
    s.close()


def test_half_a_frame_then_death(bystander):
    r = bystander
    for cut in (1, 9, 10, 20, 45, 60):
        s = raw_connect(r)
        s.sendall((frames(r, hello()) + frames(r, pickle.dumps((2, "OBJ", {"g": -1}, b"x" * 500), 4)))
                  [:cut])
        s.close()


def test_stalled_member_does_not_hold_up_others(relays):
    r = relays(tls=False)
    stuck, member, s = r.joined("g"), r.joined("g"), r.joined(())
    stuck.pause()
    data = os.urandom(1 << 20)
    for i in range(20):
        s.broadcast(data, "g")
        assert member.pop() == data
    assert s.flush()
