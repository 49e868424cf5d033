# SPDX-License-Identifier: MIT
"""netkit ssh-key gen, check and import against ssh-keygen, openssl, dropbearconvert and puttygen: what they make is
read here, and what is made here is read by them."""

import base64
import hashlib
import json
import stat
import struct
import subprocess

import pytest

from support import check_error, clean_env, need_command, run
from terminal_support import Terminal

BEGIN_EARLY = True  # see conftest.py
SECRET = "correct horse"


def tool(*args, **kw):
    """Another program's output."""
    need_command(args[0])
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60, **kw)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout


def keygen(path, *args, passphrase="", comment="me@here"):
    tool("ssh-keygen", "-q", "-N", passphrase, "-C", comment, "-f", path, *args)
    return path


def public(path, passphrase=""):
    """Type and base64 of the public half, as ssh-keygen reads it from the private one."""
    return tool("ssh-keygen", "-y", "-P", passphrase, "-f", path).split()[:2]


def describe(*args, code=0):
    done = run("ssh-key", "check", "--json", *args)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def fingerprint(path, kind):
    return tool("ssh-keygen", "-l", "-E", kind, "-f", path).split()[1]


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return path


# --- gen ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, name, bits", [
    ([], "ssh-ed25519", 256), (["-t", "ecdsa"], "ecdsa-sha2-nistp256", 256),
    (["-t", "ecdsa", "-b", "384"], "ecdsa-sha2-nistp384", 384),
    (["-t", "ecdsa", "-b", "521"], "ecdsa-sha2-nistp521", 521), (["-t", "rsa", "-b", "2048"], "ssh-rsa", 2048)])
def test_gen(tmp_path, secret, args, name, bits):
    plain, locked = tmp_path / "plain", tmp_path / "locked"
    done = run("ssh-key", "gen", *args, "--comment", "a key", "--no-passphrase", "-o", plain, timeout=60)
    assert done.returncode == 0, done.stderr
    line = (tmp_path / "plain.pub").read_text()
    assert done.stdout.endswith(line) and line.endswith(" a key\n") and line.startswith(name + " ")
    assert public(plain) == line.split()[:2]
    assert fingerprint(plain, "sha256") in done.stdout and fingerprint(plain, "md5") in done.stdout
    assert stat.S_IMODE(plain.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "plain.pub").stat().st_mode) == 0o644
    if name == "ssh-rsa":
        return  # once is enough
    done = run("ssh-key", "gen", *args, "--passphrase-file", secret, "--rounds", 2, "-o", locked, "--json")
    about = json.loads(done.stdout)
    assert (about["type"], about["bits"], about["encrypted"]) == (name, bits, "aes256-ctr")
    assert public(locked, SECRET) == (tmp_path / "locked.pub").read_text().split()[:2]
    assert subprocess.run(["ssh-keygen", "-y", "-P", "other", "-f", locked], capture_output=True).returncode != 0


def test_gen_refused(tmp_path):
    key = tmp_path / "key"
    no_input = ("ssh-key", "gen", "--no-input", "-o", key)
    check_error(run(*no_input), 2, "--no-passphrase")
    check_error(run(*no_input, "--no-passphrase", "-t", "rsa", "-b", "1024"), 2, "1024")
    check_error(run(*no_input, "--no-passphrase", "-b", "255"), 2, "255")
    check_error(run(*no_input, "--no-passphrase", "-t", "ecdsa", "-b", "512"), 2, "512")
    assert run(*no_input, "--no-passphrase", "--dry-run").returncode == 0
    assert not list(tmp_path.iterdir())
    (tmp_path / "key.pub").write_text("mine")
    check_error(run(*no_input, "--no-passphrase"), 73, "key.pub exists")
    assert not key.exists() and (tmp_path / "key.pub").read_text() == "mine"
    assert run(*no_input, "--no-passphrase", "--force").returncode == 0
    assert public(key) == (tmp_path / "key.pub").read_text().split()[:2]


def test_gen_home(tmp_path):
    done = run("ssh-key", "gen", "--passphrase-fd", "0", input=SECRET, env=clean_env(HOME=str(tmp_path), USER="eve"))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / ".ssh").stat().st_mode) == 0o700
    assert public(tmp_path / ".ssh/id_ed25519", SECRET)[0] == "ssh-ed25519"
    assert " eve@" in (tmp_path / ".ssh/id_ed25519.pub").read_text()


