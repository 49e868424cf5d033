# SPDX-License-Identifier: MIT
"""Endpoints on lines of their own: one that is slow while a large object goes up, one that breaks
after who it belongs to has lost the right to log in."""

import subprocess

import pytest

import support
from line_support import Line
from native_peer import ACK, OK, UNKNOWN, Peer
from relay_support import NetkitRelay, succeeded, write_secret
from test_access_native import World

BEGIN_EARLY = True  # see conftest.py
RATE = 2_000_000
SIZE = 10_000_000  # 5 s at that rate: more than twice what a silent peer is given


@pytest.fixture
def lines_of():
    made = []

    def make(*args, **kw):
        made.append(Line(*args, **kw))
        return made[-1]

    yield make
    for line in made:
        line.close()


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
def test_slow_uplink(programs, work, lines_of, tls):
    """PINGs are answered in time, and asked: neither side takes the other for dead."""
    relay = NetkitRelay(programs, work, tls=tls, extra=(
        "--ping-interval", "500ms", "--ping-timeout", "2s", "--log-format", "text", "-vv"))
    line = lines_of(relay.port, RATE)
    data = work / "object"
    data.write_bytes(b"0123456789abcdef" * (SIZE // 16))
    words = relay.options()
    words[1] = f"tcp:127.0.0.1:{line.port}"
    done = support.run("endpoint", "produce", "--to", "g", data, "--wire", "native", *words,
                       timeout=120)
    succeeded(done)
    assert line.carried > SIZE
    assert line.connections == 1, done.stderr
    assert "attempt" not in done.stderr
    assert not [x for x in relay.program.lines if "no sign of life" in x]
    got = support.run("endpoint", "notify", "g", "--no-wait", "--format", "raw", *relay.options(),
                      text=False)
    assert got.returncode == 0 and got.stdout == data.read_bytes()


class Rotation(World):
    """A short grace, and somebody whose secret is replaced: `carol`, by password or key."""

    def __init__(self, start, work, kind="password"):
        self.kind, self.valid = kind, "old"
        for name in ("old", "new"):
            if kind == "key":
                keygen = support.need_command("ssh-keygen")
                subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", work / name],
                               check=True)
            else:
                write_secret(work / name, f"the {name} password of carol 1147\n")
        super().__init__(start, work)

    def text(self, more=""):
        row = f"password_file = {self.dir}/{self.valid}"
        if self.kind == "key":
            row = f"key = {(self.dir / (self.valid + '.pub')).read_text(encoding='utf-8').strip()}"
        return (super().text(more) + "[relay]\nsession_grace = 2s\n"
                f"[identity carol]\n{row}\n"
                "[acl carol]\nidentity = carol\nmatch = jobs.*\nallow = consume\n")

    def secret(self, name):
        return ["--login-key" if self.kind == "key" else "--password-file", self.dir / name]


def leased(p):
    """Take what waits in jobs.a; returns the group and the number of the lease."""
    group = p.open("jobs.a").group
    p.credit(group, 1)
    (seq, _), = p.items(group, 1)
    return group, seq


def test_resume_with_a_certificate_that_is_nobodys(programs, work):
    world = Rotation(programs, work)
    succeeded(world.run("produce", "--to", "jobs.a", "--text", "x", *world.password("alice")))
    p = Peer(world.tls("worker"))
    group, seq = leased(p)
    p.close()
    p = Peer(world.tls("worker"), session=p.session)
    assert p.resumed  # as long as it is the worker's
    p.close()
    world.reload(world.text().replace("[identity worker]\ncert = CN:worker\n", "").replace(
        "identity = worker\n", "identity = alice\n"))
    with pytest.raises(AssertionError, match="not logged in"):
        Peer(world.tls("worker"), session=p.session)
    # it is somebody else's now: neither the session nor its lease is
    world.reload(world.text().replace("[identity worker]", "[identity other]").replace(
        "identity = worker", "identity = other"))
    other = Peer(world.tls("worker"), session=p.session)
    assert not other.resumed
    assert other.open("jobs.a").group == group
    assert other.settle(ACK, group, (seq, 1)) == UNKNOWN
    other.credit(group, 1)
    (again, data), = other.items(group, 1)  # once the grace is over
    assert again == seq and b"x" in data
    assert other.settle(ACK, group, (seq, 1)) == OK


@pytest.mark.parametrize("kind", ["password", "key"])
def test_resume_with_a_secret_that_was_replaced(programs, work, lines_of, kind):
    """Who is in stays in; when the line breaks the old secret brings nothing back."""
    world = Rotation(programs, work, kind)
    line = lines_of(world.relay.port)
    common = ["--group", "jobs.a", "--state-dir", work / "none", "--ca", world.relay.ca]
    worker = programs([support.NETKIT, "endpoint", "consume", *common, "--connect",
                       f"tcp:127.0.0.1:{line.port}", *world.secret("old"), "--exec", "sh", "--",
                       "-c", "echo works >&2; exec sleep 1000"])
    succeeded(world.run("produce", "--to", "jobs.a", "--text", "x", *world.password("alice")))
    worker.wait_line("works")
    line.cut()
    support.wait_until(lambda: line.connections >= 1)
    world.relay.program.wait_line(f"{kind} as 'carol'")
    start = world.relay.program.mark()
    world.valid = "new"
    world.reload(world.text())
    assert worker.alive()
    line.cut()
    assert worker.wait() == 77, worker.stderr()
    world.relay.program.wait_line(r"auth\.fail", start)
    got = world.run("receive", "--group", "jobs.a", "--notify", "1", "-n", "1", "--format", "text",
                    *world.secret("new"))
    assert succeeded(got).stdout == "x\n"
