# SPDX-License-Identifier: MIT
"""netkit hs auth, netkit hss auth-clients: clients of onion services, as a real tor sees them."""

import json
import os
import stat
import subprocess

import pytest

import hs_support
import support
from hs_support import LOCK, arti_line, authorized, line, put_client, random_key
from tor_offline import OfflineTor


@pytest.fixture
def web(work):
    return hs_support.service(work)


def auth(verb, web, *args, **kw):
    return support.run("hs", "auth", verb, "--dir", web, *args, **kw)


def ok(done):
    assert done.returncode == 0, done.stderr
    return done


def clients(web):
    doc = json.loads(ok(auth("list", web, "--json")).stdout)
    assert doc["schema"] == 1
    return {c["name"]: c["state"] for c in doc["clients"]}


def test_tor_knows_whom_we_authorize(work, web):
    alice, bob = random_key(), random_key()
    file = work / "alice.auth"
    file.write_text(line(alice) + "\n", encoding="ascii")
    with OfflineTor(work, services=[web]) as tor:
        assert tor.clients_loaded(web) == []
        done = ok(auth("import", web, file))
        assert done.stdout == "alice: imported; 1 client authorized\n"
        assert "open to everybody" in done.stderr
        ok(auth("import", web, "--nickname", "bob", "-", input=arti_line(bob)))
        tor.reload()
        assert tor.clients_loaded(web) == ["alice.auth", "bob.auth", f"{LOCK}.auth"]
        assert tor.warnings(web) == []
        ok(auth("disable", web, "alice"))
        tor.reload()
        assert tor.clients_loaded(web) == ["bob.auth", f"{LOCK}.auth"]
        # the last one goes: nobody is left, and the service does not become public
        done = ok(auth("remove", web, "bob", "--yes"))
        assert "nobody finds it" in done.stderr
        tor.reload()
        assert tor.clients_loaded(web) == [f"{LOCK}.auth"]
        assert clients(web) == {"alice": "disabled", LOCK: "lock"}
        ok(auth("enable", web, "alice"))
        tor.reload()
        assert tor.clients_loaded(web) == ["alice.auth", f"{LOCK}.auth"]
        # only somebody who says so opens it
        assert "open to everybody" in ok(auth("remove", web, "alice", "--yes", "--allow-public")).stderr
        tor.reload()
        assert tor.clients_loaded(web) == []
    modes = {stat.S_IMODE(p.stat().st_mode) for p in web.rglob("*")}
    assert modes == {0o600, 0o700}


# What a file says, whether tor 0.4.9 takes it, and a word of what netkit says otherwise.
KEY = b"\x09" + bytes(31)
LINES = {
    "lower": (line(KEY), True, None),
    "upper": ("descriptor:x25519:" + hs_support.base32(KEY).upper(), True, None),
    "lf": (line(KEY) + "\n", True, None),
    "crlf": (line(KEY) + "\r\n", True, None),
    "space": (" " + line(KEY), True, None),
    "spaces": (line(KEY).replace(":", " : "), True, None),
    "bits": (line(KEY)[:-1] + "b", True, None),
    "zero": (line(bytes(32)), True, "key"),
    "small": (line(b"\x01" + bytes(31)), True, "key"),
    "padding": (line(KEY) + "====", False, "padding"),
    "short": (line(KEY)[:-1], False, "51 characters"),
    "digit": (line(KEY)[:-1] + "0", False, "characters"),
    "word": (line(KEY).replace("descriptor", "Descriptor"), False, "descriptor"),
    "type": (line(KEY).replace("x25519", "X25519"), False, "x25519"),
    "two": (line(KEY) + "\n" + line(KEY) + "\n", False, "more than one"),
    "comment": ("# mine\n" + line(KEY) + "\n", False, "comment"),
    "empty": ("", False, "empty"),
}


