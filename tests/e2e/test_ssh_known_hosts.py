# SPDX-License-Identifier: MIT
"""ssh-key known-hosts against ssh-keygen: both find, remove and hash the same in the same files."""

import json
import os
import subprocess

import pytest

import support

HOSTS = ["a.example", "b.example", "[a.example]:2222", "10.0.0.1", "fe80::1", "c", "d.example", "absent"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Public keys of three types, as TYPE BASE64."""
    support.need_command("ssh-keygen")
    folder = tmp_path_factory.mktemp("keys")
    out = []
    for kind in (["ed25519"], ["ecdsa"], ["rsa", "-b", "2048"]):
        path = folder / kind[0]
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "", "-f", path, "-t", *kind], check=True)
        out.append(" ".join((folder / f"{kind[0]}.pub").read_text().split()[:2]))
    return out


@pytest.fixture
def known(work, keys):
    """A file with everything that known_hosts may have."""
    path = work / "known_hosts"
    lines = [
        "# a comment", "", f"a.example {keys[0]}", f"a.example {keys[1]} with a comment",
        f"B.example,10.0.0.1 {keys[0]}", f"[a.example]:2222 {keys[2]}", f"*.example,!d.example {keys[2]}",
        f"@cert-authority * {keys[1]}", f"@revoked b.example {keys[1]}", f"c {keys[0]}", f"fe80::1\t{keys[1]}  x  ",
    ]
    path.write_text("\n".join(lines))  # the last line has no end
    return path


def keygen(*args):
    return subprocess.run(["ssh-keygen", *map(str, args)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=support.PATIENCE)


def netkit(verb, *args, **kw):
    return support.run("ssh-key", "known-hosts", verb, *args, **kw)


def found_by_both(host, path):
    theirs = [int(line.split(" line ")[1].split()[0])
              for line in keygen("-F", host, "-f", path).stdout.splitlines() if line.startswith("# Host")]
    done = netkit("find", "-f", path, host, "--json")
    ours = [entry["line"] for entry in json.loads(done.stdout)["entries"]]
    assert (done.returncode == 0) == bool(ours)
    return theirs, ours


@pytest.mark.parametrize("host", HOSTS)
def test_find(known, host):
    theirs, ours = found_by_both(host, known)
    assert ours == theirs
    assert keygen("-H", "-f", known).returncode == 0  # hashed by ssh-keygen
    theirs, ours = found_by_both(host, known)
    assert ours == theirs


@pytest.mark.parametrize("host", HOSTS)
def test_hash(known, host):
    before = found_by_both(host, known)[0]
    assert netkit("hash", "-f", known).returncode == 0
    text = known.read_text()
    assert "c ssh" not in text and "a.example ssh" not in text.replace("*.example", "")
    theirs, ours = found_by_both(host, known)
    assert ours == theirs and len(ours) == len(before)  # (the line with two names has become two)
    assert text.count("\n") == len(text.splitlines()) == 12
    assert netkit("hash", "-f", known).stdout.endswith(": 0 lines\n")
    assert known.read_text() == text


@pytest.mark.parametrize("host", ["a.example", "[a.example]:2222", "c", "fe80::1"])
def test_remove(work, known, host):
    """Where no line has other names, what is left is what ssh-keygen leaves."""
    text = "".join(line + "\n" for line in known.read_text().splitlines() if "*" not in line and "," not in line)
    known.write_text(text)
    other = work / "other"
    other.write_text(text)
    known.chmod(0o644)
    assert netkit("remove", "-f", known, host).returncode == 0
    assert keygen("-R", host, "-f", other).returncode == 0
    assert known.read_text() == other.read_text()
    assert known.stat().st_mode & 0o777 == 0o644
    assert netkit("remove", "-f", known, host).returncode != 0


def test_remove_of_one_name(known, keys):
    done = netkit("remove", "-f", known, "b.example")
    assert done.returncode == 0
    assert f"\n10.0.0.1 {keys[0]}\n" in known.read_text()
    assert f"{known}:7:" in done.stderr  # *.example stays
    assert "@revoked b.example" in known.read_text()
    before = known.read_text()
    assert netkit("remove", "-f", known, "c", "--dry-run").returncode == 0
    assert known.read_text() == before


def test_add(work, keys):
    path, pub = work / "ssh" / "known_hosts", work / "key.pub"
    pub.write_text(f"{keys[0]} somebody@somewhere\n# c\n\n{keys[1]}\n")
    assert netkit("add", "-f", path, "Host.Example", pub).returncode == 0
    assert path.read_text() == f"host.example {keys[0]}\nhost.example {keys[1]}\n"
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert netkit("add", "-f", path, "host.example", pub).stdout.endswith(": 0 lines\n")
    scanned = work / "scanned"
    scanned.write_text(f"other {keys[2]}\n")
    assert netkit("add", "-f", path, "--hash", "-p", "22022", "host.example", scanned).returncode == 0
    assert found_by_both("[host.example]:22022", path) == ([3], [3])
    assert netkit("add", "-f", path, "--ca", "*.example,!x.example", "-", input=keys[0]).returncode == 0
    assert path.read_text().endswith(f"\n@cert-authority *.example,!x.example {keys[0]}\n")
    assert netkit("add", "-f", path, "--revoked", "*", "-", input=keys[2]).returncode == 0
    before = path.read_text()
    for bad in ("ssh-ed25519 AAAA", "ssh-ed25519", "what is this", keys[0].replace("ssh-ed25519", "ssh-rsa")):
        assert netkit("add", "-f", path, "host.example", "-", input=bad).returncode != 0
    for host in ("a b", "*", "a,b", "", "@x"):
        assert netkit("add", "-f", path, "--", host, pub).returncode == 2
    assert path.read_text() == before
    link = work / "link"
    link.symlink_to(path)
    support.check_error(netkit("add", "-f", link, "new", pub), 1, "symbolic link")
    assert path.read_text() == before


def test_list_and_malformed(known, keys):
    with open(known, "a", encoding="ascii") as out:
        out.write(f"\nbroken\nh {keys[0]}A\n@what * {keys[0]}\n")
    done = netkit("list", "-f", known, "--json")
    assert done.returncode == 1
    for line in (12, 13, 14):
        assert f"{known}:{line}: " in done.stderr
    entries = {e["line"]: e for e in json.loads(done.stdout)["entries"]}
    assert entries[8]["marker"] == "cert-authority" and entries[9]["marker"] == "revoked"
    assert entries[5]["hosts"] == ["B.example", "10.0.0.1"]
    assert entries[4]["comment"] == "with a comment"
    printed = keygen("-l", "-f", known).stdout
    for entry in entries.values():
        assert entry["fingerprint"] in printed
    text = netkit("list", "-f", known).stdout
    assert len(text.splitlines()) == len(entries)


def test_home(work, keys):
    env = support.clean_env(HOME=str(work))
    assert netkit("add", "h", "-", input=keys[0], env=env).returncode == 0
    assert (work / ".ssh" / "known_hosts").read_text() == f"h {keys[0]}\n"
    assert os.stat(work / ".ssh").st_mode & 0o777 == 0o700
    assert netkit("find", "h", env=env).returncode == 0


def test_case_of_letters(known):
    upper = netkit("find", "-f", known, "A.Example")
    assert upper.returncode == 0 and upper.stdout == netkit("find", "-f", known, "a.example").stdout
