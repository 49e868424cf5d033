# SPDX-License-Identifier: MIT
"""netkit endpoint daemon and what uses it: pop, get-last, receive-all, notify, produce, broadcast,
status, stop; with real relays, several daemons, and both of them dying."""

import json
import os
import pathlib
import signal
import socket
import stat
import subprocess

import pytest

import relay_support
import support
from support import check_error


@pytest.fixture
def relay(programs, work):
    return relay_support.Relay(programs, work, "--session-grace", "500ms", connection="TCP")


class Daemon:
    """`netkit endpoint daemon`; its commands are methods."""

    def __init__(self, programs, relay, name="d1", *extra, state=None):
        self.name = name
        self.state = state or relay.state
        argv = [support.NETKIT, "endpoint", "daemon", "--name", name, *extra, *relay.options()]
        self.program = programs(argv)
        self.program.wait_line("service: ready")

    def connected(self):
        self.program.wait_line(f"endpoint {self.name}: connected")
        return self

    def run(self, verb, *args, **kw):
        return support.run("endpoint", verb, "--name", self.name, *args, "--state-dir", self.state,
                           **kw)

    def do(self, verb, *args, **kw):
        done = self.run(verb, *args, **kw)
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout

    def values(self, verb="pop", *args):
        return [item["value"] for item in json.loads(self.do(verb, *args, "--json"))]

    def status(self):
        return json.loads(self.do("status"))

    def wait_waiting(self, n):
        support.wait_until(lambda: self.status()["waiting"] == n)
        return self


def queued(relay, group):
    done = support.run("relay", "groups", "--state-dir", relay.state, "--json")
    for g in json.loads(done.stdout)["groups"]:
        if g["name"] == group:
            return g["queued"]
    return 0


def test_lease_is_renewed_while_an_object_waits(programs, work):
    relay = relay_support.NetkitRelay(programs, work, groups={"jobs": {"lease": "1s"}})
    d = Daemon(programs, relay, "keeps", "--notify", "jobs=1").connected()
    relay_support.succeeded(relay_support.endpoint(relay, "produce", "--to", "jobs", "--text", "work"))
    support.wait_until(lambda: d.status()["waiting"] == 1)
    done = relay_support.endpoint(relay, "notify", "jobs", "--timeout", "2500ms")
    assert done.returncode == 75, done  # nobody else gets it, for longer than the lease
    assert (d.status()["waiting"], d.status()["lost"]) == (1, 0)


def test_lost_lease_leaves_the_queue(programs, work):
    """The daemon stands still until somebody else has the object. What it took first proves that the
    relay knows by then how many it wants."""
    relay = relay_support.NetkitRelay(programs, work, groups={"jobs": {"lease": "1s"}})
    d = Daemon(programs, relay, "stands", "--notify", "jobs=2").connected()
    relay_support.succeeded(relay_support.endpoint(relay, "produce", "--to", "jobs", "--text", "first"))
    d.wait_waiting(1)
    assert d.values() == ["first"]
    d.program.proc.send_signal(signal.SIGSTOP)
    try:
        relay_support.succeeded(relay_support.endpoint(relay, "produce", "--to", "jobs", "--text", "work"))
        got = relay_support.lines(relay_support.endpoint(relay, "notify", "jobs"))
        assert [o["value"] for o in got] == ["work"]
    finally:
        d.program.proc.send_signal(signal.SIGCONT)
    support.wait_until(lambda: d.status()["lost"] == 1)
    assert d.status()["waiting"] == 0
    assert d.status()["groups"][0]["wanted"] == 1


def test_reads(programs, relay):
    """tlspyo's pop, get_last and receive_all; an empty list is no error."""
    d = Daemon(programs, relay, "d1", "--group", "news").connected()
    assert json.loads(d.do("pop", "--json")) == []
    assert d.do("pop") == "" and d.do("get-last") == "" and d.do("receive-all") == ""
    sender = relay.endpoint().wait_joined()
    for i in range(10):
        sender.broadcast(i, "news")
    d.wait_waiting(10)
    assert d.values("pop") == [0]
    assert d.values("pop", "-n", "3") == [1, 2, 3]
    assert d.values("pop", "--max-items", "1") == [4]
    assert d.values("get-last", "-n", "2") == [8, 9]
    assert d.values("receive-all") == []
    sender.broadcast("x", "news")
    sender.broadcast(b"\0\1", "news")
    d.wait_waiting(2)
    assert d.do("receive-all", "--format", "text").encode() == b"x\n\0\1\n"
    assert d.status()["skipped"] == 3 and d.status()["taken"] == 9
    assert sender.stop()
    d.do("stop")
    assert d.program.wait() == 0


