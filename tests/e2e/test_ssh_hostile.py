# SPDX-License-Identifier: MIT
"""An SSH server that breaks one rule at a time: every time a named error and its exit status, at once, and without
memory for what the server wants to have kept."""

import os
import pathlib
import resource
import subprocess

import pytest

import ssh_hostile
import support
from ssh_hostile import FAULTS, HostileServer

PROTOCOL, DENIED, UNAVAILABLE = 76, 77, 69
MEMORY = 16 << 20  # bytes it may allocate, whatever a server sends (without a sanitizer)
SECRET = "secret"
SANITIZED = b"__asan_init" in pathlib.Path(support.NETKIT).read_bytes()

# Exit status, words of the message, and how far the client came.
EXPECTED = {
    "lines-forever": (PROTOCOL, "no identification", None),
    "line-forever": (PROTOCOL, "too long", None),
    "http": (UNAVAILABLE, "Server: hostile", None),
    "ssh1": (PROTOCOL, "SSH-1.5-old", None),
    "refused": (UNAVAILABLE, "", None),
    "length-huge": (PROTOCOL, "4294967295 bytes", "ident"),
    "length-zero": (PROTOCOL, "0 bytes", "ident"),
    "length-odd": (PROTOCOL, "13 bytes", "ident"),
    "padding-all": (PROTOCOL, "padding", "ident"),
    "tag-wrong": (PROTOCOL, "MAC is wrong", "newkeys"),
    "kexinit-twice": (PROTOCOL, "KEXINIT", "ident"),
    "kexinit-short": (PROTOCOL, "KEXINIT is malformed", "ident"),
    "nothing-common": (PROTOCOL, "rot13", "ident"),
    "ignore-in-kex": (PROTOCOL, "IGNORE", "kexinit"),
    "debug-first": (PROTOCOL, "strict key exchange", "ident"),
    "success-in-kex": (PROTOCOL, "USERAUTH_SUCCESS", "kexinit"),
    "newkeys-early": (PROTOCOL, "NEWKEYS", "kexinit"),
    "zero-x25519": (PROTOCOL, "curve25519-sha256", "kex"),
    "short-x25519": (PROTOCOL, "31 bytes", "kex"),
    "short-mlkem": (PROTOCOL, "1119 bytes", "kex"),
    "signature-wrong": (DENIED, "signature", "kex"),
    "signature-name": (DENIED, "signature", "kex"),
    "signature-short": (DENIED, "signature", "kex"),
    "key-changes": (DENIED, "changed its host key", "request"),
    "rekey-data": (PROTOCOL, "CHANNEL_DATA", "request"),
    "service-wrong": (PROTOCOL, "SERVICE_ACCEPT", "newkeys"),
    "success-unasked": (PROTOCOL, "USERAUTH_SUCCESS", "newkeys"),
    "pk-ok-other": (PROTOCOL, "message 60", "service"),
    "prompts": (PROTOCOL, "message 60", "service"),
    "prompts-forever": (PROTOCOL, "message 60", "service"),
    "failures-forever": (DENIED, "permission denied", "service"),
    "banners-forever": (PROTOCOL, "BANNER", "service"),
    "window-overflow": (PROTOCOL, "window", "open"),
    "max-packet-zero": (PROTOCOL, "CHANNEL_OPEN_CONFIRMATION", "open"),
    "data-beyond": (PROTOCOL, "", "request"),
    "data-unknown": (PROTOCOL, "CHANNEL_DATA", "open"),
    "data-after-eof": (PROTOCOL, "", "request"),
    "confirm-twice": (PROTOCOL, "CHANNEL_OPEN_CONFIRMATION", "open"),
    "reply-unasked": (PROTOCOL, "CHANNEL_SUCCESS", "open"),
    "global-reply-unasked": (PROTOCOL, "REQUEST_SUCCESS", "open"),
    "ignore-forever": (75, "time allowed", "request"),
}
SERVED = ("honest", "opens-channels", "unknown-message")


def test_the_server_is_one():
    """OpenSSH's client is content with it as long as it is honest."""
    support.need_command("ssh")
    assert ssh_hostile.selftest() == 0


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory):
    """A directory with keys (user, host, ca, other), a password and a file to get."""
    support.need_command("ssh-keygen")
    path = tmp_path_factory.mktemp("keys")
    path.chmod(0o700)
    for name in ("user", "host", "ca", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path / name], check=True)
    for name, content in (("password", SECRET), ("file", "what is to be got")):
        (path / name).write_text(content, encoding="ascii")
        (path / name).chmod(0o600)
    if not os.access(ssh_hostile.SFTP_SERVER, os.X_OK):
        support.missing_peer("OpenSSH's sftp-server")
    return path


