# SPDX-License-Identifier: MIT
"""An SSH server that breaks one rule at a time: every time a named error and its exit status, at once, and without
memory for what the server wants to have kept. `./build.sh test hostile_asan` runs this on a binary with sanitizers."""

import collections
import contextlib
import os
import pathlib
import resource
import signal
import socket
import subprocess
import threading

import pytest

import ssh_hostile
import support
from ssh_faults import FAULTS, STEPS
from ssh_hostile import HostileServer
from ssh_packets import CONFIRMATION, GLOBAL_REQUEST, OPEN, OPEN_FAILURE, REQUEST_SUCCESS, string, u32

PROTOCOL, DENIED, UNAVAILABLE, TIMEOUT = 76, 77, 69, 75
FAILED = 255  # of ssh, for everything
MEMORY = 16 << 20  # bytes it may allocate, whatever a server sends
SANITIZED_MEMORY = 400  # MiB it may use with AddressSanitizer
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
    "sealed-huge": (PROTOCOL, "4294967295 bytes", "newkeys"),
    "sealed-zero": (PROTOCOL, "0 bytes", "newkeys"),
    "sealed-odd": (PROTOCOL, "33 bytes", "newkeys"),
    "prefix-truncated": (PROTOCOL, "MAC is wrong", "newkeys"),
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
    "random-mlkem": (DENIED, "signature", "kex"),
    "zero-mlkem": (PROTOCOL, "mlkem768x25519-sha256", "kex"),
    "point-mlkem": (PROTOCOL, "32 bytes", "kex"),
    "one-dh": (PROTOCOL, "not in the group", "kex"),
    "small-group": (PROTOCOL, "1024 bits", "kex"),
    "even-group": (PROTOCOL, "is not safe", "kex"),
    "off-curve": (PROTOCOL, "ecdh-sha2-nistp256", "kex"),
    "signature-wrong": (DENIED, "signature", "kex"),
    "signature-name": (DENIED, "signature", "kex"),
    "signature-short": (DENIED, "signature", "kex"),
    "key-changes": (DENIED, "changed its host key", "request"),
    "rekey-data": (PROTOCOL, "CHANNEL_DATA", "request"),
    "rekey-kexinit-twice": (PROTOCOL, "KEXINIT", "request"),
    "newkeys-twice": (PROTOCOL, "NEWKEYS", "newkeys"),
    "ext-info-huge": (PROTOCOL, "EXT_INFO is malformed", "newkeys"),
    "ext-info-forever": (PROTOCOL, "EXT_INFO again", "newkeys"),
    "service-wrong": (PROTOCOL, "SERVICE_ACCEPT", "newkeys"),
    "success-unasked": (PROTOCOL, "USERAUTH_SUCCESS", "newkeys"),
    "pk-ok-other": (PROTOCOL, "message 60", "service"),
    "prompts": (PROTOCOL, "message 60", "service"),
    "prompts-forever": (PROTOCOL, "message 60", "service"),
    "failures-forever": (DENIED, "permission denied", "service"),
    "partial-forever": (DENIED, "permission denied", "service"),
    "data-early": (PROTOCOL, "CHANNEL_DATA (94) before the login", "service"),
    "open-early": (PROTOCOL, "CHANNEL_OPEN (90) before the login", "service"),
    "banners-forever": (PROTOCOL, "BANNER", "service"),
    "window-overflow": (PROTOCOL, "window", "open"),
    "max-packet-zero": (PROTOCOL, "CHANNEL_OPEN_CONFIRMATION", "open"),
    "data-beyond": (PROTOCOL, "", "request"),
    "data-unknown": (PROTOCOL, "CHANNEL_DATA", "open"),
    "data-after-eof": (PROTOCOL, "", "request"),
    "confirm-twice": (PROTOCOL, "CHANNEL_OPEN_CONFIRMATION", "open"),
    "close-twice": (PROTOCOL, "", "request"),
    "eof-twice": (PROTOCOL, "", "request"),
    "adjust-unknown": (PROTOCOL, "CHANNEL_WINDOW_ADJUST", "request"),
    "request-short": (PROTOCOL, "CHANNEL_REQUEST", "request"),
    "status-short": (PROTOCOL, "ended the connection", "request"),
    "signal-escape": (PROTOCOL, "ended the connection", "request"),
    "open-refused": (DENIED, "not today", "open"),
    "reply-unasked": (PROTOCOL, "CHANNEL_SUCCESS", "open"),
    "global-reply-unasked": (PROTOCOL, "REQUEST_SUCCESS", "open"),
    "ignore-forever": (TIMEOUT, "time allowed", "request"),
    "requests-forever": (TIMEOUT, "time allowed", "request"),
}
SERVED = ("honest", "not-strict", "opens-channels", "unknown-message", "extended-other", "hostkeys-bad", "hostkeys-many")
FOREVER = ("ignore-forever", "requests-forever")  # what never ends by itself
# What ssh says other than sftp, which has an opinion about the data and about their end.
SSH_SAYS = {
    "data-beyond": "CHANNEL_DATA goes beyond its window",
    "data-after-eof": "CHANNEL_DATA comes after its end",
    "eof-twice": "CHANNEL_EOF comes twice",
    "close-twice": "did not say how the program ended",
    "status-short": "did not say how the program ended",
    "signal-escape": "did not say how the program ended",
}


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