def test_blocking(programs, relay):
    d = Daemon(programs, relay, "d1", "--group", "news").connected()
    check_error(d.run("pop", "--block", "--timeout", "200ms"), 75, "in time")
    sender = relay.endpoint().wait_joined()
    argv = [support.NETKIT, "endpoint", "pop", "--name", "d1", "--block", "--state-dir", d.state]
    waiting = []
    for i in range(3):  # first come, first served
        waiting.append(programs(argv, stdout=subprocess.PIPE))
        support.wait_until(lambda n=i: d.status()["readers"] == n + 1)
    for i in range(3):
        sender.broadcast(i, "news")
    for i, one in enumerate(waiting):
        assert one.wait() == 0
        assert json.loads(one.proc.stdout.read())["value"] == i
    # a reader that goes away takes nothing with it
    gone = programs(argv, stdout=subprocess.PIPE)
    support.wait_until(lambda: d.status()["readers"] == 1)
    gone.kill()
    support.wait_until(lambda: d.status()["readers"] == 0)
    sender.broadcast("still", "news")
    assert d.values("pop", "--block") == ["still"]
    # a daemon that ends tells who waits
    last = programs(argv)
    support.wait_until(lambda: d.status()["readers"] == 1)
    assert d.program.stop() == 0
    assert last.wait() == 69
    assert "about to end" in last.stderr()
    assert sender.stop()


def test_notify(programs, relay):
    """Standing demand: so many, now or later; -1 takes what is there."""
    d = Daemon(programs, relay, "d1", "--group", "jobs").connected()
    sender = relay.endpoint().wait_joined()
    for i in range(5):
        sender.produce(i, "jobs")
    support.wait_until(lambda: queued(relay, "jobs") == 5)
    assert d.values("receive-all") == []
    d.do("notify", "jobs=2")
    d.wait_waiting(2)
    assert d.values("receive-all") == [0, 1]
    d.do("notify", "jobs=-1")
    d.wait_waiting(3)
    assert d.values("receive-all") == [2, 3, 4]
    d.do("notify", "jobs=3")
    assert d.status()["groups"] == [{"name": "jobs", "wanted": 3}]
    sender.produce("a", "jobs")
    assert d.values("pop", "--block") == ["a"]
    assert d.status()["groups"] == [{"name": "jobs", "wanted": 2}]
    assert d.run("notify", "jobs=0").returncode == 2
    assert sender.stop()
    d.do("stop")


def test_send_through_it(programs, relay, work):
    member = relay.joined(groups=("g", "h"))
    d = Daemon(programs, relay).connected()
    assert d.do("broadcast", "--to", "g", "--text", "hi") == ""
    assert member.pop(support.PATIENCE) == "hi"
    big = os.urandom(3 << 20)
    (work / "big").write_bytes(big)
    assert json.loads(d.do("produce", "--to", "g=2", "--to", "h", work / "big", "--json")) == {
        "objects": 1, "acknowledged": True}
    assert queued(relay, "g") == 2 and queued(relay, "h") == 1
    member.notify("h")
    assert member.pop(support.PATIENCE) == big
    lines = "".join(f"line {i}\n" for i in range(20000))
    d.do("produce", "--to", "lines", "--lines", "--as", "str", input=lines)
    assert queued(relay, "lines") == 20000
    check_error(d.run("produce", "--to", "g", "--as", "pickle", "--text", "no pickle"), 1)
    check_error(support.run("endpoint", "produce", "--to", "g", "--no-wait", "--text", "x",
                            *relay.options()), 2, "--name")
    assert member.stop()
    assert d.program.stop() == 0


