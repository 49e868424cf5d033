# SPDX-License-Identifier: MIT
"""The worked example of modules/ssh/README.md, tests/peers/ssh_guide.c, against real servers: a host key known by its
fingerprint, login with a key, a session channel, exec cat, data, end of data, the same back, close. And
tests/peers/ssh_many.c: the same in many channels of one connection."""

import base64
import fcntl
import hashlib
import subprocess

import pytest
import ssh_servers as real_servers
import support

BEGIN_EARLY = True  # see conftest.py
TEXT = "to be, or not to be\n" * 5000  # more than a packet, fewer bytes than an argument may have
GIBIBYTE = 1 << 30
ORDER = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")  # of host keys, as netkit asks for them


def compiled(name):
    """A program of tests/peers, linked with netkit's libraries; once for all workers."""
    out = support.ROOT / "build" / "e2e" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out.parent / "ssh.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["./build.sh", "program", "release", f"tests/peers/{name}.c", out], cwd=support.ROOT, check=True)
    return out


@pytest.fixture(scope="session")
def guide():
    return compiled("ssh_guide")


@pytest.fixture(scope="session")
def many():
    return compiled("ssh_many")


def fingerprints(servers, server):
    """(MD5, SHA256) of the host key that netkit will ask for."""
    keys = {}
    for line in servers.known_hosts.read_text(encoding="ascii").splitlines():
        host, kind, blob = line.split()[:3]
        if host == f"[{server.host}]:{server.port}":
            keys[kind] = base64.b64decode(blob)
    blob = next(keys[kind] for kind in ORDER if kind in keys)
    md5 = hashlib.md5(blob).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
    return ":".join(md5[i:i + 2] for i in range(0, len(md5), 2)), "SHA256:" + sha256


def run(program, servers, server, fingerprint, *text, key="ed25519", user=None, timeout=support.PATIENCE):
    argv = [program, f"tcp:{server.host}:{server.port}", user or server.user, servers.identity[key], fingerprint, *text]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout, check=False)


@pytest.mark.parametrize("name", real_servers.NAMES)
def test_guide(ssh_servers, guide, name):
    server = ssh_servers.get(name)
    md5, sha256 = fingerprints(ssh_servers, server)
    for fingerprint in (md5, "MD5:" + md5, sha256):
        done = run(guide, ssh_servers, server, fingerprint, TEXT)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == TEXT


@pytest.mark.parametrize("key", ["ecdsa", "rsa"])
def test_other_keys(ssh_servers, guide, key):
    server = ssh_servers.get("openssh")
    done = run(guide, ssh_servers, server, fingerprints(ssh_servers, server)[1], "x", key=key)
    assert (done.returncode, done.stdout, done.stderr) == (0, "x", "")


def test_rekey(ssh_servers, guide, many):
    """A server that wants new keys every 16 KiB, in the middle of data in both directions; and a client that wants
    the same, with 50 channels whose every byte is compared."""
    server = ssh_servers.start("openssh", ["RekeyLimit 16K", "LogLevel DEBUG1"])
    sha256 = fingerprints(ssh_servers, server)[1]
    done = run(guide, ssh_servers, server, sha256, TEXT)
    assert (done.returncode, done.stdout, done.stderr) == (0, TEXT, "")
    support.wait_until(lambda: server.log().count("SSH2_MSG_NEWKEYS received") > 4)
    done = run(many, ssh_servers, server, sha256, "50", "20000", "16384")
    assert (done.returncode, done.stderr) == (0, "")
    words = done.stdout.split()
    assert int(words[words.index("rekeys") + 1]) > 20


def test_a_gibibyte(ssh_servers, many):
    """chacha20-poly1305 is to have new keys after 1 GiB (RFC 4344 3.2 with blocks of 8 bytes), which OpenSSH asks for,
    too: more than that, in both directions at once, every byte compared. This takes its time."""
    server = ssh_servers.start("openssh", ["LogLevel DEBUG1"])
    sha256 = fingerprints(ssh_servers, server)[1]
    done = run(many, ssh_servers, server, sha256, "1", str(GIBIBYTE + (16 << 20)), "0", "chacha20-poly1305@openssh.com",
               timeout=10 * support.PATIENCE)
    assert (done.returncode, done.stderr) == (0, ""), server.log()[-3000:]
    words = done.stdout.split()
    assert int(words[words.index("rekeys") + 1]) >= 1
    assert server.log().count("SSH2_MSG_NEWKEYS received") >= 2


def test_refusals(ssh_servers, guide):
    server = ssh_servers.get("openssh")
    md5, sha256 = fingerprints(ssh_servers, server)
    for wrong in (md5[:-2] + ("00" if md5[-2:] != "00" else "01"), sha256[:-2] + ("AA" if sha256[-2:] != "AA" else "AE")):
        done = run(guide, ssh_servers, server, wrong)
        assert done.returncode == 77 and "host key was refused" in done.stderr and not done.stdout
    done = run(guide, ssh_servers, server, sha256, user="nobody-of-that-name")
    assert done.returncode == 77 and "permission denied" in done.stderr and not done.stdout
