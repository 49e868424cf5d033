# SPDX-License-Identifier: MIT
"""netkit tor shell: on a terminal with completion, history and events; from a pipe line by line."""

import os
import signal
import sys

import pytest

from support import ROOT, missing_peer, run
from terminal_support import JOB_CONTROL, LEADER, Terminal

sys.path.insert(0, str(ROOT / "tests/peers"))
import tor_offline  # noqa: E402

PROMPT = r"tor> \x1b\[K\r\x1b\[5C"


@pytest.fixture(name="running", scope="module")
def _running(tmp_path_factory):
    if not tor_offline.TOR:
        missing_peer("the program tor")
    work = tmp_path_factory.mktemp("tor")
    work.chmod(0o700)
    with tor_offline.OfflineTor(work) as tor:
        yield tor


@pytest.fixture(name="tor")
def _tor(running, tmp_path):
    running.state = tmp_path / "state"
    return running


def args(tor):
    return ["tor", "shell", "--control", tor.base / "control", "--state-dir", tor.state]


def shell(tor, **kw):
    terminal = Terminal(*args(tor), **kw)
    terminal.wait(r"tor 0\.\d.*; /help for help")
    terminal.wait(PROMPT)
    return terminal


def history(tor):
    return (tor.state / "tor/shell_history").read_text().splitlines()


def test_dialogue(tor):
    with shell(tor) as t:
        t.press("GETINFO version\r")
        t.wait(r"250-version=0\.\S+\r\n250 OK\r\n.*" + PROMPT)
        t.press("nosuch\r")
        t.wait(r'510 Unrecognized command "nosuch"\r\n.*' + PROMPT)
        t.press("/info version traffic/read\r")
        t.wait(r"\r\n0\.\S+\r\n\d+\r\n.*" + PROMPT)
        t.press("/help\r")
        t.wait(r"/events .*GETINFO .*Tab completes.*" + PROMPT)
        t.press("half a line\x03")
        t.wait(r"\^C\r+\n.*" + PROMPT)
        t.press("+LOADCONF\r")
        t.wait("a dot alone ends it.*" + PROMPT)
        t.press("Nosuch 1\r.\r")
        t.wait(r"552 .*Nosuch.*" + PROMPT)
        t.press("\x04")
        assert t.ended() == 0


def test_completion(tor):
    with shell(tor) as t:
        for typed, whole in [("geti\tvers\t", "GETINFO version "), ("SIGNAL newn\t", "SIGNAL NEWNYM "),
                             ("getconf maxcircuitd\t", "getconf MaxCircuitDirtiness "),
                             ("/ev\tcirc_bw\t", "/events CIRC_BW "), ("setev\tconf_c\t", "SETEVENTS CONF_CHANGED "),
                             ("/info ns/i\t", "/info ns/id/"), ("/inf\tconfig-f\t", "/info config-file ")]:
            t.press(typed)
            t.wait(r"tor> " + whole + r"\x1b\[K")
            t.press("\x15")
            t.wait(PROMPT)
        t.press("getinfo config/\t\t")
        t.wait(r"config/defaults +config/names")
        t.press("\x15/quit\r")
        assert t.ended() == 0


def test_history(tor):
    secret = "ONION_CLIENT_AUTH_ADD " + "a" * 56 + " x25519:" + "A" * 43 + "="
    with shell(tor) as t:
        for line in ["GETINFO version", "GETINFO version", secret, "GETCONF HashedControlPassword"]:
            t.press(line + "\r")
            t.wait(r"\r\r\n\d\d\d[- ].*" + PROMPT)
        t.press("\x1b[A")  # the last one that may be kept
        t.wait(r"tor> GETINFO version\x1b\[K")
        t.press("\r")
        t.wait(r"250-version.*" + PROMPT)
        t.press("QUIT\r")
        assert t.ended() == 0
    path = tor.state / "tor/shell_history"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert history(tor) == ["GETINFO version", "QUIT"]
    with shell(tor) as t:
        t.press("\x1b[A\x1b[A")
        t.wait(r"tor> GETINFO version\x1b\[K")
        t.press("\x15SIGNAL ACTIVE\r")
        t.wait(r"250 OK.*" + PROMPT)
        t.press("\x04")
        assert t.ended() == 0
    assert history(tor) == ["GETINFO version", "QUIT", "SIGNAL ACTIVE"]


def test_history_that_others_can_write(tor):
    path = tor.state / "tor/shell_history"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("SIGNAL HALT\n")
    path.chmod(0o666)
    with Terminal(*args(tor)) as t:
        t.wait("no history: .*shell_history")
        t.wait(PROMPT)
        t.press("\x1b[A")
        t.wait(PROMPT)
        t.press("\x04")
        assert t.ended() == 0


