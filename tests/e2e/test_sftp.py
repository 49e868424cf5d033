# SPDX-License-Identifier: MIT
"""sftp put and get: OpenSSH's sftp-server at the other end of a pipe, and one that lies."""

import hashlib
import json
import os
import random
import sys

import pytest

import support

SERVER = "/usr/lib/openssh/sftp-server"
PART = ".nk-part"
HOSTILE = support.ROOT / "tests" / "peers" / "sftp_hostile.py"


@pytest.fixture(name="sftp")
def fixture_sftp(work):
    """sftp(VERB, WORDS..) in an empty directory, with what --json told as .state."""
    if not os.access(SERVER, os.X_OK):
        support.missing_peer("OpenSSH's sftp-server")

    def run(verb, *words, server=SERVER):
        done = support.run("sftp", verb, "--json", "--connect", f"exec:{server}", *words, cwd=work)
        done.state = json.loads(done.stdout) if done.stdout else None
        return done

    return run


def make_tree(top):
    rng = random.Random(4711)
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "empty").mkdir()
    for name, size in (("zero", 0), ("one", 1), ("a packet", 32768), ("sub/more", 261121), ("sub/deep/large", 3000000)):
        (top / name).write_bytes(rng.randbytes(size))
    for i in range(50):
        (top / "sub" / f"n{i}").write_text(str(i), encoding="ascii")
    (top / "one").chmod(0o640)
    os.utime(top / "one", (1111111111, 1222222222))
    (top / "link").symlink_to("/etc/passwd")
    return 55


