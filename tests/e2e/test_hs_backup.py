# SPDX-License-Identifier: MIT
"""netkit hs backup and restore: what was saved comes back, and nothing is ever replaced."""

import json
import os
import stat

import pytest

from support import check_error, run

PASSWORD = "correct horse battery"
CLIENT = "descriptor:x25519:DZ4Q5XQLB4LDNBS72IARRML4EPHK3DU4I7O2CGIVA5LWR6WKQUJA"
OTHER = "descriptor:x25519:OKOI2GML3WD6X7JGANLK5D66XXYJGG24SXW4Y7JAVX4GIQR66ZTA"


@pytest.fixture(name="password")
def fixture_password(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n", encoding="ascii")
    path.chmod(0o600)
    return path


def service(path):
    done = run("hs", "vanity", "a", "-o", path.parent, "--json")
    assert done.returncode == 0, done.stderr
    os.rename(json.loads(done.stdout.splitlines()[0])["path"], path)
    return (path / "hostname").read_text(encoding="ascii").strip()


def clients(path, name, line):
    (path / name).parent.mkdir(mode=0o700, exist_ok=True)
    (path / name).write_text(line + "\n", encoding="ascii")
    (path / name).chmod(0o600)


def tree(path):
    """Every file below with its contents, every directory with its mode."""
    found = {}
    for root, dirs, files in os.walk(path):
        for name in files:
            full = os.path.join(root, name)
            with open(full, "rb") as f:
                found[os.path.relpath(full, path)] = (stat.S_IMODE(os.stat(full).st_mode), f.read().strip())
        for name in dirs:
            full = os.path.join(root, name)
            found[os.path.relpath(full, path)] = stat.S_IMODE(os.stat(full).st_mode)
    return found


def backup(path, password, *what):
    return run("hs", "backup", "-o", path, "--password-file", password, "--memory", "1M", *what)


def restore(path, password, *args):
    return run("hs", "restore", path, "--password-file", password, *args)


@pytest.fixture(name="places")
def fixture_places(tmp_path):
    """A directory with services, one for restored ones that is not there yet, the backup's name."""
    (tmp_path / "old").mkdir(mode=0o700)
    return tmp_path / "old", tmp_path / "new", tmp_path / "saved"


def test_there_and_back(places, password):
    old, new, saved = places
    web, ssh = service(old / "web"), service(old / "ssh")
    clients(old / "web", "authorized_clients/alice.auth", CLIENT)
    clients(old / "web", "disabled_clients/bob.auth", OTHER)
    done = backup(saved, password, old / "web", old / "ssh")
    assert done.returncode == 0, done.stderr
    assert web in done.stdout and ssh in done.stdout and "2 client(s)" in done.stdout
    assert stat.S_IMODE(os.stat(saved).st_mode) == 0o600
    raw = saved.read_bytes()
    assert b"alice" not in raw and (old / "web/hs_ed25519_secret_key").read_bytes()[32:64] not in raw
    check_error(backup(saved, password, old / "web"), 73, str(saved))  # never replaced
    assert saved.read_bytes() == raw

    listed = json.loads(restore(saved, password, "--list", "--json").stdout)
    assert [s["name"] for s in listed] == ["web", "ssh"] and [s["address"] for s in listed] == [web, ssh]
    assert [c["enabled"] for c in listed[0]["clients"]] == [c["name"] == "alice" for c in listed[0]["clients"]]

    done = restore(saved, password, "-o", new, "--dry-run")
    assert done.returncode == 0 and not new.exists()
    done = restore(saved, password, "-o", new, "--json")
    assert done.returncode == 0, done.stderr
    assert {s["outcome"] for s in json.loads(done.stdout)} == {"restored"}
    assert tree(new) == tree(old)
    done = restore(saved, password, "-o", new, "--json")  # a second time: nothing to do
    assert {s["outcome"] for s in json.loads(done.stdout)} == {"already there"}
    assert tree(new) == tree(old)


def test_only_what_is_named(places, password):
    old, new, saved = places
    service(old / "web")
    service(old / "ssh")
    assert backup(saved, password, old / "web", old / "ssh").returncode == 0
    assert restore(saved, password, "-o", new, "ssh").returncode == 0
    assert os.listdir(new) == ["ssh"]
    check_error(restore(saved, password, "-o", new, "mail"), 2, "no service 'mail'")


def test_interrupted_restore_is_completed(places, password):
    old, new, saved = places
    service(old / "web")
    clients(old / "web", "authorized_clients/alice.auth", CLIENT)
    assert backup(saved, password, old / "web").returncode == 0
    assert restore(saved, password, "-o", new).returncode == 0
    os.unlink(new / "web/hs_ed25519_secret_key")
    done = restore(saved, password, "-o", new)
    assert done.returncode == 0, done.stderr
    assert tree(new) == tree(old)


def test_nothing_is_replaced(places, password):
    old, new, saved = places
    service(old / "aaa")
    service(old / "web")
    clients(old / "web", "authorized_clients/alice.auth", CLIENT)
    assert backup(saved, password, old / "aaa", old / "web").returncode == 0
    new.mkdir(mode=0o700)
    service(new / "web")
    before = tree(new)
    check_error(restore(saved, password, "-o", new), 73, "another service's key")
    assert tree(new) == before  # not even the first service
    new2 = new.with_name("new2")
    assert restore(saved, password, "-o", new2).returncode == 0
    clients(new2 / "web", "authorized_clients/alice.auth", OTHER)
    before = tree(new2)
    check_error(restore(saved, password, "-o", new2), 73, "alice.auth", "another key")
    assert tree(new2) == before


def test_wrong_password_and_damage(tmp_path, password):
    web, saved, wrong = tmp_path / "web", tmp_path / "saved", tmp_path / "wrong"
    service(web)
    assert backup(saved, password, web).returncode == 0
    wrong.write_text("another password\n", encoding="ascii")
    wrong.chmod(0o600)
    check_error(restore(saved, wrong, "-o", tmp_path / "new"), 77, str(saved), "password is wrong")
    raw = bytearray(saved.read_bytes())
    raw[-1] ^= 1
    saved.write_bytes(raw)
    check_error(restore(saved, password, "-o", tmp_path / "new"), 77, "damaged")
    saved.write_bytes(raw[:40])
    check_error(restore(saved, password, "-o", tmp_path / "new"), 1, "cut off")
    saved.write_bytes(b"something else")
    check_error(restore(saved, password, "-o", tmp_path / "new"), 1, "no backup")
    raw[22:30] = b"\xff" * 8  # memory that nobody has
    saved.write_bytes(raw)
    check_error(restore(saved, password, "-o", tmp_path / "new"), 1, "more than a password may cost")
    assert not (tmp_path / "new").exists()


def test_key_files_and_equal_names(tmp_path, password):
    saved = tmp_path / "saved"
    (tmp_path / "1").mkdir(mode=0o700)
    (tmp_path / "2").mkdir(mode=0o700)
    service(tmp_path / "1/web")
    second = service(tmp_path / "2/web")
    key = json.loads(run("hs", "vanity", "b", "-o", tmp_path, "--format", "arti", "--json").stdout.splitlines()[0])
    done = backup(saved, password, tmp_path / "1/web", str(tmp_path / "2/web") + "/", key["path"])
    assert done.returncode == 0, done.stderr
    names = [s["name"] for s in json.loads(restore(saved, password, "--list", "--json").stdout)]
    assert names == ["web", second, key["address"]]
    check_error(backup(tmp_path / "twice", password, tmp_path / "1/web", tmp_path / "1/web"), 2, "already")


def test_a_client_that_cannot_be_read_stops_it(tmp_path, password):
    web = tmp_path / "web"
    service(web)
    clients(web, "authorized_clients/alice.auth", "descriptor:x25519:tooshort")
    check_error(backup(tmp_path / "saved", password, web), 1, "alice.auth")
    assert not (tmp_path / "saved").exists()


def test_passwords(tmp_path, password):
    web, saved = tmp_path / "web", tmp_path / "saved"
    service(web)
    password.write_text("short\n", encoding="ascii")
    check_error(backup(saved, password, web), 2, "shorter than 8")
    check_error(run("hs", "backup", "-o", saved, web, "--no-input"), 2, "--password-file")
    done = run("hs", "backup", "-o", saved, web, "--memory", "1M", "--password-file", "-", input=PASSWORD + "\n")
    assert done.returncode == 0, done.stderr
    read, write = os.pipe()
    os.write(write, PASSWORD.encode() + b"\n")
    os.close(write)
    done = run("hs", "restore", "--list", saved, "--password-fd", read, pass_fds=[read])
    os.close(read)
    assert done.returncode == 0 and "listed" in done.stdout, done.stderr


def test_what_is_missing(tmp_path, password):
    check_error(backup(tmp_path / "saved", password, tmp_path / "none"), 1, "none")
    check_error(run("hs", "restore", tmp_path / "none", "--password-file", password, "--list"), 1, "none")
    check_error(run("hs", "restore", tmp_path / "none", "--password-file", password), 2, "--output")


# --- arti ---------------------------------------------------------------------------------------

TWO_LEVEL = "authorized_clients/carol/kp_hsc_desc_enc.x25519_public"


def arti_service(state, name="web"):
    done = run("hs", "new", "--keystore", state / "keystore", "--nickname", name)
    assert done.returncode == 0, done.stderr
    for path in (state / "hss", state / "hss" / name):
        path.mkdir(mode=0o700, exist_ok=True)
    return address(state, name)


def address(state, name="web"):
    done = run("hss", "-n", name, "onion-address", "--keystore", state)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_tor_to_arti_and_back(tmp_path, password):
    old, state, new = tmp_path / "old", tmp_path / "arti", tmp_path / "new"
    old.mkdir(mode=0o700)
    web = service(old / "web")
    clients(old / "web", "authorized_clients/alice.auth", CLIENT)
    clients(old / "web", "disabled_clients/bob.auth", OTHER)
    assert backup(tmp_path / "1", password, old / "web").returncode == 0

    done = restore(tmp_path / "1", password, "-k", state / "keystore", "--dry-run")
    assert done.returncode == 0 and not state.exists(), done.stderr
    done = restore(tmp_path / "1", password, "-k", state / "keystore", "-n", "wiki")
    assert done.returncode == 0 and "restored" in done.stdout, done.stderr
    assert address(state, "wiki") == web
    assert sorted(p for p, v in tree(state).items() if not isinstance(v, int)) == [
        "hss/wiki/authorized_clients/alice.auth", "hss/wiki/disabled_clients/bob.auth",
        "keystore/hss/wiki/ks_hs_id.ed25519_expanded_private"]
    before = tree(state)
    done = restore(tmp_path / "1", password, "-k", state, "-n", "wiki", "--json")
    assert json.loads(done.stdout)[0]["outcome"] == "already there"
    assert tree(state) == before

    done = backup(tmp_path / "2", password, state)  # all services: this one
    assert done.returncode == 0 and "2 client(s)" in done.stdout, done.stderr
    assert restore(tmp_path / "2", password, "-o", new, "-n", "web").returncode == 0
    assert tree(new / "web").keys() == tree(old / "web").keys()
    assert (new / "web/hostname").read_bytes() == (old / "web/hostname").read_bytes()
    shown = [json.loads(run("hs", "check", path / "web", "--json").stdout) for path in (old, new)]
    assert str(shown[0]).replace(str(old), "") == str(shown[1]).replace(str(new), "")


def test_both_layouts_of_arti(tmp_path, password):
    state, new, saved = tmp_path / "arti", tmp_path / "new", tmp_path / "saved"
    web = arti_service(state)
    ssh = arti_service(state, "ssh")
    clients(state / "hss/web", "authorized_clients/alice.auth", CLIENT)
    (state / "hss/web" / TWO_LEVEL).parent.mkdir(mode=0o700)
    done = run("hs", "convert", "-", "--from", "auth", "--to", "arti-public", input=OTHER + "\n")
    assert done.returncode == 0 and done.stdout.startswith("x25519@spec.torproject.org "), done.stderr
    (state / "hss/web" / TWO_LEVEL).write_text(done.stdout, encoding="ascii")
    (state / "hss/web" / TWO_LEVEL).chmod(0o600)
    assert backup(saved, password, state).returncode == 0
    listed = {s["name"]: s for s in json.loads(restore(saved, password, "--list", "--json").stdout)}
    assert {n: s["address"] for n, s in listed.items()} == {"web": web, "ssh": ssh}
    assert [c["name"] for c in listed["web"]["clients"]] == ["alice", "carol"]

    done = restore(saved, password, "-k", new / "keystore")
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(new / "hss/web/authorized_clients")) == ["alice.auth", "carol.auth"]
    assert OTHER.upper() in (new / "hss/web/authorized_clients/carol.auth").read_text(encoding="ascii").upper()
    assert address(new) == web and address(new, "ssh") == ssh
    before = tree(state)
    done = restore(saved, password, "-k", state)  # where they are, in the other layout too
    assert done.returncode == 0 and done.stdout.count("already there") == 2, done.stderr
    assert tree(state) == before

    assert backup(tmp_path / "one", password, "-n", "ssh", state / "keystore").returncode == 0
    listed = json.loads(restore(tmp_path / "one", password, "--list", "--json").stdout)
    assert [s["name"] for s in listed] == ["ssh"]


