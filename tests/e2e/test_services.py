# SPDX-License-Identifier: MIT
"""netkit run [SECTION..]: services of a netkit.ini in one loop. They are [forward NAME] sections, and
most of them forward to a program, so that the launcher takes part."""

import json
import os
import signal
import socket
import time

import pytest

import support
from server_support import rest
from support import NETKIT, check_error, clean_env, run

ECHO = "exec:/bin/cat"
NEW = "the new configuration is in force"
OLD = "the old configuration stays in force"


def section(name, connect, listen="tcp:127.0.0.1:0"):
    return f"[forward {name}]\nlisten = {listen}\nconnect = {connect}\n"


def answers(word):
    """A connector that says which one it is."""
    return f"exec:/bin/sh -c 'echo {word}; cat'"


class Services:
    """netkit run with a configuration file of its own."""

    def __init__(self, programs, work, text, *words, prefix=(), **env):
        self.ini = work / "netkit.ini"
        self.ini.write_text(text)
        argv = [*prefix, NETKIT, "run", "-c", self.ini, "--state-dir", work / "state", *words]
        self.program = programs(argv, env=clean_env(**env))

    def ready(self):
        self.program.wait_line(r"service: ready$")
        return self

    def port(self, connect, start=0):
        """The port that forwards to `connect`."""
        pattern = rf"listening on tcp:127\.0\.0\.1:(\d+), forwarding to {connect}"
        return int(self.program.wait_line(pattern, start)[1])

    def replace(self, text):
        """Write the file anew, tell the program, and return what it says about it."""
        mark = self.program.mark()
        if text is None:
            self.ini.unlink()
        else:
            self.ini.write_text(text)
        self.program.proc.send_signal(signal.SIGHUP)
        self.program.wait_line(r"event=reload", mark)
        return "\n".join(self.program.lines[mark:])


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=support.PATIENCE)


def talk(port, data=b"hello\n"):
    with connect(port) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return rest(s)


def test_two_services_in_one_loop(programs, work):
    s = Services(programs, work, section("a", ECHO) + section("b", answers("b"))).ready()
    assert talk(s.port("exec:/bin/cat")) == b"hello\n"
    assert talk(s.port("exec:/bin/sh")) == b"b\nhello\n"
    assert s.program.stop() == 0


def test_only_named_sections(programs, work):
    text = section("a", ECHO) + section("b", answers("b"))
    s = Services(programs, work, text, "forward b").ready()
    s.port("exec:/bin/sh")
    assert "/bin/cat" not in s.program.stderr()
    assert s.program.stop() == 0
    s = Services(programs, work, text, "forward").ready()
    s.port("exec:/bin/sh")
    s.port("exec:/bin/cat")
    assert s.program.stop() == 0
    done = run("run", "-c", s.ini, "--state-dir", work / "state", "forward c")
    check_error(done, 78, "forward c", str(s.ini))


def test_nothing_to_start(work):
    ini = work / "netkit.ini"
    ini.write_text("")
    done = run("run", "-c", ini, "--state-dir", work / "state")
    check_error(done, 78, str(ini))
    assert not (work / "state").exists()


def test_all_or_nothing(work):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ini = work / "netkit.ini"
        ini.write_text(section("a", ECHO) + section("b", ECHO, f"tcp:127.0.0.1:{port}"))
        done = run("run", "-c", ini, "--state-dir", work / "state")
    assert done.returncode != 0
    assert "service: ready" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("netkit run: forward b: ") and "in use" in last


def test_second_instance(programs, work):
    """C33: the second one fails, the first one does not notice."""
    s = Services(programs, work, section("a", ECHO)).ready()
    done = run("run", "-c", s.ini, "--state-dir", work / "state")
    check_error(done, 75, "run.lock")
    assert talk(s.port("exec:/bin/cat")) == b"hello\n"
    assert s.program.stop() == 0
    again = Services(programs, work, section("a", ECHO)).ready()
    assert again.program.stop() == 0


def test_as_pid_1(programs, work, pid_namespace):
    s = Services(programs, work, section("a", answers("a")), prefix=pid_namespace).ready()
    with connect(s.port("exec:/bin/sh")) as c:
        assert c.recv(10) == b"a\n"
        with open(f"/proc/{s.program.pid}/task/{s.program.pid}/children", encoding="ascii") as f:
            init = int(f.read())
        c.shutdown(socket.SHUT_WR)
        assert c.recv(10) == b""
    started = time.monotonic()
    os.kill(init, signal.SIGTERM)
    assert s.program.wait() == 0
    assert time.monotonic() - started < 2


# --- reload ------------------------------------------------------------------------------------


