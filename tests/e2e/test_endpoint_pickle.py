# SPDX-License-Identifier: MIT
"""Real Python pickles of every protocol, as the JSON that ENDPOINT.md describes; what is not plain
data comes as it was, and nothing in it is ever executed."""

import base64
import collections
import datetime
import json
import math
import os
import pickle

import pytest

import support
from relay_support import NetkitRelay, endpoint, endpoint_argv, lines, succeeded


PLAIN = [
    None, True, False, 0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31, -2**31 - 1,
    2**63 - 1, -2**63, 2**63, -2**63 - 1, 2**64, 1 << 200, -(1 << 200), 0.0, -0.0, 1.5, -1e308,
    5e-324, math.inf, -math.inf, math.nan, "", "a", "gr\u00fc\u00dfe \U0001f600 \"\\\n\t\x00\x7f",
    "x" * 255, "x" * 256, "y" * 70000, [], [1], [1, [2, [3, []]]], (), (1,), (1, 2), (1, 2, 3),
    (1, 2, 3, 4), {}, {"a": 1}, {"a": {"b": [None, True, 1.5, "x"]}}, {1: 2, "x": None},
    {(1, 2): [3]}, list(range(1100)), {str(i): i for i in range(1100)}, ["same", "same", "same"],
    {"key": "key"}, [0.1 + 0.2], [[True, False], [None]], [1 << 70, -5]]
# protocols 0 to 2 have no opcode for these: they name a class or a function
LATER = [b"", b"a", bytes(range(256)), b"z" * 70000, [b"in a list"], {"k": b"v"}]
SETS = [set(), {1, 2, 3}, frozenset({"a"}), [{1}], {"s": {2}}]


def as_json(v):
    """The value as ENDPOINT.md says."""
    if isinstance(v, bytes):
        return {"base64": base64.b64encode(v).decode()}
    if isinstance(v, bool) or v is None or isinstance(v, str):
        return v
    if isinstance(v, int):
        if -2**63 <= v < 2**63:
            return v
        size = (v.bit_length() + 8) // 8
        return {"int": "0x" + v.to_bytes(size, "big", signed=True).hex()}
    if isinstance(v, float):
        return v if math.isfinite(v) else None
    if isinstance(v, dict):
        if all(isinstance(k, str) and "\0" not in k for k in v):
            return {k: as_json(x) for k, x in v.items()}
        return [[as_json(k), as_json(x)] for k, x in v.items()]
    if isinstance(v, (set, frozenset)):
        return sorted((as_json(x) for x in v), key=repr)
    return [as_json(x) for x in v]


def received(relay, pickles):
    """Sent as they are by one pipe, read by one notify."""
    say = "".join(json.dumps({"op": "produce", "group": "g",
                              "pickle": base64.b64encode(p).decode()}) + "\n" for p in pickles)
    argv = endpoint_argv(relay, "pipe")[1:]
    assert succeeded(support.run(*argv, input=say)).stdout.count('"error"') == 0
    return lines(endpoint(relay, "notify", "g=-1"))


def check(value, got):
    expected, found = as_json(value), got["value"]
    if isinstance(value, bytes):
        expected = expected["base64"]
    if isinstance(value, (set, frozenset)):
        found = sorted(found, key=repr)
    kind = type(value).__name__
    assert got["type"] == ("set" if kind == "frozenset" else kind), (value, got)
    assert found == expected and repr(found) == repr(expected), (value, got)


@pytest.fixture
def relay(programs, work):
    return NetkitRelay(programs, work, tls=False)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data(relay, protocol):
    values = PLAIN + (LATER if protocol >= 3 else []) + (SETS if protocol >= 4 else [])
    pickles = [pickle.dumps(v, protocol) for v in values]
    got = received(relay, pickles)
    assert len(got) == len(values)
    for value, data, one in zip(values, pickles, got):
        if protocol >= 2:
            check(value, one)
        else:  # older than Python 2.3: handed on
            assert one["type"] == "pickle" and base64.b64decode(one["value"]) == data, value


class Evil:
    """Unpickling it would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Other:
    pass


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_everything_else_comes_as_it_was(relay, work, protocol):
    recursive = []
    recursive.append(recursive)
    shared = [1]
    deep = 1
    for _ in range(60):
        deep = [deep]
    values = [Evil(work / "oops"), [Evil(work / "oops")], {"a": Evil(work / "oops")}, Other(),
              Point(1, 2), datetime.datetime(2020, 1, 1), print, Other, complex(1, 2), recursive,
              [shared, shared], deep, range(3), collections.OrderedDict(a=1)]
    pickles = [pickle.dumps(v, protocol) for v in values]
    got = received(relay, pickles)
    assert [(d["type"], base64.b64decode(d["value"])) for d in got] == [
        ("pickle", p) for p in pickles]
    assert not (work / "oops").exists()
    files = [work / str(i) for i in range(len(pickles))]
    for file, p in zip(files, pickles):  # and as raw bytes
        file.write_bytes(p)
    succeeded(endpoint(relay, "produce", "--to", "g", "--as", "pickle", *files))
    for p in pickles:
        done = support.run(*endpoint_argv(relay, "notify", "g", "--format", "raw")[1:], text=False)
        assert succeeded(done).stdout == p
    assert not (work / "oops").exists()


def test_out_of_band_and_bytearray(relay):
    got = received(relay, [pickle.dumps(bytearray(b"\0\1"), 5), pickle.dumps(bytearray(b"x"), 4)])
    assert got[0]["type"] == "bytes" and base64.b64decode(got[0]["value"]) == b"\0\1"
    assert got[1]["type"] == "pickle"
    buffers = []
    data = pickle.dumps(pickle.PickleBuffer(b"out of band"), 5, buffer_callback=buffers.append)
    got = received(relay, [data])
    assert got[0]["type"] == "pickle" and base64.b64decode(got[0]["value"]) == data