def test_events_above_the_line(tor):
    with shell(tor) as t:
        t.press("/events CONF_CHANGED notice\r")
        t.wait(PROMPT)
        t.press("half a li")
        t.wait(r"tor> half a li\x1b\[K")
        tor.control.command("SETCONF SafeSocks=1")
        t.wait(r"\r\x1b\[K650-CONF_CHANGED\r\n650-SafeSocks=1\r\n650 OK\r\n\rtor> half a li\x1b\[K")
        t.press("\x15/events\r")
        t.wait(r"CONF_CHANGED\r\nNOTICE\r\n.*" + PROMPT)
        t.press("/events off\r/events\r")
        t.wait(r"/events off.*" + PROMPT + r".*/events\x1b.*" + PROMPT)
        assert "CONF" not in t.text[t.at:]
        t.press("SETEVENTS NOSUCH\r")
        t.wait("Unrecognized event.*" + PROMPT)
        t.press("\x04")
        assert t.ended() == 0


def test_many_events_and_replies(tor):
    """A storm of events while replies come: none is torn, every line is there."""
    with shell(tor) as t:
        t.press("/events DEBUG INFO\r")
        t.wait(PROMPT)
        t.press("GETINFO config/names\r")
        t.wait(r"250\+config/names=\r\n.*\r\n\.\r\n250 OK\r\n")
        t.press("/events off\r\x04")
        assert t.ended() == 0


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_signals_leave_the_terminal(tor, name):
    with shell(tor) as t:
        t.press("SIGNAL ACTIVE\r")
        t.wait("250 OK.*" + PROMPT)
        t.end_by(name)
    assert history(tor) == ["SIGNAL ACTIVE"]


@pytest.mark.parametrize("how", ["key", "signal"])
def test_stop_and_go_on(tor, how):
    with shell(tor, leader=JOB_CONTROL) as t:
        t.stop_and_go_on(how)
        t.wait(r"tor> ")
        t.press("GETINFO version\r")
        t.wait(r"250-version=.*" + PROMPT)
        t.press("\x04")
        assert t.ended() == 0


def test_narrow_and_resized(tor):
    with shell(tor, columns=30) as t:
        t.press("GETINFO " + "x" * 60)
        t.wait(r"\rtor> x{23}\x1b\[K")
        t.resize(24, 100)
        os.kill(t.pid, signal.SIGWINCH)
        t.press("\x01")
        t.wait(r"tor> GETINFO x{60}\x1b\[K")
        t.press("\x0b\x04")
        assert t.ended() == 0


def test_tor_goes_and_comes(tor):
    with shell(tor) as t:
        t.press("AUTHENTICATE nohex\r")  # tor hangs up
        t.wait(r"551 .*tor closed.*trying again.*connected to tor again.*" + PROMPT)
        t.press("GETINFO version\r")
        t.wait(r"250-version=.*" + PROMPT)
        t.press("\x04")
        assert t.ended() == 0
    assert not any("AUTHENTICATE" in line for line in history(tor))


def test_piped(tor):
    done = run(*args(tor), input="GETINFO version\r\n\n/info version\nGETCONF DisableNetwork")
    assert done.returncode == 0, done.stderr
    first, ok, value, last = done.stdout.splitlines()
    assert first == "250-version=" + value and ok == "250 OK" and last == "250 DisableNetwork=1"
    assert not tor.state.exists()  # no terminal, no history
    done = run(*args(tor), input="NOSUCH\nGETINFO version\n")
    assert done.returncode == 1
    assert done.stdout.startswith("510 ") and "250-version=" in done.stdout
    done = run(*args(tor), input="QUIT\nGETINFO version\n")
    assert done.returncode == 0 and done.stdout == ""
    torrc = tor.torrc.read_text() + "ContactInfo piped\n..\n"
    done = run(*args(tor), input="+LOADCONF\n" + torrc.replace("\n..\n", "\n.\n") + "GETCONF ContactInfo\n")
    assert done.stdout.splitlines() == ["250 OK", "250 ContactInfo=piped"]


def test_piped_bad_input(tor):
    done = run(*args(tor), input="ADD_ONION NEW:BEST ClientAuth=x Port=80\nGETINFO version\n")
    assert done.returncode == 1 and "250-version=" in done.stdout  # what tor never answers is not sent
    assert "ClientAuth" in done.stderr
    done = run(*args(tor), input=b"GETINFO ver\0sion\nGETCONF DisableNetwork\n", text=False)
    assert done.returncode == 1 and b"250 DisableNetwork=1" in done.stdout
    done = run(*args(tor), input="x" * 2_000_000 + "\n")
    assert done.returncode == 1, done.stderr


def test_many_piped_lines(tor):
    done = run(*args(tor), input="GETCONF DisableNetwork\n" * 2000)
    assert done.returncode == 0
    assert done.stdout == "250 DisableNetwork=1\n" * 2000


def test_dumb_terminal(tor):
    with Terminal(*args(tor), leader="TERM=dumb\n" + LEADER) as t:
        t.press("GETINFO version\n")
        t.wait(r"250-version=\S+\r\n250 OK\r\n")
        assert "\x1b" not in t.text
        t.press("\x04")
        assert t.ended() == 0
