# SPDX-License-Identifier: MIT
"""netkit run -- COMMAND, as an ordinary process and as PID 1; netkit sleep; runs without configuration."""
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import time

import pytest

from support import missing_peer as missing, wait_until

PYTHON = "/usr/bin/python3"
WAIT = 20  # seconds; a deadline for failures, nothing waits for it


def run(*words, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(words, capture_output=True, text=True, timeout=WAIT, **options)


def children(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()]


def until(check):
    """The value of check() once it is true. For states of /proc, which has no events."""
    found = []

    def look():
        found[:] = [check()]
        return found[0]

    wait_until(look, WAIT)
    return found[0]


@pytest.fixture(autouse=True)
def deadline():
    """A test that hangs fails."""
    signal.alarm(WAIT + 10)
    yield
    signal.alarm(0)


@pytest.fixture(params=["ordinary", "pid1"])
def prefix(request):
    return [] if request.param == "ordinary" else request.getfixturevalue("pid_namespace")


@pytest.mark.parametrize(
    "command, status, error",
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -TERM $$"], 143, ""),
        (["sh", "-c", "kill -KILL $$"], 137, ""),
        (["true"], 0, ""),
        (["/nonexistent"], 127, "netkit run: /nonexistent: No such file or directory\n"),
        (["nk-nonexistent"], 127, "netkit run: nk-nonexistent: No such file or directory\n"),
        (["/etc/passwd/x"], 127, "netkit run: /etc/passwd/x: Not a directory\n"),
        (["/etc/passwd"], 126, "netkit run: /etc/passwd: Permission denied\n"),
    ],
)
def test_exit_status(netkit, prefix, command, status, error):
    done = run(*prefix, netkit, "run", "--", *command)
    assert (done.returncode, done.stderr) == (status, error)


def test_wrong_words(netkit):
    assert run(netkit, "run", "--").returncode == 2
    assert run(netkit, "run", "relay", "--", "true").returncode == 2


def test_without_configuration(netkit, tmp_path):
    env = {"PATH": os.environ["PATH"], "NETKIT_STATE_DIR": str(tmp_path / "state")}
    done = run(netkit, "run", env=env)
    assert done.returncode == 78
    assert "netkit config init" in done.stderr
    assert not (tmp_path / "state").exists()


def test_streams_arguments_and_environment(netkit, prefix):
    env = dict(os.environ, NETKIT_X__Y="kept", LISTEN_FDS="1", LISTEN_PID="1")
    script = 'cat; echo "$1|$NETKIT_X__Y|$LISTEN_FDS"; echo err >&2'
    done = run(*prefix, netkit, "run", "--", "sh", "-c", script, "sh", "a b", input="in\n", stdin=None,
               env=env)
    assert (done.stdout, done.returncode) == ("in\na b|kept|\n", 0)
    assert done.stderr.endswith("err\n")


def test_no_descriptor_leaks(netkit, prefix):
    with open("/dev/null") as extra:
        os.set_inheritable(extra.fileno(), True)
        done = run(*prefix, netkit, "run", "--", "ls", "/proc/self/fd", close_fds=False)
    assert done.stdout == "0\n1\n2\n3\n"  # 3 is the directory


def test_limits_and_umask_are_the_callers(netkit):
    script = "umask; ulimit -c; grep NoNewPrivs /proc/self/status"
    expected = run("sh", "-c", script).stdout
    assert run(netkit, "run", "--", "sh", "-c", script).stdout == expected


def test_closed_standard_descriptors(netkit, prefix):
    line = f"exec {' '.join(prefix)} {netkit} run -- sh -c 'exit 9' <&- >&- 2>&-"
    assert run("sh", "-c", line).returncode == 9


# --- signals ---------------------------------------------------------------------------------------


def start_ready(words):
    """Start a command whose program says "ready" when it is."""
    p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    return p


def finish(p):
    """All of its output and its status; its stdin stays open until the output has ended."""
    out = p.stdout.read()
    p.stdin.close()
    return out, p.wait(timeout=WAIT)


def target(p, prefix):
    """netkit itself, or the PID 1 that it is below unshare."""
    return children(p.pid)[0] if prefix else p.pid


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_are_passed_on(netkit, prefix, name):
    script = f"trap 'echo got {name}; exit 3' {name}; echo ready; read x"
    p = start_ready([*prefix, netkit, "run", "--", "sh", "-c", script])
    os.kill(target(p, prefix), signal.Signals[f"SIG{name}"])
    assert finish(p) == (f"got {name}\n", 3)


def test_term_ends_the_whole_group(netkit, prefix):
    p = start_ready([*prefix, netkit, "run", "--", "sh", "-c", "sleep 1000 & echo ready; wait"])
    os.kill(target(p, prefix), signal.SIGTERM)
    assert finish(p) == ("", 143)  # the end of the output: sleep is gone too


