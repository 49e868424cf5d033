# SPDX-License-Identifier: MIT
"""netkit endpoint pipe: lines of JSON in, events out."""

import base64
import json
import os
import pickle
import signal
import subprocess
import time

import pytest

import relay_support
import support


@pytest.fixture
def relay(programs, work):
    return relay_support.Relay(programs, work, connection="TCP")


class Pipe:
    def __init__(self, programs, relay, *extra):
        argv = [support.NETKIT, "endpoint", "pipe", *extra, *relay.options()]
        self.program = programs(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, op, **kw):
        self.raw(json.dumps({"op": op, **kw}) + "\n")

    def raw(self, text):
        self.program.proc.stdin.write(text.encode("utf-8"))
        self.program.proc.stdin.flush()

    def event(self, want=None):
        """The next event; with `want` the next of that kind, all others are passed over."""
        while True:
            line = self.program.proc.stdout.readline()
            assert line, self.program.stderr()
            event = json.loads(line)
            if want in (None, event["event"]):
                return event

    def close(self):
        self.program.proc.stdin.close()
        rest = [json.loads(line) for line in self.program.proc.stdout]
        return self.program.wait(), rest


def test_send(programs, relay, work):
    """Every form of payload, as Python sees it; the end of input waits for the relay."""
    member = relay.joined(groups=("g",))
    p = Pipe(programs, relay)
    assert p.event()["event"] == "connected"
    value = {"a": [1, -5, 2**40, 1.5, None, True, "h\u00e9"], "b": {}}
    (work / "file").write_bytes(b"\0" * 100000)
    p.say("broadcast", group="g", value=value, id="one")
    p.say("broadcast", group="g", text="hi", id=2)
    p.say("broadcast", group="g", base64=base64.b64encode(b"\xff\0").decode())
    p.say("broadcast", group="g", file=str(work / "file"))
    p.say("broadcast", group="g", pickle=base64.b64encode(pickle.dumps((1, 2))).decode())
    assert member.receive(5) == [value, "hi", b"\xff\0", b"\0" * 100000, (1, 2)]
    assert p.event() == {"event": "stored", "id": "one"}
    assert p.event() == {"event": "stored", "id": 2}
    p.say("produce", group="q", value=1, copies=3)
    p.say("flush", id="f")
    assert p.event() == {"event": "flushed", "id": "f"}
    for i in range(20000):
        p.raw('{"op":"produce","group":"q","value":%d}\n' % i)
    p.raw('{"op":"produce","group":"q","value":"no line end"}')
    code, rest = p.close()
    assert code == 0 and rest == []
    groups = support.run("relay", "groups", "--json", "--state-dir", relay.state).stdout
    assert [g["queued"] for g in json.loads(groups)["groups"] if g["name"] == "q"] == [20004]
    assert member.stop()


def test_receive(programs, relay):
    """Leases: what is acknowledged is done, what is not goes to the next."""
    sender = relay.endpoint().wait_joined()
    for i in range(5):
        sender.produce({"n": i}, "jobs")
    sender.flush()
    p = Pipe(programs, relay, "--group", "jobs", "--group", "news")
    p.event("connected")
    sender.broadcast(b"\1", "news")
    got = p.event("object")
    assert got["type"] == "bytes" and base64.b64decode(got["value"]) == b"\1"
    p.say("notify", group="jobs", n=3)
    jobs = [p.event("object") for _ in range(3)]
    assert [j["value"] for j in jobs] == [{"n": 0}, {"n": 1}, {"n": 2}]
    p.say("ack", lease=jobs[1]["lease"])
    p.say("ack", lease=jobs[0]["lease"])
    p.say("ack", lease=jobs[0]["lease"], id="twice")
    error = p.event()
    assert error["event"] == "error" and error["id"] == "twice" and error["line"] == 4
    p.say("notify", group="jobs", n=-1)
    assert [p.event("object")["value"] for _ in range(2)] == [{"n": 3}, {"n": 4}]
    p.event("drained")
    code, _ = p.close()
    assert code == 0
    other = relay.joined(groups=("jobs",))
    other.notify("jobs", 3)
    assert other.receive(3) == [{"n": 2}, {"n": 3}, {"n": 4}]
    assert other.stop() and sender.stop()


