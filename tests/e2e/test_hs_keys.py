# SPDX-License-Identifier: MIT
"""netkit hs new, address, show, convert: with OpenSSL, ssh-keygen, an offline tor and arti's own files."""

import base64
import hashlib
import json
import os
import subprocess

import pytest

import support
from hs_support import need_tor, tor_offline
from support import check_error

VECTORS = support.ROOT.parent / "shared" / "vectors" / "hskeys"
SECRET_TAG = b"== ed25519v1-secret: type0 ==\0\0\0"
# every form that can hold an identity of which there is no seed
EXPANDED = ["ctor-secret", "control", "yaml", "yaml-raw", "hex", "base64", "base64-file", "raw"]
PUBLIC = ["ctor-public", "hostname", "arti-public", "pem-public", "hex-public", "base64-public", "base32-public"]
SEED = ["pem", "openssh", "seed"]
CLIENT = ["arti", "control", "pem", "auth-private", "hex", "base64", "base32", "raw"]


@pytest.fixture
def keys(work):
    return Keys(work)


class Keys:
    """A private directory and what is asked of the commands again and again."""

    def __init__(self, work):
        self.work = work

    def hs(self, *args, **kw):
        return support.run("hs", *args, cwd=self.work, **kw)

    def ok(self, *args, **kw):
        done = self.hs(*args, **kw)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def write(self, name, contents):
        (self.work / name).write_bytes(contents)
        os.chmod(self.work / name, 0o600)

    def new(self, *args):
        return self.ok("new", *args).strip()

    def address(self, path, *args):
        return self.ok("address", path, *args).strip()

    def convert(self, source, to, *args):
        """Into a new file; its path."""
        out = self.work / f"{to}-{len(list(self.work.iterdir()))}"
        self.ok("convert", source, "--to", to, "-o", out, *args)
        return out

    def show(self, path, *args):
        [fact] = json.loads(self.ok("show", "--json", path, *args))
        return fact

    def secret(self, path, *args):
        return self.show(path, "--reveal", *args)["secret"]


def order_reduced(hexed):
    """arti's form of an expanded secret."""
    order = 2**252 + 27742317777372353535851937790883648493
    raw = bytes.fromhex(hexed)
    return (int.from_bytes(raw[:32], "little") % order).to_bytes(32, "little").hex() + raw[32:].hex()


def test_new_directory(keys):
    address = keys.new("--dir", "web")
    web = keys.work / "web"
    assert (web / "hostname").read_text() == address + "\n"
    assert len((web / "hs_ed25519_secret_key").read_bytes()) == 96
    assert {p.name: p.stat().st_mode & 0o777 for p in web.iterdir()} == {
        "hostname": 0o600, "hs_ed25519_public_key": 0o600, "hs_ed25519_secret_key": 0o600}
    assert web.stat().st_mode & 0o777 == 0o700
    before = (web / "hs_ed25519_secret_key").read_bytes()
    check_error(keys.hs("new", "--dir", "web"), 73, "has a key already", "netkit hs show")
    assert (web / "hs_ed25519_secret_key").read_bytes() == before
    assert keys.address("web") == address
    assert keys.new("--dir", "other") != address
    done = keys.hs("new", "--dir", "third", "--dry-run")
    assert done.returncode == 0 and not (keys.work / "third").exists()


def test_new_keystore_and_file(keys):
    address = keys.new("--keystore", "ks/", "--nickname", "web")
    path = keys.work / "ks/hss/web/ks_hs_id.ed25519_expanded_private"
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.address("ks") == keys.address(path) == address
    check_error(keys.hs("new", "--keystore", "ks/", "--nickname", "web"), 73)
    check_error(keys.hs("new", "--keystore", "ks/", "--nickname", "No Slug"), 2, "nickname")
    fact = json.loads(keys.ok("--json", "new", "-o", "key.pem", "--to", "pem"))
    assert fact["address"] == keys.address("key.pem") and fact["output"].endswith("key.pem")
    assert keys.show("key.pem")["has_seed"]
    done = keys.hs("new", "-o", "-", "--to", "control")
    assert done.stdout.startswith("ED25519-V3:") and ".onion" in done.stderr


