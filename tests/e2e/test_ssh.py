# SPDX-License-Identifier: MIT
"""`netkit ssh` against real servers: programs, terminals, logins, jump hosts, and what goes wrong."""

import fcntl
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import termios

import pytest
import ssh_hostile
import ssh_servers as real_servers
import support
from support import NETKIT, Program, clean_env, run
from terminal_support import Terminal

BULK = 3_000_000  # more than the first window of 2 MiB
FAILED = 255


def options(server, algos=None, **settings):
    """Words for netkit ssh; settings go before those that every test has."""
    words = ["-F", "none"]
    for key, value in settings.items():
        words += ["-o", f"{key}={value}"]
    return words + server.options(algos)


def ssh(server, *command, algos=None, words=(), data=None, env=None, **settings):
    """Run it to its end; stdin is empty where there is no data."""
    argv = ["ssh", *words, *options(server, algos, **settings), server.host, *command]
    extra = {"input": data} if data is not None else {}
    return run(*argv, text=False, env=clean_env(SSH_AUTH_SOCK="", **(env or {})), **extra)


def check(done, out=b"", status=0):
    assert (done.returncode, done.stdout) == (status, out), done.stderr.decode(errors="replace")


def denied(done, *words):
    """A failure of the connection: one status for all, and a reason."""
    err = done.stderr.decode(errors="replace")
    assert done.returncode == FAILED and done.stdout == b"", (done.returncode, err)
    for word in words:
        assert word in err, err
    assert "AddressSanitizer" not in err and "runtime error" not in err


@pytest.fixture(name="sshd", scope="session")
def _sshd(ssh_servers):
    return ssh_servers.get("openssh")


