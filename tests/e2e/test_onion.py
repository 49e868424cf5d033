# SPDX-License-Identifier: MIT
"""Onion services on a private Tor network: real bytes through the client's SOCKS port."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import support
from server_support import HELLO, Server, exactly
from support import NETKIT, run
from tor_support import Middle, Place

PUBLISH = 60.0  # seconds for a descriptor to be there, on a busy machine


# --- what is served, and how it is reached


def reach(tor, address, port, user="u", timeout=support.PATIENCE):
    """A connection to an onion service through a tor's SOCKS port (RFC 1928), with circuits of its own for each
    user; ConnectionRefusedError with the code of the reply."""
    host, _, number = tor.socks.rpartition(":")
    sock = socket.create_connection((host, int(number)), timeout=timeout)
    try:
        name = user.encode()
        sock.sendall(b"\5\1\2")
        assert exactly(sock, 2) == b"\5\2"
        sock.sendall(b"\1" + bytes([len(name)]) + name + b"\1p")
        assert exactly(sock, 2) == b"\1\0"
        name = address.encode()
        sock.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack(">H", port))
        code = exactly(sock, 4)[1]
        if code:
            raise ConnectionRefusedError(code, f"SOCKS reply {code:02x}")
        exactly(sock, 6)
        return sock
    except BaseException:
        sock.close()
        raise


def reach_soon(tor, address, port, user="u"):
    """The same for a service that is new or has moved: a first directory has it, and tor may ask another."""
    deadline = time.monotonic() + PUBLISH
    while True:
        try:
            return reach(tor, address, port, user)
        except OSError:
            if time.monotonic() > deadline:
                raise
            user += "x"


def fetch(tor, address, port, user="u"):
    """What the service says."""
    with reach_soon(tor, address, port, user) as sock:
        return exactly(sock, len(HELLO))


def fetch_afresh(tor_network, address, port):
    """The same to a client that knows nothing of the service: one that has a descriptor from before a restart may need
    a minute to find out that its introduction points are gone."""
    with tor_network.tor() as other:
        return fetch(other, address, port)


class Onion:
    """`netkit onion add` in the foreground; what it prints is there when the service is."""

    def __init__(self, tor, *args, env=None, where=None):
        self.program = support.Program(
            [NETKIT, "onion", "add", "--control", f"unix:{tor.control_socket}", *args], stdout=subprocess.PIPE, env=env,
            cwd=where)
        self.line = None

    def ready(self, timeout=PUBLISH):
        found = []
        reader = threading.Thread(target=lambda: found.append(self.program.proc.stdout.readline()), daemon=True)
        reader.start()
        reader.join(timeout)
        assert found and found[0], self.program.stderr()
        self.line = found[0].decode().strip()
        return json.loads(self.line) if self.line.startswith("{") else self.line

    def stop(self, number=signal.SIGTERM):
        self.program.proc.send_signal(number)
        return self.program.wait()


@pytest.fixture
def onion(tor_network):
    """onion(ARG..) -> Onion on the network's client; killed afterwards."""
    started = []

    def start(*args, tor=None, **kw):
        started.append(Onion(tor or tor_network.client, *args, **kw))
        return started[-1]

    yield start
    for each in started:
        each.program.kill()


def onions(tor, what="onions/detached"):
    """Labels that tor tells of."""
    with contextlib.closing(tor.connect()) as control:
        return re.findall(r"[a-z2-7]{56}", "\n".join(map(str, control.command(f"GETINFO {what}"))))


def options(tor):
    with contextlib.closing(tor.connect()) as control:
        return "\n".join(map(str, control.command("GETCONF HiddenServiceOptions")))


def control_of(tor):
    return "--control", f"unix:{tor.control_socket}"


# --- services that live with the command