def test_metadata(programs, relay):
    """They pass a daemon in both directions, whoever sends and whoever reads."""
    d = Daemon(programs, relay, "d1", "--notify", "jobs=2").connected()
    d.do("produce", "--to", "jobs", "--to", "others", "--text", '{"n":1}', "--content", "json",
         "--ttl", "1h", "--header", "a=b", "--header", "c=1", "--header", "c=2=3", "--reply-to",
         "answers", "--correlation", "id 7")
    relay_support.succeeded(relay_support.endpoint(
        relay, "produce", "--to", "jobs", "--text", "x", "--reply-to", "back", "--header", "q=r"))
    d.wait_waiting(2)
    got = json.loads(d.do("pop", "-n", "2", "--json"))
    first = relay_support.lines(relay_support.endpoint(relay, "notify", "others"))[0]
    for one in (got[0], first):
        assert one.pop("expires_ms") > 0 and one.pop("seq") > 0
        assert one.pop("group") in ("jobs", "others")
        assert one == {"kind": "item", "tries": 0, "type": "json", "value": '{"n":1}',
                       "reply_to": "answers", "correlation": "id 7",
                       "headers": {"a": "b", "c": ["1", "2=3"]}}
    assert got[1]["reply_to"] == "back" and got[1]["headers"] == {"q": "r"}
    assert got[1]["type"] == "str" and "correlation" not in got[1]
    for words in (("--header", "nothing"), ("--header", "=x"), ("--correlation", "x" * 65),
                  ("--reply-to", "x" * 1025), ("--reply-to", "")):
        check_error(d.run("produce", "--to", "jobs", "--text", "x", *words), 2)
    check_error(d.run("produce", "--to", "jobs", "--text", "{", "--content", "json"), 1, "not JSON")
    check_error(d.run("produce", "--to", "jobs", "--text", "x", "--content", "pickle"), 1, "pickle")
    assert d.do("receive-all") == ""
    d.do("stop")


def test_several_daemons(programs, relay):
    """Each has its name, socket and queue; the same name twice is refused."""
    one = Daemon(programs, relay, "one", "--group", "g").connected()
    two = Daemon(programs, relay, "two", "--group", "g").connected()
    many = [Daemon(programs, relay, f"w{i}", "--notify", "jobs").connected() for i in range(6)]
    second = programs([support.NETKIT, "endpoint", "daemon", "--name", "one", *relay.options()])
    assert second.wait() == 75
    one.do("broadcast", "--to", "g", "--text", "both")
    assert one.values("pop", "--block") == ["both"] and two.values("pop", "--block") == ["both"]
    for i in range(6):
        one.do("produce", "--to", "jobs", "--text", f"job {i}")
    got = [d.values("pop", "--block")[0] for d in many]
    assert sorted(got) == [f"job {i}" for i in range(6)]
    for d in (one, two, *many):
        assert d.program.stop() == 0
        assert not (d.state / "endpoint" / d.name / "control.sock").exists()


def test_killed_daemon_gives_back(programs, relay):
    """Items that no command took go to the next daemon, in their order."""
    d = Daemon(programs, relay, "first", "--notify", "jobs=10").connected()
    sender = relay.endpoint().wait_joined()
    for i in range(10):
        sender.produce(i, "jobs")
    d.wait_waiting(10)
    assert d.values("pop", "-n", "4") == [0, 1, 2, 3]
    os.kill(d.program.pid, signal.SIGKILL)
    assert d.program.wait() == -signal.SIGKILL
    support.wait_until(lambda: queued(relay, "jobs") == 6)
    # the left-over socket and lock are no hindrance
    again = Daemon(programs, relay, "first", "--notify", "jobs=10").connected()
    again.wait_waiting(6)
    assert again.values("receive-all") == [4, 5, 6, 7, 8, 9]
    # one that ends in order gives back, too
    sender.produce("late", "jobs")
    again.wait_waiting(1)
    again.do("stop")
    support.wait_until(lambda: queued(relay, "jobs") == 1)
    assert sender.stop()


def test_killed_command_takes_nothing(programs, relay):
    """What a command did not write completely stays in the daemon."""
    d = Daemon(programs, relay, "d1", "--notify", "jobs=3").connected()
    for i in range(3):
        d.do("produce", "--to", "jobs", "--as", "str", input=f"{i}" * 200000)
    d.wait_waiting(3)
    read, write = os.pipe()
    stuck = programs([support.NETKIT, "endpoint", "receive-all", "--name", "d1", "--state-dir",
                      d.state, "--format", "text"], stdout=write)
    support.wait_until(lambda: d.status()["on_loan"] == 3)
    stuck.kill()
    os.close(read), os.close(write)
    d.wait_waiting(3)
    assert d.status()["returned"] == 3
    full = pathlib.Path("/dev/full").open("wb")
    with full:
        done = d.run("pop", stdout=full)
    assert done.returncode == 74, done.stderr
    assert [v[0] for v in d.values("receive-all")] == ["0", "1", "2"]
    d.do("stop")


