# SPDX-License-Identifier: MIT
"""One relay under everything at once for a while: endpoints that come and go, broadcasts, a queue that
is filled and emptied, objects from one byte to a megabyte, guests that know no password, netkit's own
commands. Every object must arrive, and after the first part of the time the relay's memory and
descriptors must not grow. NK_SOAK_SECONDS says how long."""

import os
import pathlib
import random
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import relay_support  # noqa: E402
import support  # noqa: E402

MIB = 1 << 20
SECONDS = float(os.environ.get("NK_SOAK_SECONDS", "240"))
RSS_CEILING = 96 * MIB  # at any time; the load holds 25 MiB of objects at the most
GROWTH = 8 * MIB        # of the largest value in the last third over that in the second
SIZES = (0, 1, 64, 1000, 20_000, 300_000, MIB)


class Load:
    """Threads that work until told to end. A failure of one ends all."""

    def __init__(self, relay):
        self.relay = relay
        self.over = threading.Event()
        self.failure = None
        self.counts = {}
        self.kept = {}  # by the relay, for who joins next
        self.threads = []

    def start(self, work, *args):
        def run():
            rng = random.Random(f"{work.__name__} {args}")
            try:
                while not self.over.is_set():
                    n = work(rng, *args)
                    name = work.__name__
                    self.counts[name] = self.counts.get(name, 0) + n
            except BaseException as e:  # noqa: BLE001 (told by the main thread)
                self.failure = self.failure or f"{work.__name__}: {e!r}"
                self.over.set()

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def objects(self, rng, n):
        return [rng.randbytes(rng.choice(SIZES)) for _ in range(n)]

    def broadcasts(self, rng, group):
        """A sender and two members, new ones each time, who get the last object of before first."""
        retained = [self.kept[group]] if group in self.kept else []
        with self.relay.joined(group) as one, self.relay.joined(group) as two, \
                self.relay.joined() as sender:
            sent = self.objects(rng, 20)
            for obj in sent:
                sender.broadcast(obj, group)
            self.kept[group] = sent[-1]
            for member in (one, two):
                got = member.receive(len(retained + sent), support.PATIENCE)
                assert got == retained + sent, f"{group}: objects are missing or out of order"
        return len(sent)

    def queue(self, rng, group):
        """Objects are taken by whoever asks, each once."""
        with self.relay.joined(group) as one, self.relay.joined(group) as two, \
                self.relay.joined() as sender:
            sent = self.objects(rng, 10)
            for obj in sent:
                sender.produce(obj, group)
            one.notify(group, 5)
            two.notify(group, 5)
            got = one.receive(5, support.PATIENCE) + two.receive(5, support.PATIENCE)
            assert sorted(got) == sorted(sent), f"{group}: not each object once"
        return len(sent)

    def deserters(self, rng, group):
        """A consumer that goes away with objects in hand loses them to the next one."""
        with self.relay.joined() as sender:
            sent = self.objects(rng, 4)
            for obj in sent:
                sender.produce(obj, group)
            lost = self.relay.joined(group, auto_ack=False)
            lost.notify(group, 2)
            lost.receive(2, support.PATIENCE)
            lost.abort()
            with self.relay.joined(group) as heir:
                heir.notify(group, len(sent))
                got = heir.receive(len(sent), support.PATIENCE)
                assert sorted(got) == sorted(sent), f"{group}: an object is lost"
        return len(sent)

    def strangers(self, rng):
        """Connections that never log in, some in the middle of a handshake or a frame."""
        sock = relay_support.socket.create_connection(("127.0.0.1", self.relay.port), 5)
        sock.sendall(rng.randbytes(rng.choice((0, 1, 300))))
        if rng.random() < 0.5:
            relay_support.reset(sock)
        else:
            sock.close()
        self.over.wait(0.02)
        return 1

    def commands(self, rng):
        """netkit's own endpoints, one process each."""
        obj = rng.randbytes(rng.choice(SIZES[1:]))
        for argv, given in ((("produce", "--to", "cli", "-"), obj),
                            (("notify", "cli=1", "--format", "raw"), b"")):
            done = relay_support.endpoint(self.relay, *argv, input=given, text=False)
            assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == obj, "the command printed another object"
        return 1


def sample(program, load):
    """(seconds, RSS, descriptors) until the time is over or something fails."""
    samples, start = [], time.monotonic()
    while not load.over.wait(1):
        now = time.monotonic() - start
        assert program.alive(), program.stderr()[-2000:]
        samples.append((now, program.rss(), program.fds()))
        if now >= SECONDS:
            break
    return samples


def largest(samples, begin, end, what):
    return max(s[what] for s in samples if begin * SECONDS <= s[0] <= end * SECONDS + 1)


def check(samples, idle_fds, program):
    rss = [largest(samples, a / 3, (a + 1) / 3, 1) for a in range(3)]
    fds = [largest(samples, a / 3, (a + 1) / 3, 2) for a in range(3)]
    print("largest RSS in each third, MiB:", *(f"{n / MIB:.1f}" for n in rss), " descriptors:", *fds)
    assert max(rss) <= RSS_CEILING, "the relay took too much memory"
    assert rss[2] <= rss[1] + GROWTH, "the relay's memory grows"
    support.wait_until(lambda: program.fds() <= idle_fds)


def main():
    programs = []

    def start(argv, **kw):
        programs.append(support.Program(argv, **kw))
        return programs[-1]

    with tempfile.TemporaryDirectory(prefix="nk-soak-") as work:
        try:
            relay = relay_support.NetkitRelay(start, pathlib.Path(work))
            relay.joined("warm").stop()
            idle = relay.program.fds()
            load = Load(relay)
            for i in range(3):
                load.start(load.broadcasts, f"b{i}")
                load.start(load.queue, f"q{i}")
            load.start(load.deserters, "d")
            load.start(load.strangers)
            load.start(load.commands)
            samples = sample(relay.program, load)
            load.over.set()
            for thread in load.threads:
                thread.join(60)
            assert not load.failure, load.failure
            print("in", int(SECONDS), "s:", ", ".join(f"{k} {v}" for k, v in sorted(load.counts.items())))
            assert all(load.counts.get(f.__name__) for f in (
                load.broadcasts, load.queue, load.deserters, load.strangers, load.commands))
            check(samples, idle, relay.program)
            assert relay.stop() == 0
        finally:
            for p in programs:
                p.kill()


if __name__ == "__main__":
    main()