def test_ephemeral_service_is_reached_and_gone_afterwards(tor_network, onion, work):
    with Server() as web, Server(work / "s", b"X" * len(HELLO)) as other:
        service = onion("80:" + web.target, "81 " + other.target, "82", "--json", "--progress", "json")
        told = service.ready()
        address = told["address"]
        assert re.fullmatch(r"[a-z2-7]{56}\.onion", address)
        assert told["state"] == "published" and told["key_file"] is None and not told["restricted"]
        assert [p["port"] for p in told["ports"]] == [80, 81, 82]
        assert told["ports"][0]["target"] == web.target and told["ports"][2]["target"] == "127.0.0.1:82"
        assert fetch(tor_network.client, address, 80) == HELLO
        assert fetch(tor_network.client, address, 81) == b"X" * len(HELLO)
        with pytest.raises(ConnectionRefusedError):
            reach(tor_network.client, address, 83)
        steps = [json.loads(line) for line in service.program.lines if line.startswith("{")]
        assert {step["phase"] for step in steps} == {"descriptors"}
        assert service.stop() == 0
    assert not os.listdir(work) or os.listdir(work) == ["s"]
    assert address[:56] not in onions(tor_network.client)


def test_open_connections_outlive_the_service(tor_network, onion):
    with Server(hang=True) as web:
        service = onion("80:" + web.target)
        address = service.ready()
        with reach_soon(tor_network.client, address, 80) as sock:
            assert exactly(sock, len(HELLO)) == HELLO
            assert service.stop() == 0
            web.held[0].sendall(b"still here")
            assert exactly(sock, 10) == b"still here"


def test_wait_says_when_it_is_ready(tor_network, onion):
    none, first, everything = (onion("80", "--wait", what, "--json") for what in ("none", "first", "all"))
    told = none.ready()
    assert told["descriptors"]["uploaded"] == 0 and told["state"] == "uploading"
    assert first.ready()["descriptors"]["uploaded"] >= 1
    counts = everything.ready()["descriptors"]
    assert counts["uploaded"] + counts["failed"] == counts["started"] >= 6


def test_key_file_gives_the_same_address(tor_network, onion, work):
    service = onion("80", "--key", work / "k", "--wait", "none")
    address = service.ready()
    assert os.stat(work / "k").st_mode & 0o777 == 0o600
    assert run("hs", "address", work / "k").stdout.strip() == address
    assert service.stop() == 0
    again = onion("80", "--key", work / "k", "--wait", "none")
    assert again.ready() == address
    done = run("onion", "add", "80", "--key", work / "k", *control_of(tor_network.client))
    support.check_error(done, 73, "550", "onion list")
    assert again.stop(signal.SIGINT) == 0


def test_what_fails_leaves_no_key(tor_network, work):
    for args, code, words in ((["80", "--single-hop"], 1, ["HiddenServiceSingleHopMode"]),
                              (["80:unix:/a b"], 1, ["--hsdir"]),
                              (["8000~80"], 2, ["80:8000"]),
                              (["80:example.com:80"], 2, ["DNS"]),
                              (["80", "--timeout", "1ms"], 75, ["in time"])):
        done = run("onion", "add", *args, "--key", work / "k", *control_of(tor_network.client))
        support.check_error(done, code, *words)
        assert not os.listdir(work), args


def test_key_that_cannot_be_kept_takes_the_service_away(tor_network, work, onion):
    """The directory of the key file goes away while tor makes the service."""
    where = work / "gone"
    where.mkdir()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(work / "c"))
        listener.listen()
        service = support.Program([NETKIT, "onion", "add", "80", "--key", where / "k", "--control", f"unix:{work}/c"])
        relay, _ = listener.accept()
        shutil.rmtree(where)  # its draft is there since before it connected
        with relay, socket.socket(socket.AF_UNIX) as tor:
            tor.connect(str(tor_network.client.control_socket))
            passed = pump(relay, tor)
            assert service.wait() == 74 or service.proc.returncode == 1, service.stderr()
    assert "DEL_ONION" in passed() and not where.exists()


def pump(a, b):
    """Copy both ways in threads; the words that went from a to b."""
    said = []

    def copy(source, sink, keep):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if keep:
                    said.append(data)
                sink.sendall(data)

    for args in ((a, b, True), (b, a, False)):
        threading.Thread(target=copy, args=args, daemon=True).start()
    return lambda: b"".join(said).decode("latin-1")


