# SPDX-License-Identifier: MIT
"""A log whose segments cannot be read any more while the relay runs: it ends, and says why."""

import os

import pytest

from relay_support import NetkitRelay, endpoint, succeeded

IO_ERROR = 74
OBJECTS, SIZE = 5, 16 << 20  # more than a segment
LEFT = 64 * 1024  # of the first one


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def relay(request, programs, work):
    """Over TLS the relay itself reads what it sends, else the kernel does."""
    return NetkitRelay(programs, work, tls=request.param, extra=("--engine", "log"))


def test_segment_that_is_cut_off(relay, work, running):
    data = work / "object"
    data.write_bytes(b"x" * SIZE)
    for _ in range(OBJECTS):
        succeeded(endpoint(relay, "produce", "--to", "jobs", data))
    segments = sorted((relay.state / "relay").glob("*.log"))
    assert len(segments) > 1
    os.truncate(segments[0], LEFT)
    running(relay, "consume", "--group", "jobs", "--exec", "true")
    relay.program.wait_line(rf"error: {segments[0]} cannot be read at byte \d+")
    assert relay.program.wait() == IO_ERROR
