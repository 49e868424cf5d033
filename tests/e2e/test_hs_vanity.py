# SPDX-License-Identifier: MIT
"""netkit hs vanity: what is found is a key that works, and a search can be ended and gone on with."""

import base64
import json
import os
import signal
import stat

import pytest

from support import NETKIT, Program, check_error, run

LONG = "netkitnetkit"  # nobody finds this


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def check_service(path, address):
    """A HiddenServiceDir whose three files belong together."""
    assert mode(path) == 0o700
    assert sorted(os.listdir(path)) == ["hostname", "hs_ed25519_public_key", "hs_ed25519_secret_key"]
    assert (path / "hostname").read_text(encoding="ascii") == address + "\n"
    secret = (path / "hs_ed25519_secret_key").read_bytes()
    assert len(secret) == 96 and mode(path / "hs_ed25519_secret_key") == 0o600
    scalar = secret[32:64]
    assert scalar[0] & 7 == 0 and scalar[31] & 0xC0 == 0x40
    return scalar


def test_directories_for_tor(tmp_path):
    done = run("hs", "vanity", "ne", "QX", "-n", 6, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    *hits, last = lines(done)
    assert len(hits) == 6
    scalars = []
    for hit in hits:
        assert hit["address"].startswith(hit["pattern"].lower())
        assert os.path.basename(hit["path"]) == hit["address"]
        scalars.append(int.from_bytes(check_service(tmp_path / "out" / hit["address"], hit["address"]), "little"))
    for i, a in enumerate(scalars):  # no two from one secret
        for b in scalars[:i]:
            assert abs(a - b) > 1 << 64
    assert last["found"] == 6 and last["wanted"] == 6 and last["tried"] > 0


def test_plain_output_is_the_address(tmp_path):
    done = run("hs", "vanity", "[ab]c", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    address = done.stdout.rstrip("\n")
    assert address[:2] in ("ac", "bc") and address.endswith(".onion")
    check_service(tmp_path / address, address)


@pytest.mark.parametrize("form", ["arti", "control", "yaml", "hex"])
def test_other_forms(tmp_path, form):
    done = run("hs", "vanity", "s", "-o", tmp_path, "--format", form, "--json")
    assert done.returncode == 0, done.stderr
    hit = lines(done)[0]
    assert hit["path"] == str(tmp_path / f"{hit['address']}.{form}")
    assert mode(hit["path"]) == 0o600
    blind = run("hs", "blind", hit["path"], "--json")
    assert blind.returncode == 0, blind.stderr
    assert json.loads(blind.stdout)["address"] == hit["address"]


def test_words_from_a_file(tmp_path):
    words = tmp_path / "words"
    words.write_text("# two words\n\nzz\r\nyy", encoding="ascii")
    done = run("hs", "vanity", "-f", words, "-n", 3, "-o", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert {hit["pattern"] for hit in lines(done)[:-1]} <= {"zz", "yy"}


def test_many_words_at_once(tmp_path):
    words = "\n".join(f"{a}{b}{c}k" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx")
    done = run("hs", "vanity", "-f", "-", "-n", 20, "-o", tmp_path, "--json", input=words)
    assert done.returncode == 0, done.stderr
    for hit in lines(done)[:-1]:
        assert hit["address"].startswith(hit["pattern"]) and hit["pattern"] in words


def test_dry_run_writes_nothing(tmp_path):
    done = run("hs", "vanity", "ab", "-o", tmp_path / "none", "--checkpoint", tmp_path / "state", "--dry-run")
    assert done.returncode == 0 and done.stdout.startswith("ab")
    assert not os.listdir(tmp_path)


def test_estimate():
    done = run("hs", "vanity", "netkit", "--estimate", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["odds"] == pytest.approx(2.0**-30) and result["keys_per_s"] > 0
    assert result["half_s"] < result["mean_s"] < result["p95_s"]
    text = run("hs", "vanity", "netkit", "--estimate").stdout
    assert "one address in 1.1 billion" in text


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_ended_by_a_signal_and_gone_on_with(tmp_path, sig):
    state, out = tmp_path / "state", tmp_path / "out"
    search = Program([NETKIT, "hs", "vanity", LONG, "aa", "-n", "1000", "-o", out, "--checkpoint", state,
                      "--progress", "json", "-t", "1"])
    try:
        search.wait_line(r'"found":[1-9]')
        assert search.stop(sig) == 128 + sig
    finally:
        search.kill()
    assert mode(state) == 0o600
    first = json.loads(state.read_text(encoding="ascii"))
    assert first["wanted"] == 1000 and first["tried"] > 0
    # every address in it is there as a whole, and nothing else
    assert sorted(first["found"]) == sorted(os.listdir(out))
    for address in first["found"]:
        check_service(out / address, address)
    secrets = [(out / a / "hs_ed25519_secret_key").read_bytes() for a in first["found"]]
    raw = state.read_bytes()
    for s in secrets:
        assert s[32:64].hex().encode() not in raw and s[32:64] not in raw

    goal = len(first["found"]) + 2
    done = run("hs", "vanity", "-n", goal, "-o", out, "--checkpoint", state, "--json")
    assert done.returncode == 0, done.stderr
    assert len(lines(done)) == 3 and lines(done)[-1]["found"] == goal
    second = json.loads(state.read_text(encoding="ascii"))
    assert second["found"][: goal - 2] == first["found"] and len(second["found"]) == goal
    assert second["tried"] > first["tried"] and second["busy_ms"] >= first["busy_ms"]
    assert sorted(second["found"]) == sorted(os.listdir(out))

    done = run("hs", "vanity", "--checkpoint", state, "-o", out, "--json")  # nothing left to do
    assert done.returncode == 0 and lines(done)[-1]["tried"] == 0


def test_timeout(tmp_path):
    state = tmp_path / "state"
    done = run("hs", "vanity", LONG, "-o", tmp_path, "--checkpoint", state, "--timeout", "1", "-q")
    check_error(done, 75, "0 of 1")
    assert json.loads(state.read_text(encoding="ascii"))["tried"] > 0
    assert os.listdir(tmp_path) == ["state"]


def test_progress(tmp_path):
    done = run("hs", "vanity", LONG, "-o", tmp_path, "--timeout", "3", "--progress", "json")
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert told and told[-1]["keys_per_s"] > 0 and told[-1]["expected_s"] > 0


def test_checkpoint_of_something_else(tmp_path):
    state = tmp_path / "state"
    run("hs", "vanity", LONG, "-o", tmp_path, "--checkpoint", state, "--timeout", "500ms")
    before = state.read_bytes()
    check_error(run("hs", "vanity", "ab", "-o", tmp_path, "--checkpoint", state), 2, "something else")
    state.write_text("{}", encoding="ascii")
    check_error(run("hs", "vanity", "ab", "-o", tmp_path, "--checkpoint", state), 1, str(state), "no checkpoint")
    state.write_bytes(before.replace(b'"netkit-vanity": 1', b'"netkit-vanity": 9'))
    check_error(run("hs", "vanity", "ab", "-o", tmp_path, "--checkpoint", state), 1, "version 9")
    state.write_bytes(before)
    state.chmod(0o666)
    check_error(run("hs", "vanity", "--checkpoint", state, "-o", tmp_path), 77, str(state))
    assert os.listdir(tmp_path) == ["state"]


@pytest.mark.parametrize("args,code,words", [
    ([], 2, ["begin with"]),
    (["netk1t"], 2, ["never '1'", "'l'"]),
    (["..."], 2, ["every address"]),
    (["abcdefghijklm"], 2, ["longer than 12"]),
    (["ab", "--format", "hostname"], 2, ["hostname"]),
    (["ab", "--format", "nothing"], 2, ["nothing"]),
    (["ab", "-f", "/nonexistent"], 1, ["/nonexistent"]),
])
def test_refused(tmp_path, args, code, words):
    check_error(run("hs", "vanity", *args, "-o", tmp_path), code, *words)
    assert not os.listdir(tmp_path)


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x", encoding="ascii")
    done = run("hs", "vanity", "ab", "-o", tmp_path / "file")
    assert done.returncode != 0 and str(tmp_path / "file") in done.stderr


@pytest.mark.parametrize("kernel", ["portable", "avx512-ifma"])
def test_kernels(tmp_path, kernel):
    done = run("hs", "vanity", "k", "-o", tmp_path, "--kernel", kernel)
    if kernel != "portable" and "avx512ifma" not in open("/proc/cpuinfo", encoding="ascii").read():
        check_error(done, 1, "not on this processor")
        return
    assert done.returncode == 0, done.stderr
    check_service(tmp_path / done.stdout.strip(), done.stdout.strip())


def test_blind():
    """A blinded key that tor and arti agree on, and the period of rend-spec-v3's example."""
    address = "qm4zbmefygtirqouzcy7nnlk7l22f3fgorcj4hlqj6bxmxglppdbsuyd"
    done = run("hs", "blind", address + ".onion", "--period", 1234, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["address"] == address + ".onion"
    assert result["blinded_key"] == "3a50bf210e8f9ee955ae0014f7a6917fb65ebf098a86305abb508d1a7291b6d5"
    assert result["subcredential"] == "635d55907816e8d76398a675a50b1c2f3e36b42a5ca77ba3a0441285161ae07d"
    for when in ("2016-04-13T11:00:00Z", "1460545200"):
        result = json.loads(run("hs", "blind", address, "--time", when, "--json").stdout)
        assert result["period"] == 16903 and result["begins"] == "2016-04-12T12:00:00Z"
        assert result["ends"] == "2016-04-13T12:00:00Z" and len(set(result["index"])) == 2
    assert "blinded key    3a50bf21" in run("hs", "blind", address, "--period", 1234).stdout


def test_blind_writes_the_secret(tmp_path):
    service = run("hs", "vanity", "b", "-o", tmp_path, "--format", "arti", "--json")
    path = lines(service)[0]["path"]
    blinded = tmp_path / "blinded"
    done = run("hs", "blind", path, "--period", 20326, "-o", blinded, "--json")
    assert done.returncode == 0, done.stderr
    assert mode(blinded) == 0o600 and blinded.read_text(encoding="ascii").startswith("-----BEGIN OPENSSH")
    again = run("hs", "blind", blinded, "--period", 1, "--json")  # its public half is the blinded key
    key = json.loads(again.stdout)["address"]
    shown = json.loads(done.stdout)["blinded_key"]
    assert base64.b32decode(key[:56].upper())[:32].hex() == shown
    check_error(run("hs", "blind", path, "--period", 20326, "-o", blinded), 73, str(blinded))
    check_error(run("hs", "blind", lines(service)[0]["address"], "-o", tmp_path / "other"), 2, "secret key")


@pytest.mark.parametrize("args,words", [
    (["expyuzz4wqqyqhjn.onion"], ["version 2"]),
    (["/nonexistent"], ["/nonexistent"]),
    (["25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5aid"], ["checksum"]),
    (["25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid", "--time", "yesterday"], ["yesterday"]),
    (["25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid", "--time", "3"], ["no time periods"]),
    (["25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid", "--time", "3", "--period", "3"], ["exclude"]),
])
def test_blind_refuses(args, words):
    done = run("hs", "blind", *args)
    check_error(done, done.returncode, *words)
    assert done.returncode in (1, 2)