def restart(programs, relay, *extra):
    """The relay goes and comes back on its port."""
    port = relay.port
    os.kill(relay.program.pid, signal.SIGKILL)
    relay.program.wait()
    relay.program = programs([support.NETKIT, "relay", "--state-dir", relay.state, "--listen",
                              f"tcp:127.0.0.1:{port}", "--connection", "TCP", *extra])
    relay.program.wait_line("service: ready")


def test_relay_restarted(programs, relay):
    """It comes back by itself, its demand is renewed, and what was sent meanwhile arrives."""
    d = Daemon(programs, relay, "d1", "--notify", "jobs=3").connected()
    d.do("produce", "--to", "jobs", "--text", "before")
    assert d.values("pop", "--block") == ["before"]
    mark = d.program.mark()
    restart(programs, relay)
    d.program.wait_line("connected again", mark)
    assert d.status()["groups"] == [{"name": "jobs", "wanted": 2}]
    sender = relay.endpoint().wait_joined()
    for i in range(3):
        sender.produce(i, "jobs")
    assert d.values("pop", "--block") == [0] and d.values("pop", "--block") == [1]
    support.wait_until(lambda: queued(relay, "jobs") == 1)  # the third was not asked for
    assert d.status()["connections"] == 2
    assert sender.stop()
    d.do("stop")


def test_relay_not_there_yet(programs, work):
    """A daemon starts before its relay; what it is given waits."""
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    state = work / "state"
    credentials = state / "credentials"
    credentials.mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    relay_support.write_secret(credentials / "password", "a quite long password 123\n")
    options = ["--state-dir", state, "--connection", "TCP", "--connect", f"tcp:127.0.0.1:{port}"]
    d = programs([support.NETKIT, "endpoint", "daemon", *options, "--group", "g"])
    d.wait_line("next attempt")

    def endpoint(verb, *args):
        return support.run("endpoint", verb, *args, "--state-dir", state)
    assert endpoint("broadcast", "--name", "default", "--to", "g", "--text", "early",
                    "--no-wait").returncode == 0
    late = endpoint("broadcast", "--name", "default", "--to", "g", "--text", "waits", "--timeout",
                    "300ms")
    check_error(late, 75)
    check_error(endpoint("stop", "--name", "nobody"), 69, "nobody")
    relay = programs([support.NETKIT, "relay", "--state-dir", state, "--listen",
                      f"tcp:127.0.0.1:{port}", "--connection", "TCP"])
    relay.wait_line("service: ready")
    done = endpoint("pop", "--block", "--timeout", "20s", "--format", "text")
    assert done.stdout == "early\n"
    assert endpoint("stop").returncode == 0
    assert d.wait() == 0
    assert relay.stop() == 0


def test_limits(programs, relay):
    """Broadcasts beyond the limit: the oldest go. Produced objects are not even asked for."""
    d = Daemon(programs, relay, "d1", "--group", "news", "--queue-items", "5").connected()
    sender = relay.endpoint().wait_joined()
    for i in range(8):
        sender.broadcast(i, "news")
    support.wait_until(lambda: d.status()["received"] == 8)
    assert d.values("receive-all") == [3, 4, 5, 6, 7] and d.status()["dropped"] == 3
    d.do("stop")
    d = Daemon(programs, relay, "d2", "--notify", "jobs=20", "--queue-items", "5").connected()
    for i in range(20):
        sender.produce(i, "jobs")
    d.wait_waiting(5)
    assert queued(relay, "jobs") == 15
    got = []
    while len(got) < 20:
        got += d.values("pop", "--block", "-n", "3")
    assert got == list(range(20))
    assert sender.stop()
    d.do("stop")