def test_every_form_to_every_form(keys):
    """An identity goes through all pairs of forms unchanged; arti's reduces the scalar."""
    address = keys.new("--dir", "web")
    secret = keys.secret("web")
    files = {form: keys.convert("web", form) for form in EXPANDED}
    for source, path in files.items():
        hints = ["--from", "raw"] if source == "raw" else []
        assert path.stat().st_mode & 0o777 == 0o600
        for to in EXPANDED:
            out = keys.ok("convert", path, "--to", to, "-o", "-", *hints, text=False)
            assert out == files[to].read_bytes(), (source, to)
        assert keys.show(path, *hints)["form"] == source
        assert keys.secret(path, *hints) == secret
    arti = keys.convert("web", "arti")
    assert keys.secret(arti) == order_reduced(secret)
    assert keys.secret(keys.convert(arti, "ctor-secret")) == order_reduced(secret)
    assert keys.convert(keys.convert(arti, "hex"), "arti").read_bytes() == arti.read_bytes()
    for form in PUBLIC:
        hints = [] if form in ("ctor-public", "hostname", "arti-public", "pem-public") else [
            "--from", form, "--kind", "identity"]
        assert keys.address(keys.convert(arti, form), *hints) == address


def test_seed_forms(keys):
    keys.new("-o", "key", "--to", "seed")
    files = {form: keys.convert("key", form, "--from", "seed") for form in SEED}
    for source, path in files.items():
        hints = ["--from", "seed"] if source == "seed" else []
        for to in SEED:
            assert keys.ok("convert", path, "--to", to, "-o", "-", *hints, text=False) == files[to].read_bytes()
    seed = bytes.fromhex(files["seed"].read_text())
    raw = bytearray(hashlib.sha512(seed).digest())
    raw[0] &= 248
    raw[31] = raw[31] & 63 | 64
    assert keys.secret(files["pem"]) == raw.hex()
    ctor = keys.convert(files["pem"], "ctor-secret")
    assert ctor.read_bytes() == SECRET_TAG + raw
    for form in SEED:
        check_error(keys.hs("convert", ctor, "--to", form, "-o", "x"), 1, "seed", "expanded")


def test_client_forms(keys):
    address = keys.new("--dir", "web")
    secret = os.urandom(32)
    keys.write("c", secret)
    first = keys.convert("c", "auth-private", "--from", "raw", "--address", address)
    files = {form: keys.convert(first, form) for form in CLIENT}
    for source, path in files.items():
        hints = ["--from", source, "--kind", "client"] if source in ("hex", "base64", "base32", "raw") else []
        if source != "auth-private":
            hints += ["--address", address]
        for to in CLIENT:
            out = keys.ok("convert", path, "--to", to, "-o", "-", *hints, text=False)
            assert out == files[to].read_bytes(), (source, to)
        assert keys.secret(path, *hints) == secret.hex()
    line = keys.ok("convert", first, "--to", "auth")
    (keys.work / "a.auth").write_text(line)
    public = keys.show("a.auth")
    assert public["fingerprint"] == keys.show(first)["fingerprint"] and not public["has_secret"]
    for form in CLIENT:
        check_error(keys.hs("convert", "a.auth", "--to", form, "-o", "x", "--address", address), 1)
    assert not (keys.work / "x").exists()