@pytest.mark.parametrize("which", ["best", "worst"])
@pytest.mark.parametrize("name", real_servers.NAMES)
def test_programs(ssh_servers, name, which):
    server = ssh_servers.get(name)
    algos = getattr(server, which)
    done = ssh(server, "printf out; printf err >&2; exit 7", algos=algos)
    check(done, b"out", 7)
    if name != "asyncssh":  # the test's server joins it to nothing
        assert done.stderr.endswith(b"err")
    data = os.urandom(BULK)
    done = ssh(server, "cat", algos=algos, data=data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    check(done, data)


def test_signals_and_ends(sshd):
    check(ssh(sshd, "kill -TERM $$"), status=128 + signal.SIGTERM)
    check(ssh(sshd, "exit 255"), status=255)
    check(ssh(sshd, "cat"))  # the end of our input is passed on
    check(ssh(sshd, "exec >&-; sleep 0.1; exit 3"), status=3)
    check(ssh(sshd, "head -c 1", data=b"x" * BULK), b"x")  # nobody reads the rest


def test_output_that_nobody_reads(sshd):
    with subprocess.Popen([NETKIT, "ssh", *options(sshd), sshd.host, "yes"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env(SSH_AUTH_SOCK="")) as proc:
        assert proc.stdout.read(4) == b"y\ny\n"
        proc.stdout.close()
        assert proc.wait(support.PATIENCE) != 0


def test_output_that_is_read_late(sshd):
    """A reader that is in no hurry gets everything, in order, and costs no more memory than a window."""
    lines, limit_kb = 5_000_000, 24 * 1024
    with subprocess.Popen([NETKIT, "ssh", *options(sshd), sshd.host, f"seq {lines}; exit 9"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, env=clean_env(SSH_AUTH_SOCK="")) as proc:
        def full():
            held = int.from_bytes(fcntl.ioctl(proc.stdout, termios.FIONREAD, bytes(4)), sys.byteorder)
            return held >= fcntl.fcntl(proc.stdout, fcntl.F_GETPIPE_SZ) // 2

        support.wait_until(full)
        status = pathlib.Path(f"/proc/{proc.pid}/status").read_text(encoding="ascii")
        assert int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) < limit_kb
        got = proc.stdout.read()
        assert got == b"".join(b"%d\n" % i for i in range(1, lines + 1))
        assert proc.wait(support.PATIENCE) == 9


def test_words(sshd):
    done = ssh(sshd, "echo", "a  b", "$HOME")  # joined with spaces, for a shell there
    check(done, b"a b /srv/nkuser\n")
    check(ssh(sshd, "cat", words=["-n"], data=b"not read"))
    done = ssh(sshd, "env", words=["-o", "SetEnv=NK_ONE=1", "-o", "SendEnv=NK_T*"], env={"NK_TWO": "2", "NK_X": "3"})
    assert {b"NK_ONE=1", b"NK_TWO=2"} <= set(done.stdout.split(b"\n")) and b"NK_X" not in done.stdout
    assert b"forwards no agent" in ssh(sshd, "true", words=["-A"]).stderr
    done = run("ssh", "-V")
    assert done.returncode == 0 and done.stderr.startswith("netkit ")
    assert "mlkem768x25519-sha256" in run("ssh", "-Q", "kex").stdout.split()
    assert run("ssh", "-Q", "nothing").returncode == 2
    shown = run("ssh", "-G", "-F", "none", "-p", "2222", "alice@example.com").stdout.splitlines()
    assert {"user alice", "hostname example.com", "port 2222"} <= set(shown)
    assert run("ssh").returncode == 2
    assert run("ssh", "-Z", "host").returncode == 2


def test_sftp_subsystem(sshd):
    argv = [NETKIT, "ssh", "-s", *options(sshd), sshd.host, "sftp"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=clean_env(SSH_AUTH_SOCK="")) as proc:
        proc.stdin.write(bytes.fromhex("000000050100000003"))
        proc.stdin.flush()
        assert proc.stdout.read(9)[4:] == bytes.fromhex("0200000003")  # SSH_FXP_VERSION 3
        proc.stdin.close()
        proc.stdout.read()
        assert proc.wait(support.PATIENCE) == 0
    denied(ssh(sshd, "nothing", words=["-s"]), "subsystem")


def test_log_file(sshd, tmp_path):
    log = tmp_path / "log"
    done = ssh(sshd, "true", words=["-v", "-E", log])
    check(done)
    assert done.stderr == b"" and "Authenticated" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o777 == 0o600


# --- whose key it is --------------------------------------------------------------------------------


def fingerprint(path, kind):
    words = subprocess.run(["ssh-keygen", "-l", "-E", kind, "-f", f"{path}.pub"], capture_output=True, text=True,
                           check=True).stdout.split()
    return words[1]


def test_host_keys(ssh_servers, sshd, tmp_path):
    empty = tmp_path / "known_hosts"
    denied(ssh(sshd, "true", UserKnownHostsFile=empty), sshd.host)
    check(ssh(sshd, "true", UserKnownHostsFile=empty, StrictHostKeyChecking="accept-new"))
    assert f"[{sshd.host}]:{sshd.port}" in empty.read_text(encoding="ascii")
    check(ssh(sshd, "true", UserKnownHostsFile=empty))
    key = pathlib.Path(f"{ssh_servers.stranger}.pub").read_text(encoding="ascii")
    changed = tmp_path / "changed"
    changed.write_text(f"[{sshd.host}]:{sshd.port} {key}", encoding="ascii")
    for how in ("yes", "accept-new"):
        denied(ssh(sshd, "true", UserKnownHostsFile=changed, StrictHostKeyChecking=how,
                   HostKeyAlgorithms="ssh-ed25519"), "CHANGED")


def test_host_keys_are_learnt(ssh_servers, sshd, tmp_path):
    """UpdateHostKeys: a server that is known proves that it has more keys."""
    known = tmp_path / "known_hosts"
    key = pathlib.Path(f"{ssh_servers.host_key['ed25519']}.pub").read_text(encoding="ascii")
    known.write_text(f"[{sshd.host}]:{sshd.port} {key}", encoding="ascii")
    p = Program([NETKIT, "ssh", *options(sshd, UserKnownHostsFile=known, UpdateHostKeys="yes"), sshd.host, "cat"],
                stdin=subprocess.PIPE, env=clean_env(SSH_AUTH_SOCK=""))
    try:
        support.wait_until(lambda: len(known.read_text(encoding="ascii").splitlines()) == 3)
    finally:
        p.kill()
    check(ssh(sshd, "true", UserKnownHostsFile=known, HostKeyAlgorithms="rsa-sha2-512"))


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_fingerprints(ssh_servers, sshd, kind):
    """They count instead of known_hosts."""
    settings = {"UserKnownHostsFile": "/dev/null", "HostKeyAlgorithms": "ssh-ed25519"}
    right, wrong = (fingerprint(key, kind) for key in (ssh_servers.host_key["ed25519"], ssh_servers.stranger))
    check(ssh(sshd, "true", words=["--fingerprint", right], **settings))
    denied(ssh(sshd, "true", words=["--fingerprint", wrong], **settings))


# --- logging in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys(ssh_servers, sshd, kind):
    check(ssh(sshd, "echo in", IdentityFile=ssh_servers.identity[kind]), b"in\n")


def test_denied(ssh_servers, sshd):
    done = run("ssh", "-F", "none", "-p", sshd.port, "-l", sshd.user, "-i", ssh_servers.stranger, "-o", "BatchMode=yes",
               "-o", f"UserKnownHostsFile={ssh_servers.known_hosts}", "-o", "IdentitiesOnly=yes", sshd.host, "true",
               text=False, env=clean_env(SSH_AUTH_SOCK=""))
    denied(done, "permission denied", "publickey")


def test_several_keys(ssh_servers, sshd):
    """The first is asked about, the second is taken."""
    check(ssh(sshd, "echo in", words=["-i", ssh_servers.stranger, "-i", ssh_servers.identity["ecdsa"]]), b"in\n")


@pytest.mark.parametrize("name", real_servers.with_features("password"))
def test_passwords(ssh_servers, tmp_path, name):
    server = ssh_servers.get(name)
    for password, good in ((server.password, True), ("wrong", False)):
        path = tmp_path / "password"
        path.write_text(password + "\n", encoding="ascii")
        path.chmod(0o600)
        done = ssh(server, "echo in", words=["--password-file", path], PreferredAuthentications="password")
        if good:
            check(done, b"in\n")
        else:
            denied(done, "permission denied")


def test_answers(tmp_path):
    """Questions of a server are answered by rules, or not at all; what it says does no harm."""
    known, code = tmp_path / "known_hosts", tmp_path / "code"
    code.write_text("123456\n", encoding="ascii")
    code.chmod(0o600)
    for rule, good in ((f"*WHAT*={code}", True), (f"other={code}", False), (f"*={tmp_path}/nothing", False)):
        with ssh_hostile.HostileServer("honest") as server:
            known.write_text(f"[127.0.0.1]:{server.port} {server.host_public}\n", encoding="ascii")
            done = run("ssh", "--answer", rule, "-F", "none", "-p", server.port, "-l", "alice", "-o", "BatchMode=yes", "-o",
                       f"UserKnownHostsFile={known}", "-o", "PreferredAuthentications=keyboard-interactive", "127.0.0.1",
                       "cat", input=b"hello", text=False, env=clean_env(SSH_AUTH_SOCK=""))
            if good:
                check(done, b"hello")
            else:
                denied(done, "permission denied")
            assert b"\x1b" not in done.stderr


def test_agent(ssh_servers, sshd, tmp_path):
    support.need_command("ssh-agent")
    sock = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL) as agent:
        try:
            support.wait_until(sock.exists)
            env = dict(os.environ, SSH_AUTH_SOCK=str(sock))
            subprocess.run(["ssh-add", "-q", ssh_servers.stranger, ssh_servers.identity["rsa"]], env=env, check=True,
                           stderr=subprocess.DEVNULL)
            done = run("ssh", "-F", "none", "-p", sshd.port, "-l", sshd.user, "-o", "BatchMode=yes", "-o",
                       f"UserKnownHostsFile={ssh_servers.known_hosts}", sshd.host, "echo in",
                       text=False, env=clean_env(SSH_AUTH_SOCK=str(sock), HOME=str(tmp_path)))
            check(done, b"in\n")
        finally:
            agent.terminate()


def test_certificate(ssh_servers, tmp_path):
    ca = pathlib.Path(f"{ssh_servers.user_ca}.pub")
    server = ssh_servers.start("openssh", [f"TrustedUserCAKeys {ca}", "AuthorizedKeysFile none"])
    key = ssh_servers.make_key(tmp_path / "key")
    denied(ssh(server, "true", words=["-i", key]), "permission denied")
    ssh_servers.certify(ssh_servers.user_ca, key, "test", server.user)
    check(ssh(server, "echo in", words=["-i", key]), b"in\n")


# --- connections over it --------------------------------------------------------------------------


def test_stdio_forward(ssh_servers, sshd):
    other = ssh_servers.get("dropbear")
    done = ssh(sshd, words=["-W", f"{other.host}:{other.port}"], data=b"SSH-2.0-x\r\n")
    assert done.stdout.startswith(b"SSH-2.0-dropbear"), done
    denied(ssh(sshd, words=["-W", "127.0.0.1:1"]), "refuse")
    for wrong in ("nothing", "h:", "h:+22", "h: 22", "h:0", "h:65536", "h:22x"):
        denied(ssh(sshd, words=["-W", wrong]), "HOST:PORT")


def test_jump_hosts(ssh_servers, sshd, tmp_path):
    """Each is verified under its own name, and has its own configuration."""
    other = ssh_servers.get("dropbear")
    config = tmp_path / "config"
    config.write_text(f"""
Host *
    User {sshd.user}
    IdentityFile {ssh_servers.identity['ed25519']}
    IdentitiesOnly yes
    UserKnownHostsFile {ssh_servers.known_hosts}
    BatchMode yes
Host first
    HostName 127.0.0.1
    Port {sshd.port}
Host second
    HostName 127.0.0.1
    Port {other.port}
    ProxyJump first
""", encoding="ascii")
    config.chmod(0o600)
    env = clean_env(SSH_AUTH_SOCK="")
    data = os.urandom(BULK)
    done = run("ssh", "-F", config, "second", "cat", input=data, text=False, env=env)
    check(done, data)
    done = run("ssh", "-F", config, "-J", "second", "first", "echo there", text=False, env=env)  # over both
    check(done, b"there\n")
    done = run("ssh", "-F", config, "-o", "HostKeyAlias=unknown", "second", "true", text=False, env=env)
    denied(done, "is not known")


def test_proxy_command(sshd):
    command = f"{NETKIT} forward stdio: tcp:%h:%p"
    check(ssh(sshd, "echo there", ProxyCommand=command), b"there\n")
    denied(ssh(sshd, "true", ProxyCommand="true | cat"), "shell")


# --- terminals ----------------------------------------------------------------------------------------


def test_terminal(sshd):
    with Terminal("ssh", "-tt", *options(sshd), sshd.host, "tty; stty size; cat", SSH_AUTH_SOCK="") as t:
        t.wait(r"/dev/pts/\d+\r\n24 80\r\n")
        t.press("hello\r")
        t.wait("hello\r\n")  # our terminal does not echo, so that one does not
        t.press("\x04")
        assert t.ended() == 0


def test_terminal_size(sshd):
    with Terminal("ssh", "-t", *options(sshd), sshd.host, "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done",
                  SSH_AUTH_SOCK="") as t:
        t.wait("ready")
        t.resize(30, 100)
        t.wait("30 100")
        t.press("\x03")
        assert t.ended() != 0


def test_terminal_escape(sshd):
    with Terminal("ssh", "-t", *options(sshd), sshd.host, "cat", SSH_AUTH_SOCK="") as t:
        t.press("~~x\r")
        t.wait("(?<!~)~x\r\n")
        t.press("~.")
        assert t.ended() == FAILED


def test_terminal_is_restored(sshd):
    with Terminal("ssh", "-t", *options(sshd), sshd.host, "echo ready; cat", SSH_AUTH_SOCK="") as t:
        t.wait("ready")
        os.kill(t.pid, signal.SIGTERM)
        assert t.ended() == 128 + signal.SIGTERM


def test_password_on_terminal(ssh_servers):
    server = ssh_servers.get("dropbear")
    words = ["-F", "none", "-p", server.port, "-l", server.user, "-o", f"UserKnownHostsFile={ssh_servers.known_hosts}",
             "-o", "PreferredAuthentications=password", "-o", "IdentitiesOnly=yes", server.host, "echo in"]
    with Terminal("ssh", *words, SSH_AUTH_SOCK="", HOME="/nowhere") as t:
        t.wait("password: ")
        t.press("wrong\r")
        t.wait("password: ")
        t.press(server.password + "\r")
        t.wait("in\r\n")
        assert t.ended() == 0
        assert server.password not in t.text


def test_new_host_is_asked_about(ssh_servers, sshd, tmp_path):
    known = tmp_path / "known_hosts"
    words = [*options(sshd, UserKnownHostsFile=known, StrictHostKeyChecking="ask", BatchMode="no"), sshd.host, "echo in"]
    with Terminal("ssh", *words, SSH_AUTH_SOCK="") as t:
        t.wait(re.escape(fingerprint(ssh_servers.host_key["ed25519"], "sha256")))
        t.press("perhaps\r")
        t.wait("Please type .*fingerprint: ")
        t.press("yes\r")
        t.wait("in\r\n")
        assert t.ended() == 0
    assert known.read_text(encoding="ascii")


# --- what goes wrong ------------------------------------------------------------------------------------


def test_server_ends(ssh_servers):
    server = ssh_servers.start("openssh")
    p = Program([NETKIT, "ssh", *options(server), server.host, "echo ready >&2; cat"], stdin=subprocess.PIPE,
                env=clean_env(SSH_AUTH_SOCK=""))
    try:
        p.wait_line("ready")
        server.stop()
        assert p.wait() == FAILED
    finally:
        p.kill()


def test_rekeying(ssh_servers):
    server = ssh_servers.start("openssh", ["RekeyLimit 64K"])
    data = os.urandom(BULK // 3)
    check(ssh(server, "cat", data=data, RekeyLimit="64K"), data)


def test_background(ssh_servers, sshd):
    """-f: back when it is logged in, the program goes on; a failed login is told at once."""
    flag = ssh_servers.home / "flag"
    check(ssh(sshd, f"sleep 0.2; touch {sshd.home}/flag", words=["-f"]))
    support.wait_until(flag.exists)
    flag.unlink()
    denied(ssh(sshd, "true", words=["-f"], IdentityFile="/nonexistent", PreferredAuthentications="password"))


def test_no_server():
    done = run("ssh", "-F", "none", "-p", "1", "127.0.0.1", "true", text=False)
    denied(done, "refused")
