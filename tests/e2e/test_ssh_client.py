# SPDX-License-Identifier: MIT
"""`netkit ssh` against real servers, the less usual: large groups, keys in tokens, PuTTY's keys, what -v says."""

import hashlib
import os
import pathlib
import re
import socket
import socketserver
import struct
import subprocess
import threading

import pytest
from support import NETKIT, PATIENCE, Program, clean_env, need_command, run
from ssh_servers import free_port
from terminal_support import Terminal

BULK = 3_000_000
SECRET = "correct horse"


def ssh(server, *command, words=(), data=None, sock="", **settings):
    argv = ["ssh", *words, "-F", "none"]
    for key, value in settings.items():
        argv += ["-o", f"{key}={value}"]
    extra = {"input": data} if data is not None else {}
    return run(*argv, *server.options(), server.host, *command, text=False, env=clean_env(SSH_AUTH_SOCK=str(sock)),
               **extra)


def check(done, out=b"", status=0):
    assert (done.returncode, done.stdout) == (status, out), done.stderr.decode(errors="replace")


@pytest.fixture(name="sshd", scope="session")
def _sshd(ssh_servers):
    return ssh_servers.get("openssh")


# --- key exchange -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kex", ["diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
                                 "diffie-hellman-group-exchange-sha256"])
def test_large_groups(sshd, kex):
    """Computed beside the loop, and again and again with data on their way."""
    data = os.urandom(BULK)
    done = ssh(sshd, "cat", words=["-v"], data=data, KexAlgorithms=kex, RekeyLimit="1M")
    check(done, data)
    assert done.stderr.count(b"new keys") >= 3, done.stderr.decode(errors="replace")


# --- what -v says -------------------------------------------------------------------------------------


def test_handshake_log(sshd):
    done = ssh(sshd, "true", words=["-v"], KexAlgorithms="curve25519-sha256", Ciphers="aes256-ctr",
               MACs="hmac-sha2-256", HostKeyAlgorithms="ssh-ed25519")
    check(done)
    said = done.stderr.decode()
    at = 0
    for line in (rf"Connecting to {sshd.host} port {sshd.port} as '{sshd.user}'", r"server: SSH-2.0-OpenSSH",
                 r"kex: algorithm: curve25519-sha256", r"kex: host key algorithm: ssh-ed25519",
                 r"kex: client->server cipher: aes256-ctr MAC: hmac-sha2-256 compression: none",
                 r"kex: server->client cipher: aes256-ctr MAC: hmac-sha2-256 compression: none",
                 r"server host key: ssh-ed25519 SHA256:[\w+/]{43}", r"is known and matches the ED25519 host key",
                 r"Next authentication method: publickey", r"Offering public key: .*SHA256:[\w+/]{43}",
                 rf"Authenticated to {sshd.host} \(\[127.0.0.1:{sshd.port}\]\) using \"publickey\""):
        found = re.compile(line).search(said, at)
        assert found, (line, said[at:])
        at = found.end()
    stranger = sshd.servers.stranger
    said = ssh(sshd, "true", words=["-v", "-i", stranger]).stderr.decode()
    assert re.search(r"Authentications that can continue: .*publickey", said), said
    assert re.search(r"Server accepts key: .*SHA256:", said), said


# --- where from, how often, how long ------------------------------------------------------------------


def test_source(sshd):
    done = ssh(sshd, "echo $SSH_CLIENT", BindAddress="127.0.0.3")
    assert done.stdout.startswith(b"127.0.0.3 "), done
    done = ssh(sshd, "echo $SSH_CLIENT", words=["-b", "127.0.0.4"], BindInterface="lo")
    assert done.stdout.startswith(b"127.0.0.4 "), done
    for words in (["-b", "203.0.113.77"], ["-b", "::1"], ["-b", "name.example"], ["-o", "BindInterface=nothing0"], ["-6"]):
        done = ssh(sshd, "true", words=words)
        assert done.returncode == 255 and done.stdout == b"" and done.stderr, words