def test_wrong_names(programs, relay, work):
    for name in ("../x", "A", "a/b", "", "x" * 65):
        done = support.run("endpoint", "pop", "--name", name, "--state-dir", relay.state)
        check_error(done, 2, "name")
    program = programs([support.NETKIT, "endpoint", "daemon", "--name", "../x", *relay.options()])
    assert program.wait() == 2
    for verb in ("pop", "get-last", "receive-all", "stop", "status"):
        check_error(support.run("endpoint", verb, "--state-dir", work / "none"), 69, "default")
    check_error(support.run("endpoint", "notify", "--name", "none", "g", "--state-dir", work), 69)
    done = support.run("endpoint", "produce", "--name", "none", "--to", "g", "--text", "x",
                       "--state-dir", work)
    check_error(done, 69)


def test_wrong_password_ends(programs, relay, work):
    bad = relay_support.write_secret(work / "bad", "another password, wrong\n")
    program = programs([support.NETKIT, "endpoint", "daemon", *relay.options(), "--password-file",
                        bad])
    assert program.wait() == 77
    assert not (relay.state / "endpoint" / "default" / "control.sock").exists()


def test_under_run(programs, relay, work):
    """As a service of netkit.ini, several of them, with limits that a reload changes."""
    ini = work / "run.ini"
    text = (f"[endpoint one]\ngroup = g\nconnect = tcp:{relay.address}\nconnection = TCP\n"
            f"queue_items = 2\n\n[endpoint two]\nnotify = jobs=2\nconnect = tcp:{relay.address}\n"
            f"connection = TCP\n")
    ini.write_text(text)
    run = programs([support.NETKIT, "run", "-c", ini, "--state-dir", relay.state])
    run.wait_line("endpoint one: connected")
    run.wait_line("endpoint two: connected")
    assert support.run("health", "--state-dir", relay.state).returncode == 0

    def values(name, verb="receive-all"):
        done = support.run("endpoint", verb, "--name", name, "--json", "--block", "--state-dir",
                           relay.state, "--timeout", "20s")
        assert done.returncode == 0, done.stderr
        return [item["value"] for item in json.loads(done.stdout)]

    def status(name):
        return json.loads(support.run("status", "--state-dir", relay.state).stdout)[name]
    sender = relay.endpoint().wait_joined()
    for i in range(5):
        sender.broadcast(i, "g")
        sender.produce(i, "jobs")
    support.wait_until(lambda: status("endpoint one")["received"] == 5)
    support.wait_until(lambda: status("endpoint two")["received"] == 2)
    assert values("one") == [3, 4] and values("two") == [0, 1]
    ini.write_text(text.replace("queue_items = 2", "queue_items = 3"))
    assert support.run("reload", "--state-dir", relay.state).returncode == 0
    for i in range(5):
        sender.broadcast(i, "g")
    support.wait_until(lambda: status("endpoint one")["received"] == 10)
    assert values("one") == [2, 3, 4]
    # one service ends, the others go on
    done = support.run("endpoint", "stop", "--name", "two", "--state-dir", relay.state)
    assert done.returncode == 0, done.stderr
    assert status("endpoint two")["state"] == "ended"
    assert status("endpoint one")["state"] == "ready"
    assert sender.stop()
    assert run.stop() == 0


def test_tls(programs, work):
    """Over TLS, with the certificate of the credentials folder."""
    relay = relay_support.Relay(programs, work)
    d = Daemon(programs, relay, "d1", "--group", "g").connected()
    d.do("broadcast", "--to", "g", "--text", "hi")
    assert d.values("pop", "--block") == ["hi"]
    d.do("stop")


def test_socket(programs, relay):
    """Private, and unmoved by those who speak something else."""
    d = Daemon(programs, relay, "d1", "--group", "g").connected()
    path = d.state / "endpoint" / "d1" / "control.sock"
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"\xff" * 64, b"status\n" * 10,
                 b"\x0c\0\0\0\x01\0\0\0nk-endpoint\x01", b"\x0c\0\0\0\x01\0\0\0nk-endpoint\x02\0\0\0\0\3\0\0\0",
                 b"\x0c\0\0\0\x01\0\0\0nk-endpoint\x02\x14\0\0\0\2\0\0\0" + b"\7" * 20):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(support.PATIENCE)
            s.connect(str(path))
            s.sendall(data)
            assert relay_support.closed_by_peer(s), data
    with socket.socket(socket.AF_UNIX) as s:  # says nothing
        s.connect(str(path))
        d.do("broadcast", "--to", "g", "--text", "hi")
        assert d.values("pop", "--block") == ["hi"]
        assert d.program.stop() == 0


