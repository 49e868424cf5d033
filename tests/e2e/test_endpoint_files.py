# SPDX-License-Identifier: MIT
"""`--format files`: each object a file, for receive, notify and the daemon's reads."""

import json
import pathlib
import pickle
import subprocess

import pytest

import support
from relay_support import NetkitRelay, PeerRelay, endpoint, lines, succeeded
from support import check_error


@pytest.fixture
def relay(programs, work):
    return NetkitRelay(programs, work, extra=("--session-grace", "500ms"))


@pytest.fixture
def into(work):
    path = work / "in"
    path.mkdir()
    return path


def contents(path):
    return {p.name: p.read_bytes() for p in path.iterdir()}


def produce(relay, *args, **kw):
    succeeded(endpoint(relay, "produce", "--to", "jobs", *args, **kw))


def test_each_kind_of_content(relay, work, into):
    (work / "p").write_bytes(pickle.dumps({"a": 1}))
    (work / "b").write_bytes(b"\0\xff")
    produce(relay, "--text", "gr\u00fc\u00dfe")
    produce(relay, "--text", "[1]", "--content", "json")
    produce(relay, work / "b")
    produce(relay, work / "p", "--as", "pickle")
    done = succeeded(endpoint(relay, "notify", "jobs=-1", "--format", "files", "--dir", into))
    found = contents(into)
    assert [pathlib.Path(p).name for p in done.stdout.splitlines()] == sorted(found)
    first = int(sorted(found)[0].split("-")[2].split(".")[0])
    assert found == {f"jobs-item-{first:012}.txt": "gr\u00fc\u00dfe".encode(),
                     f"jobs-item-{first + 1:012}.json": b"[1]",
                     f"jobs-item-{first + 2:012}.bin": b"\0\xff",
                     f"jobs-item-{first + 3:012}.pickle": (work / "p").read_bytes()}
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in into.iterdir())
    assert succeeded(endpoint(relay, "notify", "jobs=-1")).stdout == ""  # acknowledged


def test_follow_with_json(relay, running, into):
    r = running(relay, "receive", "--group", "../news", "--format", "files", "--dir", into, "--json")
    succeeded(endpoint(relay, "broadcast", "--to", "../news", "--text", "x", "--header", "a=b"))
    said = json.loads(r.line())
    assert said.pop("seq") > 0
    path = pathlib.Path(said.pop("file"))
    assert said.pop("kind") in ("broadcast", "retained")  # it may have been there first
    assert said == {"group": "../news", "headers": {"a": "b"}, "type": "str",
                    "bytes": 1}
    assert path.parent == into and path.name.startswith("%2E.%2Fnews-broadcast-")
    assert path.read_text() == "x"
    assert r.stop() == 0


def test_many_and_nothing_is_replaced(relay, into):
    text = "".join(f"{i}\n" for i in range(1000))
    produce(relay, "--lines", "--as", "str", input=text, timeout=60)
    done = endpoint(relay, "notify", "jobs=-1", "--format", "files", "--dir", into, timeout=120)
    paths = succeeded(done).stdout.splitlines()
    assert [pathlib.Path(p).read_text() for p in paths] == text.split()
    assert len(list(into.iterdir())) == 1000
    # the retained broadcast comes again with every receive
    succeeded(endpoint(relay, "broadcast", "--to", "g", "--text", "x"))
    names = [pathlib.Path(succeeded(endpoint(
        relay, "receive", "--group", "g", "-n", "1", "--format", "files", "--dir", into)).stdout
        .rstrip("\n")).name for _ in range(3)]
    stem = names[0][:-len(".txt")]
    assert names[1:] == [f"{stem}~2.txt", f"{stem}~3.txt"]


def test_tlspyo_wire_has_no_numbers(work, into):
    with PeerRelay(work) as relay:
        produce(relay, "--text", "a", "--text", "b")
        succeeded(endpoint(relay, "notify", "jobs=2", "--format", "files", "--dir", into))
        produce(relay, "--text", "c")
        succeeded(endpoint(relay, "notify", "jobs", "--format", "files", "--dir", into))
    assert contents(into) == {f"jobs-object-00000000000{i + 1}.txt": text
                              for i, text in enumerate((b"a", b"b", b"c"))}


