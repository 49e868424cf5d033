# SPDX-License-Identifier: MIT
"""Streams bound to a circuit, on the private network: `tor connect --circuit` and tor:..,circuit=; what others get
meanwhile; and that tor's option is what it was afterwards."""

import contextlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from support import NETKIT, PATIENCE, run, wait_until
from test_tor_instance import place  # noqa: F401  (a fixture)
from test_tor_socks import NOBODY, Greeter

TOR_PATIENCE = 60.0  # for what needs circuits, on a busy machine
OPTION = "__LeaveStreamsUnattached"


@pytest.fixture(scope="module")
def client(tor_network):
    with tor_network.tor(["SocksPort auto"]) as node:
        yield node


@pytest.fixture(scope="module")
def echo():
    with Greeter() as server:
        yield server


@pytest.fixture
def control(client):
    with contextlib.closing(client.connect()) as c:
        yield c


def option(control):
    return re.search(rf"{OPTION}=(\d)", "\n".join(control.command(f"GETCONF {OPTION}")))[1]


def bound(client, circuit, echo, command=None, **kw):
    """Until the exit, which may have joined only now, takes the stream."""
    def attempt():
        words = command or ("tor", "connect", "--linger", "2s", "--control", client.control, "--circuit", circuit,
                            "--allow-private", f"127.0.0.1:{echo.port}")
        outcome.append(run(*words, input="there", timeout=TOR_PATIENCE, **kw))
        return not re.search("the exit's reason: |was not built|SOCKS reply 0", outcome[-1].stderr)

    outcome = []
    wait_until(attempt, TOR_PATIENCE)
    return outcome[-1]


def exits(tor_network):
    """Three relays; the authority is no exit."""
    first, second, third = sorted(name for name in tor_network.relays if name.startswith("r"))[:3]
    return first, second, third


class Seen:
    """STREAM and CIRC events while it lasts."""

    def __init__(self, client):
        self.control = client.connect()
        self.control.command("SETEVENTS STREAM CIRC")
        self.control._socket.settimeout(None)  # events come when they come
        self.lines = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        with contextlib.suppress(Exception):
            while line := self.control._line():
                self.lines.append(line)

    def find(self, pattern):
        return [m for m in (re.search(pattern, line) for line in list(self.lines)) if m]


@pytest.mark.parametrize("way", ["command", "endpoint"])
def test_a_chosen_path(client, control, tor_network, echo, way):
    first, middle, last = exits(tor_network)
    seen = Seen(client)
    for path in ([first, middle, last], [last, middle, first]):
        command = None
        if way == "endpoint":
            command = ("forward", "stdio:", f"tor:127.0.0.1:{echo.port},control={client.control_socket},linger=2s,"
                       f"allow_private=yes,circuit={'%2C'.join(path)}")
        r = bound(client, ",".join(path), echo, command)
        assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr

        def used(path=path):
            wanted = rf"CIRC (\d+) BUILT \$\w+~{path[0]},\$\w+~{path[1]},\$\w+~{path[2]} .*PURPOSE=CONTROLLER"
            circuits = [m[1] for m in seen.find(wanted)]
            stands = [m[1] for m in seen.find(rf"STREAM \d+ SUCCEEDED (\d+) \S+:{echo.port} .*netkit-circuit-")]
            return stands and stands[-1] in circuits

        wait_until(used)
        assert option(control) == "0"


def test_a_circuit_that_is_there(client, control, tor_network, echo):
    r = run("tor", "circuits", "build", "--control", client.control, ",".join(exits(tor_network)), timeout=TOR_PATIENCE)
    assert r.returncode == 0, r.stderr
    circuit = r.stdout.split()[0]
    seen = Seen(client)
    for _ in range(2):
        r = bound(client, circuit, echo)
        assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr
    wait_until(lambda: len(seen.find(rf"SUCCEEDED {circuit} \S+:{echo.port} .*netkit-circuit-")) >= 2)
    assert option(control) == "0"
    control.command(f"CLOSECIRCUIT {circuit}")
    r = bound(client, "auto", echo)
    assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr
    r = bound(client, circuit, echo)
    assert r.returncode == 69 and f"circuit {circuit}: tor says: 552" in r.stderr, r.stderr
    assert option(control) == "0"


@pytest.mark.parametrize("way", ["command", "endpoint"])
@pytest.mark.parametrize("which", ["private", "global"])
def test_tors_of_our_own(place, tor_network, echo, which, way):
    path = exits(tor_network)
    where = f"127.0.0.1:{echo.port}"
    if way == "command":
        words = ("tor", "connect", "--tor", which, "--circuit", ",".join(path), "--allow-private", "--linger", "2s", where)
    else:
        words = ("forward", "stdio:", f"tor:{where},tor={which},allow_private=yes,linger=2s,circuit={'%2C'.join(path)}")
    r = bound(None, None, echo, ("-c", place.ini, *words), env=place.env())
    assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr
    if which == "private":
        wait_until(lambda: not place.left())  # by the launcher, a moment later


