# SPDX-License-Identifier: MIT
"""netkit hs check, and what a real tor makes of the same files; writes that are killed on the way."""

import base64
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import pytest

from support import NETKIT, ROOT, check_error, clean_env, missing_peer, need_command, run

sys.path.insert(0, str(ROOT / "tests/peers"))
import tor_offline  # noqa: E402

VECTORS = ROOT.parent / "shared/vectors/hskeys"
SECRET, PUBLIC = "hs_ed25519_secret_key", "hs_ed25519_public_key"
A = "mnyizjj7m3hpcr7i5afph3zt7maa65johyu2ruis6z7cmnjmaj3h6tad"


def check(*args, code=0, **kw):
    """The findings as (severity, end of the path, field, reason), with their number of errors told by the
    exit code."""
    done = run("--json", "hs", "check", *args, **kw)
    assert done.returncode == code, (done.stdout, done.stderr)
    out = json.loads(done.stdout)
    errors = [f for f in out["findings"] if f["severity"] == "error"]
    assert bool(errors) == (code == 1)
    assert sum(p["errors"] for p in out["places"]) == len(errors)
    return out["findings"]


def has(findings, severity, name, words):
    return any(f["severity"] == severity and f["path"].endswith(name) and words in f["reason"] for f in findings)


@pytest.fixture
def tor(work):
    """tor(services=.., client_auth=..) starts one; tor.dies(..) is for what it must refuse."""
    if not tor_offline.TOR:
        missing_peer("the program tor")

    def fresh():
        path = work / f"tor{len(list(work.glob('tor*')))}"
        path.mkdir(mode=0o700)
        return path

    def start(**kw):
        return tor_offline.OfflineTor(fresh(), **kw)

    start.dies = lambda **kw: tor_offline.OfflineTor.dies(fresh(), **kw)
    return start


@pytest.fixture
def service(work):
    """A HiddenServiceDir that netkit made, and its address."""
    path = work / "service"
    done = run("hss", "onion-address", "-k", f"ctor:{path}", "--generate", "if-needed")
    assert done.returncode == 0, done.stderr
    return path, done.stdout.strip()


def put(path, data):
    path.write_bytes(data)
    path.chmod(0o600)


# --- a service's keys: what check says is what tor does


def test_good_service(service, tor):
    path, address = service
    assert check(path) == []
    with tor(services=[path]) as t:
        assert t.hostname(path) == address
    assert check(path) == []  # with what tor has added


