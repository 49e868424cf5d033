# SPDX-License-Identifier: MIT
"""netkit tor launch: a tor of our own bootstraps, serves a program, and leaves nothing behind."""

import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess

import pytest

import support
from tor_support import Place


@pytest.fixture
def place(work):
    found = Place(work)
    yield found
    found.kill_rest()


@pytest.fixture
def seed(tor_network, work):
    tor_network.seed(work / "seed")
    return ["--seed", str(work / "seed"), *tor_network.torrc_args()]


def lines_of(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_progress_to_the_end(place, tor_network):
    """Without a seed: every phase from 0 to 100, in order."""
    done = place.run("tor", "launch", "--progress", "json", *tor_network.torrc_args(), "--", "true")
    assert done.returncode == 0, done.stderr
    steps = lines_of(done.stderr)
    percents = [step["percent"] for step in steps]
    assert percents == sorted(percents) and percents[-1] == 100
    tags = [step["tag"] for step in steps]
    assert tags[-1] == "done" and {"conn_done", "requesting_status", "enough_dirinfo"} <= set(tags)
    assert all(step["phase"] == "bootstrap" and step["summary"] for step in steps)
    assert place.left() == [] and place.tors() == []


def test_program_gets_addresses_and_its_status_is_ours(place, seed):
    script = "env; test -S ${NETKIT_TOR_CONTROL#unix:} && test $(stat -c %s $NETKIT_TOR_COOKIE) = 32 && exit 7"
    done = place.run("tor", "launch", *seed, "--", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    env = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert re.fullmatch(r"tcp:127\.0\.0\.1:\d+", env["NETKIT_TOR_SOCKS"])
    assert env["ALL_PROXY"] == env["all_proxy"] == "socks5h://" + env["NETKIT_TOR_SOCKS"].removeprefix("tcp:")
    assert place.left() == [] and place.tors() == []


def test_program_reaches_through_tor(place, seed):
    """The SOCKS port that the program is told is that of a tor that works."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = ("import os,socket,sys\n"
                  "h,p=os.environ['NETKIT_TOR_SOCKS'][4:].split(':')\n"
                  "s=socket.create_connection((h,int(p)),20)\n"
                  "n=b'exit.test'\n"
                  f"s.sendall(b'\\5\\1\\0\\5\\1\\0\\3'+bytes([len(n)])+n+({port}).to_bytes(2,'big')+b'hello')\n"
                  "a=b''\n"
                  "while not a.endswith(b'bye'): a+=s.recv(100) or sys.exit(1)\n")
        with subprocess.Popen([support.NETKIT, "tor", "launch", *seed, "--", "/usr/bin/python3", "-c", script],
                              env=place.env(), stdin=subprocess.DEVNULL) as proc:
            server.settimeout(60)
            peer, _ = server.accept()
            with peer:
                peer.settimeout(support.PATIENCE)
                assert peer.recv(5) == b"hello"
                peer.sendall(b"bye")
            assert proc.wait(support.PATIENCE) == 0
    assert place.left() == []


def test_serves_until_it_is_told(place, seed, programs):
    running = programs([support.NETKIT, "--json", "tor", "launch", "--socks", "unix", *seed], env=place.env(),
                       stdout=subprocess.PIPE)
    about = json.loads(running.proc.stdout.readline())
    assert about["socks"].startswith("unix:") and os.path.exists(about["socks"].removeprefix("unix:"))
    assert place.tors() == [about["pid"]]
    # what it reads again does not switch its network off
    os.kill(about["pid"], signal.SIGHUP)
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(about["control"].removeprefix("unix:"))
        with open(about["cookie"], "rb") as cookie:
            control.sendall(b"AUTHENTICATE " + cookie.read().hex().encode() + b"\r\nGETCONF DisableNetwork\r\n"
                            b"GETINFO process/pid\r\nQUIT\r\n")
        answers = control.makefile().read()
    assert "250 DisableNetwork=0" in answers and f"process/pid={about['pid']}" in answers
    assert running.stop() == 0
    assert place.left() == [] and place.tors() == []


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_the_programs(place, seed, programs, sig):
    running = programs([support.NETKIT, "tor", "launch", *seed, "--", "sh", "-c",
                        f"trap 'exit 5' {sig.name[3:]}; echo ready; while :; do sleep 0.05; done"], env=place.env(),
                       stdout=subprocess.PIPE)
    assert running.proc.stdout.readline() == b"ready\n"
    assert running.stop(sig) == 5
    assert place.left() == [] and place.tors() == []


def test_data_directory_is_kept(place, work, seed):
    for _ in range(2):
        done = place.run("tor", "launch", "--data-dir", work / "mine", *seed, "--", "true")
        assert done.returncode == 0, done.stderr
    assert (work / "mine" / "state").exists() and (work / "mine").stat().st_mode & 0o777 == 0o700
    assert place.left() == []


def test_tor_killed_at_every_step(place, tor_network, seed, programs):
    """Whatever it was doing: an error that says so, nothing runs, nothing is left."""
    for tag in ("", "conn_done", "loading_keys", "loading_descriptors", "done"):
        more = tor_network.torrc_args() if tag.startswith("loading") else seed
        running = programs([support.NETKIT, "tor", "launch", "--progress", "json", *more, "--", "sleep", "60"],
                           env=place.env())
        if tag:
            running.wait_line(f'"tag":"{tag}"', timeout=60)
        else:
            support.wait_until(place.tors)
        for pid in place.tors():
            os.kill(pid, signal.SIGKILL)
        assert running.wait() == 69, running.stderr()
        assert "signal 9" in running.stderr()
        assert place.left() == [] and place.tors() == []


def test_netkit_killed(place, seed, programs):
    """The launcher outlives netkit by what is to be done."""
    for tag in ("starting", "done"):
        running = programs([support.NETKIT, "tor", "launch", "--progress", "json", *seed], env=place.env())
        running.wait_line(f'"tag":"{tag}"', timeout=60)
        assert place.tors() and place.left()
        running.proc.kill()
        place.empty()


def test_netkit_and_its_launcher_killed(place, seed, programs):
    """Then nobody is left to remove the temporary directory: the next start does, but not one that is in use."""
    dead, used = (programs([support.NETKIT, "tor", "launch", "--progress", "json", *seed], env=place.env())
                  for _ in range(2))
    dead.wait_line('"tag":"done"', timeout=60)
    used.wait_line('"tag":"done"', timeout=60)
    both = place.left()
    assert len(both) == 2
    launcher = int(pathlib.Path(f"/proc/{dead.pid}/task/{dead.pid}/children").read_text(encoding="ascii"))
    os.kill(dead.pid, signal.SIGSTOP)  # it would end in order when it hears that the launcher is gone
    os.kill(launcher, signal.SIGKILL)
    dead.proc.kill()
    support.wait_until(lambda: len(place.tors()) == 1)
    assert place.left() == both
    assert place.run("tor", "launch", *seed, "--", "true").returncode == 0
    (rest,) = place.left()
    assert used.stop() == 0 and rest in both
    place.empty()


def test_what_cannot_be_started(place, work, tor_network):
    more = [*tor_network.torrc_args(), "--", "true"]
    support.check_error(place.run("tor", "launch", "--tor-binary", "no-such-tor", *more), 127, "no-such-tor",
                        "--tor-binary")
    support.check_error(place.run("tor", "launch", "--torrc", "NoSuchOption 1", *more), 78, "NoSuchOption")
    support.check_error(place.run("tor", "launch", "--torrc", "DataDirectory /x", *more), 2, "--data-dir")
    support.check_error(place.run("tor", "launch", "--socks", "nowhere", *more), 2, "nowhere", "auto")
    support.check_error(place.run("tor", "launch", "--timeout", "300ms", *more), 75, "300ms")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        support.check_error(place.run("tor", "launch", "--socks", port, *more), 69, str(port), "--socks auto")
    (work / "file").write_text("", encoding="ascii")
    assert place.run("tor", "launch", "--data-dir", work / "file", *more).returncode != 0
    assert place.left() == [] and place.tors() == []


def test_program_that_is_not_there(place, seed):
    support.check_error(place.run("tor", "launch", *seed, "--", "no-such-program"), 127, "no-such-program")
    assert place.left() == [] and place.tors() == []


def test_over_a_bridge(place, seed, tor_network):
    """Lines about bridges (and transports) get to tor as they are: every circuit begins at the bridge."""
    with tor_network.bridge() as bridge:
        lines = ["--torrc", "UseBridges 1", "--torrc", bridge.line]
        script = f"'{support.NETKIT}' tor circuits --json --control \"$NETKIT_TOR_CONTROL\""
        done = place.run("tor", "launch", *seed, *lines, "--", "sh", "-c", script)
        assert done.returncode == 0, done.stderr
        built = [c["path"] for c in json.loads(done.stdout)["circuits"] if c["status"] == "BUILT"]
        assert built and {path[0]["fingerprint"] for path in built} == {bridge.fingerprint}
    assert place.left() == []


def test_busy_data_directory(place, work, seed, programs):
    first = programs([support.NETKIT, "tor", "launch", "--data-dir", work / "mine", *seed], env=place.env(),
                     stdout=subprocess.PIPE)
    assert first.proc.stdout.readline()
    done = place.run("tor", "launch", "--data-dir", work / "mine", *seed, "--", "true")
    support.check_error(done, 75, "same data directory", "--data-dir")
    assert first.stop() == 0


def test_as_pid_1(place, seed, pid_namespace):
    done = subprocess.run([*pid_namespace, support.NETKIT, "tor", "launch", *seed, "--", "sh", "-c", "exit 9"],
                          env=place.env(), stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == 9
    assert place.left() == []


def test_another_user(place, work, seed):
    support.need_root()
    try:
        pwd.getpwnam("debian-tor")
    except KeyError:
        support.missing_peer("the user debian-tor")
    for path in (work, place.tmp):
        path.chmod(0o711)
    script = "stat -c %U $NETKIT_TOR_DATA_DIR; ps -o user:20= -C tor"
    done = place.run("tor", "launch", "--user", "debian-tor", *seed, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "debian-tor" and "debian-tor" in done.stdout.splitlines()[1:]
    assert place.left() == []
    support.check_error(place.run("tor", "launch", "--user", "no-such-user", "--", "true"), 2, "no-such-user")
