# SPDX-License-Identifier: MIT
"""`netkit relay` as tlspyo's endpoints see it, through an independent peer (tests/peers)."""

import os
import pickle
import queue
import signal
import socket
import threading

import pytest

from relay_support import NetkitRelay, tlspyo_peer
from support import PATIENCE, wait_until


@pytest.fixture
def relay(programs, work):
    """relay(**kw): a running NetkitRelay."""
    made = []

    def make(**kw):
        directory = work / str(len(made))
        directory.mkdir()
        made.append(NetkitRelay(programs, directory, **kw))
        return made[-1]

    return make


@pytest.fixture(params=["TLS", "TCP"])
def plain_relay(relay, request):
    """A relay that accepts every group, on both transports."""
    return relay(tls=request.param == "TLS")



# --- tlspyo's README example and the rules of groups -----------------------------------------------


def test_readme_example(plain_relay):
    r = plain_relay
    producer = r.joined("producers")
    one, two = r.joined("consumers"), r.joined("consumers")
    producer.broadcast("I HAVE BEEN BROADCAST", "consumers")
    producer.produce("I HAVE BEEN PRODUCED", "consumers")
    one.notify("consumers")
    assert one.receive(2) == ["I HAVE BEEN BROADCAST", "I HAVE BEEN PRODUCED"]
    assert two.receive(1) == ["I HAVE BEEN BROADCAST"]
    assert two.nothing() and one.nothing()
    for e in (producer, one, two):
        assert e.stop()
    assert r.stop() == 0


def test_every_pickle_protocol(plain_relay):
    r = plain_relay
    for protocol in (3, 4, 5):  # 2 has no bytes, and no Python 3 ever chose it
        group = f"g{protocol}"  # its own: the last broadcast of a group is kept for who joins later
        e = r.joined((group, "OBJ", group), protocol=protocol)  # a memo reference, and a duplicate
        e.broadcast({"protocol": protocol}, group)
        assert e.pop() == {"protocol": protocol}
        e.send([protocol], {"OBJ": 1, "other": -1})
        e.notify("OBJ")
        assert e.pop() == [protocol]
        assert e.nothing()
        assert e.stop()
        assert r.joined(group).receive(1) == [{"protocol": protocol}]


@pytest.mark.parametrize("groups", [("a", "b"), ["a", "b"], {"a", "b"}, frozenset(("a", "b")), "a",
                                    {"a": 1, "b": 2}.keys()])
def test_kinds_of_group_lists(relay, groups):
    if isinstance(groups, type({}.keys())):
        groups = tuple(groups)  # keys cannot be pickled; a stock Endpoint fails there by itself
    e = relay(tls=False).joined(groups)
    e.broadcast(1, "a")
    assert e.pop() == 1


def test_endpoint_without_groups_may_send(relay):
    """groups=None is the stock constructor's default."""
    r = relay(tls=False)
    member, sender = r.joined("g"), r.joined(None)
    sender.broadcast("x", "g")
    assert member.pop() == "x"
    assert sender.nothing() and sender.stop()


@pytest.mark.parametrize("name", ["", " ", "a b", "\0", "é", "\U0001f600", "x" * 300, "HELLO", "None"])
def test_any_name_is_a_group(relay, name):
    r = relay(tls=False)
    e = r.joined((name,))
    e.broadcast(name, name)
    assert e.pop() == name
    e.produce(1, name)
    e.notify(name)
    assert e.pop() == 1


def test_member_of_two_groups_gets_both_copies(relay):
    r = relay(tls=False)
    e = r.joined(("a", "b"))
    e.send("x", {"a": -1, "b": -1})
    assert e.receive(2) == ["x", "x"]
    assert e.nothing()


def test_sender_gets_its_own_broadcast(relay):
    e = relay(tls=False).joined("g")
    e.broadcast("mine", "g")
    assert e.pop() == "mine"


def test_order_of_each_sender_is_kept(plain_relay):
    r = plain_relay
    member = r.joined("g")
    senders = [r.joined(()) for _ in range(4)]
    for i in range(50):
        for k, s in enumerate(senders):
            s.broadcast((k, i), "g")
    got = member.receive(200)
    for k in range(4):
        assert [i for j, i in got if j == k] == list(range(50))


def test_all_members_see_one_order(relay):
    r = relay(tls=False)
    members = [r.joined("g") for _ in range(3)]
    senders = [r.joined(()) for _ in range(3)]
    for i in range(50):
        for k, s in enumerate(senders):
            s.broadcast((k, i), "g")
    orders = [m.receive(150) for m in members]
    assert orders[0] == orders[1] == orders[2]


