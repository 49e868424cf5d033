# SPDX-License-Identifier: MIT
"""netkit hs apply and hs watch over the control port of a tor of the private network: which way each directory is
told, and what tor confirms."""

import base64
import contextlib
import json
import queue
import subprocess
import threading
import time

import pytest

import hs_support
from hs_support import line, put_client, random_key
from support import NETKIT, check_error, run, wait_until
from server_support import HELLO, Server
from test_onion import PUBLISH, fetch, onions, options
from test_onion_clients import denied

OTHER = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid"


def reached(tor):
    return "--control", f"unix:{tor.control_socket}"


def apply(tor, *args, **kw):
    return run("hs", "apply", *args, *reached(tor), timeout=PUBLISH, **kw)


def told(done):
    """What tor made of each directory."""
    assert done.returncode == 0, done.stderr
    return {row["directory"]: row for row in json.loads(done.stdout)["tor"]}


def command(tor, text):
    with contextlib.closing(tor.connect()) as control:
        return control.command(text)


def next_second():
    """tor numbers descriptors by the second, and directories refuse one that is no newer than what they have."""
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now + 1)


def wait_for_introduction(tor, address):
    wait_until(lambda: any("HSSI_ESTABLISHED" in text and address[:56] in text
                           for text in map(str, command(tor, "GETINFO circuit-status"))))


@pytest.fixture(name="tor")
def fixture_tor(tor_network, work):
    """A tor whose torrc has the service in work/first."""
    with tor_network.tor([f'HiddenServiceDir "{work}/first"', "HiddenServicePort 80"]) as tor:
        yield tor


def test_a_reload_is_confirmed_by_uploads(tor, work):
    first = work / "first"
    put_client(first, "alice.auth", line(random_key()))
    row = told(apply(tor, first, "--json"))[str(first)]
    assert row["by"] == "reload" and row["changed"] and row["uploaded"] >= 1
    assert row["address"] == (first / "hostname").read_text().strip()
    wait_for_introduction(tor, row["address"])
    # tor may still upload the other one of its first two descriptors; then nothing is left to do
    wait_until(lambda: not told(apply(tor, first, "--json"))[str(first)]["changed"])
    done = apply(tor, first)
    assert done.stdout == f"{first}: 1 client authorized (nothing new)\n", done.stderr
    put_client(first, "bob.auth", line(random_key()))
    next_second()
    done = apply(tor, first, "--progress", "json")
    assert done.stdout.startswith(f"{first}: 2 clients authorized (uploaded to "), done.stderr
    steps = [json.loads(text) for text in done.stderr.splitlines() if text.startswith("{")]
    assert steps and {step["phase"] for step in steps} == {"descriptors"}

    put_client(first, "carol.auth", line(random_key()))  # on a network where no upload can come
    command(tor, "SETCONF DisableNetwork=1")
    check_error(apply(tor, first), 75, "DisableNetwork", "tor has what is in")
    assert apply(tor, first, "--wait", "0").returncode == 0


def test_services_that_only_setconf_made_stay(tor, work):
    first, second, third = work / "first", work / "second", work / "third"
    command(tor, f'SETCONF HiddenServiceDir="{first}" HiddenServicePort="80" HiddenServiceDir="{second}" '
                 'HiddenServicePort="81 127.0.0.1:1"')
    before = options(tor)
    put_client(first, "alice.auth", line(random_key()))
    put_client(second, "alice.auth", line(random_key()))
    rows = told(apply(tor, first, second, "--json"))
    assert [(rows[str(d)]["by"], rows[str(d)]["changed"]) for d in (first, second)] == [("setconf", True)] * 2
    assert all(rows[str(d)]["uploaded"] >= 1 for d in (first, second))
    assert options(tor) == before  # nothing was dropped

    # one that is new in the torrc needs a reload, which would drop the second
    hs_support.service(work, "third")
    torrc = tor.dir / "torrc"
    text = torrc.read_text(encoding="utf-8")
    torrc.write_text(f'{text}\nHiddenServiceDir {third}  # new\nHiddenServicePort 82\n', encoding="utf-8")
    check_error(apply(tor, third), 78, str(second), "conf save")
    assert options(tor) == before
    torrc.write_text(f'{text}\nHiddenServiceDir {third}  # new\nHiddenServicePort 82\n'
                     f'hiddenservicedir "{second}"\nHiddenServicePort 81 127.0.0.1:1\n', encoding="utf-8")
    row = told(apply(tor, third, "--json"))[str(third)]
    assert row["by"] == "reload" and row["changed"] and row["uploaded"] >= 1
    assert all(str(d) in options(tor) for d in (first, second, third))
    nowhere = hs_support.service(work, "nowhere")
    check_error(apply(tor, nowhere), 1, "no service of", "onion clients")


