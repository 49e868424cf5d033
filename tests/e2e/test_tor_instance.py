# SPDX-License-Identifier: MIT
"""Which tor: the global one is shared and ends when nobody uses it, a private one goes with its user."""

import json
import os
import signal
import socket
import subprocess

import pytest

import support
from tor_support import Place


@pytest.fixture
def place(work, tor_network):
    """[tor] for tors of our own in the private network, with directory information to begin with."""
    found = Place(work)
    lines = "".join(f"torrc = {line}\n" for line in tor_network.torrc)
    tor_network.seed(work / "seed")
    tor_network.seed(found.state / "tor" / "global" / "data")
    found.ini = work / "netkit.ini"
    found.ini.write_text(f"[tor]\nidle = 2s\nseed = {work}/seed\n{lines}", encoding="utf-8")
    yield found
    found.kill_rest()


def status_of(pid):
    """Name and session of a process; ("", "") when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat, open(f"/proc/{pid}/comm", encoding="ascii") as comm:
            return comm.read().strip(), stat.read().rsplit(")", 1)[1].split()[3]
    except (FileNotFoundError, ProcessLookupError):
        return "", ""


def holders(place):
    """Pids of holders (not of their launchers)."""
    found = {pid: status_of(pid) for pid in place.tors()}
    return [pid for pid, (name, session) in found.items() if name != "nk-launcher" and session == str(pid)]


def tors(place):
    return [pid for pid in place.tors() if status_of(pid)[0] == "tor"]


def get(place, which, *more):
    return place.run("-c", place.ini, "tor", "conf", "get", "--tor", which, "SocksPort", *more)


def test_global_is_shared_and_ends_after_idle(place):
    first = get(place, "global")
    assert first.returncode == 0, first.stderr
    assert "global/socks.sock" in first.stdout
    running = tors(place)
    assert len(running) == 1
    for _ in range(3):
        assert get(place, "global").stdout == first.stdout
        assert tors(place) == running
    support.wait_until(lambda: not place.tors())
    assert not (place.state / "tor" / "global" / "holder.sock").exists()


def test_many_at_once_start_one(place):
    procs = [subprocess.Popen([support.NETKIT, "-c", place.ini, "tor", "conf", "get", "--tor", "global", "SocksPort"],
                              env=place.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
             for _ in range(5)]
    said = {proc.communicate(timeout=60)[0] for proc in procs}
    assert len(said) == 1 and "global/socks.sock" in said.pop()
    assert [proc.returncode for proc in procs] == [0] * 5
    assert len(tors(place)) == 1
    support.wait_until(lambda: not place.tors())


def test_global_serves_a_service_and_survives_its_end(place, programs):
    """[tor] of `netkit run` is ready at 100 %; tor killed is started again, and so is its holder."""
    text = place.ini.read_text(encoding="utf-8").replace("[tor]\n", "[tor]\ninstance = global\n")
    place.ini.write_text(text, encoding="utf-8")
    running = programs([support.NETKIT, "-c", place.ini, "-v", "run"], env=place.env())
    running.wait_line(r"tor: ready \(global\), SOCKS at unix:.*socks\.sock", timeout=60)
    for victim in (tors, holders):
        mark, before = running.mark(), tors(place)
        for pid in victim(place):
            os.kill(pid, signal.SIGKILL)
        running.wait_line("tor: lost", start=mark)
        support.wait_until(lambda before=before: tors(place) and tors(place) != before)
        support.wait_until(lambda: json.loads(status(place).stdout)["tor"]["connected"], timeout=30)
    assert running.stop() == 0
    support.wait_until(lambda: not place.tors())


def status(place):
    return place.run("--json", "status")


def test_private_goes_with_its_user(place, programs):
    done = get(place, "private")
    assert done.returncode == 0 and "auto" in done.stdout, done.stderr
    place.empty()
    text = place.ini.read_text(encoding="utf-8").replace("[tor]\n", "[tor]\ninstance = private\n")
    place.ini.write_text(text, encoding="utf-8")
    running = programs([support.NETKIT, "-c", place.ini, "-v", "run"], env=place.env())
    running.wait_line(r"tor: ready \(private\), SOCKS at tcp:127\.0\.0\.1:\d+", timeout=60)
    assert len(place.left()) == 1
    for pid in tors(place):
        os.kill(pid, signal.SIGKILL)
    assert running.wait() == 69
    place.empty()


def test_what_cannot_be(place, work):
    support.check_error(place.run("tor", "conf", "get", "--tor", "global", "--control", "9051", "Nickname"), 2,
                        "tor=global")
    bad = work / "bad.ini"
    bad.write_text("[tor]\ntor_binary = no-such-tor\n", encoding="utf-8")
    for which in ("global", "private"):
        support.check_error(place.run("-c", bad, "tor", "conf", "get", "--tor", which, "Nickname"), 127, "no-such-tor",
                            "--tor-binary")
    place.empty()


@pytest.mark.parametrize("which", ["global", "private"])
def test_endpoints_start_their_tor(place, programs, which):
    """'tor:..' through a tor that is started for it: connections of one process share it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        port = server.getsockname()[1]
        target = f"tor:exit.test:{port},tor={which}"
        running = programs([support.NETKIT, "-c", place.ini, "-v", "forward", "tcp:127.0.0.1:0", target],
                           env=place.env())
        host, listens = running.wait_line(r"tcp:(127\.0\.0\.1):(\d+)").groups()
        for _ in range(2):
            with socket.create_connection((host, int(listens)), timeout=60) as mine:
                mine.sendall(b"hello")
                peer, _ = server.accept()
                with peer:
                    assert peer.recv(5) == b"hello"
                    peer.sendall(b"bye")
                assert mine.recv(3) == b"bye"
            assert len(tors(place)) == 1
    assert running.stop() in (0, 143)
    support.wait_until(lambda: not place.tors() and not place.left())


NOBODY = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"  # valid; nobody serves it


@pytest.mark.parametrize("which", ["global", "private"])
def test_onion_addresses_are_refused_with_a_reason(place, which):
    """A tor of netkit's own says why, and a circuit cannot be chosen: that is seen before a tor is started."""
    def connect(*args):
        return place.run("-c", place.ini, "tor", "connect", *args, "--tor", which, input="")

    support.check_error(connect(f"{NOBODY}:80", "--circuit", "*,*,*"), 2, "makes the circuits to onion services")
    support.check_error(connect("expyuzz4wqqyqhjn.onion:80"), 1, "version 2")
    assert not place.tors()
    done = connect(f"{NOBODY}:80")
    assert done.returncode and "descriptor not found (SOCKS reply F0)" in done.stderr, done.stderr
    support.wait_until(lambda: not place.tors() and not place.left())