# --- retained objects -------------------------------------------------------------------------


def test_late_joiner_gets_the_last_broadcast_only(plain_relay):
    r = plain_relay
    s = r.joined(())
    for i in range(5):
        s.broadcast(i, "g")
    assert s.flush()
    late = r.joined("g")
    assert late.pop() == 4 and late.nothing()


def test_retained_objects_come_in_order_of_the_groups_creation(relay):
    r = relay(tls=False)
    s = r.joined(())
    for name in ("c", "a", "b"):
        s.broadcast(name, name)
    assert s.flush()
    assert r.joined(("a", "b", "c")).receive(3) == ["c", "a", "b"]


def test_none_is_a_retained_object(relay):
    r = relay(tls=False)
    s = r.joined(())
    s.broadcast("x", "g")
    s.broadcast(None, "g")
    assert s.flush()
    late = r.joined("g")
    assert late.pop() is None and late.nothing()


def test_produced_objects_are_not_retained(relay):
    r = relay(tls=False)
    s = r.joined(())
    s.produce("x", "g")
    assert s.flush()
    assert r.joined("g").nothing()


# --- produce and notify -----------------------------------------------------------------------


def test_produce_waits_for_notify_and_notify_for_produce(plain_relay):
    r = plain_relay
    s, c = r.joined(()), r.joined("g")
    s.produce("early", "g")
    assert s.flush() and c.nothing()
    c.notify("g")
    assert c.pop() == "early"
    c.notify("g")
    assert c.nothing()
    s.produce("late", "g")
    assert c.pop() == "late"


def test_first_in_first_out(relay):
    r = relay(tls=False)
    s, c = r.joined(()), r.joined("g")
    for i in range(100):
        s.produce(i, "g")
    c.notify("g", 100)
    assert c.receive(100) == list(range(100))
    assert c.nothing()


def test_copies(relay):
    r = relay(tls=False)
    s = r.joined(())
    s.produce("x", "g", copies=3)
    cs = [r.joined("g") for _ in range(4)]
    for c in cs:
        c.notify("g")
    assert s.flush()
    for c in cs:
        assert c.flush()
    wait_until(lambda: sum(c.received.qsize() for c in cs) == 3)
    assert all(c.received.qsize() <= 1 for c in cs)


def test_a_billion_copies_cost_nothing(relay):
    r = relay(tls=False)
    s, c = r.joined(()), r.joined("g")
    before = r.program.rss()
    s.produce(b"x" * 1000, "g", copies=10**9)
    c.notify("g", 5)
    assert c.receive(5) == [b"x" * 1000] * 5
    assert s.flush(), "the relay is busy counting"
    assert r.program.rss() - before < 4 << 20


def test_notify_everything_there_leaves_no_credit(relay):
    r = relay(tls=False)
    s, c = r.joined(()), r.joined("g")
    for i in range(5):
        s.produce(i, "g")
    assert s.flush()
    c.notify("g", -1)
    assert c.receive(5) == list(range(5))
    s.produce("later", "g")
    assert s.flush() and c.nothing()
    c.notify("g")
    assert c.pop() == "later"


def test_credit_adds_up(relay):
    r = relay(tls=False)
    s, c = r.joined(()), r.joined("g")
    c.notify("g", 2)
    c.notify("g", 1)
    assert c.flush()
    for i in range(4):
        s.produce(i, "g")
    assert s.flush()
    assert c.receive(3) == [0, 1, 2]
    assert c.nothing()


def test_notify_for_a_foreign_group_is_ignored(relay):
    r = relay(tls=False)
    s, c = r.joined(()), r.joined("g")
    s.produce("secret", "other")
    c.notify({"other": 1, "nowhere": -1, "g": 1})
    assert s.flush() and c.nothing()
    s.produce("mine", "g")
    assert c.pop() == "mine"
    assert r.joined("other").notify("other") is None


def test_zero_does_nothing(relay):
    r = relay(tls=False)
    c = r.joined("g")
    c.send("x", {"g": 0})
    c.notify("g", 0)
    assert c.nothing()
    c.notify("g", -1)
    assert c.nothing()


def test_mixed_destinations_and_bool_counts(relay):
    r = relay(tls=False)
    c = r.joined(("a", "b", "c"))
    c.send("x", {"a": -1, "b": 2, "c": True})  # True is 1 for Python
    assert c.pop() == "x" and c.nothing()
    c.notify({"b": -1, "c": -1})
    assert c.receive(3) == ["x"] * 3