def test_reload(programs, work):
    """C20: new values for new connections; a broken or missing file changes nothing."""
    s = Services(programs, work, section("a", answers("old"))).ready()
    port = s.port("exec:/bin/sh")
    with connect(port) as early:
        assert early.recv(10) == b"old\n"
        assert NEW in s.replace(section("a", answers("new")))
        assert talk(port) == b"new\nhello\n"
        early.sendall(b"still there\n")
        assert early.recv(100) == b"still there\n"
    for broken in (section("a", "nonsense:x"), "[forward a]\nlisten = tcp:127.0.0.1:0\n", None):
        said = s.replace(broken)
        assert OLD in said
        assert talk(port) == b"new\nhello\n"
    assert NEW in s.replace(section("a", answers("newer")))
    assert talk(port) == b"newer\nhello\n"
    assert s.program.stop() == 0


def test_reload_is_all_or_nothing(programs, work):
    text = section("a", answers("a1")) + section("b", answers("b1"))
    s = Services(programs, work, text).ready()
    port = s.port("exec:/bin/sh -c 'echo a1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
        said = s.replace(section("a", answers("a2")) + section("b", answers("b2"), where))
    assert OLD in said and "forward b" in said
    assert talk(port) == b"a1\nhello\n"
    assert s.program.stop() == 0


def test_section_that_disappears(programs, work):
    s = Services(programs, work, section("a", answers("a")) + section("b", ECHO)).ready()
    port = s.port("exec:/bin/cat")
    said = s.replace(section("a", answers("a")))
    assert "[forward b] removed: needs a restart" in said and NEW in said
    assert talk(port) == b"hello\n"
    assert s.program.stop() == 0


def test_reload_of_a_foreground_command(programs, work):
    """Flags stay in force; what they point to is read again."""
    password = work / "password"
    password.write_text("a long enough password\n")
    password.chmod(0o600)
    s = programs([NETKIT, "relay", "--listen", "tcp:127.0.0.1:0", "--state-dir", work / "state",
                  "--password-file", password])
    s.wait_line("service: ready")
    for text, said in (("another long phrase\n", NEW), ("\n", OLD), ("and a third one\n", NEW)):
        password.write_text(text)
        mark = s.mark()
        s.proc.send_signal(signal.SIGHUP)
        assert said in s.wait_line(r".*event=reload", mark)[0]
    assert s.stop() == 0


def test_what_needs_a_restart(programs, work):
    """Groups change at once; what a relay cannot change is told at every reload, not ignored."""
    def relay(listen, size, groups):
        return f"[relay]\nlisten = {listen}\nheader_size = {size}\nmax_groups = 100\n" + groups

    here = "tcp:127.0.0.1:0"
    s = Services(programs, work, relay(here, 10, "[group x]\nmax_count = 1\n")).ready()
    said = s.replace(relay(here, 12, "[group x]\nmax_count = 2\n[group y]\n") + section("a", ECHO))
    for line in ("[relay] header_size changed: needs a restart",
                 "[group x] max_count changed: applied", "[group y] added: applied",
                 "[forward a] added: needs a restart", "except for what needs a restart"):
        assert line in said
    assert said.count("[group") == 2
    said = s.replace(relay(here, 12, "[group y]\n"))
    assert "[relay] header_size changed: needs a restart" in said
    assert "[group x] removed: applied" in said and "[forward" not in said
    said = s.replace(relay(here, 10, "[group y]\n"))
    assert "[relay]" not in said and "restart" not in said
    said = s.replace(relay(here, 10, "[group y]\n[group z]\nmatch = y\n"))
    assert OLD in said and "another section" in said
    assert s.program.stop() == 0


def test_listeners_of_a_relay_come_and_go(programs, work):
    def relay(*listen, more=""):
        return "[relay]\n" + "".join(f"listen = {text}\n" for text in listen) + more

    def ports():
        status = json.loads(run("status", "--state-dir", work / "state").stdout)
        return [text.rsplit(":", 1)[1] for text in status["relay"]["listen"]]

    any_port, path = "tcp:127.0.0.1:0", work / "relay.sock"
    s = Services(programs, work, relay(any_port)).ready()
    first = ports()
    said = s.replace(relay(f"unix:{path}", any_port, any_port))
    assert "[relay] listen changed: applied" in said and path.exists()
    second = ports()
    assert second[1] == first[0] and len(set(second)) == 3
    with connect(int(first[0])), connect(int(second[2])):
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = s.replace(relay(any_port, f"tcp:127.0.0.1:{taken.getsockname()[1]}"))
    assert OLD in said and ports() == second
    assert OLD in s.replace(relay(any_port, "tls:127.0.0.1:0")) and ports() == second
    # two at once: what listens where, and what cannot be done
    said = s.replace(relay("tcp:0.0.0.0:0", more="connection = TCP\nallow_plain = yes\n"))
    assert "[relay] listen changed: applied" in said
    assert "[relay] connection changed: needs a restart" in said
    assert "(TLS)" in said and "(plain)" not in said
    assert not path.exists() and len(ports()) == 1
    with pytest.raises(ConnectionRefusedError):
        connect(int(first[0]))
    assert s.program.stop() == 0


def test_plain_relay_stays_on_this_machine(programs, work):
    """The encryption that a public listener would have comes only with a restart."""
    s = Services(programs, work, "[relay]\nlisten = tcp:127.0.0.1:0\nconnection = TCP\n").ready()
    said = s.replace("[relay]\nlisten = tcp:0.0.0.0:0\nconnection = TLS\n")
    assert OLD in said and "reachable from other machines" in said
    assert s.program.stop() == 0


def test_the_shipped_configuration(programs, work):
    """It runs as it is, only on a port of its own here."""
    s = programs([NETKIT, "run", "-c", support.ROOT / "netkit.ini", "-C",
                  "relay.listen=tcp:127.0.0.1:0", "--state-dir", work / "state"])
    s.wait_line("service: ready")
    assert (work / "state" / "run.lock").exists()
    assert s.stop() == 0


def test_status_in_the_log(programs, work):
    s = Services(programs, work, section("a", ECHO)).ready()
    mark = s.program.mark()
    s.program.proc.send_signal(signal.SIGUSR1)
    line = s.program.wait_line(r'\{"forward a":\{"state":"ready",.*\}$', mark)
    assert line
    assert s.program.stop() == 0


# --- the end -----------------------------------------------------------------------------------


def refused(port):
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_drain(programs, work):
    """C8: no new connections, those that are there may finish, for so long."""
    s = Services(programs, work, section("a", ECHO), "--drain-timeout", "1h").ready()
    port = s.port("exec:/bin/cat")
    with connect(port) as busy:
        busy.sendall(b"x")
        assert busy.recv(1) == b"x"
        s.program.proc.send_signal(signal.SIGTERM)
        s.program.wait_line("asked to stop")
        assert refused(port)
        busy.sendall(b"last")
        assert busy.recv(10) == b"last"
        assert s.program.alive()
    assert s.program.wait() == 0


@pytest.mark.parametrize("second, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_second_signal(programs, work, second, status):
    s = Services(programs, work, section("a", ECHO), "--drain-timeout", "1h").ready()
    with connect(s.port("exec:/bin/cat")) as busy:
        busy.sendall(b"x")
        assert busy.recv(1) == b"x"
        s.program.proc.send_signal(signal.SIGTERM)
        s.program.wait_line("asked to stop")
        s.program.proc.send_signal(second)
        assert s.program.wait() == status


def test_drain_is_bounded(programs, work):
    s = Services(programs, work, section("a", ECHO), "--drain-timeout", "100ms").ready()
    with connect(s.port("exec:/bin/cat")) as busy:
        busy.sendall(b"x")
        assert busy.recv(1) == b"x"
        assert s.program.stop() == 0
    assert "still busy" in s.program.stderr()


# --- the service manager -----------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_notification(programs, work, abstract):
    """C24: READY after the listeners are there, RELOADING and READY, STOPPING, the watchdog."""
    path = work / "notify"
    name = f"\0nk-e2e-{os.getpid()}" if abstract else str(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(support.PATIENCE)

        def expect(*texts):
            """The next message that is not the watchdog's is one of these."""
            while True:
                got = manager.recv(1000).decode()
                if got != "WATCHDOG=1":
                    break
            assert got.startswith(texts), got
            return got

        s = Services(programs, work, section("a", ECHO), NOTIFY_SOCKET=name.replace("\0", "@"),
                     WATCHDOG_USEC="100000")
        expect("READY=1")
        assert talk(s.port("exec:/bin/cat")) == b"hello\n"
        s.program.proc.send_signal(signal.SIGHUP)
        stamp = expect("RELOADING=1\nMONOTONIC_USEC=").split("=")[-1]
        assert abs(int(stamp) / 1e6 - time.monotonic()) < support.PATIENCE
        expect("READY=1")
        for _ in range(3):
            assert manager.recv(1000) == b"WATCHDOG=1"
        s.program.proc.send_signal(signal.SIGTERM)
        expect("STOPPING=1")
        assert s.program.wait() == 0


def test_programs_do_not_see_the_manager(programs, work):
    """What is between us and the manager, and configuration with its secrets, stays here."""
    text = section("a", "exec:/usr/bin/env")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(work / "notify"))
        s = Services(programs, work, text, NOTIFY_SOCKET=str(work / "notify"),
                     NETKIT_FORWARD__A__IDLE="5m").ready()
        seen = talk(s.port("exec:/usr/bin/env")).decode()
    assert "PATH=" in seen
    assert "NOTIFY_SOCKET" not in seen and "NETKIT_FORWARD__A__IDLE" not in seen
    assert s.program.stop() == 0