def test_openssl(keys):
    openssl = support.need_command("openssl")
    for kind, private, public in (("ed25519", "pem", "pem-public"), ("x25519", "pem", "pem-public")):
        made = subprocess.run([openssl, "genpkey", "-algorithm", kind], stdout=subprocess.PIPE, check=True).stdout
        keys.write(f"{kind}.pem", made)
        again = keys.ok("convert", f"{kind}.pem", "--to", private, "-o", "-", text=False)
        assert again == made
        want = subprocess.run([openssl, "pkey", "-pubout"], input=made, stdout=subprocess.PIPE, check=True).stdout
        assert keys.ok("convert", f"{kind}.pem", "--to", public, text=False) == want
    locked = subprocess.run([openssl, "pkcs8", "-topk8", "-passout", "pass:x"], input=made,
                            stdout=subprocess.PIPE, check=True).stdout
    done = keys.hs("show", "-", input=locked.decode())
    check_error(done, 1, "encrypted", "openssl pkey")


def test_ssh_keygen(keys):
    keygen = support.need_command("ssh-keygen")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", keys.work / "id"], check=True)
    public = (keys.work / "id.pub").read_text().strip()
    assert keys.ok("convert", "id", "--to", "arti-public").strip() == public
    assert keys.address("id") == keys.address("id.pub")
    again = keys.convert("id", "openssh")
    said = subprocess.run([keygen, "-y", "-f", again], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert said.strip() == public
    fresh = keys.convert(keys.convert("id", "pem"), "openssh")
    said = subprocess.run([keygen, "-y", "-f", fresh], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert said.split()[:2] == public.split()[:2]
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "secret", "-f", keys.work / "locked"], check=True)
    check_error(keys.hs("show", "locked"), 1, "passphrase", "ssh-keygen")
    subprocess.run([keygen, "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", keys.work / "rsa"], check=True)
    check_error(keys.hs("show", "rsa"), 1, "ssh-rsa")


def test_many_keys(keys):
    """mkp224o's file with several keys: all into directories, or one of them."""
    text = "".join(keys.ok("new", "--to", "yaml", "-o", "-") + "time: 2026-01-01 00:00:00 Z\n" for _ in range(3))
    keys.write("found.yaml", text.encode())
    addresses = keys.ok("address", "found.yaml").split()
    assert len(set(addresses)) == 3
    check_error(keys.hs("convert", "found.yaml", "--to", "control", "-o", "-"), 2, "3 keys", "--address")
    keys.ok("convert", "found.yaml", "--to", "ctor-dir", "-o", "all")
    assert sorted(p.name for p in (keys.work / "all").iterdir()) == sorted(addresses)
    for address in addresses:
        assert keys.address(keys.work / "all" / address) == address
    one = keys.convert("found.yaml", "control", "--address", addresses[1])
    assert keys.address(one) == addresses[1]
    before = sorted(p.name for p in (keys.work / "all").rglob("*"))
    check_error(keys.hs("convert", "found.yaml", "--to", "ctor-dir", "-o", "all"), 73, "has a key already")
    assert sorted(p.name for p in (keys.work / "all").rglob("*")) == before
    (keys.work / "found.yaml").write_text(text.replace(addresses[2], addresses[0]))
    check_error(keys.hs("convert", "found.yaml", "--to", "ctor-dir", "-o", "none"), 1, "hostname")
    assert not (keys.work / "none").exists()


def test_directories(keys):
    """tor's directory to arti's keystore and back; clients' keys likewise."""
    address = keys.new("--dir", "web")
    keys.ok("convert", "web", "--to", "keystore", "-o", "ks/", "--nickname", "shop")
    stored = keys.work / "ks/hss/shop/ks_hs_id.ed25519_expanded_private"
    assert keys.address(stored) == address
    check_error(keys.hs("convert", "web", "--to", "keystore", "-o", "ks/"), 2, "--nickname")
    check_error(keys.hs("convert", "web", "--to", "keystore", "-o", "ks/", "--nickname", "shop"), 73)
    keys.ok("convert", "ks", "--to", "ctor-dir", "-o", "back", "--service", "shop")
    assert (keys.work / "back/hostname").read_text().strip() == address
    for name in ("a", "b"):
        service = keys.new("--dir", f"s{name}")
        keys.write(name, os.urandom(32))
        keys.ok("convert", name, "--from", "raw", "--address", service, "--to", "client-dir", "-o", "auth")
    keys.ok("convert", "auth", "--to", "keystore", "-o", "ks/")
    facts = json.loads(keys.ok("show", "--json", "ks"))
    assert sorted(f["kind"] for f in facts) == ["client", "client", "identity"]
    check_error(keys.hs("convert", "ks", "--to", "client-dir", "-o", "auth2"), 2, "--kind")
    keys.ok("convert", "ks", "--kind", "client", "--to", "client-dir", "-o", "auth2")
    assert {p.name: p.read_bytes() for p in (keys.work / "auth").iterdir()} == {
        p.name: p.read_bytes() for p in (keys.work / "auth2").iterdir()}
    (keys.work / "auth/bad.auth_private").write_text("x")
    check_error(keys.hs("show", "auth"), 1, "bad.auth_private")
    check_error(keys.hs("show", "ks", "--service", "nobody"), 1, "no key that was asked for")