def limited(argv, work, before=lambda: None, **kw):
    """Run it with little memory; what it says is not read until before() returns."""
    data = kw.pop("input", None)
    env = support.clean_env(HOME=str(work), SSH_AUTH_SOCK="", ASAN_OPTIONS=f"hard_rss_limit_mb={SANITIZED_MEMORY}")
    limit = None if SANITIZED else lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    kw = {"stdin": subprocess.PIPE if data is not None else subprocess.DEVNULL, **kw}
    # pylint: disable-next=subprocess-popen-preexec-fn
    with subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit, env=env,
                          **kw) as proc:
        try:
            before()
            out, err = proc.communicate(data, timeout=support.PATIENCE)
        finally:
            proc.kill()
    return subprocess.CompletedProcess(argv, proc.returncode, out, err)


def options(server, keys, work, known):
    (work / "known_hosts").write_text(known or server.known_hosts_line(), encoding="ascii")
    settings = {"UserKnownHostsFile": work / "known_hosts", "GlobalKnownHostsFile": "none", "StrictHostKeyChecking": "yes",
                "UpdateHostKeys": "yes", "IdentitiesOnly": "yes"}
    return ["-F", "none", "-i", keys / "user", *(w for k, v in settings.items() for w in ("-o", f"{k}={v}"))]


@pytest.fixture(name="get")
def fixture_get(keys, work):
    """get(SERVER, WORDS.., known=): what becomes of `sftp get` of the file."""

    def run(server, *words, known=None, timeout="15s"):
        done = limited([support.NETKIT, "sftp", "get", "--timeout", timeout, "--no-input", "-P", server.port,
                        *options(server, keys, work, known), *words, f"me@127.0.0.1:{keys}/file", work / "got"], work, text=True)
        done.got = (work / "got").read_text(encoding="ascii") if (work / "got").exists() else None
        return done

    return run


@pytest.fixture(name="cat")
def fixture_cat(keys, work):
    """cat(SERVER, WORDS.., known=): what becomes of `ssh` with the program cat and a little to say."""

    def run(server, *words, known=None, **kw):
        done = limited([support.NETKIT, "ssh", "-p", server.port, "-o", "BatchMode=yes", *options(server, keys, work, known),
                        *words, "me@127.0.0.1", "cat"], work, input=b"hello", **kw)
        done.stderr = done.stderr.decode()
        return done

    return run