def test_discarded_key(tor_network, onion):
    service = onion("80", "--key", "discard", "--wait", "none", "--json")
    told = service.ready()
    assert re.fullmatch(r"[a-z2-7]{56}\.onion", told["address"])
    assert service.stop() == 0


def test_streams_are_limited(tor_network, onion):
    with Server(hang=True) as web:
        address = onion("80:" + web.target, "--max-streams", "2").ready()
        reach_soon(tor_network.client, address, 80, "first").close()  # now its descriptor is known
        with reach(tor_network.client, address, 80) as one, reach(tor_network.client, address, 80) as two:
            assert exactly(one, 5) == exactly(two, 5) == HELLO[:5]
            with pytest.raises(OSError):
                with reach(tor_network.client, address, 80) as three:
                    exactly(three, 5)


def test_proof_of_work(tor_network, onion):
    with Server() as web:
        told = onion("80:" + web.target, "--pow", "--pow-queue-rate", "20", "--pow-queue-burst", "40", "--json").ready()
        assert told["pow"]
        assert fetch(tor_network.client, told["address"], 80) == HELLO


def test_single_hop(tor_network, onion, work):
    """On a tor that is set up for nothing else. Circuits of a service in a directory then have one hop; those of
    ADD_ONION are as long as ever (0.4.9.11)."""
    with tor_network.tor(single_hop=True) as tor, Server(hang=True) as web:
        for more in ([], ["--hsdir", tor.dir / "hs"]):
            service = onion("80:" + web.target, "--single-hop", "--json", *more, tor=tor)
            told = service.ready()
            assert told["single_hop"]
            with reach_soon(tor_network.client, told["address"], 80) as sock:
                assert exactly(sock, len(HELLO)) == HELLO
                lines = [line for line in circuits(tor).splitlines() if told["address"][:56] in line and " BUILT " in line]
            for purpose in ("HS_SERVICE_INTRO", "HS_SERVICE_REND"):
                lengths = [len(hops(line)) for line in lines if f"PURPOSE={purpose} " in line]
                assert lengths and (set(lengths) == {1} or not more), lines
            assert service.stop() == 0
            assert told["address"][:56] not in onions(tor, "onions/current") and str(tor.dir / "hs") not in options(tor)
        # such a tor does nothing else: what would be anonymous elsewhere is refused
        done = run("onion", "add", "80", "--key", work / "k", *control_of(tor))
        support.check_error(done, 1, "--single-hop")
        assert not os.listdir(work)


def circuits(tor):
    with contextlib.closing(tor.connect()) as control:
        return "\n".join(map(str, control.command("GETINFO circuit-status")))


def hops(line):
    return re.findall(r"\$[0-9A-F]{40}", line.split(" BUILD_FLAGS")[0])


# --- detached services


def test_detached_service_stays_until_it_is_deleted(tor_network, onion):
    tor = tor_network.client
    with Server() as web:
        service = onion("80:" + web.target, "--detach")
        address = service.ready()
        assert service.program.wait() == 0
        assert fetch(tor, address, 80) == HELLO
        listed = json.loads(run("onion", "list", "--json", *control_of(tor)).stdout)
        assert {"kind": "detached", "address": address, "hsdir": None, "ports": []} in listed
        assert address in run("onion", "list", *control_of(tor)).stdout
        assert run("onion", "delete", address.upper(), *control_of(tor)).returncode == 0
        assert address[:56] not in onions(tor)
    support.check_error(run("onion", "delete", address, *control_of(tor)), 1, "552")
    support.check_error(run("onion", "delete", "x" * 56, *control_of(tor)), 1)


# --- what happens to tor


