# SPDX-License-Identifier: MIT
"""The control socket of netkit run: status, health, reload, stop, loglevel."""

import json
import os
import re
import signal
import socket
import stat

import pytest

import support
from server_support import rest
from support import check_error, run
from test_services import ECHO, NEW, Services, answers, connect, section, talk


def ask(work, *words, **kw):
    return run(*words, "--state-dir", work / "state", **kw)


def test_status_and_health(programs, work):
    s = Services(programs, work, section("a", ECHO) + section("b", answers("b"))).ready()
    done = ask(work, "status")
    assert done.returncode == 0
    status = json.loads(done.stdout)
    assert set(status) == {"forward a", "forward b"}
    assert status["forward a"]["state"] == "ready"
    for words in (["health"], ["health", "--ready"], ["health", "--live"]):
        done = ask(work, *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")
    assert s.program.stop() == 0
    assert not (work / "state" / "control.sock").exists()


def test_nobody_there(work):
    """C27: 1 for whatever is wrong, at once."""
    for name in ("status", "reload", "stop"):
        check_error(ask(work, name), 69, "not running")
    assert ask(work, "health").returncode == 1
    # a left-over socket
    (work / "state").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(work / "state" / "control.sock"))
    assert ask(work, "health").returncode == 1
    check_error(ask(work, "status"), 69, "not running")


def test_left_over_socket_is_replaced(programs, work):
    s = Services(programs, work, section("a", ECHO)).ready()
    s.program.proc.kill()
    s.program.wait()
    assert (work / "state" / "control.sock").exists()
    s = Services(programs, work, section("a", ECHO)).ready()
    assert ask(work, "health").returncode == 0
    assert s.program.stop() == 0


def test_health_while_draining(programs, work):
    s = Services(programs, work, section("a", ECHO), "--drain-timeout", "1h").ready()
    with connect(s.port("exec:/bin/cat")) as busy:
        busy.sendall(b"x")
        assert busy.recv(1) == b"x"
        s.program.proc.send_signal(signal.SIGTERM)
        s.program.wait_line("asked to stop")
        done = ask(work, "health")
        assert (done.returncode, done.stdout) == (1, "draining\n")
        assert ask(work, "health", "--live").returncode == 0
    assert s.program.wait() == 0


def test_reload(programs, work):
    s = Services(programs, work, section("a", answers("old"))).ready()
    port = s.port("exec:/bin/sh")
    s.ini.write_text(section("a", answers("new")))
    done = ask(work, "reload")
    assert (done.returncode, done.stdout, done.stderr) == (
        0, "[forward a] connect changed: applied\n", "")
    assert talk(port) == b"new\nhello\n"
    assert NEW in s.program.stderr()
    done = ask(work, "reload")
    assert (done.returncode, done.stdout) == (0, "")
    s.ini.write_text(section("a", answers("newer")) + section("b", ECHO))
    done = ask(work, "reload", "--json")
    assert json.loads(done.stdout) == {"changes": [
        {"section": "forward", "name": "a", "key": "connect", "change": "changed",
         "effect": "applied"},
        {"section": "forward", "name": "b", "key": None, "change": "added", "effect": "restart"}]}
    s.ini.write_text(section("a", answers("new")))
    assert ask(work, "reload", "-q").returncode == 0
    s.ini.write_text("[nonsense]\n")
    done = ask(work, "reload")
    assert done.returncode == 78
    assert talk(port) == b"new\nhello\n"
    assert s.program.stop() == 0


def test_stop_waits_for_the_end(programs, work):
    s = Services(programs, work, section("a", ECHO), "--drain-timeout", "1h").ready()
    with connect(s.port("exec:/bin/cat")) as busy:
        busy.sendall(b"x")
        assert busy.recv(1) == b"x"
        check_error(ask(work, "stop", "--timeout", "100ms"), 75)  # still busy
        waiting = socket.socket(socket.AF_UNIX)
        waiting.settimeout(support.PATIENCE)
        waiting.connect(str(work / "state" / "control.sock"))
        waiting.sendall(b"stop\n")
        assert waiting.recv(10) == b"ok\n"
        assert s.program.alive()
    with waiting:
        assert waiting.recv(10) == b""
    again = Services(programs, work, section("a", ECHO)).ready()  # lock and socket are free
    assert ask(work, "stop").returncode == 0
    assert s.program.wait() == 0 and again.program.wait() == 0


def test_loglevel(programs, work):
    s = Services(programs, work, section("a", ECHO)).ready()
    talk(s.port("exec:/bin/cat"))
    assert " debug " not in s.program.stderr()
    assert ask(work, "loglevel", "debug").returncode == 0
    talk(s.port("exec:/bin/cat"))
    s.program.wait_line(" debug ")
    check_error(ask(work, "loglevel", "loud"), 2, "level")
    assert s.program.stop() == 0


def raw(work, data, half_close=False):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(support.PATIENCE)
        s.connect(str(work / "state" / "control.sock"))
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        return rest(s)


def test_bad_requests(programs, work):
    s = Services(programs, work, section("a", ECHO)).ready()
    for data in (b"\n", b" \n", b"nonsense\n", b"status now\n", b"loglevel\n", b"loglevel a b c d\n",
                 b"\0\n", b"GET / HTTP/1.1\r\n"):
        assert re.match(rb"error 2 [ -~]*\n$", raw(work, data)), data
    assert raw(work, b"x" * (16 * 1024 + 1)).startswith(b"error ")
    assert raw(work, b"stat", half_close=True) == b""
    # more connections than it keeps, all of them silent: the next ones are refused, others go on
    silent = []
    for _ in range(16):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].connect(str(work / "state" / "control.sock"))
    assert talk(s.port("exec:/bin/cat")) == b"hello\n"
    for one in silent:
        one.close()
    support.wait_until(lambda: ask(work, "health").returncode == 0)
    assert s.program.stop() == 0


def test_socket_is_private(programs, work):
    s = Services(programs, work, section("a", ECHO)).ready()
    mode = os.stat(work / "state" / "control.sock").st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) & 0o077 == 0
    if os.geteuid() == 0:
        # another user who gets at it all the same is not answered
        for path in (work, work / "state"):
            path.chmod(0o755)
        (work / "state" / "control.sock").chmod(0o666)
        done = ask(work, "health", user=65534, group=65534, extra_groups=[])
        assert done.returncode == 1
        s.program.wait_line("acl.deny")
    assert s.program.stop() == 0


def test_path_too_long_for_a_socket(programs, work):
    state = work / ("x" * 120)
    ini = work / "netkit.ini"
    ini.write_text(section("a", ECHO))
    p = programs([support.NETKIT, "run", "-c", ini, "--state-dir", state])
    p.wait_line("service: ready")
    p.wait_line("control socket: ")
    assert p.stop() == 0


@pytest.mark.parametrize("name", ["status", "reload", "stop", "health", "loglevel"])
def test_usage(name, work):
    assert ask(work, name, "a", "b", "c").returncode == 2
