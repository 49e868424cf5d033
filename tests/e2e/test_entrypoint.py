# SPDX-License-Identifier: MIT
"""The relay as a container's entrypoint and as a systemd service: PID 1, an empty root, socket
activation, notification, no name ever asked where it must not be."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

import support
from relay_support import LISTENING, Bystander, Relay
from support import NETKIT, clean_env, need_command, need_root, run


def relay_argv(state, *extra, netkit=NETKIT):
    return [netkit, "relay", "--listen", "tcp:127.0.0.1:0", "--state-dir", state, *extra]


# --- PID 1 -----------------------------------------------------------------------------------


def only_child(pid):
    """The child of a process that has exactly one (sooner or later)."""
    path = f"/proc/{pid}/task/{pid}/children"
    found = []

    def look():
        with open(path, encoding="ascii") as f:
            found[:] = [int(word) for word in f.read().split()]
        return len(found) == 1

    support.wait_until(look)
    return found[0]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_relay_as_pid_1_stops_when_asked(programs, work, pid_namespace, sig):
    """C4: docker stop must not wait for its timeout."""
    relay = Relay(programs, work, prefix=pid_namespace)
    Bystander(relay).close()
    init = only_child(relay.program.pid)
    started = time.monotonic()
    os.kill(init, sig)
    assert relay.program.wait() == 0
    assert time.monotonic() - started < 2


def test_second_signal_ends_at_once(programs, work):
    """C8: an endpoint that reads nothing must not hold a relay that is told twice to end."""
    relay = Relay(programs, work)
    stuck = relay.endpoint(groups=("g",), auto_ack=False)
    stuck.wait_joined()
    stuck.pause()
    sender = relay.endpoint()
    sender.wait_joined()
    sender.broadcast(b"x" * 30_000_000, "g")
    assert sender.flush(support.PATIENCE)
    mark = relay.program.mark()
    os.kill(relay.program.pid, signal.SIGTERM)
    relay.program.wait_line("asked to stop", mark)
    started = time.monotonic()
    code = relay.program.stop(signal.SIGTERM)
    assert code in (0, 128 + signal.SIGTERM)
    assert time.monotonic() - started < 2
    stuck.abort()
    sender.abort()


# --- an empty root ---------------------------------------------------------------------------


@pytest.fixture
def empty_root(work):
    need_root()
    need_command("chroot")
    shutil.copy(NETKIT, work / "netkit")
    if subprocess.run(["chroot", work, "/netkit", "--version"], capture_output=True).returncode != 0:
        pytest.skip("not the release program: it does not run in an empty root")
    os.chmod(work, 0o755)
    return work


def test_relay_and_endpoint_in_an_empty_root(programs, empty_root):
    """C2, C9: no passwd, no /tmp, no /dev, no /etc/hosts, no HOME, no privileges; and localhost must
    not be asked of a name server that is not there (musl would wait five seconds)."""
    state = empty_root / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 12345, 0)
    prefix = [need_command("chroot"), "--userspec=12345:0", empty_root]
    relay = programs([*prefix, *relay_argv("/state", netkit="/netkit")], env={})
    port = int(relay.wait_line(LISTENING).group(1))
    started = time.monotonic()
    done = subprocess.run(
        [*prefix, "/netkit", "endpoint", "broadcast", "--to", "g", "-", "--connect",
         f"tcp:localhost:{port}", "--state-dir", "/state"],
        input="hello", capture_output=True, text=True, env={}, timeout=support.PATIENCE)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 3
    assert relay.stop() == 0


def test_read_only_root(programs, empty_root):
    """C3: nothing is written outside of the state directory."""
    need_command("unshare")
    state = empty_root / "state"
    state.mkdir(mode=0o700)
    script = ('mount --bind "$1" "$1" && mount -t tmpfs none "$1/state" && chmod 700 "$1/state" && '
              'mount -o remount,ro,bind "$1" && exec chroot "$1" /netkit relay --listen '
              'tcp:127.0.0.1:0 --state-dir /state')
    relay = programs(["unshare", "-m", "sh", "-c", script, "sh", empty_root])
    relay.wait_line(LISTENING)
    assert relay.stop() == 0


def test_full_disk_leaves_no_half_credentials(programs, empty_root):
    """C34: a state directory without room."""
    need_command("unshare")
    (empty_root / "state").mkdir(mode=0o700)
    script = ('mount -t tmpfs -o size=16k none "$1/state" && chmod 700 "$1/state" && '
              'head -c 1000000 /dev/zero >"$1/state/fill" 2>/dev/null; '
              'chroot "$1" /netkit relay --listen tcp:127.0.0.1:0 --state-dir /state; rc=$?; '
              'rm "$1/state/fill"; find "$1/state" -type f -name "*.pem" -o -type f -name password '
              '-o -name "*.tmp"; exit $rc')
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", empty_root],
                          capture_output=True, text=True, timeout=support.PATIENCE)
    assert done.returncode == 74, (done.returncode, done.stderr)
    assert done.stdout == "", "files were left behind"


# --- systemd ---------------------------------------------------------------------------------


class Notifications:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.sock.bind(path)
        self.sock.settimeout(support.PATIENCE)
        self.name = path.replace("\0", "@", 1) if path.startswith("\0") else path
        self.seen = []

    def wait(self, line):
        while line not in self.seen:
            self.seen += self.sock.recv(4096).decode().splitlines()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_notification(programs, work, kind):
    """C24: READY=1 when endpoints can connect, not before; STOPPING=1 when asked to end."""
    manager = Notifications(str(work / "notify") if kind == "path" else f"\0nk-e2e-{os.getpid()}")
    relay = Relay(programs, work, env=clean_env(NOTIFY_SOCKET=manager.name))
    manager.wait("READY=1")
    Bystander(relay).close()
    relay.program.proc.send_signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    assert relay.program.wait() == 0
    manager.sock.close()


ACTIVATE = """
import os, sys
fd = int(sys.argv[1])
os.dup2(fd, 3, inheritable=True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_FDNAMES"] = "relay"
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[2]))
os.execv(sys.argv[3], sys.argv[3:])
"""


def activated(programs, work, wrong_pid=0):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    program = programs([sys.executable, "-c", ACTIVATE, listener.fileno(), wrong_pid, NETKIT, "relay",
                        "--listen", "fd:relay", "--state-dir", work / "state"],
                       pass_fds=(listener.fileno(),))
    port = listener.getsockname()[1]
    listener.close()
    return program, port


def test_socket_activation(programs, work):
    """C22."""
    program, port = activated(programs, work)
    assert int(program.wait_line(LISTENING).group(1)) == port
    with socket.create_connection(("127.0.0.1", port), timeout=support.PATIENCE):
        pass
    with open(f"/proc/{program.pid}/fdinfo/3", encoding="ascii") as f:
        flags = int([line for line in f if line.startswith("flags:")][0].split()[1], 8)
    assert flags & os.O_CLOEXEC
    assert program.stop() == 0


def test_sockets_of_another_process_are_not_taken(programs, work):
    """C23."""
    program, _ = activated(programs, work, wrong_pid=1)
    assert program.wait() in (2, 78), program.stderr()
    assert "LISTEN_FDS" in program.stderr()


def test_credentials_directory(programs, work):
    """C25: systemd hands out the password read-only."""
    directory = work / "credentials"
    directory.mkdir(mode=0o700)
    password = directory / "password"
    password.write_text("handed out by the manager 42\n", encoding="ascii")
    password.chmod(0o400)
    os.chmod(directory, 0o500)
    relay = Relay(programs, work, "--password-file", password,
                  env=clean_env(CREDENTIALS_DIRECTORY=str(directory)))
    relay.password = "handed out by the manager 42"
    Bystander(relay).close()
    assert relay.program.stop() == 0


@pytest.fixture
def volume(work):
    """A prefix that runs a command as another user, with a volume as Kubernetes makes an emptyDir."""
    need_root()
    need_command("unshare")
    need_command("setpriv")
    place = work / "volume"
    place.mkdir()
    work.chmod(0o755)
    for parent in place.parents:  # the other user has to get there
        if not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)
    return place, ["unshare", "-m", "sh", "-ec",
                   'mount -t tmpfs -o mode=0777 none "$0"; exec setpriv --reuid 12345 --regid 12345 '
                   '--clear-groups "$@"', place]


def test_state_in_a_volume_that_everybody_may_write_to(programs, volume):
    """Its own directory keeps what it made there; a password beside it is refused with the remedy."""
    place, prefix = volume
    relay = programs([*prefix, *relay_argv(place / "state")])
    relay.wait_line("listening on")
    assert relay.stop() == 0
    script = 'umask 077; echo "a good long password, really" > "$0/pw"; exec "$@" --password-file "$0/pw"'
    done = subprocess.run([str(word) for word in (
        *prefix, "sh", "-c", script, place, *relay_argv(place / "state"))], env=clean_env(),
        capture_output=True, text=True, timeout=support.PATIENCE)
    assert done.returncode == 77, done.stderr
    assert f"volume {place} (owner uid 0, mode 0777)" in done.stderr
    assert f"mkdir -m 700 {place}/secrets" in done.stderr


# --- what the process looks like from outside ------------------------------------------------


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_hardening(programs, work):
    """C29 as far as it does not depend on the sandbox: no core dump, not readable by others."""
    relay = Relay(programs, work)
    with open(f"/proc/{relay.program.pid}/limits", encoding="ascii") as f:
        core = [line for line in f if line.startswith("Max core file size")][0].split()
    assert core[4:6] == ["0", "0"]
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            os.listdir(f"/proc/{relay.program.pid}/fd")
    else:  # a process that is not dumpable belongs to root in /proc, whoever runs it
        dumpable = subprocess.run(["stat", "-c", "%a", f"/proc/{relay.program.pid}/mem"],
                                  capture_output=True, text=True, check=True).stdout
        assert dumpable.strip() == "600"
    assert int(status_of(relay.program.pid).get("VmLck", "0 kB").split()[0]) > 0
    assert relay.program.stop() == 0


def test_hangup_without_changes_keeps_serving(programs, work):
    relay = Relay(programs, work)
    others = Bystander(relay)
    others.check()
    mark = relay.program.mark()
    relay.program.proc.send_signal(signal.SIGHUP)
    relay.program.wait_line("reload|HUP|configuration", mark)
    others.close()
    assert relay.program.stop() == 0


# --- names -----------------------------------------------------------------------------------

DNS_TRAP = """
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
trap = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
trap.bind(("127.0.0.1", 53))
trap.setblocking(False)
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
count = 0
try:
    while True:
        trap.recv(512)
        count += 1