def test_service_survives_a_restart_of_tor(tor_network, onion, work):
    with tor_network.tor() as tor, Server() as web:
        service = onion("80:" + web.target, "--key", work / "k", tor=tor)
        address = service.ready()
        assert fetch(tor_network.client, address, 80) == HELLO
        for number in (signal.SIGTERM, signal.SIGKILL):
            mark = service.program.mark()
            tor.restart(number)
            service.program.wait_line("is published", mark, PUBLISH)
        assert fetch_afresh(tor_network, address, 80) == HELLO
        assert service.stop() == 0


def test_tor_is_killed_before_it_answers(tor_network, onion, work):
    """Between ADD_ONION and its reply: no key is kept of a service that nobody knows to be there; it comes again."""
    (work / "keys").mkdir()
    key = work / "keys" / "k"
    with tor_network.tor() as tor, Server() as web, Middle(work / "c", tor) as middle:
        middle.hold("ADD_ONION")
        service = onion("80:" + web.target, "--key", key, tor=middle)
        assert middle.held.wait(support.PATIENCE)
        tor.signal(signal.SIGKILL)
        mark = service.program.mark()
        middle.cut()
        service.program.wait_line("tor cannot be reached", mark)
        assert not key.exists()
        tor.restart()
        address = service.ready()
        assert run("hs", "address", key).stdout.strip() == address and os.listdir(work / "keys") == ["k"]
        assert key.stat().st_mode & 0o777 == 0o600
        assert fetch(tor_network.client, address, 80) == HELLO
        assert service.stop() == 0

        # no tor comes any more
        middle.hold("ADD_ONION")
        again = onion("80", "--key", work / "keys" / "other", "--timeout", "5s", tor=middle)
        assert middle.held.wait(support.PATIENCE)
        tor.signal(signal.SIGKILL)
        middle.cut()
        assert again.program.wait() == 75, again.program.stderr()
        assert os.listdir(work / "keys") == ["k"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["PROTOCOLINFO", "AUTHENTICATE", "SETEVENTS", "ADD_ONION", "uploading"])
def test_interrupted_at_any_moment(tor_network, onion, work, moment, number):
    """Nothing is left: no file of a key, and no service in tor, also when the answer comes after the signal."""
    tor = tor_network.client
    (work / "keys").mkdir()
    with Middle(work / "c", tor) as middle:
        if moment == "uploading":
            service = onion("80", "--key", work / "keys" / "k", "--wait", "all", tor=middle)
            service.program.wait_line("is uploading")
        else:
            middle.hold(moment)
            service = onion("80", "--key", work / "keys" / "k", tor=middle)
            assert middle.held.wait(support.PATIENCE)
        mark = service.program.mark()
        service.program.proc.send_signal(number)
        service.program.wait_line("once more ends at once", mark)
        if moment != "PROTOCOLINFO":  # that one waits for ever
            middle.let_go()
        assert service.program.wait() == 0, service.program.stderr()
        assert os.listdir(work / "keys") == (["k"] if moment == "uploading" else [])  # tor told it that it has it
        label = re.search(r"ServiceID=([a-z2-7]{56})", middle.told())
        if moment != "SETEVENTS":  # ADD_ONION may be on its way already
            assert bool(label) == (moment in ("ADD_ONION", "uploading"))
        if label:
            assert f"DEL_ONION {label[1]}" in middle.said()
            support.wait_until(lambda: label[1] not in circuits(tor))


def test_hung_target_does_not_hold_it(tor_network, onion, programs, work):
    """It accepts and never says anything: the service goes in time, and so does a forwarder to it."""
    tor = tor_network.client
    with Server(greeting=b"", hang=True) as web:
        service = onion("80:" + web.target)
        address = service.ready()
        with reach_soon(tor, address, 80):
            support.wait_until(lambda: web.held)
            assert service.stop() == 0
        program = programs([NETKIT, "forward", f"onion:80,key={work}/k,control=unix:{tor.control_socket}",
                            f"tcp:{web.target}"])
        program.wait_line("is published", timeout=PUBLISH)
        address = run("hs", "address", work / "k").stdout.strip()
        count = len(web.held)
        with reach_soon(tor, address, 80):
            support.wait_until(lambda: len(web.held) > count)
            program.proc.terminate()
            assert program.wait(PUBLISH) == 0, program.stderr()