def test_two_consumers_share_fairly(relay):
    """Not join order, as at a stock relay: whoever asked first is served first, and nobody starves."""
    r = relay(tls=False)
    s, first, second = r.joined(()), r.joined("g"), r.joined("g")
    second.notify("g", 10)
    assert second.flush()
    first.notify("g", 10)
    assert first.flush()
    for i in range(10):
        s.produce(i, "g")
    assert s.flush()
    wait_until(lambda: first.received.qsize() + second.received.qsize() == 10)
    assert first.received.qsize() >= 1 and second.received.qsize() >= 1
    assert second.received.queue[0][1] == 0


def test_queue_survives_its_consumers(relay):
    r = relay(tls=False)
    s, c = r.joined(()), r.joined("g")
    s.produce("x", "g")
    assert s.stop() and c.stop()
    c = r.joined("g")
    c.notify("g")
    assert c.pop() == "x"


def test_credit_ends_with_its_connection(relay):
    r = relay(tls=False)
    s, gone, c = r.joined(()), r.joined("g"), r.joined("g")
    gone.notify("g", 5)
    assert gone.stop()
    s.produce("x", "g")
    assert s.flush()
    c.notify("g")
    assert c.pop() == "x"


# --- acknowledgements --------------------------------------------------------------------------


def test_object_of_a_dead_consumer_goes_to_the_next(plain_relay):
    """At a stock relay it would be lost."""
    r = plain_relay
    s = r.joined(())
    dying = r.joined("g", auto_ack=False)
    dying.notify("g", 3)
    for i in range(4):
        s.produce(i, "g")
    assert [dying.pop_stamped()[1] for _ in range(3)] == [0, 1, 2]
    dying.abort()
    c = r.joined("g")
    c.notify("g", 4)
    assert c.receive(4) == [0, 1, 2, 3]  # at the head again, in their order
    assert c.nothing()


def test_acknowledged_object_is_not_given_twice(relay):
    r = relay(tls=False)
    s = r.joined(())
    dying = r.joined("g", auto_ack=False)
    dying.notify("g", 2)
    s.produce("done", "g")
    s.produce("lost", "g")
    stamps = [dying.pop_stamped()[0] for _ in range(2)]
    dying.ack(stamps[0])
    assert dying.flush()
    dying.abort()
    c = r.joined("g")
    c.notify("g", 2)
    assert c.pop() == "lost"
    assert c.nothing()


def test_unread_broadcast_is_not_put_into_a_queue(relay):
    r = relay(tls=False)
    s = r.joined(())
    dying = r.joined("g", auto_ack=False)
    s.broadcast("x", "g")
    dying.pop()
    dying.abort()
    c = r.joined("g")
    c.notify("g", -1)
    assert c.pop() == "x" and c.nothing()


def test_every_command_is_acknowledged_once_and_in_order(plain_relay):
    e = plain_relay.joined("g")
    for i in range(100):
        e.broadcast(i, "g")
        e.produce(i, "g")
        e.notify("g")
    assert e.flush()
    assert sorted(e.acks) == list(range(1, 302))
    assert len(e.receive(200)) == 200


def test_unknown_acknowledgement_is_ignored(relay):
    e = relay(tls=False).joined("g")
    e.ack(123456)
    e.ack(-1)
    e.ack(1 << 62)
    e.broadcast("x", "g")
    assert e.pop() == "x"


def test_large_stamps(relay):
    e = relay(tls=False).joined("g")
    e._stamp = (1 << 40) - 1
    e.broadcast("x", "g")
    assert e.pop() == "x" and e.flush()
    assert e.acks[-1] == 1 << 40


# --- accepted groups ---------------------------------------------------------------------------


def refused(r, groups):
    e = r.endpoint(groups)
    assert e.closed.wait(PATIENCE), "the relay kept it"
    return e.joined.is_set()


def test_only_listed_groups_are_accepted(relay):
    r = relay(groups={"group1": {}, "Group 2": {}})
    ok = r.joined(("group1", "Group 2"))
    ok.broadcast("x", "Group 2")
    assert ok.pop() == "x"
    assert refused(r, ("group3",))
    assert refused(r, ("group1", "group3")), "all or nothing"
    ok.broadcast("y", "group3")  # skipped silently
    assert ok.nothing()


def test_max_count(relay):
    r = relay(groups={"g": {"max_count": 2}, "h": {}})
    one, two = r.joined("g"), r.joined(("g", "h"))
    assert refused(r, "g")
    assert refused(r, ("h", "g"))
    one.broadcast("x", "h")
    assert two.pop() == "x"
    one.stop()
    wait_until(lambda: not refused_or_join(r, "g"))


