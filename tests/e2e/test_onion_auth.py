# SPDX-License-Identifier: MIT
"""netkit onion auth against a tor of the private network, and keys that `tor:` loads by itself."""

import base64
import json
import stat
import subprocess
import threading

import pytest

from support import NETKIT, PATIENCE, check_error, run

ADDRESS = "ctfcrj45uouc2im5roycufckebqviw7j363w5ch3veje5jmalk3bfzad"
KEY = "x25519:KCM9rMIL1aDMNoRKqXdml+VXp20uigt86wK8FFEEVEc="
OTHER = "x25519:YDxu/9pXX7xJ0mYbabTNqFQlmw3pYcpdlJn0kyMIi30="


@pytest.fixture(name="tor")
def fixture_tor(tor_network):
    """The network's client, without keys before and afterwards."""
    client = tor_network.client
    control = client.connect()

    def clean():
        for line in control.command("ONION_CLIENT_AUTH_VIEW"):
            if "CLIENT " in line and "x25519" in line:
                control.command("ONION_CLIENT_AUTH_REMOVE " + line.split()[1])

    clean()
    yield client
    clean()
    control.close()


@pytest.fixture(name="onion")
def fixture_onion(tor, tmp_path):
    """Runs `netkit onion auth ..` on that client, with a state directory of its own."""
    def start(*words, **kw):
        return run("onion", "auth", *words, "--control", tor.control, "--cookie-file", tor.cookie,
                   "--state-dir", tmp_path / "state", **kw)

    return start


def key_file(tmp_path, text, name="key"):
    path = tmp_path / name
    path.write_text(text, encoding="ascii")
    path.chmod(0o600)
    return path


def test_add_list_remove(onion, tmp_path):
    path = key_file(tmp_path, KEY)
    assert json.loads(onion("list", "--json").stdout) == []
    done = onion("add", ADDRESS, "--key", path, "--name", "alice", "--json")
    assert done.returncode == 0, done.stderr
    added = json.loads(done.stdout)
    assert added["address"] == ADDRESS + ".onion" and not added["replaced"] and not added["permanent"]
    again = json.loads(onion("add", ADDRESS.upper() + ".ONION", "--key", path, "--json").stdout)
    assert again["replaced"] and again["fingerprint"] == added["fingerprint"]
    other = onion("add", ADDRESS, "--key", "-", "--json", input=OTHER)
    assert json.loads(other.stdout)["fingerprint"] != added["fingerprint"]

    shown = onion("list")
    assert ADDRESS in shown.stdout and "session" in shown.stdout
    assert OTHER[7:] not in shown.stdout + onion("list", "--json").stdout
    [row] = json.loads(onion("list", "--json", "--reveal", ADDRESS).stdout)
    assert row["key"] == OTHER and row["fingerprint"] == json.loads(other.stdout)["fingerprint"]

    done = onion("remove", ADDRESS + ".onion", "--json")
    assert json.loads(done.stdout) == [{"address": ADDRESS + ".onion", "removed": True}]
    done = onion("remove", ADDRESS)
    assert done.returncode == 0 and "there was none" in done.stdout
    assert onion("list").stdout == ""


def test_every_form_and_the_keystore(onion, tmp_path):
    raw = base64.b64decode(KEY[7:])
    line = f"{ADDRESS}:descriptor:x25519:{base64.b32encode(raw).decode().rstrip('=')}"
    done = onion("add", "--key", key_file(tmp_path, line, "a.auth_private"))  # it says for which service it is
    assert done.returncode == 0 and ADDRESS in done.stdout, done.stderr
    first = done.stdout.split()[1]
    done = onion("add", ADDRESS)
    check_error(done, 1, "no key", "generate-key")
    done = run("hsc", "import", tmp_path / "a.auth_private", "--state-dir", tmp_path / "state")
    assert done.returncode == 0, done.stderr
    done = onion("add", ADDRESS)
    assert done.returncode == 0 and first in done.stdout, done.stderr
    done = onion("add", ADDRESS, "-k", tmp_path / "state/keystore")
    assert done.returncode == 0 and first in done.stdout, done.stderr


def test_permanent(onion, tor, tor_network, tmp_path):
    path = key_file(tmp_path, KEY)
    done = onion("add", ADDRESS, "--key", path, "--permanent", "--name", "alice")
    assert done.returncode == 0, done.stderr
    kept = list(tor.client_auth.glob("*.auth_private"))
    assert len(kept) == 1 and stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    [row] = json.loads(onion("list", "--json").stdout)
    assert row["permanent"] and "key" not in row
    assert onion("remove", ADDRESS).returncode == 0
    assert not list(tor.client_auth.glob("*.auth_private"))

    with tor_network.tor() as other:  # without a ClientOnionAuthDir
        other.connect().command("RESETCONF ClientOnionAuthDir")
        done = run("onion", "auth", "add", ADDRESS, "--key", path, "--permanent", "--control", other.control_socket,
                   "--cookie-file", other.cookie)
        check_error(done, 1, "553", "ClientOnionAuthDir")


