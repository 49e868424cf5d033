# SPDX-License-Identifier: MIT
"""The relay's log: what was acknowledged survives kill -9, a full disk refuses and loses nothing,
damage is found."""

import itertools
import json
import os
import pickle
import random
import select
import signal
import subprocess
import threading
import time

import pytest

import relay_support
import support

GROUPS = ("jobs-a", "jobs-b", "jobs-c")
KILLS = int(os.environ.get("NK_KILLS", "12"))
WINDOW = 64  # objects a producer sends ahead of their acknowledgements
JUST_BEFORE = 2.0  # seconds at the end of a connection whose acknowledgements may be lost
DRAINED = 1.0  # seconds without a delivery


class LogRelay(relay_support.NetkitRelay):
    """Plain TCP, always at the same state directory; killed and started again at will."""

    def __init__(self, programs, work, *extra):
        self.start = lambda: super(LogRelay, self).__init__(
            programs, work, tls=False, extra=("--engine", "log", *extra))
        self.start()

    def frame(self, payload):
        return relay_support.tlspyo_peer.frame(payload, 10, self.password.encode("utf-8"))

    def command(self, cmd, dest=None, obj=None, stamp=1):
        return self.frame(pickle.dumps((stamp, cmd, dest, obj), 4))

    def connect(self, *groups):
        sock = relay_support.socket.create_connection(("127.0.0.1", self.port), timeout=5)
        sock.settimeout(5)
        relay_support.join(sock, self, *groups)
        return sock

    def kill(self):
        os.kill(self.program.pid, signal.SIGKILL)
        self.program.wait()


class Frames:
    """Frames out of a socket without one system call for each."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def read(self, wait):
        """All that are there, after waiting at most so long."""
        found = []
        if select.select([self.sock], [], [], wait)[0]:
            more = self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.data += more
        while len(self.data) >= 10 and len(self.data) >= 10 + int(self.data[:10]):
            end = 10 + int(self.data[:10])
            found.append(relay_support.tlspyo_peer.loads(self.data[10:end]))
            self.data = self.data[end:]
        return found


class Party(threading.Thread):
    """Connects again and again until told to stop; `life` is one connection."""

    def __init__(self, relay):
        super().__init__(daemon=True)
        self.relay = relay
        self.stopping = False
        self.error = None

    def run(self):
        while not self.stopping:
            try:
                self.life()
            except (OSError, EOFError, ValueError):
                time.sleep(0.02)  # the relay is not there
            except Exception as error:  # noqa: BLE001  (told to the test)
                self.error = error
                return

    def end(self):
        self.stopping = True
        self.join(support.PATIENCE)
        assert not self.is_alive()
        if self.error:
            raise self.error


class Producer(Party):
    """Each number is sent once, in order; what was acknowledged is remembered."""

    def __init__(self, relay, group):
        super().__init__(relay)
        self.group = group
        self.numbers = itertools.count()
        self.acked = set()

    def done(self):
        return len(self.acked)

    def life(self):
        with self.relay.connect() as sock:
            frames, waiting, stamps = Frames(sock), {}, itertools.count(2)
            while not self.stopping or waiting:
                while len(waiting) < WINDOW and not self.stopping:
                    stamp, number = next(stamps), next(self.numbers)
                    waiting[stamp] = number
                    obj = pickle.dumps((self.group, number, "x" * random.randrange(600)), 4)
                    sock.sendall(self.relay.command("OBJ", {self.group: 1}, obj, stamp))
                for stamp, cmd, _ in frames.read(0.2):
                    if cmd == "ACK" and stamp in waiting:
                        self.acked.add(waiting.pop(stamp))


class Consumer(Party):
    """Takes everything of its group and acknowledges it."""

    def __init__(self, relay, group):
        super().__init__(relay)
        self.group = group
        self.lives = []  # per connection: [(number, time)]

    def life(self):
        with self.relay.connect(self.group) as sock:
            frames, got = Frames(sock), []
            self.lives.append(got)
            sock.sendall(self.relay.command("NTF", {self.group: 1 << 40}, None, 2))
            while not self.stopping:
                acks = []
                for stamp, cmd, obj in frames.read(0.2):
                    if cmd != "OBJ":
                        continue
                    group, number, _ = relay_support.tlspyo_peer.loads(obj)
                    assert group == self.group
                    got.append((number, time.monotonic()))
                    acks.append(self.relay.command("ACK", stamp=stamp))
                sock.sendall(b"".join(acks))

    def done(self):
        return sum(map(len, self.lives))

    def last(self):
        return max((got[-1][1] for got in self.lives if got), default=0)


def check(producer, consumer):
    """Each connection of the consumer ended by a kill: what it had read just before its end (also
    after the kill, out of the socket) may come again, nothing else."""
    delivered = {}
    for got in consumer.lives:
        numbers = [number for number, _ in got]
        assert numbers == sorted(set(numbers)), f"{consumer.group}: out of order"
        for number, when in got:
            delivered.setdefault(number, []).append(got[-1][1] - when)
    lost = producer.acked - delivered.keys()
    assert not lost, f"{consumer.group}: {len(lost)} acknowledged objects are lost: {sorted(lost)[:9]}"
    for number, before_end in delivered.items():
        assert all(t <= JUST_BEFORE for t in before_end[:-1]), \
            f"{consumer.group}: {number} came again though it was acknowledged long before"
    return len(producer.acked), sum(len(t) - 1 for t in delivered.values())


def test_kill_9(programs, work):
    """acknowledged is delivered; nothing twice but what was not acknowledged; in order."""
    relay = LogRelay(programs, work)
    producers = [Producer(relay, group) for group in GROUPS]
    consumers = [Consumer(relay, group) for group in GROUPS]
    for party in producers + consumers:
        party.start()
    for _ in range(KILLS):
        before = [party.done() for party in producers + consumers]
        support.wait_until(lambda old=before: all(party.done() > n for party, n in zip(producers + consumers, old)))
        time.sleep(random.uniform(0, 0.5))  # at any moment
        relay.kill()
        relay.start()
    for producer in producers:
        producer.end()
    support.wait_until(lambda: time.monotonic() - max(c.last() for c in consumers) > DRAINED)
    for consumer in consumers:
        consumer.end()
    figures = [check(p, c) for p, c in zip(producers, consumers)]
    print(f"{KILLS} kills, {sum(a for a, _ in figures)} acknowledged, "
          f"{sum(d for _, d in figures)} came again")
    assert all(acked > KILLS for acked, _ in figures)
    assert relay.stop() == 0


def test_retained_and_queue_survive(programs, work):
    relay = LogRelay(programs, work)
    with relay.joined() as sender:
        sender.broadcast("state", "weather")
        for i in range(20):
            sender.produce(i, "jobs")
        sender.flush()
    relay.kill()
    relay.start()
    with relay.joined(("weather", "jobs")) as receiver:
        assert receiver.pop() == "state"
        receiver.notify("jobs", 20)
        assert receiver.receive(20) == list(range(20))
    assert relay.stop() == 0


def anonymous_memory(pid):
    """Bytes that a process has for itself: not its files, which the system can take back."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