def test_gen_asks(tmp_path):
    key = tmp_path / "key"
    with Terminal("ssh-key", "gen", "-o", str(key)) as t:
        for first, second in (("a", "b"), (SECRET, SECRET)):
            t.wait("passphrase of the new key")
            t.press(first + "\n")
            t.wait("once more")
            t.press(second + "\n")
        assert t.ended() == 0
    assert public(key, SECRET)[0] == "ssh-ed25519"


# --- check -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [["-t", "ed25519"], ["-t", "ecdsa", "-b", "256"], ["-t", "ecdsa", "-b", "384"],
                                  ["-t", "ecdsa", "-b", "521"], ["-t", "rsa", "-b", "2048"]])
def test_check_keys_of_ssh_keygen(tmp_path, secret, kind):
    for cipher in ("aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-cbc", "aes256-cbc", "aes128-gcm@openssh.com",
                   "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"):
        key = tmp_path / cipher
        if cipher == "aes128-ctr":
            keygen(key, "-a", "1", "-Z", cipher, *kind, passphrase=SECRET)
            first = key
        else:  # the same key anew: making one takes its time
            key.write_bytes(first.read_bytes())
            key.chmod(0o600)
            tool("ssh-keygen", "-q", "-p", "-P", SECRET, "-N", SECRET, "-a", "1", "-Z", cipher, "-f", key)
        [about] = describe(key)
        assert (about["encrypted"], about["form"], about["comment"]) == (cipher, "OpenSSH", None)
        assert about["sha256"] == fingerprint(f"{first}.pub", "sha256")
        assert about["md5"] == fingerprint(f"{first}.pub", "md5")
        [about] = describe("--passphrase-file", secret, key)
        assert about["comment"] == "me@here" and about["problem"] is None
    other = tmp_path / "other"
    other.write_text("wrong")
    other.chmod(0o600)
    check_error(run("ssh-key", "check", "--passphrase-file", other, key), 77, "the passphrase is wrong")


def test_check_asks(tmp_path):
    key = keygen(tmp_path / "key", "-t", "ed25519", "-a", "1", passphrase=SECRET)
    with Terminal("ssh-key", "check", "--open", str(key)) as t:
        for answer in ("wrong", SECRET):
            t.wait("passphrase of .*key: ")
            t.press(answer + "\n")
        t.wait("me@here")
        assert t.ended() == 0
    with Terminal("ssh-key", "check", "--open", str(key)) as t:
        for _ in range(3):
            t.wait("passphrase of .*key: ")
            t.press("wrong\n")
        assert t.ended() == 77
    check_error(run("ssh-key", "check", "--open", "--no-input", key), 2, "--no-input")


def test_check_problems(tmp_path):
    key = keygen(tmp_path / "key", "-t", "ed25519")
    key.chmod(0o640)
    [about] = describe(key, code=77)
    assert "0640" in about["problem"]
    assert describe(tmp_path / "key.pub")[0]["problem"] is None
    weak = keygen(tmp_path / "weak", "-t", "rsa", "-b", "1024")
    for path in (weak, tmp_path / "weak.pub"):
        done = run("ssh-key", "check", path)
        assert done.returncode == 77 and "1024 bits; at least 2048" in done.stderr
    text = key.read_text()
    key.write_text(text[:100] + text[120:])
    key.chmod(0o600)
    check_error(run("ssh-key", "check", key), 1, str(key))
    check_error(run("ssh-key", "check", tmp_path / "none"), 1, "none")


def test_check_certificates(tmp_path):
    authority, key = keygen(tmp_path / "ca", "-t", "ed25519"), keygen(tmp_path / "key", "-t", "ecdsa")
    cert = tmp_path / "key-cert.pub"
    tool("ssh-keygen", "-q", "-s", authority, "-I", "an id", "-n", "root,bob", "-V", "-1h:+1d", "-z", "7",
         "-O", "source-address=127.0.0.1", tmp_path / "key.pub")
    [about] = describe(cert)
    assert (about["kind"], about["certificate"], about["id"], about["serial"]) == ("certificate", "user", "an id", "7")
    assert (about["principals"], about["critical"]) == ("root,bob", "source-address")
    assert "permit-pty" in about["extensions"] and about["valid"] == "yes"
    assert about["authority"] == fingerprint(authority, "sha256") and about["sha256"] == fingerprint(key, "sha256")
    tool("ssh-keygen", "-q", "-s", authority, "-I", "x", "-h", "-V", "20200101:20200201", tmp_path / "key.pub")
    [about] = describe(cert)
    assert about["certificate"] == "host" and "not valid any more" in about["valid"]
    name, blob = cert.read_text().split()[:2]
    raw = bytearray(base64.b64decode(blob))
    raw[-1] ^= 1
    cert.write_text(f"{name} {base64.b64encode(raw).decode()}\n")
    assert describe(cert)[0]["valid"] != "yes"