def test_state_directory_of_arti(keys):
    """Its keystore is meant, for reading and for writing; a [keystore ID] stands for its directory."""
    (keys.work / "arti/keystore").mkdir(parents=True, mode=0o700)
    os.chmod(keys.work / "arti", 0o700)
    address = keys.new("--keystore", "arti", "--nickname", "web")
    assert (keys.work / "arti/keystore/hss/web").is_dir()
    assert keys.address("arti") == address
    keys.write("netkit.ini", f"[keystore mine]\ndir = {keys.work}/named\n".encode())
    keys.new("--config", "netkit.ini", "--keystore", "mine", "--nickname", "web")
    keys.ok("convert", "--config", "netkit.ini", "arti", "--to", "keystore", "-o", "mine", "--nickname", "shop")
    assert keys.address("named", "--service", "shop") == address
    check_error(keys.hs("new", "--keystore", "other", "--nickname", "web"), 2, "[keystore other]")


def test_secrets_stay_secret(keys):
    keys.new("--dir", "web")
    secret = keys.secret("web")
    for done in (keys.hs("show", "web"), keys.hs("show", "--json", "web"), keys.hs("address", "-v", "web")):
        assert secret not in done.stdout + done.stderr
        assert base64.b64encode(bytes.fromhex(secret)).decode()[:20] not in done.stdout + done.stderr
    check_error(keys.hs("convert", "web", "--to", "hex"), 2, "--output")
    os.chmod(keys.work / "web/hs_ed25519_secret_key", 0o644)
    os.chmod(keys.work / "web", 0o755)
    check_error(keys.hs("show", "web/hs_ed25519_secret_key"), 77, "can be read by others")
    target = keys.work / "target"
    (keys.work / "link").symlink_to(target)
    check_error(keys.hs("new", "-o", "link"), 73)
    assert not target.exists()


def test_refusals_change_nothing(keys):
    """Each kind of malformed file: a reason, and an output that is not made."""
    good = SECRET_TAG + b"\1" * 64
    cases = {
        "short": (good[:95], "95 bytes"), "long": (good + b"\0", "97 bytes"),
        "tag": (good.replace(b"type0", b"type1"), "tag"), "zero": (SECRET_TAG + bytes(64), "zero"),
        "empty": (b"", "none"), "text": (b"hello\n", "no key"), "untagged": (good[32:], "--from raw"),
        "v2": (b"expyuzz4wqqyqhjn.onion\n", "version 2"),
        "a.auth": (b"descriptor:x25519:" + b"a" * 52, "zero"),
        "b.auth": (b"# mine\ndescriptor:x25519:" + b"a" * 52, "comments"),
        "c.auth_private": (b"hello", "fields"),
    }
    for name, (contents, word) in cases.items():
        keys.write(name, contents)
        for to in ("ctor-dir", "arti", "auth"):
            line = check_error(keys.hs("convert", name, "--to", to, "-o", "out"), 1, word)
            assert name in line
        assert not (keys.work / "out").exists()
        assert (keys.work / name).read_bytes() == contents


