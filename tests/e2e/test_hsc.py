# SPDX-License-Identifier: MIT
"""Clients' keys of restricted onion services: netkit hsc and hss, with arti's keystore and tor's directory."""

import base64
import fcntl
import hashlib
import json
import os
import stat
import sys

import pytest

from support import ROOT, check_error, clean_env, missing_peer, run

sys.path.insert(0, str(ROOT / "tests/peers"))
import tor_offline  # noqa: E402

VECTORS = ROOT.parent / "shared/vectors/hskeys"
A = "mnyizjj7m3hpcr7i5afph3zt7maa65johyu2ruis6z7cmnjmaj3h6tad"
B = "rh5d6reakhpvuxe2t3next6um6iiq4jf43m7gmdrphfhopfpnoglzcyd"
C = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid"
CLIENT_KEY = "ks_hsc_desc_enc.x25519_private"


def need_vectors():
    if not (VECTORS / "expected.json").exists():
        pytest.skip(f"SKIPPED: no test data in {VECTORS}")


def need_tor():
    if not tor_offline.TOR:
        missing_peer("the program tor")


class Keys:
    """netkit with a state directory and a working folder of its own."""

    def __init__(self, work):
        self.work = work
        self.state = work / "state"
        self.keystore = self.state / "keystore"
        self.out = work / "out"
        self.out.mkdir()

    def __call__(self, *args, **kw):
        return run("--state-dir", self.state, *args, cwd=self.out, **kw)

    def ok(self, *args, **kw):
        done = self(*args, **kw)
        assert done.returncode == 0, done.stderr
        return done

    def snapshot(self):
        """Everything below the work folder, with modes and contents."""
        return {str(p.relative_to(self.work)): (p.lstat().st_mode, p.read_bytes() if p.is_file() else b"")
                for p in sorted(self.work.rglob("*"))}

    def refused(self, code, *words, args=(), **kw):
        before = self.snapshot()
        done = self(*args, **kw)
        assert self.snapshot() == before
        return check_error(done, code, *words)


@pytest.fixture
def keys(work):
    return Keys(work)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


# --- generate-key and export-pubkey


@pytest.mark.parametrize("name", ["stealth", "hs-auth-stealth", "hs-auth-desc", "service-discovery"])
def test_generate_under_every_name_of_the_type(keys, name):
    keys.ok("hsc", "generate-key", name, "--hsid", A + ".onion", "--nickname", "alice")
    line = (keys.out / "alice.auth").read_text()
    assert line.strip().split(":")[:2] == ["descriptor", "x25519"]
    secret = keys.keystore / "client" / A / CLIENT_KEY
    assert mode(secret) == 0o600
    assert all(mode(p) == 0o700 for p in secret.parents if p != keys.work and keys.work in p.parents)
    assert secret.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    exported = keys.ok("hsc", "export-pubkey", name, "--hsid", A).stdout
    assert exported.strip() == line.strip()


def test_generate_for_arti(keys):
    keys.ok("hsc", "generate-key", "stealth", "--hsid", A, "--nickname", "n", "--pub-format", "arti")
    kind, blob = (keys.out / "kp_hsc_desc_enc.x25519_public").read_text().split()
    assert kind == "x25519@spec.torproject.org"
    public = base64.b64decode(blob)[-32:]
    line = keys.ok("hsc", "export-pubkey", "--hsid", A).stdout.strip()
    assert base64.b32decode(line.split(":")[2].upper() + "====") == public


def test_unknown_type_lists_the_known(keys):
    line = keys.refused(2, "no type of key 'gpg'", args=("hsc", "generate-key", "gpg", "--hsid", A, "-o", "-"))
    for name in ("stealth", "hs-auth-stealth", "hs-auth-desc", "service-discovery"):
        assert name in line


def test_existing_key_is_an_error_that_says_how_to_export(keys):
    keys.ok("hsc", "generate-key", "stealth", "--hsid", A, "--nickname", "a")
    keys.refused(73, "there is a key for", A, "hsc export-pubkey",
                 args=("hsc", "generate-key", "stealth", "--hsid", A, "--nickname", "b"))


