# SPDX-License-Identifier: MIT
"""Identities and rules of a relay, on tlspyo's wire: who may log in, and do what."""

import signal

import pytest

import relay_support
import support

RULES = """
[identity alice]
password_file = {dir}/alice
{more}
[identity bob]
password_file = {dir}/bob

[acl alice]
identity = alice
match = jobs.*
allow = {alice}

[acl bob]
identity = bob
match = jobs.*
match = news
allow = consume

[acl boss]
identity = default
match = *
allow = produce, broadcast, consume, admin
"""
WITHOUT_BOB = RULES[:RULES.index("[identity bob]")] + RULES[RULES.index("[acl alice]"):]
WITHOUT_BOB = WITHOUT_BOB[:WITHOUT_BOB.index("[acl bob]")] + WITHOUT_BOB[
    WITHOUT_BOB.index("[acl boss]"):]


class World:
    def __init__(self, start, work):
        self.dir = work
        for name in ("alice", "bob", "second"):
            relay_support.write_secret(work / name, f"the password of {name} 4711\n")
        self.relay = relay_support.NetkitRelay(start, work, tls=False, ini=self.text(RULES))

    def text(self, rules, alice="produce, broadcast", more=""):
        return rules.format(dir=self.dir, alice=alice, more=more)

    def endpoint(self, name, groups=()):
        return self.relay.endpoint(groups, password=f"the password of {name} 4711")

    def log(self, pattern, start=0):
        return self.relay.program.wait_line(pattern, start)

    def reload(self, text):
        start = len(self.relay.program.lines)
        self.relay.config.write_text(text, encoding="utf-8")
        self.relay.program.proc.send_signal(signal.SIGHUP)
        self.log(r"reload", start)
        return start


@pytest.fixture
def world(programs, work):
    return World(programs, work)


def test_who_is_who(world):
    for name in ("alice", "bob"):
        assert world.endpoint(name).wait_joined().stop()
        world.log(rf"password as '{name}'.*event=auth\.ok")
    assert world.relay.endpoint().wait_joined().stop()
    world.log(r"password as 'default'.*event=auth\.ok")
    assert world.endpoint("nobody").closed.wait(support.PATIENCE)
    world.log(r"event=auth\.fail")


def test_rules(world):
    alice = world.endpoint("alice").wait_joined()
    bob = world.endpoint("bob", ("jobs.a", "news")).wait_joined()
    bob.notify("jobs.a", 5)
    alice.produce("lost", "other")       # not hers: acknowledged and dropped
    alice.broadcast("lost", "news")
    alice.produce("work", "jobs.a")
    assert bob.pop(support.PATIENCE) == "work"
    bob.produce("lost", "jobs.a")        # he may only consume
    bob.broadcast("lost", "news")
    bob.flush()
    world.log(r"'alice' may not produce in group 'other'.*event=acl\.deny")
    world.log(r"'alice' may not broadcast in group 'news'.*event=acl\.deny")
    world.log(r"'bob' may not broadcast in group 'news'.*event=acl\.deny")
    boss = world.relay.endpoint(("news",)).wait_joined()
    boss.broadcast("headline", "news")
    assert bob.pop(support.PATIENCE) == "headline"
    assert boss.pop(support.PATIENCE) == "headline"
    assert bob.nothing()
    assert world.endpoint("alice", ("jobs.a",)).closed.wait(support.PATIENCE)
    assert world.endpoint("bob", ("jobs.a", "secret")).closed.wait(support.PATIENCE)
    assert alice.stop() and bob.stop() and boss.stop()


def test_retained_obeys_its_publisher(world):
    alice = world.endpoint("alice").wait_joined()
    alice.broadcast("kept", "jobs.news")
    alice.flush()
    bob = world.endpoint("bob", ("jobs.news",)).wait_joined()
    assert bob.pop(support.PATIENCE) == "kept"
    assert bob.stop()
    world.reload(world.text(RULES, alice="produce"))
    bob = world.endpoint("bob", ("jobs.news",)).wait_joined()
    world.log(r"retained object.*'alice'.*may not any more")
    assert bob.nothing()
    assert alice.stop() and bob.stop()


def test_reload_sends_away(world):
    alice = world.endpoint("alice").wait_joined()
    bob = world.endpoint("bob", ("news",)).wait_joined()
    boss = world.relay.endpoint(("news",)).wait_joined()
    start = world.reload(world.text(WITHOUT_BOB))
    world.log(r"identity 'bob' was removed", start)
    assert bob.closed.wait(support.PATIENCE)
    boss.broadcast("still here", "news")
    assert boss.pop(support.PATIENCE) == "still here"
    assert alice.stop() and boss.stop()


def test_rotation(world):
    assert world.endpoint("alice").wait_joined().stop()
    world.reload(world.text(RULES, more=f"password_file = {world.dir}/second\n"))

    def second_works():
        endpoint = world.endpoint("second")
        support.wait_until(lambda: endpoint.joined.is_set() or endpoint.closed.is_set())
        return endpoint.stop() and endpoint.joined.is_set()

    support.wait_until(second_works)     # it is stretched first
    assert world.endpoint("alice").wait_joined().stop()


@pytest.mark.parametrize("bad, why", [
    ("[identity x]\n", "neither password_file"),
    ("[identity x]\nkey = nonsense\n", "no Ed25519 public key"),
    ("[identity x]\ncert = CN:a\n", "needs client_ca"),
    ("[identity x]\nuid = root\n", "no uid"),
    ("[acl x]\nidentity = default\nmatch = *\n", "needs identity, match and allow"),
    ("[acl x]\nidentity = ghost\nmatch = *\nallow = consume\n", "no identity 'ghost'"),
    ("[acl x]\nidentity = default\nmatch = *\nallow = everything\n", "is no right"),
])
def test_mistakes(work, bad, why):
    ini = work / "bad.ini"
    ini.write_text(bad, encoding="utf-8")
    done = support.run("relay", "-c", ini, "--state-dir", work / "state", "--listen",
                       "tcp:127.0.0.1:0")
    assert done.returncode == 78 and why in done.stderr
    assert not (work / "state").exists()
