# SPDX-License-Identifier: MIT
"""Who may find an onion service, seen from a client of the private network that is let in or kept out."""

import contextlib
import itertools
import json
import stat
import threading
import time

import pytest

from support import NETKIT, check_error, run, wait_until
from server_support import HELLO, Server, exactly
from test_onion import PUBLISH, Onion, fetch, find, reach

DENIED_TRIES = 3  # connections that all have to fail
ANEW = 2 * PUBLISH  # seconds in which every client finds the descriptor that was published last


@pytest.fixture(name="client")
def fixture_client(tor_network):
    """A further tor as the client, which knows nothing of what others were told."""
    with tor_network.tor() as tor:
        yield tor


@pytest.fixture(name="auth")
def fixture_auth(client):
    def start(*words, **kw):
        done = run("onion", "auth", *words, "--control", f"unix:{client.control_socket}", **kw)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return start


def denied(tor, address):
    """No connection gets through."""
    for i in range(DENIED_TRIES):
        with pytest.raises(OSError):
            reach(tor, address, 80, f"denied{i}").close()


def newnym(tor):
    """Have tor forget descriptors, keys and circuits: tor does so once in ten seconds, later than it answers, and the
    command ends when it is done."""
    done = run("tor", "newnym", "--control", f"unix:{tor.control_socket}", timeout=PUBLISH)
    assert done.returncode == 0, done.stderr


def fetch_anew(tor, address, load):
    """What a service says that has just been published again. Some directories still have its old descriptor, and
    tor keeps one that it could not read until NEWNYM; that drops keys, too."""
    deadline = time.monotonic() + ANEW
    for i in itertools.count():
        load()
        try:
            with reach(tor, address, 80, f"anew{i}") as sock:
                return exactly(sock, len(HELLO))
        except OSError as failure:
            assert time.monotonic() < deadline, f"{address} was not reached: {failure}"
            newnym(tor)


def test_new_client(tor_network, client, auth, work):
    with Server() as web:
        service = Onion(tor_network.client, "80:" + web.target, "--new-client", "alice", "--json", where=work)
        try:
            told = service.ready()
            address = told["address"]
            [made] = told["new_clients"]
            path = work / made["file"]
            assert told["restricted"] and stat.S_IMODE(path.stat().st_mode) == 0o600
            denied(client, address)
            auth("add", address, "--key", "-", input="x25519:YDxu/9pXX7xJ0mYbabTNqFQlmw3pYcpdlJn0kyMIi30=")
            denied(client, address)  # with a key that is not hers
            assert fetch_anew(client, address, lambda: auth("add", "--key", path)) == HELLO
            auth("remove", address)
            newnym(client)
            denied(client, address)
        finally:
            service.program.kill()


class Section:
    """[onion web] of a netkit.ini, run by netkit."""

    def __init__(self, work, tor, target, programs, *lines):
        self.ini = work / "netkit.ini"
        self.words = ["-c", self.ini, "--state-dir", work / "state"]
        self.base = ["[onion web]", f"port = 80:{target}", f"control = unix:{tor.control_socket}"]
        self.folder = work / "state" / "onion" / "web"
        self.write(*lines)
        self.program = programs([NETKIT, "-v", "-v", "run", *self.words])
        self.program.wait_line("service: ready", timeout=PUBLISH)

    def write(self, *lines):
        self.ini.write_text("\n".join([*self.base, *lines]) + "\n", encoding="utf-8")

    def status(self):
        status = json.loads(run("status", "--json", *self.words).stdout)
        return next(v for k, v in find(status, "onion web"))

    def wait(self, what):
        pause = threading.Event()
        deadline = time.monotonic() + PUBLISH
        while not what(status := self.status()):
            assert time.monotonic() < deadline, status
            pause.wait(0.1)  # there is nothing that tells

    def clients(self, *words):
        return run("onion", "clients", "web", *words, *self.words)


def answered(status):
    """Every directory has answered to the uploads since it was added last."""
    counts = status["descriptors"]
    return status["state"] == "published" and 6 <= counts["started"] <= counts["uploaded"] + counts["failed"]