@pytest.mark.parametrize("which", ["private", "global"])
def test_tors_of_our_own(tor_network, programs, work, which):
    """A tor is started for the service, and goes with it; also when it is interrupted while that tor starts."""
    place = Place(work)
    lines = "".join(f"torrc = {line}\n" for line in tor_network.torrc)
    tor_network.seed(work / "seed")
    ini = work / "netkit.ini"
    ini.write_text(f"[tor]\ninstance = {which}\nidle = 1s\nseed = {work}/seed\n{lines}", encoding="utf-8")
    words = [NETKIT, "-c", ini]
    try:
        with Server() as web:
            program = programs([*words, "onion", "add", f"80:{web.target}", "--key", work / "k", "--tor", which],
                               env=place.env())
            program.wait_line("is published", timeout=PUBLISH)
            address = run("hs", "address", work / "k").stdout.strip()
            assert fetch(tor_network.client, address, 80) == HELLO
            assert program.stop() == 0
            place.empty()

            program = programs([*words, "forward", f"onion:80,key={work}/k2,tor={which}", f"tcp:{web.target}"],
                               env=place.env())
            program.wait_line("is published", timeout=PUBLISH)
            address = run("hs", "address", work / "k2").stdout.strip()
            assert fetch(tor_network.client, address, 80) == HELLO
            assert program.stop(signal.SIGINT) == 0
            place.empty()

        for command in (["onion", "add", "80", "--key", work / "k3"],  # auto is as [tor] says
                        ["forward", f"onion:80,key={work}/k3", "tcp:127.0.0.1:1"]):
            program = programs([*words, *command], env=place.env())
            support.wait_until(place.tors)
            assert program.stop(signal.SIGINT) == 0
            place.empty()
    finally:
        place.kill_rest()


def test_without_a_tor_that_runs(work, programs):
    """The user's own is started, but not for a service that is to stay when it ends."""
    support.need_command("unshare")
    alone = ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        support.missing_peer("the right to make a namespace")
    place = Place(work)
    try:
        (work / "netkit.ini").write_text("[tor]\nidle = 1s\n", encoding="utf-8")
        words = [*alone, NETKIT, "-c", work / "netkit.ini", "onion", "add", "80"]
        done = subprocess.run([*words, "--detach"], env=place.env(), capture_output=True, text=True, timeout=60,
                              check=False)
        support.check_error(done, 69, "stays")
        assert not place.tors()
        program = programs(words, env=place.env())
        support.wait_until(place.tors)
        assert program.stop(signal.SIGINT) == 0
        place.empty()
    finally:
        place.kill_rest()
    for which in ("global", "private"):
        support.check_error(place.run("onion", "add", "80", "--detach", "--tor", which), 2, "needs a tor that stays")


# --- probes


def test_dead_service_is_published_again(tor_network, onion, work):
    """Something takes the service away behind netkit's back: probes find that out."""
    with tor_network.tor(["SocksTimeout 8"]) as tor, Server() as web, Middle(work / "c", tor) as middle:
        service = onion("80:" + web.target, "--probe", "1s", "-v", "-v", tor=middle)
        address = service.ready()
        service.program.wait_line("probe: reached", timeout=PUBLISH)
        mark = service.program.mark()
        middle.command(f"DEL_ONION {address[:56]}")
        service.program.wait_line("cannot be reached.*published again", mark, 3 * PUBLISH)
        service.program.wait_line("is published", mark, PUBLISH)
        service.program.wait_line("probe: reached", mark, PUBLISH)
        assert fetch_afresh(tor_network, address, 80) == HELLO
        assert service.stop() == 0


# --- services in directories