@pytest.mark.parametrize("args, code, words", [
    (("--hsid", "expyuzz4wqqyqhjn.onion", "-o", "-"), 1, ("version 2", "2021")),
    (("--hsid", "n" + A[1:], "-o", "-"), 1, ("checksum",)),
    (("--hsid", "www." + A + ".onion", "-o", "-"), 1, ("onion address",)),
    (("--hsid", A, "--nickname", "Alice"), 2, ("nickname 'Alice'", "'A'")),
    (("--hsid", A, "--nickname", "../x"), 2, ("nickname",)),
    (("--hsid", A), 2, ("--nickname", "--output")),
    (("--hsid", A, "-o", "-", "--keystore", "nowhere"), 2, ("[keystore nowhere]",)),
    (("--hsid", A, "-o", "nodir/x.auth"), 1, ("nodir/x.auth",)),
])
def test_bad_words_change_nothing(keys, args, code, words):
    keys.ok("hsc", "generate-key", "stealth", "--hsid", B, "-o", "-")  # the keystore is there
    keys.refused(code, *words, args=("hsc", "generate-key", "stealth", *args))


def test_existing_output_is_kept(keys):
    (keys.out / "a.auth").write_text("mine")
    keys.refused(73, "a.auth already exists", "--overwrite",
                 args=("hsc", "generate-key", "stealth", "--hsid", A, "--nickname", "a"))
    keys.ok("hsc", "generate-key", "stealth", "--hsid", A, "--nickname", "a", "--overwrite")
    assert (keys.out / "a.auth").read_text().startswith("descriptor:x25519:")


@pytest.mark.parametrize("old", [None, "mine"])
@pytest.mark.parametrize("command", [("generate-key", "stealth"), ("key", "get"), ("key", "rotate", "--yes")])
def test_public_file_is_as_it_was_when_the_key_cannot_be_stored(keys, command, old):
    keys.ok("hsc", "generate-key", "stealth", "--hsid", B, "-o", "-")
    (keys.keystore / "client" / A).write_text("a file where arti has a directory")
    if old:
        (keys.out / "a.auth").write_text(old)
        (keys.out / "a.auth").chmod(0o640)
    keys.refused(1, A, args=("hsc", *command, "--hsid", A, "-o", "a.auth", "--overwrite"))


def test_rotate_that_cannot_keep_the_old_key_changes_nothing(keys):
    keys.ok("hsc", "generate-key", "stealth", "--hsid", A, "--nickname", "a")
    (keys.state / "keystore.replaced").write_text("a file")
    rotate = ("hsc", "key", "rotate", A, "--yes", "--keep-old", "--overwrite", "-o")
    keys.refused(1, "keystore.replaced", args=(*rotate, "a.auth"))
    (keys.state / "keystore.replaced").unlink()
    (keys.out / "folder").mkdir()
    keys.refused(1, "folder", args=(*rotate, "folder"))  # known before the key is replaced
    line = (keys.out / "a.auth").read_text()
    keys.ok(*rotate, "a.auth")
    assert (keys.out / "a.auth").read_text() != line
    assert keys.ok("hsc", "export-pubkey", "--hsid", A).stdout == (keys.out / "a.auth").read_text()
    assert os.listdir(keys.out) in (["a.auth", "folder"], ["folder", "a.auth"])


def test_dry_run_writes_nothing(keys):
    keys.ok("hsc", "--dry-run", "generate-key", "stealth", "--hsid", A, "--nickname", "a")
    assert not keys.state.exists()
    assert not list(keys.out.iterdir())


def test_open_keystores_are_refused(keys):
    keys.ok("hsc", "generate-key", "stealth", "--hsid", A, "-o", "-")
    keys.keystore.chmod(0o755)
    keys.refused(77, "mode: 0755", "chmod go-rwx", args=("hsc", "list"))
    keys.refused(77, "mode: 0755", args=("hsc", "key", "get", B))
    assert keys("hsc", "list", env=clean_env(FS_MISTRUST_DISABLE_PERMISSIONS_CHECKS="1")).returncode == 0


# --- arti's key get, rotate, remove


def test_get_makes_a_key_once(keys):
    first = keys.ok("hsc", "key", "get", A).stdout
    assert first.startswith("descriptor:x25519:") and first.endswith("\n")
    assert keys.ok("hsc", "key", "get", "--hsid", A, "--generate", "no", "--output", "-").stdout == first
    keys.refused(1, "no client key", "--generate=if-needed", args=("hsc", "key", "get", B, "--generate=no"))