def test_a_circuit_that_nobody_waits_for_is_closed(client, tor_network, programs):
    """netkit ends while tor builds it, since a relay does not answer."""
    path = exits(tor_network)
    seen = Seen(client)
    silent = next(node for node in tor_network.nodes if node.name == path[2])
    silent.signal(signal.SIGSTOP)
    try:
        p = programs([NETKIT, "tor", "connect", "--control", client.control, "--circuit", ",".join(path), "a.test:80"],
                     stdin=subprocess.PIPE)
        pattern = rf"CIRC (\d+) EXTENDED \$\w+~{path[0]},\$\w+~{path[1]} .*PURPOSE=CONTROLLER"
        wait_until(lambda: seen.find(pattern), TOR_PATIENCE)
        circuit = seen.find(pattern)[-1][1]
        p.proc.terminate()
        assert p.wait(TOR_PATIENCE) == 128 + 15
        wait_until(lambda: seen.find(rf"CIRC {circuit} (FAILED|CLOSED) .*REASON=REQUESTED"))
    finally:
        silent.signal(signal.SIGCONT)


@pytest.mark.parametrize("way", ["TERM", "INT", "other end"])
def test_others_are_served_and_the_option_is_back(client, control, tor_network, echo, programs, way):
    """While the exit waits for a server that does not answer."""
    path = exits(tor_network)
    r = bound(client, ",".join(path), echo)
    assert r.returncode == 0, r.stderr
    with socket.socket() as full, contextlib.ExitStack() as queue:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(8):  # more than the queue takes: whoever comes next is not answered
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        seen = Seen(client)
        p = programs([NETKIT, "tor", "connect", "--control", client.control, "--circuit", ",".join(path),
                      "--allow-private", f"127.0.0.1:{port}"], stdin=subprocess.PIPE)
        wait_until(lambda: seen.find(rf"SENTCONNECT \d+ \S+:{port} .*netkit-circuit-"), TOR_PATIENCE)
        assert option(control) == "1"
        outcome = []
        wait_until(lambda: outcome.append(run("tor", "connect", "--linger", "2s", "--socks", client.socks,
                                              "--allow-private", f"127.0.0.1:{echo.port}", input="there",
                                              timeout=TOR_PATIENCE))
                   or "SOCKS reply 0" not in outcome[-1].stderr, TOR_PATIENCE)
        assert (outcome[-1].returncode, outcome[-1].stdout) == (0, "hi there"), outcome[-1].stderr
        wait_until(lambda: seen.find(rf"CONTROLLER_WAIT 0 \S+:{echo.port} "))
        assert option(control) == "1"
        r = run("tor", "connect", "--control", client.control, "--circuit", "999999", f"exit.test:{echo.port}", input="",
                timeout=TOR_PATIENCE)
        assert r.returncode == 75 and "another controller attaches the streams" in r.stderr, r.stderr
        assert f"netkit tor conf reset {OPTION}" in r.stderr
        if way == "other end":
            stream = seen.find(rf"STREAM (\d+) SENTCONNECT \d+ \S+:{port} ")[-1][1]
            control.command(f"CLOSESTREAM {stream} 1")
            assert p.wait(TOR_PATIENCE) == 69
        else:
            number = {"TERM": 15, "INT": 2}[way]
            p.proc.send_signal(number)
            assert p.wait(TOR_PATIENCE) == 128 + number
        assert option(control) == "0"


@pytest.mark.parametrize("words, rc, text", [
    (("--isolate", "me", "--circuit", "1"), 2, "exclude each other"),
    (("--socks", "9", "--circuit", "1"), 2, "over the control port"),
    (("--circuit", "a,,b"), 2, "is no path of relays"),
    (("--circuit", ""), 2, "is no path of relays"),
])
def test_refused(words, rc, text):
    r = run("tor", "connect", *words, "a.test:80", timeout=PATIENCE)
    assert r.returncode == rc and text in r.stderr, r.stderr


@pytest.mark.parametrize("words, rc", [
    (("tor", "connect", "--circuit", "1", f"{NOBODY}:80"), 2),
    (("forward", "stdio:", f"tor:{NOBODY}:80,circuit=r0%2Cr1"), 78),
])
def test_onion_services_have_circuits_of_tors_own(words, rc):
    r = run(*words, timeout=PATIENCE)
    assert r.returncode == rc and "tor makes the circuits to onion services itself" in r.stderr, r.stderr