def test_named_section(programs, relay, work):
    """[endpoint NAME] is what --name stands for, flags win, and a reload reads it again."""
    ini = work / "endpoints.ini"
    text = (f"[endpoint one]\ngroup = g\nconnect = tcp:{relay.address}\nconnection = TCP\n"
            f"queue_items = 2\n[endpoint bad]\nconnect = tcp:127.0.0.1:1\nconnection = TCP\n"
            f"wire = native\n")
    ini.write_text(text)
    where = ["-c", ini, "--state-dir", relay.state]

    def start(*words):
        program = programs([support.NETKIT, "endpoint", "daemon", *words, *where])
        program.wait_line("service: ready")
        return program

    def run(verb, *words, **kw):
        return support.run("endpoint", verb, *words, *where, **kw)

    def status(name):
        return json.loads(run("status", "--name", name).stdout)
    daemon = start("--name", "one")
    daemon.wait_line("endpoint one: connected")
    sender = relay.endpoint().wait_joined()
    for i in range(4):
        sender.broadcast(i, "g")
    support.wait_until(lambda: status("one")["received"] == 4)
    assert status("one")["waiting"] == 2 and status("one")["groups"][0]["name"] == "g"
    ini.write_text(text.replace("queue_items = 2", "queue_items = 3"))
    daemon.proc.send_signal(signal.SIGHUP)
    support.wait_until(lambda: "reload" in daemon.stderr())
    for i in range(4):
        sender.broadcast(i, "g")
    support.wait_until(lambda: status("one")["received"] == 8)
    assert status("one")["waiting"] == 3
    flags = start("--name", "bad", "--connect", f"tcp:{relay.address}", "--group", "h")
    flags.wait_line("endpoint bad: connected")
    # commands that use a daemon by this name ..
    relay_support.succeeded(run("produce", "--name", "bad", "--to", "jobs", "--text", "x"))
    # .. and those that use none
    got = relay_support.lines(run("receive", "--name", "one", "--group", "jobs", "--notify", "1",
                                  "-n", "1"))
    assert got[0]["value"] == "x"
    assert json.loads(run("bench", "--name", "one", "-n", "20", "--json").stdout)["count"] == 20
    check_error(run("receive", "--name", "bad", "--group", "g"), 69, "127.0.0.1:1")
    got = run("receive", "--name", "bad", "--group", "g", "-n", "1", "--connect",
              f"tcp:{relay.address}")
    assert relay_support.succeeded(got).stdout
    check_error(run("receive", "--name", "none", "--group", "g"), 78, "[endpoint none]")
    check_error(support.run("endpoint", "pipe", "--name", "none", "--state-dir", relay.state), 78,
                "[endpoint none]")
    assert sender.stop()
    assert daemon.stop() == 0 and flags.stop() == 0


def test_stop_while_the_relay_is_away(programs, relay):
    """Nobody waits for ever, and everybody learns what became of the objects."""
    d = Daemon(programs, relay).connected()
    port = relay.port
    os.kill(relay.program.pid, signal.SIGKILL)
    relay.program.wait()
    d.program.wait_line("next attempt")
    for i in range(3):
        d.do("produce", "--to", "jobs", "--text", str(i), "--no-wait")
    done = d.run("stop", "--timeout", "300ms")
    check_error(done, 75, "the relay is not there", "3 object(s)", "goes on trying", "--force")
    check_error(d.run("pop"), 69, "about to end")
    relay.program = programs([support.NETKIT, "relay", "--state-dir", relay.state, "--listen",
                              f"tcp:127.0.0.1:{port}", "--connection", "TCP"])
    assert d.program.wait() == 0  # now that the relay is back
    assert queued(relay, "jobs") == 3
    d = Daemon(programs, relay).connected()
    d.do("stop", "--force")
    assert d.program.wait() == 0
    d = Daemon(programs, relay).connected()
    os.kill(relay.program.pid, signal.SIGKILL)
    relay.program.wait()
    d.program.wait_line("next attempt")
    d.do("produce", "--to", "jobs", "--text", "x", "--no-wait")
    check_error(d.run("stop", "--force"), 1, "1 object(s)", "lost")
    assert d.program.wait() == 0
    assert "1 object(s)" in d.program.stderr() and "lost" in d.program.stderr()
