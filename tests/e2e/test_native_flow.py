# SPDX-License-Identifier: MIT
"""The native wire at work: how far producers may go ahead."""

from native_peer import ITEM
from test_native_faults import World

KIB = 1024
PART = 96 * KIB  # more than the relay saves up before it says how far the window is


def test_window_follows_what_is_stored(programs, work):
    """A producer who uses his whole window goes on with each object that is stored, not with each
    quarter of the window: he would wait for the disk, and then the disk for him."""
    world = World(programs, work, "--engine", "log")
    p, group = world.member("jobs")
    first = p.window[group]
    for n in range(1, 5):
        seq = p.publish(ITEM, group, bytes(PART))
        assert not p.receipt(group, seq)
        p.in_order()
        assert p.window[group] == first + n * (16 + PART)
    # small ones are saved up: a window for each would be as long as its object
    before = p.window[group]
    seq = p.publish(ITEM, group, b"small")
    assert not p.receipt(group, seq)
    p.in_order()
    assert p.window[group] == before
    p.close()