def test_keystore_of_the_configuration(tmp_path, password):
    ini = tmp_path / "netkit.ini"
    ini.write_text(f"[keystore one]\ndir = {tmp_path}/one/keystore\n[keystore two]\ndir = {tmp_path}/two/keystore\n",
                   encoding="utf-8")
    web = arti_service(tmp_path / "one")
    clients(tmp_path / "one/hss/web", "authorized_clients/alice.auth", CLIENT)
    done = backup(tmp_path / "saved", password, "--config", ini, "one")
    assert done.returncode == 0 and "1 client(s)" in done.stdout, done.stderr
    done = restore(tmp_path / "saved", password, "--config", ini, "-k", "two")
    assert done.returncode == 0, done.stderr
    assert address(tmp_path / "two") == web
    assert tree(tmp_path / "two/hss") == tree(tmp_path / "one/hss")
    check_error(restore(tmp_path / "saved", password, "--config", ini, "-k", "three"), 2, "one, two")


@pytest.mark.parametrize("there", ["key", "client", "folder", "disabled"])
def test_nothing_of_arti_is_replaced(tmp_path, password, there):
    old, state, saved = tmp_path / "old", tmp_path / "arti", tmp_path / "saved"
    old.mkdir(mode=0o700)
    service(old / "aaa")
    service(old / "web")
    clients(old / "web", "authorized_clients/carol.auth", CLIENT)
    assert backup(saved, password, old / "aaa", old / "web").returncode == 0
    place = state / "hss/web"
    if there == "key":
        arti_service(state)
        words = ["another service's key", "web"]
    else:
        for path in (state, state / "keystore", state / "hss", place):
            path.mkdir(mode=0o700)
        words = ["carol", "another key"]
    if there == "client":
        clients(place, "authorized_clients/carol.auth", OTHER)
    elif there == "folder":
        (place / "authorized_clients").mkdir(mode=0o700)
        clients(place, "authorized_clients/carol/carol.auth", OTHER)
    elif there == "disabled":
        clients(place, "disabled_clients/carol.auth", CLIENT)
        words = ["carol", "disabled"]
    before = tree(state)
    check_error(restore(saved, password, "-k", state), 73, *words)
    assert tree(state) == before  # not even the first service