def test_metadata(programs, relay):
    """What a program says about an object, and what it is told."""
    p = Pipe(programs, relay, "--group", "jobs")
    p.event("connected")
    p.say("produce", group="jobs", value={"a": [1, 1.5, None, "\u00e9"]}, content="json", ttl=60000,
          headers={"x": "1", "y": ["2", "3=4"]}, reply_to="back", correlation="id")
    p.say("produce", group="jobs", text="plain", content="text")
    p.say("produce", group="jobs", base64="/w==", content="bytes")
    p.say("produce", group="jobs", value=7, content="pickle", headers={})
    p.say("notify", group="jobs", n=4)
    got = [p.event("object") for _ in range(4)]
    assert got[0].pop("expires_ms") > 0
    assert {k: v for k, v in got[0].items() if k not in ("event", "lease", "seq")} == {
        "group": "jobs", "kind": "item", "tries": 0, "type": "json",
        "value": '{"a":[1,1.5,null,"\u00e9"]}', "headers": {"x": "1", "y": ["2", "3=4"]},
        "reply_to": "back", "correlation": "id"}
    assert [(d["type"], d["value"]) for d in got[1:]] == [("str", "plain"), ("bytes", "/w=="),
                                                         ("int", 7)]
    assert "headers" not in got[3]
    for what in ({"value": 1, "content": "bytes"}, {"text": "x", "content": "pickle"},
                 {"text": "x", "content": "no"}, {"base64": "/w==", "content": "text"},
                 {"value": 1, "headers": {"a=b": "x"}}, {"value": 1, "headers": []},
                 {"value": 1, "headers": {"a": 1}}, {"value": 1, "headers": {"": "x"}},
                 {"value": 1, "reply_to": ""}, {"value": 1, "correlation": "x" * 65},
                 {"value": 1, "correlation": 7}, {"value": 1, "ttl": -1}):
        p.say("produce", group="jobs", **what)
        assert p.event()["event"] == "error", what
    assert p.close()[0] == 0


def test_lease_that_has_run_out(programs, work):
    """Extended in time it stays ours; extended too late the program is told that it is not."""
    relay = relay_support.NetkitRelay(programs, work, tls=False, groups={"g": {"lease": "1s"}})
    p = Pipe(programs, relay, "--group", "g")
    p.event("connected")
    p.say("produce", group="g", value="job")
    p.say("notify", group="g", n=1)
    lease = p.event("object")["lease"]
    p.say("extend", lease=lease, ms=300000)
    other = Pipe(programs, relay, "--group", "g")
    other.event("connected")
    other.say("notify", group="g", n=1)
    p.say("extend", lease=lease, ms=1)
    got = other.event("object")
    assert got["value"] == "job" and got["tries"] == 1
    p.say("extend", lease=lease, ms=1000)
    assert p.event() == {"event": "lost", "lease": lease}
    p.say("ack", lease=lease)
    assert p.event()["event"] == "error"
    other.say("ack", lease=got["lease"])
    assert other.close()[0] == 0 and p.close()[0] == 0


def test_auto_ack(programs, relay):
    sender = relay.endpoint().wait_joined()
    p = Pipe(programs, relay, "--group", "jobs", "--auto-ack")
    p.say("notify", group="jobs", n=2)
    sender.produce("a", "jobs")
    got = p.event("object")
    assert got["value"] == "a" and "lease" not in got
    assert p.close()[0] == 0
    sender.produce("b", "jobs")
    sender.flush()
    groups = json.loads(support.run("relay", "groups", "--json", "--state-dir", relay.state).stdout)
    assert [(g["queued"], g["leased"]) for g in groups["groups"]] == [(1, 0)]
    assert sender.stop()


