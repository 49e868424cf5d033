# SPDX-License-Identifier: MIT
"""netkit tor top: the whole screen, only what changed, and the terminal as it was afterwards."""

import os
import signal
import sys

import pytest

from support import ROOT, check_error, missing_peer, run
from terminal_support import JOB_CONTROL, Terminal

sys.path.insert(0, str(ROOT / "tests/peers"))
import tor_offline  # noqa: E402


@pytest.fixture(name="tor", scope="module")
def _tor(tmp_path_factory):
    if not tor_offline.TOR:
        missing_peer("the program tor")
    work = tmp_path_factory.mktemp("tor")
    work.chmod(0o700)
    with tor_offline.OfflineTor(work) as tor:
        yield tor


def args(tor, *more):
    return ["tor", "top", "--control", tor.base / "control", *more]


def top(tor, **kw):
    terminal = Terminal(*args(tor), **kw)
    terminal.wait("guards")
    return terminal


def test_once(tor):
    done = run(*args(tor, "--once"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tor 0.") and "unix:" in lines[0]
    assert any(line.startswith("circuits (0)") for line in lines) and "\x1b" not in done.stdout
    check_error(run(*args(tor)), 2, "terminal", "--once")


def test_picture_and_keys(tor):
    with top(tor) as t:
        t.press("n")
        picture = t.until("new identity: asked for")
        assert picture.full
        assert picture.lines()[0].startswith("tor 0.") and "circuits (0)" in picture.lines()
        assert "read 0 B/s" in str(picture)
        t.press("gp")  # the graph goes
        assert "B/s" not in str(t.until("PAUSED"))
        t.press("glp\x1b[A")  # panels come and go; arrows mean nothing
        assert "log" not in t.until("read 0 B/s").lines()
        t.press("q")
        assert t.ended() == 0
        assert "\x1b[?1049l" in t.text and "\x1b[?25h" in t.text


def test_log(tor):
    with top(tor) as t:
        t.until("Starting")  # events are on by then
        tor.control.command("SETCONF DisableNetwork=1 ContactInfo=x")
        tor.control.command("SIGNAL RELOAD")
        t.until("Received reload signal")
        t.press("\x03")
        assert t.ended() == 0


def test_only_differences(tor):
    """Seconds in which only the uptime changes send some bytes each, not a screen of them."""
    with top(tor) as t:
        t.until("up ")
        start = len(t.text)
        for _ in range(2):
            t.at = len(t.text)
            t.wait(r"\x1b\[1;\d+H")
        assert 0 < len(t.text) - start < 1000
        t.press("\x03")
        assert t.ended() == 0


def test_resize(tor):
    with top(tor) as t:
        t.resize(10, 40)
        os.kill(t.pid, signal.SIGWINCH)
        t.wait(r"\x1b\[10;1H")
        t.press("\x0c")
        t.wait(r"\x1b\[1;1H.*\x1b\[10;1H")
        assert "\x1b[11;" not in t.text[t.text.rindex("\x1b[1;1H"):]
        t.press("q")
        assert t.ended() == 0


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_signals_leave_the_terminal(tor, name):
    with top(tor) as t:
        t.end_by(name)
        assert t.text.count("\x1b[?1049l") == 1


@pytest.mark.parametrize("how", ["key", "signal"])
def test_stop_and_go_on(tor, how):
    with top(tor, leader=JOB_CONTROL) as t:
        t.stop_and_go_on(how, r"\x1b\[\?1049l.*stopped \d+\.")
        t.wait(r"\x1b\[\?1049h.*guards")
        t.press("q")
        assert t.ended() == 0


def test_tor_ends(tmp_path):
    if not tor_offline.TOR:
        missing_peer("the program tor")
    tmp_path.chmod(0o700)
    with tor_offline.OfflineTor(tmp_path) as tor:
        terminal = top(tor)
    with terminal as t:
        t.until("NOT CONNECTED")
        t.press("q")
        assert t.ended() == 0