def test_json_and_usage(keys):
    keys.new("--dir", "web")
    [fact] = json.loads(keys.ok("--json", "convert", "web", "--to", "arti", "-o", "k"))
    assert fact["from"] == "ctor-secret" and fact["to"] == "arti" and fact["output"] == "k"
    done = keys.hs("convert", "web", "--to", "hex", "-o", "-", "--json")
    assert done.returncode == 2 and not done.stdout and "--json" in json.loads(done.stderr)["message"]
    check_error(keys.hs("convert", "web", "--to", "ctor-dir", "-o", "-"), 2, "directory")
    check_error(keys.hs("convert", "web", "--to", "auth", "-o", "x"), 1, "service's identity")
    assert json.loads(keys.ok("--json", "address", "web"))[0]["address"].endswith(".onion")
    done = keys.hs("show", "nothing", "--json")
    assert done.returncode == 1 and not done.stdout and json.loads(done.stderr)


def test_tor_takes_what_was_written(work):
    """Clamped and reduced scalars, with and without what tor would make itself: the same address."""
    need_tor()
    keys = Keys(work)
    addresses = {"clamped": keys.new("--dir", "clamped")}
    keys.new("--keystore", "ks/", "--nickname", "web")
    keys.ok("convert", "ks", "--to", "ctor-dir", "-o", "reduced")
    addresses["reduced"] = keys.address("reduced")
    (work / "alone").mkdir(mode=0o700)
    keys.new("-o", "seed.pem", "--to", "pem")
    keys.ok("convert", "seed.pem", "--to", "ctor-secret", "-o", "alone/hs_ed25519_secret_key")
    addresses["alone"] = keys.address("seed.pem")
    secrets = {name: (work / name / "hs_ed25519_secret_key").read_bytes() for name in addresses}
    keys.write("c", os.urandom(32))
    keys.ok("convert", "c", "--from", "raw", "--address", addresses["alone"], "--to", "client-dir", "-o", "auth")
    keys.ok("convert", "c", "--from", "raw", "--kind", "client", "--to", "auth", "-o", "pub.auth")
    (work / "clamped/authorized_clients").mkdir(mode=0o700)
    (work / "clamped/authorized_clients/alice.auth").write_text((work / "pub.auth").read_text())
    with tor_offline.OfflineTor(work, services=[work / name for name in addresses], client_auth=work / "auth") as running:
        for name, address in addresses.items():
            assert running.hostname(work / name) == address
            assert (work / name / "hs_ed25519_secret_key").read_bytes() == secrets[name]
        assert running.clients_loaded(work / "clamped") == ["alice.auth"]
        known = running.client_keys()
        assert known == {addresses["alone"][:56]: base64.b64encode((work / "c").read_bytes()).decode()}
        fresh = keys.new("-o", "fresh", "--to", "control")
        reply = running.control.command(f"ADD_ONION {(work / 'fresh').read_text()} Port=80")
        assert reply[0] == f"ServiceID={fresh[:56]}"
        made = running.control.command("ADD_ONION NEW:ED25519-V3 Port=80")
        keys.write("reply", f"250-{made[1]}\r\n".encode())
        assert keys.address("reply")[:56] == made[0].split("=")[1]


def test_files_of_arti():
    """Every private key that arti wrote, written again: byte for byte the same."""
    if not VECTORS.is_dir():
        pytest.skip(f"no {VECTORS}: the files of arti are not compared")
    count = 0
    for path in sorted(VECTORS.rglob("*private")):
        text = path.read_bytes()
        if not text.startswith(b"-----BEGIN OPENSSH"):
            continue
        shown = support.run("hs", "show", "--json", "-", input=text.decode())
        if shown.returncode != 0:
            assert path.name in ("dsa_openssh.private", "ed25519_openssh_bad.private"), shown.stderr
            continue
        form = json.loads(shown.stdout)[0]["form"]
        done = support.run("hs", "convert", "-", "--to", form, "-o", "-", input=text.decode())
        assert done.stdout.encode() == text, path
        count += 1
    assert count >= 9