# --- import ------------------------------------------------------------------------------------------------------

def openssl_forms(folder):
    """Private keys as openssl writes them, with the public half that ssh-keygen should see."""
    made = {"ed": ["-algorithm", "ed25519"], "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}
    for name, how in made.items():
        tool("openssl", "genpkey", *how, "-out", folder / f"{name}.pkcs8")
        locked = ["-topk8", "-in", folder / f"{name}.pkcs8", "-passout", f"pass:{SECRET}"]
        tool("openssl", "pkcs8", *locked, "-v2", "aes-256-cbc", "-out", folder / f"{name}.pbes2")
        if name == "ed":
            tool("openssl", "pkcs8", *locked, "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", "-out", folder / "ed.sha1")
        else:
            old = ["openssl", name, "-in", folder / f"{name}.pkcs8"] + (["-traditional"] if name == "rsa" else [])
            tool(*old, "-out", folder / f"{name}.old")
            tool(*old, "-aes192", "-passout", f"pass:{SECRET}", "-out", folder / f"{name}.dek")
    tool("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", folder / "params.old")


def test_import_openssl(tmp_path, secret):
    openssl_forms(tmp_path)
    for path in sorted(tmp_path.glob("*.*")):
        locked = path.suffix in (".pbes2", ".sha1", ".dek")
        out = tmp_path / f"{path.stem}-{path.suffix[1:]}"
        done = run("ssh-key", "import", "--passphrase-file", secret, "--comment", "it", path, "-o", out)
        assert done.returncode == 0, (path, done.stderr)
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        spki = tool("openssl", "pkey", "-in", path, "-passin", f"pass:{SECRET}", "-pubout")
        (tmp_path / "spki").write_text(spki)
        done = run("ssh-key", "import", tmp_path / "spki")
        if path.suffix in (".sha1", ".dek"):  # to open it costs the rounds of bcrypt, and is tried with .pbes2
            assert fingerprint(out, "sha256") == "SHA256:" + fingerprint_of(done.stdout.split()[1]), path
            continue
        assert public(out, SECRET if locked else "") == done.stdout.split()[:2], path
    check_error(run("ssh-key", "import", tmp_path / "ed.pkcs8"), 2, "--output")
    check_error(run("ssh-key", "import", "--no-input", tmp_path / "ed.pbes2", "-o", tmp_path / "x"), 2, "--no-input")
    check_error(run("ssh-key", "import", tmp_path / "ed.pkcs8", "-o", tmp_path / "ed-pkcs8"), 73, "exists")
    plain = tmp_path / "plain"
    done = run("ssh-key", "import", "--passphrase-file", secret, "--no-passphrase", tmp_path / "rsa.dek", "-o", plain)
    assert done.returncode == 0 and public(plain) == public(tmp_path / "rsa-old")


def sexp(*parts):
    return b"(" + b"".join(p if p.startswith(b"(") else b"%d:%s" % (len(p), p) for p in parts) + b")"


def test_import_public(tmp_path):
    for kind in (["ed25519"], ["ecdsa", "-b", "521"], ["rsa", "-b", "2048"]):
        key = keygen(tmp_path / kind[0], "-t", *kind)
        want = public(key)
        secsh = tool("ssh-keygen", "-e", "-f", f"{key}.pub")
        assert run("ssh-key", "import", "-", input=secsh).stdout.split()[:2] == want
        for form in ("PKCS8", "PEM") if kind[0] == "rsa" else ("PKCS8",) if kind[0] == "ecdsa" else ():
            pem = tool("ssh-keygen", "-e", "-m", form, "-f", f"{key}.pub")
            assert run("ssh-key", "import", "-", input=pem).stdout.split()[:2] == want
    raw, fields = base64.b64decode(want[1]), []
    while raw:
        size = struct.unpack(">I", raw[:4])[0]
        fields.append(raw[4:4 + size])
        raw = raw[4 + size:]
    lsh = sexp(b"public-key", sexp(b"rsa-pkcs1-sha1", sexp(b"n", fields[2]), sexp(b"e", fields[1])))
    (tmp_path / "lsh").write_bytes(b"{" + base64.b64encode(lsh) + b"}\n")
    out = tmp_path / "out"
    assert run("ssh-key", "import", tmp_path / "lsh", "--comment", "from lsh", "-o", out).returncode == 0
    assert out.read_text() == " ".join(want) + " from lsh\n"
    dsa = sexp(b"public-key", sexp(b"dsa", sexp(b"p", b"1"), sexp(b"q", b"1"), sexp(b"g", b"1"), sexp(b"y", b"1")))
    check_error(run("ssh-key", "import", "-", input=f"{{{base64.b64encode(dsa).decode()}}}"), 1, "not supported")
    weak = tool("ssh-keygen", "-e", "-f", f"{keygen(tmp_path / 'weak', '-t', 'rsa', '-b', '1024')}.pub")
    check_error(run("ssh-key", "import", "-", input=weak), 77, "1024 bits")


# --- other programs ----------------------------------------------------------------------------------------------

def test_dropbear(tmp_path):
    need_command("dropbearconvert")
    for kind in (["ed25519"], ["ecdsa", "-b", "384"]):  # RSA takes its time; puttygen reads ours
        ours, theirs, back = (tmp_path / f"{kind[0]}.{end}" for end in ("ours", "dropbear", "back"))
        done = run("ssh-key", "gen", "-t", *kind, "--no-passphrase", "-o", ours, timeout=60)
        assert done.returncode == 0, done.stderr
        tool("dropbearconvert", "openssh", "dropbear", ours, theirs)
        tool("dropbearconvert", "dropbear", "openssh", theirs, back)
        back.chmod(0o600)
        assert describe(back)[0]["sha256"] == describe(ours)[0]["sha256"]


def test_puttygen(tmp_path, secret):
    need_command("puttygen")
    for kind in (["ed25519"], ["ecdsa", "-b", "384"], ["rsa", "-b", "2048"]):
        ppk, new, pem = (tmp_path / f"{kind[0]}.{end}" for end in ("ppk", "new", "pem"))
        key = keygen(tmp_path / kind[0], "-t", *kind)  # puttygen itself needs seconds for an RSA key
        tool("puttygen", key, "-O", "private", "-o", ppk, "--new-passphrase", "/dev/null")
        line = tool("puttygen", "-L", ppk).split()[:2]
        forms = [(v, phrase) for v in (2, 3) for phrase in ("/dev/null", secret)]
        for version, phrase in forms if kind == ["ed25519"] else forms[3:]:
            path, ours = tmp_path / "a.ppk", tmp_path / f"{kind[0]}.{version}.{phrase == secret}"
            tool("puttygen", ppk, "-P", "--new-passphrase", phrase, "-o", path,
                 "--ppk-param", f"version={version},passes=2")
            path.chmod(0o600)
            [about] = describe("--passphrase-file", secret, path)
            assert (about["form"], about["sha256"]) == ("PuTTY", "SHA256:" + fingerprint_of(line[1]))
            done = run("ssh-key", "import", path, "-o", ours, "--passphrase-file", secret)
            assert done.returncode == 0, done.stderr
            assert public(ours, SECRET if phrase == secret else "") == line
        wrong = tmp_path / "wrong"
        wrong.write_text("another\n")
        wrong.chmod(0o600)
        done = run("ssh-key", "import", path, "-o", tmp_path / "no", "--passphrase-file", wrong)
        check_error(done, 77, "passphrase is wrong")
        tool("puttygen", ppk, "-O", "private-openssh-new", "-o", new, "--new-passphrase", secret)
        tool("puttygen", ppk, "-O", "private-openssh", "-o", pem, "--new-passphrase", "/dev/null")
        for path, form in ((new, "OpenSSH"), (pem, None)):
            path.chmod(0o600)
            [about] = describe("--passphrase-file", secret, path)
            assert form in (None, about["form"])
            assert about["sha256"] == "SHA256:" + fingerprint_of(line[1])
        ours = tmp_path / f"{kind[0]}.ours"
        assert run("ssh-key", "import", pem, "-o", ours).returncode == 0
        assert tool("puttygen", "-L", ours).split()[:2] == public(ours)
        secsh = tool("puttygen", "-O", "public", "-o", "/dev/stdout", ppk)
        assert run("ssh-key", "import", "-", input=secsh).stdout.split()[:2] == line


def fingerprint_of(blob):
    return base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")


def test_standard_input(tmp_path):
    key = keygen(tmp_path / "key", "-t", "ed25519")
    done = run("ssh-key", "check", "--json", "-", input=key.read_text())
    assert json.loads(done.stdout)[0]["sha256"] == fingerprint(key, "sha256")