def test_we_judge_files_as_tor_does(work, web):
    for name, (text, _, _) in LINES.items():
        put_client(web, f"{name}.auth", text)
    (authorized(web) / "folder.auth").mkdir()
    put_client(web, "old.auth.disabled", line(KEY))
    with OfflineTor(work, services=[web]) as tor:
        loaded = set(tor.clients_loaded(web))
    assert loaded == {f"{name}.auth" for name, (_, takes, _) in LINES.items() if takes}
    done = auth("list", web, "--json")
    assert done.returncode == 1  # the keys that shut nobody out
    doc = json.loads(done.stdout)
    seen = {c["name"]: c for c in doc["clients"]}
    assert set(seen) == set(LINES)
    for name, (_, takes, why) in LINES.items():
        if why:
            assert seen[name]["state"] == "broken" and why in seen[name]["problem"], seen[name]
        else:
            assert takes and seen[name]["state"] == "enabled", seen[name]
    errors = [f["path"] for f in doc["findings"] if f["severity"] == "error"]
    assert sorted(os.path.basename(p) for p in errors) == ["small.auth", "zero.auth"]
    reasons = [f["reason"] for f in doc["findings"]]
    assert any("it is a directory" in r for r in reasons)
    assert any("does not end in .auth" in r for r in reasons)
    assert any("the same as that of" in r for r in reasons)


def test_files_that_open_a_service(work, web):
    """tor lets everybody in when none of the files is good."""
    put_client(web, "alice.auth", "descriptor:x25519:" + hs_support.base32(KEY) + "====")
    with OfflineTor(work, services=[web]) as tor:
        assert tor.clients_loaded(web) == []
    done = auth("list", web)
    assert done.returncode == 1
    assert "tor would open the service to everybody" in done.stderr


def test_import_takes_every_public_form(work, web):
    key, folder = random_key(), work / "sent"
    folder.mkdir()
    (folder / "kp_hsc_desc_enc.x25519_public").write_text(arti_line(key), encoding="ascii")
    (folder / "alice.auth").write_text(line(random_key()), encoding="ascii")
    done = ok(auth("import", web, "--nickname", "alice", folder))
    assert "the first one counts" in done.stderr
    doc = json.loads(auth("list", web, "--json").stdout)
    assert [c["key"] for c in doc["clients"] if c["name"] == "alice"] == [hs_support.base32(key)]
    assert (authorized(web) / "alice.auth").read_text(encoding="ascii").strip().lower() == line(key)
    ok(auth("import", web, "--nickname", "bob", line(random_key()).upper()))  # as a QR code has it
    assert clients(web) == {"alice": "enabled", "bob": "enabled", LOCK: "lock"}
    done = auth("import", web, "--nickname", "carol", "-", input=hs_support.base32(random_key()))
    support.check_error(done, 1, "a public key or a private one")


def test_what_is_refused(work, web):
    key = random_key()
    ok(auth("import", web, "--nickname", "alice", line(key)))
    before = sorted(p.name for p in authorized(web).iterdir())
    support.check_error(auth("import", web, "--nickname", "bob", line(key)), 73, "'alice'", "this key already")
    support.check_error(auth("import", web, "--nickname", "alice", line(random_key())), 73, "another key")
    support.check_error(auth("import", web, "--nickname", "Alice", line(random_key())), 2, "'A'")
    support.check_error(auth("import", web, line(random_key())), 2, "--nickname is missing")
    support.check_error(auth("import", web, "--nickname", "zero", line(bytes(32))), 1, "key")
    support.check_error(auth("import", web, "--nickname", LOCK, line(random_key())), 2, "lock")
    support.check_error(auth("remove", web, "alice"), 2, "--yes")
    support.check_error(auth("disable", web, "nobody"), 1, "no enabled client 'nobody'")
    support.check_error(auth("list", work), 2, "no directory of an onion service")
    address = (web / "hostname").read_text(encoding="ascii").strip().removesuffix(".onion")
    private = work / "alice.auth_private"
    private.write_text(f"{address}:{line(random_key())}", encoding="ascii")
    private.chmod(0o600)
    text = support.check_error(auth("import", web, "--nickname", "bob", private), 1, "private key")
    assert private.read_text(encoding="ascii")[-52:] not in text
    assert sorted(p.name for p in authorized(web).iterdir()) == before