def test_address_from_stdin(keys):
    done = keys.ok("hsc", "key", "get", "--output", "-", input=A + "\n")
    assert done.stdout.startswith("descriptor:")  # nothing but the line
    assert "Enter an onion address: " in done.stderr
    done = keys.ok("hsc", "key", "get", "--batch", "--output", "-", input=A + ".onion\r\n")
    assert "Enter" not in done.stderr
    keys.refused(2, "input ended", args=("hsc", "key", "get", "--batch"))
    keys.refused(2, "--no-input", args=("hsc", "key", "get", "--no-input"), input=A + "\n")


def test_rotate(keys):
    old = keys.ok("hsc", "key", "get", A).stdout
    before = keys.snapshot()
    done = keys("hsc", "key", "rotate", A, input="what\nNo\n")
    assert done.returncode == 1 and not done.stdout and keys.snapshot() == before
    lines = done.stderr.splitlines()
    assert [line.startswith("rotate client restricted discovery key for") for line in lines] == [True, True, False]
    assert "the answer was no" in lines[2]
    assert keys("hsc", "key", "rotate", A).returncode == 2  # end of the input
    assert keys.snapshot() == before
    new = keys.ok("hsc", "key", "rotate", A, "--keep-old", input="yes\n").stdout
    assert new != old and keys.ok("hsc", "key", "get", A).stdout == new
    kept = list((keys.state / "keystore.replaced").iterdir())
    assert len(kept) == 1 and mode(kept[0]) == 0o600
    keys.ok("hsc", "import", kept[0], "--overwrite")
    assert keys.ok("hsc", "key", "get", A).stdout == old
    made = keys.ok("hsc", "key", "rotate", B, "--batch", "--output", "b.auth").stdout  # makes what is missing
    assert B in made and (keys.out / "b.auth").exists()


def test_remove(keys):
    keys.ok("hsc", "key", "remove", A, "--yes")
    assert not keys.state.exists()  # nothing is made for that
    keys.ok("hsc", "key", "get", A)
    keys.ok("hsc", "key", "remove", A, input="yes\n")
    assert list(keys.keystore.iterdir()) == []
    keys.ok("hsc", "key", "remove", A, "--yes")  # as in arti, no error
    assert json.loads(keys.ok("--json", "hsc", "key", "remove", A, "-b").stdout)["removed"] is False


# --- places


def test_sections_and_directories(keys):
    ini = keys.work / "netkit.ini"
    ini.write_text("[keystore tor]\ndir = auth\nformat = ctor\n[keystore my-arti]\ndir = arti/keystore\n")
    conf = ("-c", ini)
    keys.ok(*conf, "hsc", "key", "get", A, "-k", "tor")
    files = list((keys.work / "auth").iterdir())
    assert [f.name for f in files] == [f"{A}.auth_private"] and mode(files[0]) == 0o600
    assert files[0].read_text().startswith(f"{A}:descriptor:x25519:")
    keys.ok(*conf, "hsc", "key", "get", B, "-k", "my-arti")
    assert (keys.work / "arti/keystore/client" / B / CLIENT_KEY).exists()
    for where in ("tor", keys.work / "auth", f"ctor:{keys.work}/auth"):  # a directory shows what it is
        done = keys.ok(*conf, "--json", "hsc", "list", "--keystore", where)
        listed = json.loads(done.stdout)
        assert listed["format"] == "ctor"
        assert [k["address"] for k in listed["keys"]] == [A + ".onion"]
    for where in ("my-arti", keys.work / "arti/keystore", keys.work / "arti"):
        listed = json.loads(keys.ok(*conf, "--json", "hsc", "list", "--keystore", where).stdout)
        assert [k["address"] for k in listed["keys"]] == [B + ".onion"]
    keys.refused(2, "my-arti", "tor", args=(*conf, "hsc", "list", "-k", "other"))
    ini.write_text("[keystore default]\ndir = auth\nformat = ctor\n")
    assert A in keys.ok(*conf, "hsc", "list").stdout