def test_a_client_that_was_shut_out_stays_out(tmp_path, password):
    old, saved = tmp_path / "old", tmp_path / "saved"
    old.mkdir(mode=0o700)
    service(old / "web")
    clients(old / "web", "authorized_clients/alice.auth", CLIENT)
    assert backup(saved, password, old / "web").returncode == 0
    (old / "web/disabled_clients").mkdir(mode=0o700)
    os.rename(old / "web/authorized_clients/alice.auth", old / "web/disabled_clients/alice.auth")
    before = tree(old)
    check_error(restore(saved, password, "-o", old), 73, "alice.auth", "disabled")
    assert tree(old) == before


def test_closed_service_of_arti_stays_closed_with_tor(tmp_path, password):
    state, saved, new = tmp_path / "arti", tmp_path / "saved", tmp_path / "new"
    arti_service(state)
    clients(state / "hss/web", "disabled_clients/alice.auth", CLIENT)
    assert backup(saved, password, state).returncode == 0
    done = restore(saved, password, "-o", new)
    assert done.returncode == 0, done.stderr
    assert os.listdir(new / "web/authorized_clients") == ["zz-netkit-lock.auth"]
    assert os.listdir(new / "web/disabled_clients") == ["alice.auth"]


def test_what_arti_cannot_have(tmp_path, password):
    old, saved = tmp_path / "old", tmp_path / "saved"
    old.mkdir(mode=0o700)
    service(old / "my web")
    service(old / "ssh")
    clients(old / "ssh", "authorized_clients/alice.auth", CLIENT)
    assert backup(saved, password, old / "my web", old / "ssh").returncode == 0
    state = tmp_path / "arti"
    check_error(restore(saved, password, "-k", state / "keystore"), 2, "my web", "--nickname")
    check_error(restore(saved, password, "-k", state / "keystore", "-n", "x"), 2, "for one service")
    check_error(restore(saved, password, "-k", state / "keys", "ssh"), 2, "has clients", "called 'keystore'")
    check_error(restore(saved, password, "-k", f"ctor:{state}", "ssh"), 2, "is tor's")
    check_error(restore(saved, password, "-k", state, "-o", state), 2, "one of --output")
    check_error(restore(saved, password, "-o", state, "-n", "../x", "ssh"), 2, "no directory")
    assert not state.exists()
    assert restore(saved, password, "-k", state / "keystore", "-n", "web", "my web").returncode == 0
    check_error(backup(tmp_path / "none", password, "-n", "mail", state), 1, "mail")
    (state / "hss/web").mkdir(mode=0o700, parents=True)
    clients(state / "hss/web", "authorized_clients/bob.auth", "descriptor:x25519:tooshort")
    check_error(backup(tmp_path / "none", password, state), 1, "bob.auth")
    assert not (tmp_path / "none").exists()