def test_dry_run_changes_nothing(web):
    before = sorted(web.rglob("*"))
    assert "would be imported" in ok(auth("import", web, "--nickname", "a", line(random_key()), "--dry-run")).stdout
    assert sorted(web.rglob("*")) == before


def test_what_the_configuration_says(work, web):
    def warns(*args):
        return ok(auth("list", web, *args)).stderr

    assert "lets everybody in" in warns("--enabled", "yes")
    ok(auth("import", web, "--nickname", "alice", line(random_key())))
    assert warns("--enabled", "yes") == "" == warns()
    assert "tor does it all the same" in warns("--enabled", "no")
    ok(auth("disable", web, "alice"))
    assert "nobody gets in" in warns("--enabled", "yes")
    assert warns("--enabled", "no") == ""
    state = work / "arti"
    (state / "authorized_clients").mkdir(parents=True)
    (state / "authorized_clients" / "bob.auth").write_text(line(random_key()), encoding="ascii")
    done = ok(support.run("hss", "auth-clients", "list", "--arti-state", state, "--enabled", "no"))
    assert "everybody gets in" in done.stderr


def test_one_change_at_a_time(web):
    import fcntl  # only here
    fd = os.open(web, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        support.check_error(auth("import", web, "--nickname", "a", line(random_key())), 75, "another process")
    finally:
        os.close(fd)


def test_many_imports_at_once(web):
    """Each one either works or says that it is to be tried again; nothing is lost or half there."""
    names = [f"c{i}" for i in range(12)]
    running = [subprocess.Popen([support.NETKIT, "hs", "auth", "import", "--dir", web, "--nickname", n,
                                 line(random_key())], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=support.clean_env()) for n in names]
    codes = {n: p.wait(support.PATIENCE) for n, p in zip(names, running)}
    assert set(codes.values()) <= {0, 75}
    assert {n for n, state in clients(web).items() if state == "enabled"} == {n for n, c in codes.items() if c == 0}


def test_owner_of_what_root_writes(web):
    support.need_root()
    for path in [web, *web.rglob("*")]:
        os.chown(path, 12345, 12345)
    ok(auth("import", web, "--nickname", "alice", line(random_key())))
    assert {p.stat().st_uid for p in web.rglob("*")} == {12345}


def test_arti_state_directories(work):
    state = work / "arti"
    (state / "hss" / "web").mkdir(parents=True)
    folder = state / "hss" / "web" / "authorized_clients"

    def clients_of(*args):
        return support.run("hss", "-n", "web", "auth-clients", *args, "--arti-state", state)

    key = random_key()
    file = work / "kp_hsc_desc_enc.x25519_public"
    file.write_text(arti_line(key), encoding="ascii")
    ok(clients_of("import", "--nickname", "client-foo", file))
    assert (folder / "client-foo.auth").read_text(encoding="ascii").strip().lower() == line(key)
    assert ok(clients_of("path")).stdout == f"{folder}\n"
    assert ok(clients_of("path", "client-foo")).stdout == f"{folder}/client-foo.auth\n"
    (folder / "alice").mkdir()
    (folder / "alice" / "kp_hsc_desc_enc.x25519_public").write_text(arti_line(random_key()), encoding="ascii")
    table = ok(clients_of("list")).stdout.splitlines()
    assert [row.split()[2] for row in table[1:]] == ["alice", "client-foo"]
    ok(clients_of("disable", "alice"))
    assert (folder.parent / "disabled_clients" / "alice" / "kp_hsc_desc_enc.x25519_public").exists()
    ok(clients_of("enable", "alice"))
    ok(clients_of("remove", "alice", "--yes"))
    ok(clients_of("remove", "client-foo", "--yes"))
    assert list(folder.iterdir()) == []  # arti keeps a service closed without a lock
    support.check_error(clients_of("list", "--arti-config", "arti.toml"), 1, "arti.toml", "[keystore")