def test_backlog_is_not_in_memory(programs, work):
    """160 MB that nobody consumes take little memory, before a restart and after it, and come out
    whole and in order."""
    size, count = 64 * 1024, 2500
    relay = LogRelay(programs, work)
    before = anonymous_memory(relay.program.pid)
    with relay.connect() as sock:
        frames, acked = Frames(sock), 0
        for number in range(count):
            obj = pickle.dumps((number, bytes([number % 256]) * size), 4)
            sock.sendall(relay.command("OBJ", {"jobs": 1}, obj, number + 2))
            acked += len(frames.read(0))
        while acked < count:
            acked += len(frames.read(support.PATIENCE))
    grown = anonymous_memory(relay.program.pid) - before
    assert grown < size * count / 4, f"{grown} bytes"
    relay.kill()
    relay.start()
    assert anonymous_memory(relay.program.pid) < before + size * count / 4
    with relay.connect("jobs") as sock:
        frames, got = Frames(sock), []
        sock.sendall(relay.command("NTF", {"jobs": count}, None, 2))
        while len(got) < count:
            for stamp, cmd, obj in frames.read(support.PATIENCE):
                if cmd == "OBJ":
                    number, data = relay_support.tlspyo_peer.loads(obj)
                    assert data == bytes([number % 256]) * size
                    got.append(number)
                    sock.sendall(relay.command("ACK", stamp=stamp))
    assert got == list(range(count))
    assert relay.stop() == 0


def test_status_tells_of_the_log(programs, work):
    relay = LogRelay(programs, work)
    with relay.joined() as sender:
        sender.produce("x", "jobs")
        sender.flush()
    done = support.run("relay", "status", "--json", "--state-dir", relay.state)
    log = json.loads(done.stdout)["log"]
    assert log["segments"] == 1 and log["commits"] >= 1 and log["live_bytes"] > 0
    relay.stop()


@pytest.fixture
def small_disk(work):
    """A file system of 8 MiB."""
    support.need_root()
    state = work / "state"
    state.mkdir(mode=0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", state],
                          check=False, capture_output=True)
    if done.returncode:
        pytest.skip("no file system can be mounted here; the unit test relay/log fills its own disk")
    yield state
    subprocess.run(["umount", "-l", state], check=True)