def test_what_is_refused(onion, tmp_path):
    path = key_file(tmp_path, KEY)
    check_error(onion("add"), 2, "which service")
    check_error(onion("add", "--key", path), 2, "for which service")
    check_error(onion("add", ADDRESS, "--key", path, "--keystore", "x"), 2, "two places")
    check_error(onion("add", ADDRESS, "--key", path, "--name", "Two words"), 2, "name")
    check_error(onion("add", "expyuzz4wqqyqhjn.onion", "--key", path), 1, "version 2")
    old = key_file(tmp_path, "HidServAuth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA\n", "old")
    check_error(onion("add", ADDRESS, "--key", old), 1, "version 2", "generate-key")
    public = key_file(tmp_path, "descriptor:x25519:DZ4Q5XQLB4LDNBS72IARRML4EPHK3DU4I7O2CGIVA5LWR6WKQUJA", "a.auth")
    check_error(onion("add", ADDRESS, "--key", public), 1, "public half")
    path.chmod(0o644)
    check_error(onion("add", ADDRESS, "--key", path), 77, str(path))
    check_error(onion("remove", "nonsense"), 1, "56 characters")
    check_error(onion("list", "nonsense"), 1, "56 characters")
    assert onion("list").stdout == ""


def test_apply_over_the_control_port(tor_network, tmp_path):
    """Keys and clients in tor's directories come into force by hs apply --control."""
    service = tmp_path / "web"
    with tor_network.tor([f'HiddenServiceDir "{service}"', "HiddenServicePort 80"]) as tor:
        reached = ["--control", f"unix:{tor.control_socket}"]
        address = (service / "hostname").read_text(encoding="ascii").strip()
        done = run("hsc", "generate-key", "stealth", "--hsid", address, "--keystore", f"ctor:{tor.client_auth}",
                   "--output", tmp_path / "alice.auth")
        assert done.returncode == 0, done.stderr
        done = run("hs", "auth", "import", "--dir", service, "--nickname", "alice", tmp_path / "alice.auth")
        assert done.returncode == 0, done.stderr
        assert run("onion", "auth", "list", *reached).stdout == ""
        done = run("hs", "apply", service, tor.client_auth, *reached, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["applied"] and [d.get("authorized", d.get("keys")) for d in told["directories"]] == [1, 1]
        [row] = json.loads(run("onion", "auth", "list", *reached, "--json").stdout)
        assert row["address"] == address and row["permanent"]

        (service / "authorized_clients/alice.auth").write_text("broken", encoding="ascii")
        (service / "authorized_clients/zz-netkit-lock.auth").unlink()
        check_error(run("hs", "apply", service, *reached), 1, "was not told")
        check_error(run("hs", "apply", service, *reached, "--pid", "1"), 2, "two ways")
        check_error(run("hs", "watch", service, *reached, "--pid", "1"), 2, "two ways")
        check_error(run("hs", "apply", service, "--tor", "private"), 2, "private")
    check_error(run("hs", "apply", tor.client_auth, *reached), 69, "control")


def test_watch_over_the_control_port(tor_network, tmp_path, programs):
    """A key that is put into ClientOnionAuthDir is there soon, also one that came while tor was away."""
    def watched():
        return {row["address"] for row in json.loads(run("onion", "auth", "list", *reached, "--json").stdout)}

    def new_key(address):
        made.append(f"{address}.onion")
        done = run("hsc", "generate-key", "stealth", "--hsid", address, "--keystore", f"ctor:{tor.client_auth}",
                   "--output", tmp_path / f"pub{len(made)}")
        assert done.returncode == 0, done.stderr

    made = []
    with tor_network.tor() as tor:
        reached = ["--control", f"unix:{tor.control_socket}"]
        watch = programs([NETKIT, "hs", "watch", tor.client_auth, *reached, "--json", "--debounce", "100ms"],
                         stdout=subprocess.PIPE)
        assert event(watch) == "ready"
        new_key(ADDRESS)
        assert event(watch) == "applied" and watched() == set(made)
        assert event(watch) == "confirmed"
        tor.stop()
        assert event(watch) == "ended"
        new_key("2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid")
        assert event(watch) == "absent"
        tor.start()
        assert event(watch) == "applied" and event(watch) == "confirmed"
        tor.wait()
        assert watched() == set(made)
        assert watch.stop() == 0
    check_error(run("hs", "watch", tor.client_auth, *reached), 69, "control")


def event(watch):
    """The next event of hs watch --json."""
    found = []
    reader = threading.Thread(target=lambda: found.append(watch.proc.stdout.readline()), daemon=True)
    reader.start()
    reader.join(PATIENCE)
    assert found and found[0], watch.stderr()
    return json.loads(found[0])["event"]