def test_connection_attempts(sshd):
    port = free_port()
    shown = subprocess.run(["ssh-keygen", "-l", "-f", f"{sshd.servers.host_key['ed25519']}.pub"], capture_output=True,
                           text=True, check=True).stdout.split()[1]
    argv = [NETKIT, "ssh", "-v", "-p", port, "-F", "none", "-o", "ConnectionAttempts=60", "--fingerprint", shown,
            "-o", "HostKeyAlgorithms=ssh-ed25519", *sshd.options(), sshd.host, "echo in"]
    p = Program(argv, env=clean_env(SSH_AUTH_SOCK=""), stdout=subprocess.PIPE)
    p.wait_line("refused")
    way = Program([NETKIT, "forward", f"tcp:{sshd.host}:{port}", f"tcp:{sshd.host}:{sshd.port}"])
    try:
        assert p.proc.stdout.read() == b"in\n", p.stderr()
        assert p.wait(PATIENCE) == 0
    finally:
        way.kill()
        p.kill()
    done = ssh(sshd, "true", words=["-p", str(port)])  # one, as ever
    assert done.returncode == 255 and done.stderr.count(b"refused") == 1


def test_connect_timeout(sshd):
    """It is for all of it until the host key is there, as OpenSSH has it, and not only for TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            s, _ = listener.accept()
            s.sendall(b"SSH-2.0-slow\r\n")
            while s.recv(4096):
                pass
        threading.Thread(target=serve, daemon=True).start()
        done = ssh(sshd, "true", words=["-p", str(listener.getsockname()[1])], ConnectTimeout="1")
    assert done.returncode == 255 and b"in time" in done.stderr, done.stderr


def test_update_host_keys_ask(sshd, tmp_path):
    """A host that is known by one of its keys proves the others; the user decides."""
    known = tmp_path / "known_hosts"
    kept = next(k for k in pathlib.Path(sshd.servers.known_hosts).read_text(encoding="ascii").splitlines()
                if k.startswith(f"[{sshd.host}]:{sshd.port} ssh-ed25519"))
    words = ["-F", "none", "-o", f"UserKnownHostsFile={known}", "-o", "UpdateHostKeys=ask", "-o", "BatchMode=no",
             *sshd.options(), sshd.host, "echo there; exec cat"]
    for answer, lines in (("no", 1), ("yes", 3)):
        known.write_text(kept + "\n", encoding="ascii")
        with Terminal("ssh", "-tt", *words, SSH_AUTH_SOCK="") as t:
            t.wait(r"new: ssh-rsa SHA256:[\w+/]{43}.*Update known_hosts \(yes/no\)\?")
            t.press(answer + "\n")
            t.wait("there")  # a terminal that still reads lines would keep the next key to itself
            t.press("\x04")
            t.wait(r"status 0\.")
        assert len(known.read_text(encoding="ascii").splitlines()) == lines
    known.write_text(kept + "\n", encoding="ascii")
    done = ssh(sshd, "true", UserKnownHostsFile=known, UpdateHostKeys="ask")  # BatchMode: nobody is asked
    check(done)
    assert known.read_text(encoding="ascii") == kept + "\n"


# --- keys ---------------------------------------------------------------------------------------------


class TokenAgent(socketserver.ThreadingUnixStreamServer):
    """An agent with a key that a FIDO token has, as ssh-agent answers for one (draft-ietf-sshm-ssh-agent, OpenSSH's
    PROTOCOL.u2f); the token is in here."""

    daemon_threads = True

    def __init__(self, path):
        ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
        serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        self.key = ed25519.Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.kind = b"sk-ssh-ed25519@openssh.com"
        self.blob = string(self.kind) + string(public) + string(b"ssh:")
        self.counter = 7
        self.signed = 0
        super().__init__(str(path), Handler)

    def answer(self, number, rest):
        if number == 11:
            return b"\x0c" + struct.pack(">I", 1) + string(self.blob) + string(b"a token")
        if number == 13:
            blob, rest = cut(rest)
            data, _ = cut(rest)
            assert blob == self.blob
            self.signed += 1
            end = b"\x01" + struct.pack(">I", self.counter)
            said = hashlib.sha256(b"ssh:").digest() + end + hashlib.sha256(data).digest()
            return b"\x0e" + string(string(self.kind) + string(self.key.sign(said)) + end)
        return b"\x05"


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while len(head := self.rfile.read(4)) == 4:
            request = self.rfile.read(struct.unpack(">I", head)[0])
            self.wfile.write(string(self.server.answer(request[0], request[1:])))


def string(b):
    return struct.pack(">I", len(b)) + b


def cut(b):
    n = struct.unpack(">I", b[:4])[0]
    return b[4:4 + n], b[4 + n:]


def base64(blob):
    return subprocess.run(["base64", "-w0"], input=blob, capture_output=True, check=True).stdout.decode()


@pytest.fixture(name="token")
def _token(tmp_path):
    with TokenAgent(tmp_path / "token.sock") as agent:
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        yield agent
        agent.shutdown()


@pytest.fixture(name="more_keys", scope="module")
def _more_keys(ssh_servers):
    """A server that also takes the keys in a file of the test's."""
    path = pathlib.Path(ssh_servers.home) / ".ssh" / "more_keys"
    path.touch()
    path.chmod(0o644)
    return ssh_servers.start("openssh", ["AuthorizedKeysFile .ssh/more_keys"]), path