def test_full_disk(programs, work, small_disk):
    """Producing ends with an unacknowledged object; everything acknowledged is still there, and
    when it has been consumed there is room again."""
    relay = LogRelay(programs, work)
    acked = 0
    with relay.connect() as sock:
        frames = Frames(sock)
        try:
            for stamp in range(2, 2000):
                obj = pickle.dumps((stamp, "x" * 60000), 4)
                sock.sendall(relay.command("OBJ", {"jobs": 1}, obj, stamp))
                while not any(f[1] == "ACK" and f[0] == stamp for f in frames.read(5)):
                    pass
                acked += 1
        except (OSError, EOFError):
            pass  # refused: the wire has no other way to say so
    assert 20 < acked < 200
    assert relay.program.alive()
    relay.program.wait_line("no room")
    for _ in range(2):  # also after a restart on the full disk
        relay.kill()
        relay.start()
    with relay.joined(("jobs",)) as receiver:
        receiver.notify("jobs", acked)
        assert [n for n, _ in receiver.receive(acked)] == list(range(2, 2 + acked))
    support.wait_until(lambda: len(list(small_disk.glob("relay/*.log"))) == 1)

    def produce():
        try:
            with relay.joined() as sender:
                sender.produce("again", "jobs")
                sender.flush(2)
                return True
        except Exception:  # noqa: BLE001  (not yet)
            return False

    support.wait_until(produce)
    assert relay.stop() == 0


def test_damage_is_refused(programs, work):
    relay = LogRelay(programs, work)
    with relay.joined() as sender:
        for i in range(3):
            sender.produce(f"object {i}", "jobs")
            sender.flush()
    relay.kill()
    path = relay.state / "relay" / "0000000000000001.log"
    data = bytearray(path.read_bytes())
    data[data.index(b"object 0")] ^= 1
    path.write_bytes(data)
    argv = ["relay", "--state-dir", relay.state, "--listen", "tcp:127.0.0.1:0", "--connection", "TCP"]
    support.check_error(support.run(*argv), 1, "segment", "is damaged")
    assert path.exists()
    again = LogRelay(programs, work, "--log-damage", "quarantine")
    assert path.with_suffix(".bad").exists()
    assert again.stop() == 0


def test_newer_format_is_refused(programs, work):
    relay = LogRelay(programs, work)
    assert relay.stop() == 0
    path = relay.state / "relay" / "0000000000000001.log"
    data = bytearray(path.read_bytes())
    data[8] = 99
    path.write_bytes(data)
    argv = ["relay", "--state-dir", relay.state, "--listen", "tcp:127.0.0.1:0", "--connection", "TCP"]
    support.check_error(support.run(*argv), 1, "newer")


def test_objects_too_large_for_the_log(work):
    """Found when the configuration is read, not when the object comes."""
    argv = ["relay", "--state-dir", work / "large", "--listen", "tcp:127.0.0.1:0", "--connection",
            "TCP", "--max-object", "2G"]
    support.check_error(support.run(*argv), 78, "max_object", "engine = log")
    assert not (work / "large").exists()


def tool(relay, verb, *words):
    return support.run("relay", "log", verb, "--state-dir", relay.state, *words)


def test_tools(programs, work):
    """inspect, verify and compact: never beside a running relay."""
    relay = LogRelay(programs, work)
    with relay.joined(("jobs",)) as endpoint:
        for i in range(30):
            endpoint.produce("x" * 10000 + str(i), "jobs")
        endpoint.flush()
        endpoint.notify("jobs", 29)
        endpoint.receive(29)
        endpoint.flush()
    for verb in ("inspect", "verify", "compact"):
        support.check_error(tool(relay, verb), 75, "is locked by")
    assert relay.stop() == 0
    segment, = json.loads(tool(relay, "inspect", "--json").stdout)
    assert segment["records"]["enqueue"] == 30 and not segment["error"]
    assert "enqueue" in tool(relay, "inspect", "--records").stdout
    assert json.loads(tool(relay, "verify", "--json").stdout)["damaged"] == 0
    done = json.loads(tool(relay, "compact", "--json").stdout)
    assert done["bytes_before"] > 300000 and done["bytes_after"] < 20000
    assert tool(relay, "verify").returncode == 0
    relay.start()
    with relay.joined(("jobs",)) as endpoint:
        endpoint.notify("jobs", 1)
        assert endpoint.pop() == "x" * 10000 + "29"
    assert relay.stop() == 0
    path = max((relay.state / "relay").glob("*.log"))
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    done = tool(relay, "verify")
    assert done.returncode == 1 and "damaged at byte" in done.stdout and "are damaged" in done.stderr