def more_words(fault, keys):
    return ["--password-file", keys / "password", "-o", "PubkeyAuthentication=no"] if fault.startswith("prompts") else []


def harmless(text):
    return "\x1b" not in text and "\x07" not in text and "Sanitizer" not in text and "runtime error" not in text


@pytest.mark.parametrize("fault", SERVED)
def test_served(get, cat, fault):
    with HostileServer(fault) as server:
        done = get(server)
        assert done.returncode == 0 and done.got == "what is to be got", (done.stderr, server.reached, server.errors)
    with HostileServer(fault) as server:
        done = cat(server)
        assert done.returncode == 0 and done.stdout == b"hello" and harmless(done.stderr), (done, server.reached, server.errors)
        assert server.reached.count("refused") == (5 if fault == "opens-channels" else 0) and "confirmed" not in server.reached


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_fault(get, keys, fault):
    code, words, reached = EXPECTED[fault]
    with HostileServer(fault) as server:
        done = get(server, *more_words(fault, keys), timeout="700ms" if fault in FOREVER else "15s")
        assert done.returncode == code and words in done.stderr, (done.returncode, done.stderr, server.errors)
        assert done.stderr.startswith("netkit sftp get: ") or fault == "banners-forever"
        assert harmless(done.stderr), done.stderr
        assert reached is None or reached in server.reached, server.reached
        assert done.got is None


@pytest.mark.parametrize("fault", sorted(set(EXPECTED) - set(FOREVER)))
def test_fault_of_a_program(cat, keys, fault):
    """The same for ssh, which does the rest of it itself."""
    _, words, reached = EXPECTED[fault]
    with HostileServer(fault) as server:
        late = {"before": lambda: support.wait_until(lambda: server.errors)} if fault == "data-beyond" else {}
        done = cat(server, *more_words(fault, keys), **late)
        assert done.returncode == FAILED and SSH_SAYS.get(fault, words) in done.stderr, (done, server.errors)
        assert harmless(done.stderr), done.stderr
        assert len(done.stderr.splitlines()) == 1 or fault == "banners-forever", done.stderr
        assert reached is None or reached in server.reached, server.reached


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ["end", "disconnect"])
def test_ends(get, cat, how, step):
    """The connection ends at each step, with and without a word."""
    with HostileServer(f"{how}-{step}") as server:
        done = get(server)
        assert done.returncode in (UNAVAILABLE, DENIED), (done.returncode, done.stderr)
        assert len(done.stderr.splitlines()) == 1 and harmless(done.stderr), done.stderr
        assert how == "end" or "go away" in done.stderr
        assert step in server.reached and done.got is None
    with HostileServer(f"{how}-{step}") as server:
        done = cat(server)
        assert done.returncode == FAILED and done.stdout == b"", done
        assert len(done.stderr.splitlines()) == 1 and harmless(done.stderr), done.stderr
        assert how == "end" or "go away" in done.stderr
        assert step in server.reached


SCANNED = [fault for fault, (_, _, reached) in EXPECTED.items() if reached in (None, "ident", "kexinit", "kex")]


@pytest.mark.parametrize("fault", sorted(SCANNED))
def test_scan(work, fault):
    """A key that the server has not proven to have is not shown."""
    code, words, _ = EXPECTED[fault]
    with HostileServer(fault) as server:
        done = limited([support.NETKIT, "ssh-key", "scan", "--timeout", "15s", "-p", server.port, "127.0.0.1"], work, text=True)
        assert done.returncode == code and words in done.stderr and not done.stdout, (done, server.reached)
        assert harmless(done.stderr), done.stderr


PENDING, FLOOD = 128, 300  # connections that may wait for one from here; those that the server says it has
RESOURCES = 4