def test_a_detached_service_is_added_again(tor_network, tor, work):
    web = hs_support.service(work, "web")
    address = (web / "hostname").read_text(encoding="ascii").strip()
    with Server() as server, tor_network.tor() as alice:
        port = "80:" + server.target
        done = run("onion", "add", port, "--key", web, "--detach", "--wait", "none", *reached(tor))
        assert done.stdout.strip() == address, done.stderr
        done = run("hsc", "generate-key", "stealth", "--hsid", address, "--keystore", f"ctor:{work}/mine", "--output",
                   work / "alice.auth")
        assert done.returncode == 0, done.stderr
        put_client(web, "alice.auth", (work / "alice.auth").read_text(encoding="ascii").strip())
        check_error(apply(tor, web), 2, "detached", "--port")
        check_error(apply(tor, web, "--port", "80:example.com:80"), 2, "DNS")
        row = told(apply(tor, web, work / "first", "--port", port, "--json"))[str(web)]
        assert row["by"] == "add-onion" and row["address"] == address and row["uploaded"] >= 1
        assert onions(tor) == [address[:56]]
        denied(alice, address)
        # alice's key, from a directory that her tor does not read
        row = told(apply(alice, work / "mine", "--json"))[f"{work}/mine"]
        assert (row["by"], row["added"], row["removed"]) == ("client-auth", 1, 0)
        command(alice, "SIGNAL NEWNYM")  # she has seen a descriptor that she could not read
        row = told(apply(alice, work / "mine", "--json"))[f"{work}/mine"]
        assert fetch(alice, address, 80) == HELLO


class Watch:
    """`netkit hs watch --json`, its events as they come."""

    def __init__(self, programs, tor, *dirs):
        self.program = programs([NETKIT, "hs", "watch", *dirs, *reached(tor), "--json", "--debounce", "100ms"],
                                stdout=subprocess.PIPE)
        self._events = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.event("ready")

    def _read(self):
        for text in self.program.proc.stdout:
            self._events.put(json.loads(text))

    def event(self, name):
        got = self._events.get(timeout=PUBLISH)
        assert got["event"] == name, got
        return got


def test_watch_confirms(tor, work, programs):
    """A service, and keys of clients that tor is given and that are taken from it."""
    first, keys = work / "first", work / "keys"
    keys.mkdir(mode=0o700)
    watch = Watch(programs, tor, first, keys)
    put_client(first, "alice.auth", line(random_key()))
    assert watch.event("applied")["directories"][0]["authorized"] == 1
    row = watch.event("confirmed")["tor"][0]
    assert row["by"] == "reload" and row["uploaded"] >= 1

    key = keys / "a.auth_private"
    text = f"{OTHER}:descriptor:x25519:{base64.b32encode(random_key()).decode().rstrip('=')}"
    key.write_text(text, encoding="ascii")
    key.chmod(0o600)
    row = watch.event("applied")["tor"][1]
    assert (row["by"], row["added"]) == ("client-auth", 1)
    watch.event("confirmed")
    assert OTHER in "\n".join(map(str, command(tor, "ONION_CLIENT_AUTH_VIEW")))

    tor.restart()  # it has forgotten that key
    watch.event("ended")
    assert watch.event("applied")["tor"][1]["added"] == 1
    watch.event("confirmed")
    key.unlink()
    assert watch.event("applied")["tor"][1]["removed"] == 1
    watch.event("confirmed")
    assert OTHER not in "\n".join(map(str, command(tor, "ONION_CLIENT_AUTH_VIEW")))
    assert watch.program.stop() == 0