def everywhere(count):
    return lambda s: s["restricted"] and len(s["clients"]) == count and answered(s)


def published(count):
    return lambda s: s["restricted"] and len(s["clients"]) == count and s["state"] == "published"


@pytest.fixture(name="fresh")
def fixture_fresh(tor_network):
    """fresh() -> a further client that has seen no descriptor yet: others would have to forget theirs by NEWNYM, which
    tor does once in ten seconds."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(tor_network.tor())


def give(tor, address, state):
    """A client's key, from a keystore, to its tor."""
    done = run("onion", "auth", "add", address, "--control", f"unix:{tor.control_socket}", "--state-dir", state)
    assert done.returncode == 0, done.stderr


def test_live_service(tor_network, fresh, programs, work):
    """onion clients, and the directory that they are kept in, change a service that runs."""
    with Server() as web:
        section = Section(work, tor_network.client, web.target, programs)
        address = section.status()["address"]
        assert fetch(tor_network.client, address, 80) == HELLO  # open to everybody
        assert section.clients().stdout == "open to everybody\n"

        done = run("hsc", "generate-key", "stealth", "--hsid", address, "--nickname", "alice", "--state-dir",
                   work / "mine", "--output", work / "alice.auth")
        assert done.returncode == 0, done.stderr
        done = section.clients("add", "alice", work / "alice.auth")
        assert done.returncode == 0, done.stderr
        listed = json.loads(section.clients("list", "--json").stdout)
        assert listed["restricted"] and [c["name"] for c in listed["clients"]] == ["alice"]
        assert (section.folder / "authorized_clients" / "alice.auth").exists()
        section.wait(everywhere(1))
        client = fresh()
        give(client, address, work / "mine")
        assert fetch(client, address, 80) == HELLO
        denied(fresh(), address)
        assert section.status()["address"] == address

        check_error(section.clients("add", "alice", work / "alice.auth"), 73, "already")
        check_error(section.clients("remove", "bob"), 1, "bob")
        assert section.clients("remove", "alice").returncode == 0
        assert section.clients().stdout == "nobody is authorized\n"
        section.wait(everywhere(0))
        client = fresh()
        give(client, address, work / "mine")
        denied(client, address)

        (section.folder / "authorized_clients" / "again.auth").write_bytes((work / "alice.auth").read_bytes())
        section.wait(everywhere(1))
        client = fresh()
        give(client, address, work / "mine")
        assert fetch(client, address, 80) == HELLO

        section.write("authorized_clients.enabled = no")  # said by somebody, so it is done
        assert run("reload", *section.words).returncode == 0
        section.wait(lambda s: not s["restricted"] and answered(s))
        assert fetch(fresh(), address, 80) == HELLO
        check_error(section.clients("add", "bob", work / "alice.auth"), 2, "authorized_clients.enabled")


def test_restricted_service_is_not_probed(tor_network, programs, work):
    """Only while it is open: a probe would find it dead for ever."""
    with Server() as web:
        section = Section(work, tor_network.client, web.target, programs, "probe = 1s")
        program = section.program
        program.wait_line("probe: reached", timeout=PUBLISH)
        mark = program.mark()
        done = section.clients("add", "alice", "descriptor:x25519:5FQPY22I6TQ5X7IEQOZTFYK3IMQYHVDAOQBPOXCGXV4HR4OWKQKA")
        assert done.returncode == 0, done.stderr
        program.wait_line("not probed while", mark, PUBLISH)
        section.wait(published(1))
        restricted = program.stderr().split("not probed while")[1]

        mark = program.mark()
        section.write("probe = 1s", "authorized_clients.enabled = no")
        assert run("reload", *section.words).returncode == 0
        program.wait_line("probe: reached", mark, 2 * PUBLISH)
        assert "probe: " not in restricted
        section.write("probe = 1s")
        assert run("reload", *section.words).returncode == 0
        program.wait_line("not probed while", mark, PUBLISH)
        assert program.stop() == 0