def test_flood_of_connections(keys, work):
    """A server that says it has hundreds of connections for us: they cost no more than what is bounded, and each is
    answered when that from here stands or has failed."""
    answers, told = collections.Counter(), threading.Event()

    def above(session):
        while session.expect(GLOBAL_REQUEST)[1].string() != b"tcpip-forward":
            pass
        session.send(REQUEST_SUCCESS)
        for i in range(FLOOD):
            session.send(OPEN, string("forwarded-tcpip"), u32(i), u32(ssh_hostile.WINDOW), u32(ssh_hostile.PACKET),
                         string(b"localhost"), u32(4711), string(b"192.0.2.1"), u32(i))
        for i in range(FLOOD):
            kind, body = session.expect(OPEN_FAILURE, CONFIRMATION)
            body.u32()
            answers[("confirmed" if kind == CONFIRMATION else body.u32())] += 1
            if answers[RESOURCES] == FLOOD - PENDING:
                told.set()

    # a queue that is full: connections to it stay half made until it is read
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as fillers:
        where = full.getsockname()
        for _ in range(3):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(where)
        with HostileServer(above=above) as server:
            argv = [support.NETKIT, "ssh", "-N", "-p", server.port, "-o", "BatchMode=yes",
                    *options(server, keys, work, None), "-R", f"4711:127.0.0.1:{where[1]}", "me@127.0.0.1"]
            p = support.Program(argv, env=support.clean_env(HOME=str(work), SSH_AUTH_SOCK=""))
            try:
                assert told.wait(support.PATIENCE), (answers, server.errors, p.stderr())
                assert answers["confirmed"] <= 3 and p.fds() < PENDING + 40
                full.close()  # now those that wait are refused, sooner or later
                assert p.alive() and p.stop() == 128 + signal.SIGTERM
            finally:
                p.kill()


def test_no_more_sessions(get, cat):
    """An OpenSSH server is told that there will be none, behind the one that there is; another one is not."""
    for ident, told in ((b"SSH-2.0-OpenSSH_9.9p1 x", [b"no-more-sessions@openssh.com"]), (b"SSH-2.0-OpenDSSH_1", [])):
        with HostileServer(ident=ident) as server:
            assert cat(server).stdout == b"hello" and server.asked == told
        with HostileServer(ident=ident) as server:
            assert get(server).returncode == 0 and server.asked == told


def test_every_fault_is_tried():
    ends = {f"{how}-{step}" for how in ("end", "disconnect") for step in STEPS}
    assert set(FAULTS) == set(EXPECTED) | set(SERVED) | ends


def test_another_key(get, cat, keys):
    with HostileServer() as server:
        other = (keys / "other.pub").read_text(encoding="ascii")
        done = get(server, known=f"[127.0.0.1]:{server.port} {other}")
        assert done.returncode == DENIED and "kex" in server.reached and "auth" not in server.reached, done.stderr
        done = cat(server, known=f"[127.0.0.1]:{server.port} {other}")
        assert done.returncode == FAILED and "CHANGED" in done.stderr and "auth" not in server.reached, done.stderr
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
def test_certificates(get, cat, keys, work, name):
    words, signer, code = CERTIFICATES[name]
    for suffix in ("", ".pub"):
        (work / f"host{suffix}").write_bytes((keys / f"host{suffix}").read_bytes())
    subprocess.run(["ssh-keygen", "-q", "-s", keys / signer, "-I", name, *words, work / "host.pub"], check=True)
    authority = (keys / "ca.pub").read_text(encoding="ascii")
    with HostileServer(host_key=work / "host", certificate=work / "host-cert.pub") as server:
        done = get(server, known=f"@cert-authority * {authority}")
        assert done.returncode == code, (done.returncode, done.stderr, server.reached, server.errors)
        assert (done.got is not None) == (code == 0) and ("auth" in server.reached) == (code == 0)
        done = cat(server, known=f"@cert-authority * {authority}")
        assert done.returncode == (FAILED if code else 0) and ("auth" in server.reached) == (code == 0), done