def test_directory_service(tor_network, onion):
    """It is reached, beside one that tor has had before, survives SIGHUP and a restart, and goes."""
    with tor_network.tor() as tor, Server() as web:
        first, second = tor.dir / "first one", tor.dir / "second"
        with contextlib.closing(tor.connect()) as control:
            control.command(f'SETCONF HiddenServiceDir="{first}" HiddenServicePort="81 {web.target}"')
        service = onion("80:" + web.target, "--hsdir", second, "--max-streams", "7", "--json", tor=tor)
        told = service.ready()
        assert told["hsdir"] == str(second)
        assert told["address"] == (second / "hostname").read_text().strip()
        assert fetch(tor_network.client, told["address"], 80) == HELLO
        have = options(tor)
        assert have.index(str(first)) < have.index(f"81 {web.target}") < have.index(str(second))
        assert "HiddenServiceMaxStreams=7" in have
        listed = json.loads(run("onion", "list", "--json", *control_of(tor)).stdout)
        assert [(s["kind"], s["hsdir"], s["ports"]) for s in listed] == [
            ("directory", str(first), [f"81 {web.target}"]), ("directory", str(second), [f"80 {web.target}"])]
        assert listed[1]["address"] == told["address"]
        mark = service.program.mark()
        tor.signal(signal.SIGHUP)
        service.program.wait_line("told again", mark)
        service.program.wait_line("is published", mark, PUBLISH)
        assert str(second) in options(tor) and str(first) not in options(tor)  # nobody tells it of the first
        mark = service.program.mark()
        tor.restart()
        service.program.wait_line("is published", mark, PUBLISH)
        assert fetch_afresh(tor_network, told["address"], 80) == HELLO
        assert service.stop() == 0
        assert str(second) not in options(tor) and (second / "hostname").exists()


def test_detached_directory_service(tor_network, onion, work):
    with tor_network.tor() as tor:
        where = tor.dir / "hs"
        service = onion("80", "--hsdir", where, "--detach", "--wait", "none", tor=tor)
        address = service.ready()
        assert service.program.wait() == 0
        assert address in run("onion", "list", *control_of(tor)).stdout
        assert run("onion", "delete", where, *control_of(tor)).returncode == 0
        assert str(where) not in options(tor)
        support.check_error(run("onion", "delete", where, *control_of(tor)), 1, str(where))
        # a tor that cannot use its directory ends: it is not even asked
        for bad, words, code in (("/proc/nobody", "cannot be made", 1), (tor.dir / "torrc", "no directory", 1),
                                 ("/proc/nobody/x", "cannot be made", 1), ("/tmp", "0700", 77)):
            support.check_error(run("onion", "add", "80", "--hsdir", bad, *control_of(tor)), code, words, "torrc")
        shutil.copy(where / "hs_ed25519_public_key", work)
        (where / "hs_ed25519_public_key").write_bytes(b"no key")
        support.check_error(run("onion", "add", "80", "--hsdir", where, *control_of(tor)), 1, "hs_ed25519_public_key")
        assert tor.alive()


# --- as an endpoint


def test_endpoint_listens_as_an_onion_service(tor_network, programs, work):
    """forward onion: -> tcp:, with a key that is kept; nothing is left in the directory for its socket."""
    tor = tor_network.client
    (work / "tmp").mkdir()
    env = support.clean_env(TMPDIR=str(work / "tmp"))
    with Server() as web:
        listen = f"onion:80,key={work}/k,control=unix:{tor.control_socket}"
        program = programs([NETKIT, "forward", listen, f"tcp:{web.target}"], env=env)
        program.wait_line("is published", timeout=PUBLISH)
        address = run("hs", "address", work / "k").stdout.strip()
        assert fetch(tor, address, 80) == HELLO
        assert os.listdir(work / "tmp")  # tor runs as our user here: a unix socket that only it can reach
        program.proc.terminate()
        assert program.wait() == 0
        assert not os.listdir(work / "tmp") and sorted(os.listdir(work)) == ["k", "tmp"]
        # over TCP, as for a tor of another user, and through TLS
        run("cert", "new", "-o", work / "cert")
        listen = f"tls+onion:443,onion.key={work}/k2,control={tor.control},cookie-file={tor.cookie}," \
                 f"cert={work}/cert/certificate.pem,tls.key={work}/cert/key.pem"
        program = programs([NETKIT, "forward", listen, f"tcp:{web.target}"], env=env)
        program.wait_line("is published", timeout=PUBLISH)
        address = run("hs", "address", work / "k2").stdout.strip()
        reach_soon(tor, address, 443).close()
        done = run("forward", "stdio:", f"tls+tor:{address}:443,socks={tor.socks},ca={work}/cert/certificate.pem,"
                   f"name=localhost", timeout=PUBLISH, input="")
        assert done.stdout == HELLO.decode(), done.stderr


