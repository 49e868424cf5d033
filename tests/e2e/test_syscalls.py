# SPDX-License-Identifier: MIT
"""System calls of a relay for 1000 objects. Unlike times they are the same on every machine; the
ceilings in tests/ceilings may only fall."""

import collections
import re
import subprocess

import pytest

import support
from relay_support import NetkitRelay, tlspyo_peer

OBJECTS = 1000
OBJECT = b"\x80\x04C\x40" + bytes(64) + b"."  # 64 bytes, pickled


def ceiling(name):
    text = (support.ROOT / "tests" / "ceilings").read_text(encoding="utf-8")
    return int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))


class Counter:
    """Counts the system calls of a process while it is open."""

    def __init__(self, pid, path):
        self.path = path
        self.strace = subprocess.Popen(
            [support.need_command("strace"), "-f", "-p", str(pid), "-o", str(path)],
            stderr=subprocess.PIPE, text=True)
        first = self.strace.stderr.readline()
        if "attached" not in first:
            self.strace.wait(support.PATIENCE)
            support.missing_peer(f"strace of another process: {first}")

    def stop(self):
        self.strace.send_signal(2)  # it detaches
        self.strace.communicate(timeout=support.PATIENCE)
        calls = re.findall(r"^\d+ +(\w+)\(", self.path.read_text(encoding="utf-8"), re.M)
        return collections.Counter(calls)


@pytest.fixture(params=["TLS", "TCP"])
def relay(programs, work, request):
    return NetkitRelay(programs, work, tls=request.param == "TLS", extra=("--engine", "memory"))


def check(counts, name):
    total = sum(counts.values())
    print(name, total, dict(counts))
    assert 0 < total <= ceiling(name), dict(counts)


def test_one_at_a_time(relay, work):
    """Each object wakes the relay twice, for itself and for its receiver's ACK: two waits, two
    reads, two writes, and one acknowledgement that a peer without TCP_NODELAY waits for."""
    producer, consumer = relay.joined("producers"), relay.joined("consumers")
    producer.send_bytes(OBJECT, {"consumers": -1})
    consumer.pop()
    counter = Counter(relay.program.pid, work / "trace")
    for _ in range(OBJECTS):
        producer.send_bytes(OBJECT, {"consumers": -1})
        consumer.pop()
    assert producer.flush()
    check(counter.stop(), "syscalls_1000_objects_one_by_one")


def test_many_at_once(relay, work):
    """What arrives together is read together, and acknowledged together."""
    producer = relay.joined("producers")
    frames = b"".join(
        tlspyo_peer.frame(producer.serialize((stamp, "OBJ", {"stock": 1}, OBJECT)),
                          producer.header_size, producer.password)
        for stamp in range(1000000, 1000000 + OBJECTS))
    counter = Counter(relay.program.pid, work / "trace")
    producer.raw_write(frames)
    producer.notify({})
    assert producer.flush()
    check(counter.stop(), "syscalls_1000_objects_at_once")
