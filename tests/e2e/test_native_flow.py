# SPDX-License-Identifier: MIT
"""The native wire at work: how far producers may go ahead; leases that are worth having."""

import signal

import relay_support
import support
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


def test_leases_that_nobody_could_renew(programs, work):
    """They are refused at the start, and a reload with one changes nothing."""
    config = work / "short.ini"
    config.write_text("[group jobs]\nlease = 250ms\n", encoding="utf-8")
    done = support.run("relay", "-c", config, "--state-dir", work / "none", "--listen",
                       "tcp:127.0.0.1:0")
    assert done.returncode == 78
    assert "[group jobs]: a lease shorter than 1s" in done.stderr
    assert "or 0" in done.stderr
    relay = relay_support.NetkitRelay(programs, work, groups={"jobs": {"lease": "1s"}})
    start = relay.program.mark()
    relay.config.write_text(config.read_text(encoding="utf-8"), encoding="utf-8")
    relay.program.proc.send_signal(signal.SIGHUP)
    relay.program.wait_line("a lease shorter than 1s", start)
    assert relay.program.alive()