def test_daemon_reads(programs, relay, into):
    argv = [support.NETKIT, "endpoint", "daemon", "--notify", "jobs=9", *relay.options()]
    daemon = programs(argv)
    daemon.wait_line("endpoint default: connected")

    def read(verb, *args):
        return support.run("endpoint", verb, *args, "--state-dir", relay.state)
    produce(relay, "--text", "a")
    done = succeeded(read("pop", "--block", "--format", "files", "--dir", into))
    assert pathlib.Path(done.stdout.rstrip("\n")).read_text() == "a"
    produce(relay, "--text", "b", "--text", "c")
    support.wait_until(lambda: json.loads(read("status").stdout)["waiting"] == 2)
    got = json.loads(succeeded(read("receive-all", "--format", "files", "--dir", into, "--json")).stdout)
    assert [pathlib.Path(d["file"]).read_text() for d in got] == ["b", "c"]
    assert [(d["group"], d["kind"], d["type"], d["bytes"]) for d in got] == [
        ("jobs", "item", "str", 1)] * 2
    check_error(read("pop", "--format", "files"), 2, "--dir")
    assert daemon.stop() == 0


def test_wrong_directories(relay, work, into):
    check_error(endpoint(relay, "receive", "--group", "g", "--format", "files"), 2, "--dir")
    check_error(endpoint(relay, "receive", "--group", "g", "--dir", into), 2, "--format files")
    check_error(endpoint(relay, "notify", "g", "--format", "files", "--dir", work / "none"), 1,
                "none", "No such file")
    check_error(endpoint(relay, "notify", "g", "--format", "files", "--dir", "/dev/null"), 1,
                "Not a directory")


def test_full_disk_loses_nothing(relay, work, running):
    """What could not be written was not acknowledged, and comes again."""
    support.need_root()
    small = work / "small"
    small.mkdir()
    subprocess.run([support.need_command("mount"), "-t", "tmpfs", "-o", "size=1m", "none", small],
                   check=True)
    try:
        for i in range(3):
            produce(relay, "--as", "bytes", input=f"{i}" * (400 << 10))
        done = endpoint(relay, "notify", "jobs=3", "--format", "files", "--dir", small)
        assert done.returncode == 74
        last = done.stderr.splitlines()[-1]
        assert "No space left" in done.stderr and str(small) in done.stderr
        assert "acknowledged" in done.stderr, last
        assert all(p.stat().st_size == 400 << 10 for p in small.iterdir())
        written = len(list(small.iterdir()))
        assert 1 <= written <= 2
        assert not [p for p in small.iterdir() if p.name.startswith(".")]
    finally:
        subprocess.run(["umount", small], check=True)
    left = lines(endpoint(relay, "notify", "jobs=-1"))  # at once: the command has said goodbye
    assert 3 - written <= len(left) <= 3 and all(d["tries"] == 1 for d in left)


def test_bad_output(relay, into):
    produce(relay, "--text", "x")
    with open("/dev/full", "wb") as full:
        done = endpoint(relay, "notify", "jobs", "--format", "files", "--dir", into, stdout=full)
    assert done.returncode == 74 and "output" in done.stderr
    assert [d["value"] for d in lines(endpoint(relay, "notify", "jobs"))] == ["x"]


def test_killed_while_writing(relay, running, into):
    """Files are whole or not there; what was not acknowledged comes again."""
    big = "y" * (1 << 20)
    succeeded(endpoint(relay, "produce", "--to", "jobs=20", "--as", "str", input=big))
    r = running(relay, "notify", "jobs=20", "--format", "files", "--dir", into)
    r.line()
    r.kill()
    whole = [p for p in into.iterdir() if not p.name.startswith(".")]
    assert whole and all(p.stat().st_size == 1 << 20 for p in whole)
    support.wait_until(lambda: leased(relay) == 0)
    left = lines(endpoint(relay, "notify", "jobs=-1", timeout=60))
    assert len(left) + len(whole) >= 20


def leased(relay):
    done = support.run("relay", "groups", "--state-dir", relay.state, "--json")
    return sum(g["leased"] for g in json.loads(done.stdout)["groups"])