DAMAGE = {
    "95 bytes": lambda key: key[:95],
    "97 bytes": lambda key: key + b"\n",
    "without the tag": lambda key: key[32:],
    "base64": lambda key: base64.b64encode(key),
    "empty": lambda key: b"",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("public", ["none", "junk"])
def test_what_tor_would_overwrite(service, tor, how, public):
    path, address = service
    damaged = DAMAGE[how]((path / SECRET).read_bytes())
    put(path / SECRET, damaged)
    if public == "junk":
        put(path / PUBLIC, b"junk")
    else:
        (path / PUBLIC).unlink()
    assert has(check(path, code=1), "error", SECRET, "overwrite this file")
    with tor(services=[path]) as t:
        assert t.hostname(path) != address
    assert (path / SECRET).read_bytes() != damaged


@pytest.mark.parametrize("how", [*DAMAGE, "wrong tag", "other key", "absent"])
def test_with_what_tor_does_not_start(service, tor, work, how):
    path, _ = service
    key = (path / SECRET).read_bytes()
    if how == "absent":
        (path / SECRET).unlink()
    elif how == "other key":
        run("hss", "onion-address", "-k", f"ctor:{work}/other", "--generate", "if-needed")
        shutil.copy(work / "other" / PUBLIC, path / PUBLIC)
    else:
        put(path / SECRET, b"x" + key[1:] if how == "wrong tag" else DAMAGE[how](key))
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    assert has(check(path, code=1), "error", PUBLIC if how == "other key" else SECRET, "tor does not start")
    assert tor.dies(services=[path]).status == 1
    assert {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()} == before


def test_what_tor_corrects(service, tor, work):
    path, address = service
    put(path / PUBLIC, b"junk")
    put(path / "hostname", f"{A}.onion\n".encode())
    findings = check(path)
    assert has(findings, "warning", PUBLIC, "writes it anew")
    assert has(findings, "warning", "hostname", "another service's")
    with tor(services=[path]) as t:
        assert t.hostname(path) == address
    assert check(path) == []


def test_modes(service, tor):
    path, _ = service
    path.chmod(0o755)
    (path / SECRET).chmod(0o646)
    findings = check(path, code=1)
    assert has(findings, "error", "service", "0755") and has(findings, "error", SECRET, "0646")
    assert tor.dies(services=[path]).status == 1
    assert check(path, code=0, env=clean_env(ARTI_FS_DISABLE_PERMISSION_CHECKS="yes")) == []
    run("--dry-run", "hs", "check", path, "--fix-perms")
    assert path.stat().st_mode & 0o777 == 0o755
    findings = check(path, "--fix-perms")
    assert has(findings, "note", "service", "is 0700 now") and has(findings, "note", SECRET, "is 0600 now")
    assert check(path) == []
    with tor(services=[path]):
        pass


def test_own_group_is_nobodys_friend_for_tor(service, tor):
    path, _ = service
    if os.geteuid() != 0:
        missing_peer("root, whose own group everybody has")
    path.chmod(0o750)
    assert has(check(path), "warning", "service", "0750: tor does not start")
    assert tor.dies(services=[path]).status == 1


def test_daemons_directory_as_root(service, tor):
    path, _ = service
    if os.geteuid() != 0:
        missing_peer("root")
    for p in [path, *path.iterdir()]:
        os.chown(p, 4242, 4242)
    assert check(path) == []
    os.chown(path / SECRET, 4243, 4243)
    assert has(check(path, code=1), "error", SECRET, "neither to uid 4242 nor to root")


# --- authorised clients


def public_line(work, name):
    done = run("hsc", "key", "get", A, "-k", work / f"keys-{name}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


AUTH = {  # what is made of the line -> (does tor load it?, what check says)
    "as it is": (lambda s: s, True, None),
    "lower case": (lambda s: s.lower(), True, None),
    "CR LF": (lambda s: s + "\r\n", True, None),
    "leading space": (lambda s: "  " + s, True, None),
    "spaces": (lambda s: s.replace(":", " : "), True, ("warning", "arti refuses it")),
    "padding": (lambda s: s + "====", False, ("error", "cannot get in")),
    "51 characters": (lambda s: s[:-1], False, ("error", "cannot get in")),
    "bad character": (lambda s: s[:-1] + "1", False, ("error", "cannot get in")),
    "Descriptor": (lambda s: s.replace("d", "D", 1), False, ("error", "cannot get in")),
    "X25519": (lambda s: s.replace("x25519", "X25519"), False, ("error", "cannot get in")),
    "two lines": (lambda s: f"{s}\n{s}\n", False, ("error", "cannot get in")),
    "comment": (lambda s: f"# alice\n{s}\n", False, ("error", "cannot get in")),
    "empty": (lambda s: "", False, ("error", "cannot get in")),
    "zero key": (lambda s: "descriptor:x25519:" + 52 * "a", True, ("error", "cannot get in")),
}


def test_authorised_clients(service, tor, work):
    path, _ = service
    clients = path / "authorized_clients"
    clients.mkdir(mode=0o700)
    loaded = set()
    for i, (how, (change, loads, _)) in enumerate(AUTH.items()):
        put(clients / f"c{i}.auth", change(public_line(work, i)).encode())
        if loads:
            loaded.add(f"c{i}.auth")
    (clients / "dir.auth").mkdir()
    put(clients / "old.auth.disabled", b"x")
    findings = check(path, code=1)
    for i, (how, (_, _, says)) in enumerate(AUTH.items()):
        if says:
            assert has(findings, says[0], f"c{i}.auth", says[1]), how
        else:
            assert not [f for f in findings if f["path"].endswith(f"c{i}.auth")], how
    assert has(findings, "error", "dir.auth", "")
    assert has(findings, "warning", "old.auth.disabled", "tor ignores it")
    assert not has(findings, "error", "authorized_clients", "EVERYBODY")
    with tor(services=[path]) as t:
        assert {pathlib.Path(f).name for f in t.clients_loaded(path)} == loaded


def test_service_that_broken_files_open(service, tor):
    path, _ = service
    clients = path / "authorized_clients"
    clients.mkdir(mode=0o700)
    put(clients / "alice.auth", b"descriptor:x25519:short\n")
    assert has(check(path, code=1), "error", "authorized_clients", "EVERYBODY")
    with tor(services=[path]) as t:
        assert t.clients_loaded(path) == []
    shutil.rmtree(clients)
    put(clients, b"")
    assert has(check(path, code=1), "error", "authorized_clients", "is no directory")
    tor.dies(services=[path])


def test_names_and_twins_of_clients(work):
    clients = work / "authorized_clients"
    clients.mkdir(mode=0o700)
    line = public_line(work, 1).encode()
    put(clients / "bob@laptop.auth", line)
    put(clients / "z.auth", line)
    findings = check(clients)
    assert has(findings, "warning", "bob@laptop.auth", "no nickname of arti")
    assert has(findings, "warning", "z.auth", "is the same as in bob@laptop.auth")


# --- a client's keys


def test_client_keys(work, tor):
    auth = work / "auth"
    addresses = []
    for i in range(7):
        addresses.append(run("hss", "onion-address", "-k", f"ctor:{work}/s{i}", "--generate=if-needed").stdout[:56])
        run("hsc", "key", "get", addresses[-1], "-k", f"ctor:{auth}")
    assert check(auth) == []
    lines = [(auth / f"{a}.auth_private").read_text() for a in addresses]
    wrong = addresses[0][:53] + ("b" if addresses[0][53] == "a" else "a") + addresses[0][54:]

    def change(i, text):
        put(auth / f"{addresses[i]}.auth_private", text.encode())

    change(0, lines[0].replace(addresses[0], wrong))
    change(1, lines[1].replace(addresses[1], addresses[1] + ".onion"))
    change(2, lines[2].replace(addresses[2], addresses[2].upper()))
    change(3, lines[3].replace(":descriptor", ""))
    change(4, lines[4].replace("x25519", "X25519"))
    change(5, lines[5].strip() + "\r\n")
    (auth / f"{addresses[6]}.auth_private").rename(auth / "six.txt")
    findings = check(auth, code=1)
    for i, severity, words in ((0, "error", "takes it for"), (1, "warning", "tor cuts it off"),
                               (2, "warning", "this spelling only"), (3, "error", "passes over"),
                               (4, "error", "passes over")):
        assert has(findings, severity, f"{addresses[i]}.auth_private", words), i
    assert has(findings, "warning", "six.txt", "tor ignores it")
    assert len(findings) == 6
    with tor(client_auth=auth) as t:
        # tor shows the address as it stands in the file, except what is behind 56 characters
        assert sorted(t.client_keys()) == sorted([wrong, addresses[1], addresses[2].upper(), addresses[5]])


def test_twins_kill_tor(work, tor):
    auth = work / "auth"
    run("hsc", "key", "get", A, "-k", f"ctor:{auth}")
    with tor(client_auth=auth) as t:
        shutil.copy2(auth / f"{A}.auth_private", auth / "z.auth_private")
        assert has(check(auth, code=1), "error", "z.auth_private", "ends at SIGHUP")
        mark = t.mark()
        os.kill(t.pid, 1)
        with pytest.raises((tor_offline.TorEnded, AssertionError)):
            t.wait_line("nothing like this is ever logged", mark)
        assert not t.alive()
    tor.dies(client_auth=auth)
    (auth / "z.auth_private").unlink()
    assert check(auth) == []


# --- keystores and files


def test_keystore_of_arti(work):
    if not VECTORS.exists():
        pytest.skip(f"SKIPPED: no test data in {VECTORS}")
    state = work / "state"
    shutil.copytree(VECTORS / "arti-cli-testcases/keys/keys.in/local/state-dir", state)
    findings = check(state, "--fix-perms")
    for name in ("unrecognized-entry", "unrecognized-path-dir/ks_hs_id.ed25519_expanded_private"):
        assert has(findings, "warning", name, "arti does not recognize it")
    assert not [f for f in findings if f["severity"] == "error"]
    key = next(state.rglob("client/*/ks_hsc_desc_enc.x25519_private"))
    put(key, key.read_bytes()[:-50])
    assert has(check(state, code=1), "error", key.name, "")


def test_text_and_exit_codes(work, service):
    path, _ = service
    done = run("hs", "check", path)
    assert done.returncode == 0 and not done.stdout and "0 errors" in done.stderr
    path.chmod(0o755)
    done = run("hs", "check", path, "-q")
    assert done.returncode == 1 and not done.stderr
    assert done.stdout == f"error: {path}: mode: 0755: others can get in (hint: chmod go-rwx {path})\n"
    check_error(run("hs", "check", work / "none"), 1, "none")
    (work / "empty").mkdir()
    check_error(run("hs", "check", work / "empty"), 2, "--as")
    assert run("hs", "check", work / "empty", "--as", "clients", "-q").returncode == 1  # 0755
    put(work / "key", b"nothing that is a key")
    assert run("hs", "check", work / "key", "-q").returncode == 1


# --- kill -9


def test_killed_writes_leave_nothing_that_tor_damages(work):
    """Whenever the writer is killed: no secret key without its public half, and nothing half-written."""
    began = time.monotonic()
    run("hss", "onion-address", "-k", f"ctor:{work}/timed", "--generate=if-needed")
    usual = time.monotonic() - began
    chance = random.Random(4)
    whole = 0
    for i in range(60):
        path = work / f"k{i}"
        p = subprocess.Popen([NETKIT, "hss", "onion-address", "-k", f"ctor:{path}", "--generate=if-needed"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env())
        time.sleep(chance.uniform(0, 1.5 * usual))  # the moment of the kill is what varies
        p.kill()
        p.wait()
        if not path.exists():
            continue
        names = {f.name for f in path.iterdir() if not f.name.startswith(".netkit-")}
        assert SECRET not in names or PUBLIC in names
        whole += SECRET in names
        done = run("hss", "onion-address", "-k", f"ctor:{path}")
        assert (done.returncode == 0) == (PUBLIC in names), done.stderr
    print(f"{whole} of 60 writes were over before their end")


def test_killed_between_any_two_steps(work):
    """The same with the kill at every system call that changes a file or directory."""
    strace = need_command("strace")
    calls = ["mkdir", "mkdirat", "openat", "write", "fsync", "rename", "renameat", "renameat2", "fchmod"]
    whole = partial = 0
    for call in calls:
        for nth in range(1, 40):
            path = work / f"{call}{nth}"
            done = subprocess.run([strace, "-f", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}",
                                   NETKIT, "hss", "onion-address", "-k", f"ctor:{path}", "--generate=if-needed"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=clean_env(), check=False)
            if done.returncode == 0:
                break  # there are fewer such calls
            if b"attach" in done.stderr and b"not permitted" in done.stderr:
                missing_peer("the right to trace a process")
            names = {f.name for f in path.iterdir()} if path.exists() else set()
            assert SECRET not in names or {PUBLIC, "hostname"} <= names
            if SECRET in names:
                whole += 1
                assert run("hs", "check", path, "-q").returncode == 0
            elif PUBLIC in names:
                partial += 1
                assert check(path, code=1)
    assert whole and partial


def test_five_thousand_clients(tmp_path):
    """Each is read once; the last one has the first one's key."""
    count = 5000
    place = tmp_path / "authorized_clients"
    place.mkdir(mode=0o700)
    keys = [os.urandom(31) + b"\x10" for _ in range(count - 1)]
    for i, key in enumerate([*keys, keys[0]]):
        fd = os.open(place / f"c{i:04}.auth", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, b"descriptor:x25519:" + base64.b32encode(key).rstrip(b"=") + b"\n")
        os.close(fd)
    begin = time.monotonic()
    findings = check(place)
    taken = time.monotonic() - begin
    assert has(findings, "warning", "c4999.auth", "is the same as in c0000.auth")
    assert has(findings, "warning", "authorized_clients", f"{count - 1} clients")
    assert sum("is the same as" in f["reason"] for f in findings) == 1
    assert taken < 5, taken