def test_token_in_an_agent(token, more_keys, tmp_path):
    server, keys = more_keys
    line = f"{token.kind.decode()} {base64(token.blob)} token\n"
    keys.write_text(line, encoding="ascii")
    done = ssh(server, "echo in", sock=token.server_address, IdentitiesOnly="no", IdentityFile="none")
    check(done, b"in\n")
    # by name, with nothing but it allowed
    half = tmp_path / "id_sk.pub"
    half.write_text(line, encoding="ascii")
    for name in (half, half.with_suffix("")):
        done = ssh(server, "echo in", words=["-v", "-i", name], sock=token.server_address)
        check(done, b"in\n")
    assert token.signed == 3
    done = ssh(server, "true", words=["-i", half])
    assert done.returncode == 255 and b"nobody has the private half" in done.stderr, done.stderr


def test_token_in_a_file(sshd, tmp_path):
    """Nothing but a reference to it is in there: netkit says what to do."""
    kind = b"sk-ssh-ed25519@openssh.com"
    public = string(kind) + string(bytes(32)) + string(b"ssh:")
    inner = bytes(8) + public + b"\x01" + string(b"handle") + string(b"") + string(b"c")
    inner += bytes(range(1, 9))[:-len(inner) % 8]
    blob = (b"openssh-key-v1\0" + string(b"none") * 2 + string(b"") + struct.pack(">I", 1) + string(public) +
            string(inner))
    path = tmp_path / "id_sk"
    path.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64(blob)}\n-----END OPENSSH PRIVATE KEY-----\n",
                    encoding="ascii")
    path.chmod(0o600)
    done = ssh(sshd, "true", words=["-i", path], IdentityFile="none")
    assert b"FIDO" in done.stderr and b"ssh-add" in done.stderr, done.stderr


def test_putty_keys(ssh_servers, more_keys, tmp_path):
    need_command("puttygen")
    server, keys = more_keys
    for kind in (["ed25519"], ["ecdsa", "-b", "384"]):
        for version in ("2", "3"):
            ppk = tmp_path / f"{kind[0]}{version}.ppk"
            subprocess.run(["puttygen", "-q", "-t", *kind, "-o", ppk, "--ppk-param", f"version={version}",
                            "--new-passphrase", "/dev/null", "--random-device", "/dev/urandom"], check=True)
            ppk.chmod(0o600)
            keys.write_text(subprocess.run(["puttygen", "-L", ppk], capture_output=True, text=True, check=True).stdout,
                            encoding="ascii")
            check(ssh(server, "echo in", words=["-i", ppk]), b"in\n")