except BlockingIOError:
    pass
print(count, done.returncode, done.stderr.strip())
"""


@pytest.mark.parametrize("name", ["x.onion", "abc.ONION", "localhost", "a.localhost", "x.onion."])
def test_names_that_are_never_asked(work, name):
    """C10, RFC 7686, RFC 6761: no datagram reaches the name server of an otherwise empty network."""
    need_root()
    need_command("unshare")
    need_command("ip")
    password = work / "password"
    password.write_text("a password that is good enough 1\n", encoding="ascii")
    password.chmod(0o600)
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", DNS_TRAP, NETKIT, "endpoint", "broadcast", "--to", "g",
         "-", "--connect", f"tcp:{name}:3000", "--connection", "TCP", "--timeout", "2s", "--password-file",
         str(password), "--state-dir", str(work / "state")],
        capture_output=True, text=True, timeout=40, env=clean_env())
    assert done.returncode == 0, done.stderr
    count, code, text = done.stdout.strip().split(" ", 2)
    assert int(count) == 0, text
    assert int(code) in ((2, 78, 69) if "onion" in name.lower() else (69, 75)), text


@pytest.mark.parametrize("name", ["127.example.com", "127.0.0.1.example.com", "localhost.example"])
def test_names_that_only_look_local(work, name):
    """Nobody's password goes there in plain text."""
    password = work / "password"
    password.write_text("a password that is good enough 1\n", encoding="ascii")
    password.chmod(0o600)
    done = run("endpoint", "broadcast", "--to", "g", "-", "--connect", f"tcp:{name}:3000",
               "--connection", "TCP", "--password-file", password, "--state-dir", work / "state")
    support.check_error(done, 2, "without TLS")


def test_bad_host_names(work):
    for host in ("a" * 256, "a" * 1000, "a b", "host%00x", "h\u00e9"):
        done = run("endpoint", "broadcast", "--to", "g", "-", "--connect", f"tcp:{host}:3000",
                   "--state-dir", work / "state", "--timeout", "2s")
        assert done.returncode in (2, 69, 77, 78), (host, done)
