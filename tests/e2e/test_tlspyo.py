# SPDX-License-Identifier: MIT
"""`netkit relay` as tlspyo's endpoints see it, through an independent peer (tests/peers)."""

import queue
import signal
import threading

import pytest

from relay_support import NetkitRelay, tlspyo_peer
from support import PATIENCE, wait_until


@pytest.fixture(params=["TLS", "TCP"])
def plain_relay(relays, request):
    """A relay that accepts every group, on both transports."""
    return relays(tls=request.param == "TLS")


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
def test_kinds_of_group_lists(relays, groups):
    if isinstance(groups, type({}.keys())):
        groups = tuple(groups)  # keys cannot be pickled; a stock Endpoint fails there by itself
    e = relays(tls=False).joined(groups)
    e.broadcast(1, "a")
    assert e.pop() == 1


def test_endpoint_without_groups_may_send(relays):
    """groups=None is the stock constructor's default."""
    r = relays(tls=False)
    member, sender = r.joined("g"), r.joined(None)
    sender.broadcast("x", "g")
    assert member.pop() == "x"
    assert sender.nothing() and sender.stop()


@pytest.mark.parametrize("name", ["", " ", "a b", "\0", "é", "\U0001f600", "x" * 300, "HELLO", "None"])
def test_any_name_is_a_group(relays, name):
    r = relays(tls=False)
    e = r.joined((name,))
    e.broadcast(name, name)
    assert e.pop() == name
    e.produce(1, name)
    e.notify(name)
    assert e.pop() == 1


def test_member_of_two_groups_gets_both_copies(relays):
    r = relays(tls=False)
    e = r.joined(("a", "b"))
    e.send("x", {"a": -1, "b": -1})
    assert e.receive(2) == ["x", "x"]
    assert e.nothing()


def test_sender_gets_its_own_broadcast(relays):
    e = relays(tls=False).joined("g")
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


def test_all_members_see_one_order(relays):
    r = relays(tls=False)
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


def test_retained_objects_come_in_order_of_the_groups_creation(relays):
    r = relays(tls=False)
    s = r.joined(())
    for name in ("c", "a", "b"):
        s.broadcast(name, name)
    assert s.flush()
    assert r.joined(("a", "b", "c")).receive(3) == ["c", "a", "b"]


def test_none_is_a_retained_object(relays):
    r = relays(tls=False)
    s = r.joined(())
    s.broadcast("x", "g")
    s.broadcast(None, "g")
    assert s.flush()
    late = r.joined("g")
    assert late.pop() is None and late.nothing()


def test_produced_objects_are_not_retained(relays):
    r = relays(tls=False)
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


def test_first_in_first_out(relays):
    r = relays(tls=False)
    s, c = r.joined(()), r.joined("g")
    for i in range(100):
        s.produce(i, "g")
    c.notify("g", 100)
    assert c.receive(100) == list(range(100))
    assert c.nothing()


def test_copies(relays):
    r = relays(tls=False)
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


def test_a_billion_copies_cost_nothing(relays):
    r = relays(tls=False)
    s, c = r.joined(()), r.joined("g")
    before = r.program.rss()
    s.produce(b"x" * 1000, "g", copies=10**9)
    c.notify("g", 5)
    assert c.receive(5) == [b"x" * 1000] * 5
    assert s.flush(), "the relay is busy counting"
    assert r.program.rss() - before < 4 << 20


def test_notify_everything_there_leaves_no_credit(relays):
    r = relays(tls=False)
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


def test_credit_adds_up(relays):
    r = relays(tls=False)
    s, c = r.joined(()), r.joined("g")
    c.notify("g", 2)
    c.notify("g", 1)
    assert c.flush()
    for i in range(4):
        s.produce(i, "g")
    assert s.flush()
    assert c.receive(3) == [0, 1, 2]
    assert c.nothing()


def test_notify_for_a_foreign_group_is_ignored(relays):
    r = relays(tls=False)
    s, c = r.joined(()), r.joined("g")
    s.produce("secret", "other")
    c.notify({"other": 1, "nowhere": -1, "g": 1})
    assert s.flush() and c.nothing()
    s.produce("mine", "g")
    assert c.pop() == "mine"
    assert r.joined("other").notify("other") is None


def test_zero_does_nothing(relays):
    r = relays(tls=False)
    c = r.joined("g")
    c.send("x", {"g": 0})
    c.notify("g", 0)
    assert c.nothing()
    c.notify("g", -1)
    assert c.nothing()


def test_mixed_destinations_and_bool_counts(relays):
    r = relays(tls=False)
    c = r.joined(("a", "b", "c"))
    c.send("x", {"a": -1, "b": 2, "c": True})  # True is 1 for Python
    assert c.pop() == "x" and c.nothing()
    c.notify({"b": -1, "c": -1})
    assert c.receive(3) == ["x"] * 3


def test_two_consumers_share_fairly(relays):
    """Not join order, as at a stock relay: whoever asked first is served first, and nobody starves."""
    r = relays(tls=False)
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


def test_queue_survives_its_consumers(relays):
    r = relays(tls=False)
    s, c = r.joined(()), r.joined("g")
    s.produce("x", "g")
    assert s.stop() and c.stop()
    c = r.joined("g")
    c.notify("g")
    assert c.pop() == "x"


def test_credit_ends_with_its_connection(relays):
    r = relays(tls=False)
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


def test_acknowledged_object_is_not_given_twice(relays):
    r = relays(tls=False)
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


def test_unread_broadcast_is_not_put_into_a_queue(relays):
    r = relays(tls=False)
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


def test_unknown_acknowledgement_is_ignored(relays):
    e = relays(tls=False).joined("g")
    e.ack(123456)
    e.ack(-1)
    e.ack(1 << 62)
    e.broadcast("x", "g")
    assert e.pop() == "x"


def test_large_stamps(relays):
    e = relays(tls=False).joined("g")
    e._stamp = (1 << 40) - 1
    e.broadcast("x", "g")
    assert e.pop() == "x" and e.flush()
    assert e.acks[-1] == 1 << 40


# --- accepted groups ---------------------------------------------------------------------------


def refused(r, groups):
    e = r.endpoint(groups)
    assert e.closed.wait(PATIENCE), "the relay kept it"
    return e.joined.is_set()


def test_only_listed_groups_are_accepted(relays):
    r = relays(groups={"group1": {}, "Group 2": {}})
    ok = r.joined(("group1", "Group 2"))
    ok.broadcast("x", "Group 2")
    assert ok.pop() == "x"
    assert refused(r, ("group3",))
    assert refused(r, ("group1", "group3")), "all or nothing"
    ok.broadcast("y", "group3")  # skipped silently
    assert ok.nothing()


def test_max_count(relays):
    r = relays(groups={"g": {"max_count": 2}, "h": {}})
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


def test_max_consumables(relays):
    r = relays(groups={"g": {"max_consumables": 2}})
    s, c = r.joined(()), r.joined("g")
    for i in range(5):
        s.produce(i, "g")
    assert s.flush()
    c.notify("g", -1)
    assert len(c.receive(2)) == 2
    assert c.nothing()


def test_refused_endpoint_does_not_disturb(relays):
    r = relays(groups={"g": {"max_count": 1}})
    member = r.joined("g")
    stranger = r.endpoint("g")
    stranger.broadcast("not this", "g")  # stock endpoints send before they know
    stranger.produce("nor this", "g")
    assert stranger.closed.wait(PATIENCE)
    member.notify("g")
    assert member.nothing()
    member.broadcast("x", "g")
    assert member.pop() == "x"


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