def test_killed_netkit_takes_the_program_along(netkit):
    p = start_ready([netkit, "run", "--", "sh", "-c", "echo ready; read x"])
    p.kill()
    assert finish(p) == ("", -signal.SIGKILL)


def test_one_shot_command_as_pid1(netkit, pid_namespace):
    p = subprocess.Popen([*pid_namespace, netkit, "sleep", "1000"])
    pid1 = until(lambda: children(p.pid))[0]
    until(lambda: children(pid1))  # netkit runs below its launcher
    os.kill(pid1, signal.SIGTERM)
    assert p.wait(timeout=WAIT) == 143


def test_ctrl_c_reaches_the_program_once(netkit):
    pid, fd = pty.fork()
    if pid == 0:
        script = "n=0; trap 'n=$((n+1))' INT; echo ready; read x; read y; echo \"seen $n\"; exit 5"
        os.execv(netkit, [netkit, "run", "--", "sh", "-c", script])
    seen = b""

    def read_until(text):
        nonlocal seen
        while text not in seen:
            assert select.select([fd], [], [], WAIT)[0]
            seen += os.read(fd, 1000)

    read_until(b"ready")
    os.write(fd, b"\x03")
    read_until(b"^C")
    os.write(fd, b"x\ny\n")
    read_until(b"seen 1")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    os.close(fd)


# --- duties of an init -----------------------------------------------------------------------------

ORPHANS = """
import os, sys
hold, end = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            os.close(hold)
            os.write(end, b"%d\\n" % os.getpid())
            os.read(0, 1)
        os._exit(0)
    os.wait()
os.close(end)
orphans = b""
while orphans.count(b"\\n") < 3:
    orphans += os.read(hold, 100)
print(os.getppid(), orphans.decode().replace("\\n", " "), flush=True)
while os.read(hold, 1):
    pass
print("done", flush=True)
sys.stdin.read()
"""


def test_orphans_are_reaped(netkit, prefix):
    """Three orphans end; none stays a zombie. Pids are those of the program's namespace."""
    end_r, end_w = os.pipe()
    p = subprocess.Popen([*prefix, netkit, "run", "--", PYTHON, "-c", ORPHANS], stdin=end_r,
                         stdout=subprocess.PIPE, text=True)
    os.close(end_r)
    words = p.stdout.readline().split()
    parent, orphans = int(words[0]), words[1:]
    assert len(orphans) == 3
    if prefix:
        assert parent == 1
        proc = pathlib.Path(f"/proc/{target(p, prefix)}/root/proc")
    else:
        proc = pathlib.Path("/proc")
    for pid in orphans:
        stat = (proc / pid / "stat").read_text().rsplit(")", 1)[1].split()
        assert int(stat[1]) == parent  # adopted by the launcher
    os.write(end_w, b"xxx")
    assert p.stdout.readline() == "done\n"
    until(lambda: not any((proc / pid).exists() for pid in orphans))
    states = [line for pid in proc.glob("[0-9]*") for line in status_lines(pid)] if prefix else []
    assert not [line for line in states if line.startswith("State:") and "Z" in line]
    os.close(end_w)
    assert p.wait(timeout=WAIT) == 0


def status_lines(pid):
    try:
        return (pid / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []


def test_bare_root(netkit, tmp_path):
    """No /dev, /proc, /etc, shell or library: netkit starts itself."""
    if os.geteuid() != 0:
        missing("root, for chroot")
    with open(netkit, "rb") as f:
        if b"ld-linux" in f.read(4096):
            missing("a static netkit")
    shutil.copy(netkit, tmp_path / "netkit")
    chroot = [shutil.which("chroot"), str(tmp_path), "/netkit"]
    done = run(*chroot, "run", "--", "/netkit", "--version", env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("netkit ")
    done = run(*chroot, "run", "--", "nothing", env={})
    assert done.returncode == 127


# --- sleep -----------------------------------------------------------------------------------------


def test_sleep(netkit):
    start = time.monotonic()
    assert run(netkit, "sleep", "50ms").returncode == 0
    assert time.monotonic() - start >= 0.05
    assert run(netkit, "sleep", "0").returncode == 0
    for wrong in ("x", "-1", "1.5", ""):
        assert run(netkit, "sleep", "--", wrong).returncode == 2


def test_sleep_ends_with_a_signal(netkit):
    for signum, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        # a test run in the background has SIGINT ignored, which programs inherit and keep
        p = subprocess.Popen([netkit, "sleep", "1000"],
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        caught = f"SigCgt:\t{1 << (signum - 1):016x}"
        bit = int(caught.split()[1], 16)

        def ready():
            lines = status_lines(pathlib.Path(f"/proc/{p.pid}"))
            mask = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")]
            return mask and mask[0] & bit

        until(ready)
        p.send_signal(signum)
        assert p.wait(timeout=WAIT) == status