def tree(top):
    return {str(p.relative_to(top)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else None
            for p in top.rglob("*") if not p.is_symlink()}


@pytest.mark.parametrize("verb", ["put", "get"])
def test_tree(work, sftp, verb):
    files = make_tree(work / "from")
    words = ["from", f":{work}/to"] if verb == "put" else [f":{work}/from", "to"]
    done = sftp(verb, "-rp", "--sync", *words)
    assert done.returncode == 0, done.stderr
    assert tree(work / "to") == tree(work / "from")
    st = (work / "to" / "one").stat()
    assert (st.st_mode & 0o777, int(st.st_mtime)) == (0o640, 1222222222)
    assert done.state["files"] == files and done.state["left_out"] == 1 and done.state["bytes"] == done.state["total"]
    assert "link: a symbolic link" in done.stderr
    assert not list((work / "to").rglob("*" + PART))
    # once more, into what is there; all of it is
    done = sftp(verb, "-rp", "--resume", *([f"from/.", f":{work}/to"] if verb == "put" else [f":{work}/from/.", "to"]))
    had = files if verb == "put" else files - 1  # a server may give files without a size content, as /proc does
    assert (done.returncode, done.state["had"], done.state["bytes"]) == (0, had, 0), done.stderr


@pytest.mark.parametrize("verb", ["put", "get"])
@pytest.mark.parametrize("sound", [True, False])
def test_resume(work, sftp, verb, sound):
    data = random.Random(1).randbytes(1000000)
    (work / "from").write_bytes(data)
    part = bytearray(data[:400001])
    if not sound:
        part[-1] ^= 1
    (work / f"to{PART}").write_bytes(part)
    words = ["from", f":{work}/to"] if verb == "put" else [f":{work}/from", "to"]
    done = sftp(verb, "--resume", *words)
    assert done.returncode == 0, done.stderr
    assert (work / "to").read_bytes() == data and not (work / f"to{PART}").exists()
    assert done.state["bytes"] == (len(data) - len(part) if sound else len(data))
    # without --resume it begins anew, over a part that is there
    (work / f"to{PART}").write_bytes(part)
    done = sftp(verb, *words)
    assert (done.returncode, done.state["bytes"]) == (0, len(data))
    assert not (work / f"to{PART}").exists()


@pytest.mark.parametrize("verb", ["put", "get"])
def test_parts_of_others_are_left_alone(work, sftp, verb):
    """A part that lies beside its file, of a transfer that was cut off, does not become the file."""
    (work / "from").mkdir()
    (work / "from" / "a").write_bytes(whole := random.Random(2).randbytes(3000000))
    (work / "from" / f"a{PART}").write_bytes(b"old")
    words = ["from", f":{work}/to"] if verb == "put" else [f":{work}/from", "to"]
    done = sftp(verb, "-r", *words)
    assert (done.returncode, done.state["files"], done.state["left_out"]) == (0, 1, 1), done.stderr
    assert (work / "to" / "a").read_bytes() == whole and f"a{PART}: a part" in done.stderr
    assert not (work / "to" / f"a{PART}").exists()
    words = [f"from/a{PART}", f":{work}/to"] if verb == "put" else [f":{work}/from/a{PART}", "to"]
    assert sftp(verb, *words).returncode == 0  # who names it gets it
    assert (work / "to" / f"a{PART}").read_bytes() == b"old"


@pytest.mark.parametrize("verb", ["put", "get"])
def test_one_name_for_two_files(work, sftp, verb):
    """They do not write into each other: one is whole, the other is refused."""
    for name in ("one", "two", "to"):
        (work / name).mkdir()
    (work / "one" / "x").write_bytes(whole := random.Random(3).randbytes(3000000))
    (work / "two" / "x").write_bytes(b"short")
    words = ["one/x", "two/x", f":{work}/to"] if verb == "put" else [f":{work}/one/x", f":{work}/two/x", "to"]
    done = sftp(verb, *words)
    assert (done.returncode, done.state["files"], done.state["failed"]) == (73, 1, 1), done.stderr
    assert "two files for one name: " in done.stderr and (work / "to" / "x").read_bytes() == whole
    assert not (work / "to" / f"x{PART}").exists()


def test_resume_does_not_trust_holes(work, sftp):
    data = random.Random(2).randbytes(1000000)
    (work / "from").write_bytes(data)
    with open(work / f"to{PART}", "wb") as f:
        f.write(data[:65536])
        f.seek(900000)
        f.write(data[900000:])
    done = sftp("get", "--resume", f":{work}/from", "to")
    assert done.returncode == 0 and (work / "to").read_bytes() == data, done.stderr
    assert done.state["bytes"] == len(data) - 65536


def test_where_things_go(work, sftp):
    for name in ("a", "b"):
        (work / name).write_text(name, encoding="ascii")
    (work / "dir").mkdir()
    assert sftp("put", "a", "b", f":{work}/dir").returncode == 0
    assert sftp("put", "a", f":{work}/dir/").returncode == 0
    assert sftp("put", "a", f":{work}/dir/c").returncode == 0
    assert sftp("get", f":{work}/a", f":{work}/b", "dir").returncode == 0
    assert sorted(p.name for p in (work / "dir").iterdir()) == ["a", "b", "c"]
    old = os.umask(0o027)  # modes that are not preserved are what the user's umask leaves
    try:
        assert sftp("get", f":{work}/a", "dir/d").returncode == 0
    finally:
        os.umask(old)
    assert (work / "dir" / "d").stat().st_mode & 0o777 == (work / "a").stat().st_mode & 0o750
    # a name that exists is replaced, and a link is not followed
    (work / "dir" / "c").unlink()
    (work / "dir" / "c").symlink_to(work / "b")
    assert sftp("put", "a", f":{work}/dir/c").returncode == 0
    assert (work / "b").read_text(encoding="ascii") == "b" and not (work / "dir" / "c").is_symlink()
    for words in (["put", "a", "b", f":{work}/a"], ["put", "a", f":{work}/new/"], ["put", "missing", f":{work}/dir"],
                  ["get", f":{work}/missing", "dir"], ["get", f":{work}/a", "new/"], ["put", "a", f":{work}/new/c"],
                  ["get", f":{work}/a", f":{work}/b", "a"]):
        done = sftp(*words)
        assert done.returncode not in (0, 70), words
        assert len(done.stderr.splitlines()) == 1 and done.state["failed"] == 1, (words, done.stderr)
    assert "a directory" in sftp("put", "dir", f":{work}/elsewhere").stderr
    for words in (["put", "a", "dir"], ["get", "a", "dir"], ["get", "h:a", "i:b", "dir"]):
        assert sftp(*words).returncode == 2


def test_links_here_are_not_followed_out(work, sftp):
    (work / "from" / "sub").mkdir(parents=True)
    (work / "from" / "sub" / "evil").write_text("evil", encoding="ascii")
    (work / "outside").mkdir()
    (work / "to").mkdir()
    (work / "to" / "sub").symlink_to(work / "outside")
    done = sftp("get", "-r", f":{work}/from/.", "to")
    assert done.returncode != 0 and "sub" in done.stderr
    assert not list((work / "outside").iterdir())


def test_a_part_that_is_a_link_is_not_written_through(work, sftp):
    (work / "from").write_text("new", encoding="ascii")
    (work / "precious").write_text("old", encoding="ascii")
    for verb, words in (("put", ["from", f":{work}/to"]), ("get", [f":{work}/from", "to"])):
        for more in ([], ["--resume"]):
            (work / f"to{PART}").symlink_to(work / "precious")
            done = sftp(verb, *more, *words)
            assert done.returncode == 0, (verb, more, done.stderr)
            assert (work / "precious").read_text(encoding="ascii") == "old"
            assert (work / "to").read_text(encoding="ascii") == "new" and not (work / "to").is_symlink()
            (work / "to").unlink()


# --- a server that is not honest ---------------------------------------------------------------


@pytest.fixture(name="hostile")
def fixture_hostile(sftp):
    """hostile(MODE): what becomes of `get -r :tree/. to`."""
    return lambda mode, *words: sftp("get", "-r", *words, ":tree/.", "to", server=f"{sys.executable} -B {HOSTILE} {mode}")


def everything(work):
    return sorted(str(p.relative_to(work)) for p in work.rglob("*") if not p.is_dir())


def test_honest(work, hostile):
    assert hostile("honest").returncode == 0
    assert everything(work) == ["to/ok"] and (work / "to" / "ok").read_text(encoding="ascii") == "hello"


def test_names_that_lead_elsewhere(work, hostile):
    done = hostile("names")
    assert done.returncode == 76 and done.stderr.count("refused the file name") == 6, done.stderr
    assert everything(work) == ["to/ok"]


@pytest.mark.parametrize("mode", ["short", "backwards"])
def test_reads_of_any_size_and_order(work, hostile, mode):
    done = hostile(mode)
    assert done.returncode == 0, done.stderr
    assert (work / "to" / "large").read_bytes() == bytes(i * 7 % 251 for i in range(1000000))


@pytest.mark.parametrize("mode, code, words", [
    ("more", 76, "malformed reply"), ("shrinks", 76, "shorter"), ("unasked", 76, "not asked"), ("length", 76, "2147483647 bytes"),
    ("version2", 1, "version 2"), ("text", 76, "bytes"), ("end", 76, "ended the connection"), ("deep", 1, "limit")])
def test_lies(work, hostile, mode, code, words):
    done = hostile(mode)
    assert done.returncode == code and words in done.stderr, (done.returncode, done.stderr)
    assert not (work / "to" / "large").exists()


def test_silence_ends_with_the_time_allowed(hostile):
    done = hostile("silent", "--timeout", "300ms")
    assert done.returncode == 75 and "time allowed" in done.stderr


def test_what_came_before_the_end_is_resumed(work, hostile):
    assert hostile("end", "--resume").returncode == 76
    part = work / "to" / f"large{PART}"
    assert part.exists() and not (work / "to" / "large").exists()
    done = hostile("backwards", "--resume")
    assert done.returncode == 0 and done.state["had"] == 1, done.stderr
    assert (work / "to" / "large").read_bytes() == bytes(i * 7 % 251 for i in range(1000000))


def test_program_of_proxy_command(work, ssh_servers):
    """--ssh-env and --ssh-cwd are those of the program that leads to the host; netkit's own stay as they are."""
    server = ssh_servers.get("openssh")
    (work / "there").mkdir()
    (work / "there" / "way").write_text("#!/bin/sh\nprintf '%s' \"$NK_ONE,$NK_TWO,$PWD\" > seen\n"
                                        f"exec {support.NETKIT} forward stdio: tcp:$1:$2\n", encoding="ascii")
    (work / "there" / "way").chmod(0o700)
    (work / "from").write_text("text", encoding="ascii")
    words = ["-F", "none", "-P", server.port, "-i", ssh_servers.identity["ed25519"]]
    for option in (f"UserKnownHostsFile={ssh_servers.known_hosts}", "ProxyCommand=./way %h %p", "IdentitiesOnly=yes"):
        words += ["-o", option]
    done = support.run("sftp", "put", *words, "--ssh-env", "NK_ONE=1", "--ssh-env", "NK_TWO=50%,", "--ssh-cwd",
                       work / "there", "from", f"{server.user}@{server.host}:put", cwd=work)
    assert done.returncode == 0, done.stderr
    assert (work / "there" / "seen").read_text(encoding="ascii") == f"1,50%,,{work}/there"
    assert (ssh_servers.home / "put").read_text(encoding="ascii") == "text"