def test_both_layouts_of_a_keystore_are_read(keys):
    line = keys.ok("hsc", "key", "get", A).stdout
    flat = keys.keystore / "client" / A
    for name in ("bob", "carol"):
        two = keys.keystore / "client" / name
        two.mkdir(mode=0o700)
        (two / A).mkdir(mode=0o700)
        (two / A / CLIENT_KEY).write_bytes((flat / CLIENT_KEY).read_bytes())
    (flat / CLIENT_KEY).unlink()
    flat.rmdir()
    keys.refused(1, "same service", "--nickname", args=("hsc", "key", "get", A, "--generate", "no"))
    assert keys.ok("hsc", "key", "get", A, "--nickname", "carol", "--generate", "no").stdout == line
    assert [k["client"] for k in json.loads(keys.ok("--json", "hsc", "list").stdout)["keys"]] == ["bob", "carol"]
    keys.ok("hsc", "key", "rotate", A, "--nickname", "bob", "-b")  # in its place
    keys.ok("hsc", "key", "get", A, "--nickname", "dave")  # the layout of today is written
    assert (flat / CLIENT_KEY).exists()


def test_broken_files_are_listed(keys):
    keys.ok("hsc", "key", "get", A)
    path = keys.keystore / "client" / A / CLIENT_KEY
    path.write_bytes(path.read_bytes()[:-60])
    done = keys("hsc", "list")
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert not done.stdout


