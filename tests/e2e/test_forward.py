# SPDX-License-Identifier: MIT
"""netkit forward and [forward NAME]: real sockets, few descriptors, socket activation, reload."""

import contextlib
import os
import pathlib
import resource
import signal
import socket
import subprocess
import threading

from server_support import Echo, exchange, is_reset, nobody_listens
from support import NETKIT, PATIENCE, clean_env, run, wait_until

LISTENING = r"listening on tcp:127\.0\.0\.1:(\d+)"


def test_tcp_to_unix(programs, work):
    data = os.urandom(1 << 20)
    with Echo(b"hello ", work / "s") as _:
        p = programs([NETKIT, "forward", "tcp:127.0.0.1:0", f"unix:{work}/s"])
        port = int(p.wait_line(LISTENING)[1])
        assert exchange(port, data) == b"hello " + data
        assert p.stop() == 0


def test_target_down(programs):
    p = programs([NETKIT, "forward", "tcp:127.0.0.1:0", "tcp:127.0.0.1:1"])
    port = int(p.wait_line(LISTENING)[1])
    for _ in range(40):
        assert is_reset(port)
    p.wait_line(r"warn forward: .*tcp:127\.0\.0\.1:1: Connection refused")
    assert p.stop() == 0
    assert p.stderr().count("Connection refused") == 10  # the rest is only counted


def ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_few_descriptors(programs):
    """64 descriptors, 200 clients: no spinning, few lines, and it serves again afterwards."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with Echo() as echo:
        p = programs([NETKIT, "forward", "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{echo.port}"],
                     preexec_fn=limit)
        port = int(p.wait_line(LISTENING)[1])
        clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(200)]
        p.wait_line("warn")
        before = ticks(p.pid)
        threading.Event().wait(0.5)
        assert ticks(p.pid) - before <= 15  # of 50
        assert len(p.stderr().splitlines()) < 40
        for c in clients:
            c.close()

        def serves():
            with contextlib.suppress(OSError):
                return exchange(port, b"again") == b"again"
            return False

        wait_until(serves)
        assert p.stop() == 0


def test_socket_activation(programs):
    with socket.create_server(("127.0.0.1", 0)) as listener, Echo(b"x") as echo:
        os.set_blocking(listener.fileno(), True)
        p = programs(["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", NETKIT, "forward", "fd:web",
                      f"tcp:127.0.0.1:{echo.port}"],
                     preexec_fn=lambda: os.dup2(listener.fileno(), 3), pass_fds=[3],
                     env=clean_env(LISTEN_FDS="1", LISTEN_FDNAMES="web"))
        port = int(p.wait_line(LISTENING)[1])
        assert port == listener.getsockname()[1]
        assert exchange(port, b"abc") == b"xabc"
        assert os.get_blocking(listener.fileno())  # it is ours as well: nothing was changed
        assert p.stop() == 0


def test_activation_for_another_process():
    done = run("forward", "fd:web", "tcp:127.0.0.1:1",
               env=clean_env(LISTEN_FDS="1", LISTEN_FDNAMES="web", LISTEN_PID="1"))
    assert done.returncode == 78
    assert "LISTEN_FDS names is for process 1" in done.stderr


def test_foreground_reload(programs, work):
    """HUP loads the configuration again; the words of the command line stay."""
    ini = work / "netkit.ini"
    ini.write_text("")
    with Echo(b"") as echo:
        p = programs([NETKIT, "forward", "-c", ini, "--max-connections", "1", "tcp:127.0.0.1:0",
                      f"tcp:127.0.0.1:{echo.port}"])
        port = int(p.wait_line(LISTENING)[1])
        for text, said in (("[forward other]\nlisten = tcp:127.0.0.1:0\nconnect = tcp:[::1]:1\n",
                            "new configuration is in force"),
                           ("nonsense\n", "old configuration stays in force"),
                           ("", "new configuration is in force")):
            ini.write_text(text)
            mark = p.mark()
            p.proc.send_signal(signal.SIGHUP)
            assert said in p.wait_line(r".*event=reload.*", mark)[0]
            assert exchange(port, b"x") == b"x"
        assert "needs a restart" not in p.stderr() and "applied" not in p.stderr()
        assert p.stop() == 0


def test_run_reload_and_drain(programs, work):
    ini = work / "netkit.ini"
    with Echo(b"old ") as old, Echo(b"new ") as new:
        def write(target):
            ini.write_text("[forward web]\nlisten = tcp:127.0.0.1:0\n"
                           f"connect = tcp:127.0.0.1:{target}\n")

        write(old.port)
        p = programs([NETKIT, "run", "-c", str(ini), "--state-dir", str(work / "state")])
        port = int(p.wait_line(LISTENING)[1])
        assert exchange(port, b"1") == b"old 1"
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as busy:
            assert busy.recv(4) == b"old "
            write(new.port)
            mark = p.mark()
            p.proc.send_signal(signal.SIGHUP)
            p.wait_line("reload", start=mark)
            wait_until(lambda: exchange(port, b"2") == b"new 2")
            busy.sendall(b"still here")
            assert busy.recv(10) == b"still here"
            write("nonsense")
            mark = p.mark()
            p.proc.send_signal(signal.SIGHUP)
            p.wait_line("nonsense", start=mark)
            assert exchange(port, b"3") == b"new 3"
            p.proc.send_signal(signal.SIGTERM)  # waits for the busy one
            wait_until(lambda: nobody_listens(port))
            assert p.alive()
            busy.sendall(b"bye")
            assert busy.recv(3) == b"bye"
        assert p.wait() == 0


def test_standard_streams(work):
    data = os.urandom(300000)
    (work / "in").write_bytes(data)
    with Echo() as echo, open(work / "in", "rb") as source, open(work / "out", "wb") as sink:
        done = subprocess.run([NETKIT, "forward", "stdio:", f"tcp:127.0.0.1:{echo.port}"],
                              stdin=source, stdout=sink, stderr=subprocess.PIPE,
                              timeout=PATIENCE, env=clean_env(), check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    assert (work / "out").read_bytes() == data