def test_configuration(tor_network, work):
    ini = work / "netkit.ini"
    base = f"[onion web]\nport = 80\ncontrol = unix:{tor_network.client.control_socket}\n"
    words = ["-c", ini, "--state-dir", work / "state"]
    for lines, code, why in (("authorized_clients.enabled = perhaps\n", 78, "auto, yes"),
                             (f"authorized_clients.dir = {work}/none\n", 1, "none"),
                             ("client_auth = HidServAuth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA\n", 1,
                              "version 2")):
        ini.write_text(base + lines, encoding="utf-8")
        done = run("run", *words, timeout=30)
        assert done.returncode != 0 and why in done.stderr, (done.returncode, done.stderr, code)
    check_error(run("onion", "clients", "web", *words[2:]), 69, "web")
    check_error(run("onion", "clients", "web", "steal", "x", *words[2:]), 2, "list, add or remove")
    check_error(run("onion", "clients", "web", "add", "Two words", "x", *words[2:]), 2, "client")
    check_error(run("onion", "clients", "ctfcrj45uouc2im5roycufckebqviw7j363w5ch3veje5jmalk3bfzad.onion"), 2, "hs auth")


def test_keys_are_loaded_by_themselves(tor_network, client, work):
    """`tor:` connections to a restricted service, with nothing but a keystore that has the key."""
    def connect(state):
        return run("tor", "connect", f"{address}:80", "--control", f"unix:{client.control_socket}", "--state-dir",
                   work / state, timeout=PUBLISH, input="")

    with Server() as web:
        service = Onion(tor_network.client, "80:" + web.target, "--new-client", "alice", "--json", "--wait", "all",
                        where=work)
        try:
            address = service.ready()["address"]
            done = run("hsc", "import", work / "alice.auth_private", "--state-dir", work / "mine")
            assert done.returncode == 0, done.stderr
            done = connect("mine")
            assert (done.returncode, done.stdout) == (0, HELLO.decode()), done.stderr
            newnym(client)  # tor has dropped the key
            done = connect("none")
            assert done.returncode != 0 and not done.stdout
            done = connect("mine")
            assert (done.returncode, done.stdout) == (0, HELLO.decode()), done.stderr
        finally:
            service.program.kill()


class Named:
    """`netkit onion add --name web` on a state directory of its own."""

    def __init__(self, work, tor):
        self.work, self.tor = work, tor
        self.state = ["--state-dir", work / "state"]
        self.folder = work / "state" / "onion" / "web"

    def add(self, port, *args):
        return Onion(self.tor, port, "--name", "web", "--json", *self.state, *args, where=self.work)

    def clients(self, *words):
        return run("onion", "clients", "web", *words, *self.state, timeout=PUBLISH)

    def named(self):
        return [c["name"] for c in json.loads(self.clients("list", "--json").stdout)["clients"]]

    def new_key(self, client, address, name):
        """A pair of a client's; the private half is in its tor."""
        done = run("hsc", "generate-key", "stealth", "--hsid", address, "--state-dir", self.work / name,
                   "--output", self.work / f"{name}.auth")
        assert done.returncode == 0, done.stderr
        done = run("onion", "auth", "add", address, "--control", f"unix:{client.control_socket}", "--state-dir",
                   self.work / name)
        assert done.returncode == 0, done.stderr
        return self.work / f"{name}.auth"


def test_named_service(tor_network, work):
    """In the foreground it can be asked and changed, and the next one of that name is the same."""
    named = Named(work, tor_network.client)
    with Server() as web, tor_network.tor() as stranger, tor_network.tor() as alice:
        port = "80:" + web.target
        service = named.add(port, "--new-client", "bob", "--wait", "none")
        try:
            told = service.ready()
            address = told["address"]
            assert told["key_file"] == str(named.folder / "key") and told["restricted"]
            assert named.named() == ["bob"]
            assert stat.S_IMODE((named.folder / "control.sock").stat().st_mode) == 0o600
            assert stat.S_IMODE(named.folder.stat().st_mode) == 0o700
            check_error(run("onion", "add", port, "--name", "web", *named.state, "--control", "unix:/nowhere"), 75)

            mark = service.program.mark()
            assert named.clients("add", "alice", named.new_key(alice, address, "alice")).returncode == 0
            service.program.wait_line("is published", mark, PUBLISH)
            assert fetch(alice, address, 80) == HELLO
            denied(stranger, address)
            assert named.clients("remove", "bob").returncode == 0 and named.named() == ["alice"]
            assert service.stop() == 0
        finally:
            service.program.kill()
        service = named.add(port, "--wait", "none")  # it says nothing of clients
        try:
            told = service.ready()
            assert told["address"] == address and [c["name"] for c in told["clients"]] == ["alice"]
            assert service.stop() == 0
        finally:
            service.program.kill()
        check_error(named.clients(), 69, "--name", "hs auth", "--client-auth")
        check_error(run("onion", "add", port, "--name", "Web", *named.state), 2, "--name")