def test_locked_store(keys):
    keys.ok("hsc", "key", "get", A)
    fd = os.open(keys.keystore, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    keys.refused(75, "being changed", args=("hsc", "key", "get", B))
    os.close(fd)


def test_running_arti_is_told(keys):
    keys.ok("hsc", "key", "get", A)
    fd = os.open(keys.state / "state.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert "an arti runs" in keys.ok("hsc", "key", "get", B).stderr
    os.close(fd)
    assert "an arti runs" not in keys.ok("hsc", "key", "get", C).stderr


# --- import


def test_import_everything_there_is(keys):
    need_vectors()
    source = VECTORS / "arti-cli-testcases/hsc-extra/hsc.in/local"
    copy = keys.work / "in"
    copy.mkdir(mode=0o700)
    for name in ("service1", "service2"):
        (copy / f"{name}.auth_private").write_bytes((source / f"ctor-keystore1/{name}.auth_private").read_bytes())
        (copy / f"{name}.auth_private").chmod(0o600)
    done = keys.ok("--json", "hsc", "import", copy)
    assert sorted(k["address"] for k in json.loads(done.stdout)) == [C + ".onion", B + ".onion"]
    assert keys.ok("hsc", "import", copy).stdout.count("was there") == 2
    (copy / "again.auth_private").write_bytes((copy / "service1.auth_private").read_bytes())
    (copy / "again.auth_private").chmod(0o600)
    keys.refused(1, "same service", args=("hsc", "import", copy))
    (copy / "again.auth_private").write_text("nonsense")
    keys.refused(1, "again.auth_private", args=("hsc", "import", copy))


def test_import_needs_an_address_or_has_one(keys):
    keys.ok("hsc", "key", "get", A)
    secret = keys.keystore / "client" / A / CLIENT_KEY
    keys.refused(2, "for which service", "--hsid", args=("hsc", "import", secret))
    keys.ok("hsc", "import", secret, "--hsid", B)
    assert (keys.keystore / "client" / B / CLIENT_KEY).read_bytes() == secret.read_bytes()
    keys.ok("hsc", "key", "get", C)
    keys.refused(73, "another key", "--overwrite", args=("hsc", "import", secret, "--hsid", C))
    keys.ok("hsc", "import", secret, "--hsid", C, "--overwrite", "--keep-old")
    assert keys.ok("hsc", "export-pubkey", "--hsid", C).stdout == keys.ok("hsc", "export-pubkey", "--hsid", A).stdout
    keys.refused(1, "public key", args=("hsc", "import", "-", "--hsid", C),
                 input=keys.ok("hsc", "export-pubkey", "--hsid", A).stdout)


def test_keystore_files_are_those_of_arti(keys):
    need_vectors()
    expected = json.loads((VECTORS / "expected.json").read_text())
    for i, key in enumerate(expected["own_x25519"]):
        where = keys.work / f"ks{i}"
        keys.ok("hsc", "import", "-", "--hsid", A, "--keystore", where, input=key["control"] + "\n")
        written = (where / "client" / A / CLIENT_KEY).read_bytes()
        assert hashlib.sha256(written).hexdigest() == key["arti_native_sha256"]
        line = keys.ok("hsc", "export-pubkey", "--hsid", A, "--keystore", where).stdout.strip()
        assert line.upper() == key["descriptor_line"].upper()
        line = keys.ok("hsc", "export-pubkey", "--hsid", A, "-k", where, "--pub-format", "arti").stdout.strip()
        assert line == key["arti_public_line"]


def test_keys_out_of_artis_own_files(keys):
    need_vectors()
    for place in sorted((VECTORS / "arti-cli-testcases").rglob(CLIENT_KEY)):
        address = place.parent.name
        root = keys.work / f"from-{address[:8]}"
        done = keys("hsc", "import", "-", "--hsid", address, "-k", root, input=place.read_text())
        assert done.returncode == 0, done.stderr
        assert (root / "client" / address / CLIENT_KEY).read_bytes() == place.read_bytes()


def test_import_a_keystore(keys):
    for address in (A, B):
        keys.ok("hsc", "key", "get", address)
    keys.ok("hss", "-n", "web", "onion-address", "--generate=if-needed")  # is no client's key
    keys.ok("hsc", "import", keys.keystore, "-k", f"ctor:{keys.work}/auth")
    for address in (A, B):
        assert (keys.ok("hsc", "export-pubkey", "--hsid", address, "-k", keys.work / "auth").stdout
                == keys.ok("hsc", "export-pubkey", "--hsid", address).stdout)


def test_tor_loads_what_is_written(keys):
    need_tor()
    auth = keys.work / "auth"
    for address in (A, B, C):
        keys.ok("hsc", "key", "get", address, "--keystore", f"ctor:{auth}")
    with tor_offline.OfflineTor(keys.work, client_auth=auth) as tor:
        assert sorted(tor.client_keys()) == sorted([A, B, C])
        keys.ok("hsc", "key", "remove", B, "--keystore", auth, "--yes")
        before = tor.client_keys()[A]
        keys.ok("hsc", "key", "rotate", A, "--keystore", auth, "--batch", "--keep-old")
        tor.reload()
        after = tor.client_keys()
        assert sorted(after) == sorted([A, C]) and after[A] != before


# --- hss onion-address


def test_onion_address(keys):
    keys.refused(1, "no identity of a service 'web'", "--generate",
                 args=("hss", "-n", "web", "onion-address", "-k", f"{keys.work}/"))
    address = keys.ok("hss", "-n", "web", "onion-address", "--generate", "if-needed").stdout
    key = keys.keystore / "hss/web/ks_hs_id.ed25519_expanded_private"
    assert mode(key) == 0o600
    assert address.endswith(".onion\n") and len(address) == 63
    assert keys.ok("hss", "onion-address").stdout == address  # the only one
    assert keys.ok("hss", "onion-address", "--service=web", "-k", keys.state).stdout == address
    assert keys.ok("hss", "--nickname", "web", "onion-address", "--generate=if-needed").stdout == address
    keys.ok("hss", "onion-address", "-n", "mail", "--generate=if-needed")
    keys.refused(2, "2 services", "-n SVC", args=("hss", "onion-address"))
    keys.refused(2, "service 'Web'", args=("hss", "-n", "Web", "onion-address"))
    key.write_bytes(key.read_bytes().replace(b"A", b"B", 3))
    keys.refused(1, str(key), args=("hss", "-n", "web", "onion-address"))


def test_onion_address_of_artis_own_keystore(keys):
    need_vectors()
    for key in (VECTORS / "arti-cli-testcases").rglob("hss/*/ks_hs_id.ed25519_expanded_private"):
        copy = keys.work / f"copy-{key.parent.name}/hss/{key.parent.name}"
        for p in reversed([copy, *copy.parents]):
            if keys.work in p.parents:
                p.mkdir(mode=0o700, exist_ok=True)
        (copy / key.name).write_bytes(key.read_bytes())
        address = keys.ok("hss", "-n", key.parent.name, "onion-address", "-k", copy.parents[1]).stdout.strip()
        known = json.loads((VECTORS / "expected.json").read_text())["files"]
        assert address in [f.get("onion") for f in known if f["file"].endswith(f"{key.parent.name}/{key.name}")]


def test_tor_has_the_address_that_was_printed(keys):
    need_tor()
    service = keys.work / "service"
    address = keys.ok("hss", "onion-address", "-k", f"ctor:{service}", "--generate", "if-needed").stdout.strip()
    assert mode(service) == 0o700
    with tor_offline.OfflineTor(keys.work, services=[service]) as tor:
        assert tor.hostname(service) == address
    assert keys.ok("hss", "onion-address", "-k", service).stdout.strip() == address