def test_bad_requests(programs, relay):
    p = Pipe(programs, relay)
    p.event("connected")
    bad = ["x", "{}", "[]", "1", '{"op":1}', '{"op":"no"}', '{"op":"produce"}',
           '{"op":"produce","group":"g"}', '{"op":"produce","group":"","value":1}',
           '{"op":"produce","group":"g","value":1,"text":"x"}',
           '{"op":"produce","group":"g","text":1}', '{"op":"produce","group":"g","base64":"!"}',
           '{"op":"produce","group":"g","pickle":"AAAA"}',
           '{"op":"produce","group":"g","file":"/nowhere"}',
           '{"op":"produce","group":"g","value":1,"copies":0}',
           '{"op":"produce","group":"g","value":%s}' % ("[" * 200 + "]" * 200),
           '{"op":"ack"}', '{"op":"ack","lease":1}', '{"op":"ack","lease":"x"}',
           '{"op":"notify","group":"g","n":-2}', '{"op":"produce","group":"g","value":1,"id":{}}']
    for i, line in enumerate(bad):
        p.raw(line + "\n")
        got = p.event()
        assert got["event"] == "error" and got["line"] == i + 1, line
    p.raw("\n\n")
    p.say("broadcast", group="g", value="fine", id=1)
    assert p.event()["event"] == "stored"
    assert p.close() == (0, [])


def test_ends(programs, relay):
    assert Pipe(programs, relay).close()[0] == 0
    p = Pipe(programs, relay)
    p.event("connected")
    p.program.proc.send_signal(signal.SIGTERM)
    assert p.program.wait() == 0
    p = Pipe(programs, relay)
    p.event("connected")
    p.program.proc.stdout.close()
    p.raw("not json\n")
    assert p.program.wait() == 141
    p.program.proc.stdout = None
    done = support.run("endpoint", "pipe", "--connect", "tcp:127.0.0.1:1", "--connection", "TCP",
                       "--password-file", relay.password_file, input="")
    assert done.returncode in (0, 69)


def test_flush_without_anything_to_wait_for(programs, relay):
    """Answered at once, each of several; later than the lines before it."""
    p = Pipe(programs, relay, "--group", "jobs")
    p.event("connected")
    start = time.monotonic()
    for i in range(3):
        p.say("flush", id=i)
        assert p.event() == {"event": "flushed", "id": i}
    assert time.monotonic() - start < 15, "answered by the next sign of life only"
    p.raw('{"op":"flush","id":"a"}\n{"op":"produce","group":"jobs","value":1}\n{"op":"flush","id":"b"}\n')
    assert [p.event()["id"] for _ in range(2)] == ["a", "b"]
    assert p.close()[0] == 0


def test_relay_restarted(programs, relay):
    """It stays, says so, and its demand stands."""
    p = Pipe(programs, relay, "--group", "jobs")
    p.event("connected")
    p.say("notify", group="jobs", n=1)
    p.say("flush")
    p.event("flushed")
    port = relay.port
    os.kill(relay.program.pid, signal.SIGKILL)
    relay.program.wait()
    assert p.event()["event"] == "disconnected"
    relay.program = programs([support.NETKIT, "relay", "--state-dir", relay.state, "--listen",
                              f"tcp:127.0.0.1:{port}", "--connection", "TCP"])
    assert p.event("connected")["again"] is True
    p.say("produce", group="jobs", value="new")
    assert p.event("object")["value"] == "new"
    assert p.close()[0] == 0


def test_slow_reader(programs, relay):
    """Events that nobody reads stop the connection, not the memory."""
    sender = relay.endpoint().wait_joined()
    p = Pipe(programs, relay, "--group", "g")
    p.event("connected")
    for i in range(40):
        sender.broadcast("%d" % i + "x" * 500000, "g")
    sender.flush(2)
    assert p.program.rss() < 80 << 20
    for i in range(40):
        assert p.event("object")["value"].startswith("%dx" % i)
    assert p.close()[0] == 0
    assert sender.stop()


def test_documented_example(programs, relay, work):
    """The worker of ENDPOINT.md, as it stands there."""
    text = (support.ROOT / "modules" / "relay" / "ENDPOINT.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    options = [str(w) for w in relay.options()]
    start = '"netkit", "endpoint", "pipe", '
    assert start in code and len(code.splitlines()) <= 25
    code = code.replace(start, f"{support.NETKIT!r}, 'endpoint', 'pipe', *{options!r}, ")
    (work / "worker.py").write_text(code)
    worker = programs(["/usr/bin/python3", work / "worker.py"])
    results = relay.joined(groups=("results",))
    results.notify("results", 2)
    for job in (7, 8, "stop", 9):
        results.produce(job, "jobs")
    assert results.receive(2) == [{"job": 7, "square": 49}, {"job": 8, "square": 64}]
    assert worker.wait() == 0
    assert results.stop()