def refused_or_join(r, group):
    """True when refused; leaves a member behind otherwise."""
    e = r.endpoint(group)
    e.wait_joined()
    try:
        return not e.nothing() or e.closed.is_set()
    except tlspyo_peer.Closed:
        return True


def test_max_consumables(relay):
    r = relay(groups={"g": {"max_consumables": 2}})
    s, c = r.joined(()), r.joined("g")
    for i in range(5):
        s.produce(i, "g")
    assert s.flush()
    c.notify("g", -1)
    assert len(c.receive(2)) == 2
    assert c.nothing()


def test_refused_endpoint_does_not_disturb(relay):
    r = relay(groups={"g": {"max_count": 1}})
    member = r.joined("g")
    stranger = r.endpoint("g")
    stranger.broadcast("not this", "g")  # stock endpoints send before they know
    stranger.produce("nor this", "g")
    assert stranger.closed.wait(PATIENCE)
    member.notify("g")
    assert member.nothing()
    member.broadcast("x", "g")
    assert member.pop() == "x"


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
def test_header_size(relay, header_size):
    r = relay(header_size=header_size)
    e = r.joined("g")
    e.broadcast("x", "g")
    assert e.pop() == "x" and e.stop()


def test_other_header_size_is_refused(relay):
    r = relay(header_size=12)
    e = r.endpoint("g", header_size=10)
    assert e.closed.wait(PATIENCE)
    assert not e.joined.is_set()


# --- bad input: the connection is closed, a reason is logged, others go on ----------------------------


@pytest.fixture
def bystander(relay):
    """A relay with a member that must still be served after whatever the test does."""
    r = relay(tls=False)
    e = r.joined("bystanders")
    yield r
    e.broadcast("still here", "bystanders")
    assert e.pop() == "still here"
    assert r.program.alive()


def raw_connect(r):
    host, port = tlspyo_peer.split_address(r.address)
    s = socket.create_connection((host, port), PATIENCE)
    s.settimeout(PATIENCE)
    return s


def ends(s):
    """Read to the end; how much came."""
    n = 0
    try:
        while True:
            data = s.recv(65536)
            if not data:
                return n
            n += len(data)
    except ConnectionResetError:
        return n


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
    ends(s)
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
    ends(s)
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


def test_too_long_an_object_is_refused_at_its_header(relay):
    r = relay(tls=False, extra=("--max-object", "1M"))
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


def test_stalled_member_does_not_hold_up_others(relay):
    r = relay(tls=False)
    stuck, member, s = r.joined("g"), r.joined("g"), r.joined(())
    stuck.pause()
    data = os.urandom(1 << 20)
    for i in range(20):
        s.broadcast(data, "g")
        assert member.pop() == data
    assert s.flush()


# --- many, and the end ------------------------------------------------------------------------------


def test_many_endpoints(plain_relay):
    r = plain_relay
    members = [r.endpoint("g") for _ in range(60)]
    for m in members:
        m.wait_joined()
    members[0].broadcast("x", "g")
    for m in members:
        assert m.pop() == "x"
    for m in members:
        assert m.stop()
    assert r.stop() == 0


def test_concurrent_producers_and_consumers_lose_nothing(plain_relay):
    r = plain_relay
    n, producers, consumers = 500, 3, 3
    cs = [r.joined("g") for _ in range(consumers)]
    for c in cs:
        c.notify("g", n * producers)
    ps = [r.joined(()) for _ in range(producers)]

    def produce(k):
        for i in range(n):
            ps[k].produce((k, i), "g")

    threads = [threading.Thread(target=produce, args=(k,)) for k in range(producers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(p.flush() for p in ps)
    wait_until(lambda: sum(c.received.qsize() for c in cs) >= n * producers)
    got = [item[1] for c in cs for item in c.received.queue]
    assert sorted(got) == sorted((k, i) for k in range(producers) for i in range(n))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_relay_stops_in_order(plain_relay, signum):
    r = plain_relay
    e = r.joined("g")
    r.program.proc.send_signal(signum)
    assert r.program.wait() == 0
    assert e.closed.wait(PATIENCE)
    with pytest.raises((tlspyo_peer.Closed, queue.Empty)):
        e.pop(timeout=1)


def test_first_start_makes_credentials(programs, work):
    r = NetkitRelay(programs, work, password=None)
    for name, mode in (("key.pem", 0o600), ("password", 0o600)):
        assert (r.state / "credentials" / name).stat().st_mode & 0o777 == mode
    assert len(r.password) >= 20
    r.program.wait_line(r"sha256:[0-9a-f]{64}")
    assert r.password not in r.program.stderr()
    assert r.joined("g").stop()