def test_endpoint_strings_are_checked(work):
    for text, words in (("onion:x", "onion:PORT"), ("onion:0", "onion:PORT"), ("onion:80:8080", "onion:PORT"),
                        ("onion:80,hsdir=/web,key=k", "convert"), ("onion:80,local=tcp:example.com:1", "name")):
        support.check_error(run("forward", text, "tcp:127.0.0.1:1"), 78, words)
    assert not os.listdir(work)


# --- in netkit.ini


def test_section(tor_network, programs, work):
    """Its address is made once and kept below the state directory; ready means published."""
    with Server() as web:
        (work / "netkit.ini").write_text(
            f"[onion web]\nport = 80:{web.target}\ncontrol = unix:{tor_network.client.control_socket}\n"
            f"max_streams = 9\n", encoding="utf-8")
        words = ["-c", work / "netkit.ini", "--state-dir", work / "state"]
        addresses = []
        for _ in range(2):
            program = programs([NETKIT, "run", *words])
            program.wait_line("service: ready", timeout=PUBLISH)
            status = json.loads(run("status", "--json", *words).stdout)
            about = next(v for k, v in find(status, "onion web"))
            assert about["onion"]["state"] == "published" if "onion" in about else about["descriptors"]["uploaded"]
            addresses.append(about["address"])
            assert fetch(tor_network.client, about["address"], 80) == HELLO
            program.proc.terminate()
            assert program.wait() == 0
        assert addresses[0] == addresses[1]
        assert (work / "state" / "onion" / "web" / "key").stat().st_mode & 0o777 == 0o600


def find(value, key):
    """Every member of that name, however deep."""
    if isinstance(value, dict):
        for k, v in value.items():
            if k == key:
                yield k, v
            yield from find(v, key)


@pytest.mark.parametrize("word", ["new", "discard"])
def test_section_with_a_new_key(tor_network, programs, work, word):
    """These are no files beside netkit.ini: another address at each start, and nothing is kept."""
    (work / "netkit.ini").write_text(
        f"[onion web]\nport = 80\nkey = {word}\nwait = none\ncontrol = unix:{tor_network.client.control_socket}\n",
        encoding="utf-8")
    words = ["-c", work / "netkit.ini", "--state-dir", work / "state"]
    addresses = set()
    for _ in range(2):
        program = programs([NETKIT, "run", *words])
        program.wait_line("service: ready", timeout=PUBLISH)
        about = next(v for k, v in find(json.loads(run("status", "--json", *words).stdout), "onion web"))
        assert about["key_file"] is None
        addresses.add(about["address"])
        assert program.stop() == 0
    assert len(addresses) == 2
    assert not (work / word).exists() and not (work / "state" / "onion" / "web" / "key").exists()


# --- watching


def test_watch(tor_network, onion, programs, work):
    tor = tor_network.client
    service = onion("80", "--key", work / "k", "--wait", "none")
    address = service.ready()
    assert service.stop() == 0
    with open(work / "out", "wb") as out:
        watch = programs([NETKIT, "onion", "watch", address, "-n", "5", "--json", *control_of(tor)], stdout=out)
        watch.wait_line("watching")
        assert onion("80", "--key", work / "k").ready() == address
        assert watch.wait() == 0
    lines = [json.loads(line) for line in (work / "out").read_text().splitlines()]
    assert len(lines) == 5 and {line["address"] for line in lines} == {address}
    assert lines[0]["event"].startswith("CREATED") and lines[-1]["directories"] >= 1

