# SPDX-License-Identifier: MIT
"""netkit tor events, circuits, streams, guards, map, relays: on the private network, and against control ports that
send more than anybody reads."""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

import support
from server_support import Server, exactly

STORM = 200_000  # events


def steered(client):
    """netkit tor, for that client."""
    def run(*words, **kw):
        return support.run("tor", *words, "--control", client.control_socket, **kw)

    run.client = client
    return run


@pytest.fixture
def tor(tor_network):
    run = steered(tor_network.client)
    run.network = tor_network
    return run


def listed(tor, what, *words):
    done = tor(*what.split(), "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[what.split()[0]]


def path_of(circuit):
    return [relay["nickname"] for relay in circuit["path"]]


def test_circuit_over_a_chosen_path(tor):
    done = tor("circuits", "build", "r1,r2,r0", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["status"] == "BUILT" and path_of(made) == ["r1", "r2", "r0"]
    found = listed(tor, "circuits list", "--filter", f"id={made['id']}")
    assert [path_of(c) for c in found] == [["r1", "r2", "r0"]]
    assert found == listed(tor, "circuits", "--filter", f"id={made['id']}", "--filter", "path=r2")
    assert not listed(tor, "circuits", "--filter", f"id={made['id']}", "--filter", "status!=BUILT")
    table = tor("circuits", "list", "--filter", f"id={made['id']}").stdout.splitlines()
    assert table[0].split()[:4] == ["ID", "STATUS", "PURPOSE", "PATH"]
    assert table[1].split()[:4] == [made["id"], "BUILT", "GENERAL", "r1,r2,r0"]
    done = tor("circuits", "extend", made["id"], "$" + tor.network.relays["r1"])
    assert done.returncode == 0 and done.stdout.split() == [made["id"], "r1,r2,r0,r1"], done.stderr
    assert tor("circuits", "close", made["id"]).returncode == 0
    assert not listed(tor, "circuits", "--filter", f"id={made['id']}", "--filter", "status=BUILT")


def test_circuits_that_tor_or_netkit_choose(tor):
    for words in (["auto"], [], ["*,r1,*"], ["*"], ["*,*,*", "--purpose", "controller"]):
        done = tor("circuits", "build", *words)
        assert done.returncode == 0, (words, done.stderr)
        number, path = done.stdout.split()
        relays = path.split(",")
        assert len(set(relays)) == len(relays)
        if words == ["*,r1,*"]:
            assert relays[1] == "r1" and len(relays) == 3
        assert tor("circuits", "close", number, "--if-unused").returncode == 0


def test_why_a_circuit_fails(tor):
    support.check_error(tor("circuits", "build", "r1,nosuch"), 1, 'No such router "nosuch"', "netkit tor relays")
    support.check_error(tor("circuits", "build", "r1,r1"), 69, "was not built", "it got as far as r1")
    support.check_error(tor("circuits", "build", "r1,,r2"), 2, "no path of relays", "'*' for any")
    support.check_error(tor("circuits", "build", ",".join(["*"] * 9)), 2, "more than 8 relays")
    support.check_error(tor("circuits", "build", "r1", "--purpose", "bogus"), 2, "bogus")
    support.check_error(tor("circuits", "extend", "99999", "r1"), 1, "99999", "circuits list")
    support.check_error(tor("circuits", "close", "99999"), 1, "Unknown circuit", "circuits list")
    support.check_error(tor("circuits", "close", "1 IfUnused"), 2, "is no circuit")
    support.check_error(tor("streams", "close", "99999"), 1, "Unknown stream", "streams list")
    support.check_error(tor("streams", "attach", "99999", "0"), 1, "Unknown stream")
    support.check_error(tor("streams", "redirect", "99999", "a.example"), 1, "Unknown stream")
    support.check_error(tor("circuits", "--filter", "status"), 2, "is no condition")
    done = tor("circuits", "close", "99999", "99998", "--json")
    assert done.returncode == 1
    assert [reply["code"] for reply in json.loads(done.stdout)["replies"]] == [552, 552]


@pytest.fixture
def service():
    with Server(greeting=b"hello", hang=True) as server:
        yield server


def socks(client, name, port, user=None):
    """A SOCKS connection through the client's tor, with the port it is made from."""
    host, at = client.socks.split(":")
    s = socket.create_connection((host, int(at)), timeout=support.PATIENCE)
    if user:
        s.sendall(b"\5\1\2" + b"\1" + bytes([len(user)]) + user + b"\1p")
    else:
        s.sendall(b"\5\1\0")
    s.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
    return s


def opened(client, port, user=None):
    """Such a connection to a service that says hello, once it has. Exits refuse streams (SOCKS error 1) for some
    seconds after such a network has begun: then once more."""
    made = []

    def attempt():
        s = socks(client, b"exit.test", port, user)
        got = b""
        while part := s.recv(100):
            got += part
            if got.endswith(b"hello"):
                made.append(s)
                return True
        s.close()
        return False

    support.wait_until(attempt)
    return made[0]


def way(tor, stream):
    """Which circuit a stream uses; circuits that are linked (conflux) are one."""
    circuit, = listed(tor, "circuits", "--filter", f"id={stream['circuit']}")
    return circuit.get("conflux_id", circuit["id"])


def test_isolation_gives_different_circuits(tor, service):
    held = []
    for user in (b"u1", b"u2", b"u1"):
        held.append(opened(tor.client, service.port, user))
    found = sorted(listed(tor, "streams", "--filter", f"target~:{service.port}"), key=lambda s: int(s["id"]))
    first, second, third = (way(tor, s) for s in found)
    assert second not in (first, third)  # u1 may have got a second one, which u2 must not get either
    assert tor("streams", "close", found[0]["id"]).returncode == 0
    assert found[0]["id"] not in [s["id"] for s in listed(tor, "streams list")]
    assert not held[0].recv(1)
    for s in held:
        s.close()


def test_events_of_streams_before_and_after_newnym(tor, programs, work, service):
    """A stream is seen from its beginning to its end; after NEWNYM another circuit is used."""
    with open(work / "out", "wb") as out:
        watch = programs([support.NETKIT, "tor", "events", "stream", "signal", "--json", "--control",
                          tor.client.control_socket], stdout=out)

    def seen():
        return [json.loads(line) for line in (work / "out").read_text().splitlines()]

    def named(signal):
        control.command(f"SIGNAL {signal}")
        return {"event": "SIGNAL", "signal": signal} in seen()

    control = tor.client.connect()
    support.wait_until(lambda: named("CLEARDNSCACHE"))
    used, ways = [], []
    for _ in range(2):
        s = opened(tor.client, service.port)
        found = listed(tor, "streams", "--filter", f"target~:{service.port}")
        used.append(found[-1]["circuit"])
        ways.append(way(tor, found[-1]))
        s.close()
        support.wait_until(lambda: "CLOSED" in [e.get("status") for e in seen()])
        control.command("SIGNAL NEWNYM")
    support.wait_until(lambda: {"event": "SIGNAL", "signal": "NEWNYM"} in seen())
    control.close()
    assert ways[0] != ways[1]
    assert watch.stop() == 0
    streams = [e for e in seen() if e["event"] == "STREAM" and e["target"].endswith(f":{service.port}")]
    assert {e["status"] for e in streams} >= {"NEW", "SENTCONNECT", "SUCCEEDED", "CLOSED"}
    assert {e["circuit"] for e in streams if e["status"] == "SUCCEEDED"} == set(used)


def way_to(tor, port):
    """Of the latest stream to that port."""
    return way(tor, max(listed(tor, "streams", "--filter", f"target~:{port}"), key=lambda s: int(s["id"])))


def test_newnym_and_what_is_open(tor_network, service):
    """From NEWNYM on new connections take no circuit that was used before, while one that is open goes on where it is;
    tor closes no circuit for it."""
    with tor_network.tor() as client, Server(greeting=b"hello", hang=True) as other:
        tor = steered(client)
        kept = opened(client, service.port, b"alice")
        home = way_to(tor, service.port)
        used = {home}
        for user in (b"alice", b"bob"):
            with opened(client, other.port, user):
                used.add(way_to(tor, other.port))
        done = tor("newnym")
        assert done.returncode == 0, done.stderr
        for user in (b"alice", b"bob"):
            with opened(client, other.port, user):
                assert way_to(tor, other.port) not in used
        assert way_to(tor, service.port) == home
        service.held[-1].sendall(b"still here")
        assert exactly(kept, 10) == b"still here"
        kept.close()


def test_guards_and_maps(tor):
    guards = listed(tor, "guards")
    assert guards and all(g["name"]["fingerprint"] for g in guards)
    done = tor("map", "0.0.0.0=state.example")
    address, name = done.stdout.split()
    assert done.returncode == 0 and address.startswith("127.") and name == "state.example"
    done = tor("map", "--json", "--filter", f"address={address}")
    assert json.loads(done.stdout)["mappings"] == [
        {"address": address, "new_address": "state.example", "expiry": "NEVER"}]
    support.check_error(tor("map", "state.example"), 2, "no mapping FROM=TO")
    assert tor("map", f"{address}={address}").returncode == 0
    assert not json.loads(tor("map", "--json", "--filter", f"address={address}").stdout)["mappings"]


def test_relays(tor):
    known = {r["nickname"]: r for r in listed(tor, "relays")}
    assert {name: known[name]["fingerprint"] for name in tor.network.relays} == tor.network.relays
    assert "r0" in [r["nickname"] for r in listed(tor, "relays", "--flag", "exit", "--flag", "Running")]
    assert not listed(tor, "relays", "--flag", "NoSuchFlag")
    one = listed(tor, "relays", "$" + tor.network.relays["r1"])
    assert [r["nickname"] for r in one] == ["r1"] and one[0]["address"] == "127.0.0.1"
    country = one[0]["country"]
    assert len(country) == 2
    assert len(listed(tor, "relays", "--country", country)) == len(known)
    assert not listed(tor, "relays", "r1", "--country", "aq")
    table = tor("relays", "r2").stdout.splitlines()
    assert table[1].split()[:2] == ["r2", tor.network.relays["r2"]]
    support.check_error(tor("relays", "nosuch"), 1, "knows no relay 'nosuch'")


def test_events_are_counted_and_filtered(tor):
    done = tor("events", "bw", "-n", "1", "--json")
    event = json.loads(done.stdout)
    assert done.returncode == 0 and event["event"] == "BW" and isinstance(event["read"], int)
    done = tor("events", "BW", "-n", "1", "--raw")
    assert done.stdout.startswith("650 BW ")
    done = tor("events", "bw", "--filter", "event=x", "--timeout", "1500ms")
    assert done.returncode == 75 and not done.stdout
    support.check_error(tor("events", "nosuch"), 1, 'Unrecognized event "NOSUCH"', "events/names")
    support.check_error(tor("events", "no such"), 2, "is no event")


def test_events_survive_a_restart_of_tor(tor_network, programs, work):
    """The subscriptions are made again on a new connection; both are told on stderr."""
    with tor_network.tor() as node:
        with open(work / "out", "wb") as out:
            watch = programs([support.NETKIT, "tor", "events", "signal", "--json", "--control", node.control_socket],
                             stdout=out)

        def seen(signal):
            with contextlib.closing(node.connect()) as control:
                control.command(f"SIGNAL {signal}")
            return f'"{signal}"' in (work / "out").read_text()

        support.wait_until(lambda: seen("CLEARDNSCACHE"))
        node.restart()
        watch.wait_line("connecting again")
        watch.wait_line("connected again")
        support.wait_until(lambda: seen("HEARTBEAT"))
        assert watch.stop() == 0


@pytest.fixture
def unattached(tor):
    """A controller that has tor leave new streams to it; what it finds waiting."""
    control = tor.client.connect()
    control.command("SETCONF __LeaveStreamsUnattached=1")

    def waits(target):
        support.wait_until(lambda: listed(tor, "streams", "--filter", f"target={target}"))
        return listed(tor, "streams", "--filter", f"target={target}")[-1]["id"]

    yield waits
    control.command("RESETCONF __LeaveStreamsUnattached")
    control.close()


def built(tor):
    circuit = json.loads(tor("circuits", "build", "r2,r1,r0", "--purpose", "controller", "--json", timeout=60).stdout)
    assert path_of(circuit) == ["r2", "r1", "r0"]
    return circuit["id"]


def test_a_stream_is_attached(tor, unattached, service):
    """To the circuit that was asked for; and one that is gone is refused."""
    circuit = built(tor)
    s = socks(tor.client, b"attach.test", service.port)
    stream = unattached(f"attach.test:{service.port}")
    support.check_error(tor("streams", "attach", stream, "99999"), 1, "Unknown circuit", "circuits list")
    assert tor("streams", "attach", stream, circuit).returncode == 0
    reply = s.makefile("rb")
    assert reply.read(2 + 10 + 5).endswith(b"hello")
    found, = listed(tor, "streams", "--filter", f"id={stream}")
    assert (found["status"], found["circuit"]) == ("SUCCEEDED", circuit)
    s.close()
    assert tor("circuits", "close", circuit).returncode == 0


def test_a_stream_is_redirected(tor, unattached):
    """The client gets another service than it asked for, on another port."""
    circuit = built(tor)
    with Server(greeting=b"wrong") as wanted, Server(greeting=b"right", hang=True) as other:
        s = socks(tor.client, b"redirect.test", wanted.port)
        stream = unattached(f"redirect.test:{wanted.port}")
        assert tor("streams", "redirect", stream, "elsewhere.test", str(other.port)).returncode == 0
        assert unattached(f"elsewhere.test:{other.port}") == stream
        assert tor("streams", "attach", stream, circuit).returncode == 0
        assert s.makefile("rb").read(2 + 10 + 5).endswith(b"right")
        s.close()
    assert tor("circuits", "close", circuit).returncode == 0


# --- control ports that are none of tor


class Flood:
    """A control port that logs anybody in, and sends events without end or reason."""

    EVENT = (b"650 CIRC 30 BUILT $1D6495019080099377AE0D5867C9A8DEE718102B~a2,$DD7F7E2E6188E2F2879A9656DA2E19B663D6EAE5"
             b"~a0,$7B0787DA98678BF2CDF3E1A0AFA6567B1C4F69B0~r3 BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY PURPOSE=GENERAL "
             b"TIME_CREATED=2026-11-20T21:03:57.652002\r\n")

    def __init__(self, path, events):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.events = events
        self.sent = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        peer, _ = self.server.accept()
        for line in peer.makefile("rb"):
            if line.startswith(b"PROTOCOLINFO"):
                peer.sendall(b'250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n')
            else:
                peer.sendall(b"250 OK\r\n")
            if line.startswith(b"SETEVENTS"):
                break
        block = self.EVENT * 1000
        try:
            for _ in range(self.events // 1000):
                peer.sendall(block)
            peer.sendall(b"650 CIRC last CLOSED\r\n")
        except OSError:
            return  # the reader has gone; whether it may is for the test to say
        self.sent.set()
        self.held = peer


def peak_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def test_a_storm_is_read_to_its_end(work):
    flood = Flood(work / "c", STORM)
    with open(work / "out", "wb") as out:
        done = support.run("tor", "events", "circ", "--control", work / "c", "-n", STORM + 1, "--json", stdout=out,
                           timeout=3 * support.PATIENCE)
    assert done.returncode == 0, done.stderr
    assert flood.sent.is_set()
    with open(work / "out", encoding="ascii") as lines:
        count = sum(1 for _ in lines)
    left_out = sum(int(word) for word in done.stderr.split() if word.isdigit())
    assert count + left_out == STORM + 1


def test_a_reader_that_stands_still(work):
    """Tor is read on, memory stays bounded, and what was left out is said."""
    flood = Flood(work / "c", STORM)
    with subprocess.Popen([support.NETKIT, "tor", "events", "circ", "--control", str(work / "c")],
                          env=support.clean_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        try:
            assert flood.sent.wait(3 * support.PATIENCE)
            assert peak_kb(watch.pid) < 24 * 1024
            lines = 0
            for line in watch.stdout:
                lines += 1
                if lines == 1000:
                    watch.terminate()
            errors = watch.stderr.read()
            assert watch.wait(support.PATIENCE) == 0
        finally:
            if watch.poll() is None:
                watch.kill()
    assert "left out, as the output is read too slowly" in errors
    left_out = sum(int(word) for word in errors.split() if word.isdigit())
    assert 0 < left_out and lines + left_out <= STORM + 1


def test_nobody_reads_any_more(work):
    Flood(work / "c", STORM)
    read, write = os.pipe()
    os.close(read)
    done = support.run("tor", "events", "circ", "--control", work / "c", stdout=write)
    os.close(write)
    assert done.returncode != 0