@pytest.fixture(name="get")
def fixture_get(keys, work):
    """get(SERVER, WORDS.., known=): what becomes of `sftp get` of the file, with little memory."""

    def run(server, *words, known=None, timeout="15s"):
        (work / "known_hosts").write_text(known or server.known_hosts_line(), encoding="ascii")
        argv = [support.NETKIT, "sftp", "get", "--timeout", timeout, "--no-input", "-F", "none", "-P", server.port, "-i",
                keys / "user", "-o", f"UserKnownHostsFile={work}/known_hosts", "-o", "GlobalKnownHostsFile=none", "-o",
                "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", *words, f"me@127.0.0.1:{keys}/file", work / "got"]
        limit = None if SANITIZED else lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        # pylint: disable-next=subprocess-popen-preexec-fn
        done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, preexec_fn=limit,
                              timeout=support.PATIENCE, check=False, env=support.clean_env(HOME=str(work)))
        done.got = (work / "got").read_text(encoding="ascii") if (work / "got").exists() else None
        return done

    return run


@pytest.mark.parametrize("fault", SERVED)
def test_served(get, fault):
    with HostileServer(fault) as server:
        done = get(server)
        assert done.returncode == 0 and done.got == "what is to be got", (done.stderr, server.reached, server.errors)


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_fault(get, keys, fault):
    code, words, reached = EXPECTED[fault]
    more = ["--password-file", keys / "password", "-o", "PubkeyAuthentication=no"] if fault.startswith("prompts") else []
    with HostileServer(fault) as server:
        done = get(server, *more, timeout="700ms" if fault == "ignore-forever" else "15s")
        assert done.returncode == code and words in done.stderr, (done.returncode, done.stderr, server.errors)
        assert done.stderr.startswith("netkit sftp get: ") or fault == "banners-forever"
        assert "\x1b" not in done.stderr and "\x07" not in done.stderr
        assert reached is None or reached in server.reached, server.reached
        assert done.got is None


@pytest.mark.parametrize("step", ssh_hostile.STEPS)
@pytest.mark.parametrize("how", ["end", "disconnect"])
def test_ends(get, how, step):
    """The connection ends at each step, with and without a word."""
    with HostileServer(f"{how}-{step}") as server:
        done = get(server)
        assert done.returncode in (UNAVAILABLE, DENIED), (done.returncode, done.stderr)
        assert len(done.stderr.splitlines()) == 1 and "\x1b" not in done.stderr, done.stderr
        assert how == "end" or "go away" in done.stderr
        assert step in server.reached and done.got is None


def test_every_fault_is_tried():
    ends = {f"{how}-{step}" for how in ("end", "disconnect") for step in ssh_hostile.STEPS}
    assert set(FAULTS) == set(EXPECTED) | set(SERVED) | ends


def test_another_key(get, keys):
    with HostileServer() as server:
        other = (keys / "other.pub").read_text(encoding="ascii")
        done = get(server, known=f"[127.0.0.1]:{server.port} {other}")
        assert done.returncode == DENIED and "kex" in server.reached and "auth" not in server.reached, done.stderr
        done = get(server, known="# nobody\n")
        assert done.returncode == DENIED and "auth" not in server.reached, done.stderr
        done = get(server, known=server.known_hosts_line() + f"@revoked * {server.host_public}\n")
        assert done.returncode == DENIED and "auth" not in server.reached, done.stderr


CERTIFICATES = {
    "good": (["-h", "-n", "127.0.0.1", "-V", "-1h:+1h"], "ca", 0),
    "expired": (["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], "ca", DENIED),
    "early": (["-h", "-n", "127.0.0.1", "-V", "+1h:+2h"], "ca", DENIED),
    "elsewhere": (["-h", "-n", "10.0.0.1", "-V", "-1h:+1h"], "ca", DENIED),
    "nobody": (["-h", "-V", "-1h:+1h"], "ca", DENIED),
    "user": (["-n", "127.0.0.1", "-V", "-1h:+1h"], "ca", DENIED),
    "critical": (["-h", "-n", "127.0.0.1", "-V", "-1h:+1h", "-O", "critical:x@example.org"], "ca", DENIED),
    "stranger": (["-h", "-n", "127.0.0.1", "-V", "-1h:+1h"], "other", DENIED),
}


@pytest.mark.parametrize("name", sorted(CERTIFICATES))
def test_certificates(get, keys, work, name):
    words, signer, code = CERTIFICATES[name]
    for suffix in ("", ".pub"):
        (work / f"host{suffix}").write_bytes((keys / f"host{suffix}").read_bytes())
    subprocess.run(["ssh-keygen", "-q", "-s", keys / signer, "-I", name, *words, work / "host.pub"], check=True)
    authority = (keys / "ca.pub").read_text(encoding="ascii")
    with HostileServer(host_key=work / "host", certificate=work / "host-cert.pub") as server:
        done = get(server, known=f"@cert-authority * {authority}")
        assert done.returncode == code, (done.returncode, done.stderr, server.reached, server.errors)
        assert (done.got is not None) == (code == 0) and ("auth" in server.reached) == (code == 0)