def test_detached_service_with_a_name(tor_network, work):
    """No process holds it: its folder knows how it is added again."""
    with Server() as web, tor_network.tor() as tor, tor_network.tor() as stranger, tor_network.tor() as alice:
        named = Named(work, tor)
        carol = "descriptor:x25519:DZ4Q5XQLB4LDNBS72IARRML4EPHK3DU4I7O2CGIVA5LWR6WKQUJA"
        service = named.add("80:" + web.target, "--detach", "--wait", "none", "--client-auth", carol, "--max-streams",
                            "7")
        address = service.ready()["address"]
        assert service.program.wait() == 0
        record = named.folder / "detached"
        assert stat.S_IMODE(record.stat().st_mode) == 0o600 and "max_streams = 7" in record.read_text()
        assert named.named() == [None]
        check_error(named.clients("remove", "alice"), 1, "alice")
        done = named.clients("add", "alice", named.new_key(alice, address, "alice"))
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert named.named() == [None, "alice"]
        assert fetch(alice, address, 80) == HELLO
        denied(stranger, address)
        listed = json.loads(run("onion", "list", "--json", "--control", f"unix:{tor.control_socket}").stdout)
        assert [s["address"] for s in listed] == [address]  # still one that is detached
        assert named.clients("remove", "alice").returncode == 0 and named.named() == [None]

        assert run("onion", "delete", address, "--control", f"unix:{tor.control_socket}").returncode == 0
        check_error(named.clients("add", "alice", work / "alice.auth"), 1, "no detached service", "--detach")
        assert named.named() == [None]  # nothing was changed
        tor.stop()
        check_error(named.clients("add", "alice", work / "alice.auth"), 69)
        assert named.named() == [None]
        record.write_text("[onion other]\nport = 80\n", encoding="utf-8")
        check_error(named.clients(), 78, "another service")


def test_tls_for_clients_alone(tor_network, fresh, programs, work):
    """forward tls+onion: with client=: who has no key does not find it, and who has one still checks who it is."""
    tor, alice = tor_network.client, fresh()
    with Server() as web:
        assert run("cert", "new", "-o", work / "cert").returncode == 0
        assert run("hs", "new", "--dir", work / "hs").returncode == 0
        address = (work / "hs" / "hostname").read_text(encoding="ascii").strip()
        done = run("hsc", "generate-key", "stealth", "--hsid", address, "--state-dir", work / "mine", "--output",
                   work / "alice.auth")
        assert done.returncode == 0, done.stderr
        program = programs([NETKIT, "forward", f"tls+onion:443,onion.key={work}/hs,control=unix:{tor.control_socket},"
                            f"client={work}/alice.auth,cert={work}/cert/certificate.pem,tls.key={work}/cert/key.pem",
                            f"tcp:{web.target}"])
        program.wait_line("is published", timeout=PUBLISH)

        def connect(state, name):
            return run("forward", "stdio:", f"tls+tor:{address}:443,control=unix:{alice.control_socket},"
                       f"ca={work}/cert/certificate.pem,name={name}", "--state-dir", work / state, timeout=PUBLISH,
                       input="")

        done = connect("none", "localhost")
        assert done.returncode and not done.stdout
        # "is published" means at the first directory; the client may ask another one
        wait_until(lambda: connect("mine", "localhost").stdout == HELLO.decode(), timeout=PUBLISH)
        done = connect("mine", "example.com")  # it is let in, and finds somebody else
        assert done.returncode and not done.stdout and "certificate" in done.stderr, done.stderr
        assert program.stop() == 0
