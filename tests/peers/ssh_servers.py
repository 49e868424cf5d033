#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real SSH servers on the loopback interface, for tests:

    with SshServers() as servers:
        server = servers.get("openssh")         # started when first asked for, ready when this returns
        server.port, server.user, server.password, server.home
        server.best, server.worst               # {ssh_config option: value}: its best and its worst algorithms
        server.can("sftp")                      # also "password", "forward", "strict" (strict key exchange)
        servers.known_hosts                     # a file with the keys of all servers that were started
        servers.identity["ed25519"]             # private keys that every server accepts; also "ecdsa", "rsa"
        servers.start("openssh", ["RekeyLimit 16K"])    # one more, with lines of configuration of its own

NAMES lists them: OpenSSH of the system, a newer OpenSSH from Debian's backports (unpacked under build/peers, not
installed), dropbear, tinyssh, AsyncSSH, Conch. missing(NAME) says what it lacks, or is None.

They need root: those that log in real users run in a mount and a PID namespace of their own, where /srv is a
directory of the test and /etc/passwd knows one user more; nothing of the machine is changed, and all processes of
a server end with it, and with the test. AsyncSSH and Conch run what they are asked to as the user of the test.

As a program: ssh_servers.py --selftest logs in to every server with OpenSSH's client; ssh_servers.py start NAME
serves until its standard input ends.
"""

import ctypes
import fcntl
import importlib.util
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
UNPACKED = HERE.parents[1] / "build" / "peers" / "openssh-backports"
PATIENCE = 30.0  # seconds until a server must answer on a busy machine
ATTEMPTS = 3  # starts, when somebody took a port that was free before
PORTS = range(12000, 32000)  # below the ephemeral ports, which begin at 32768
PR_SET_PDEATHSIG = 1
USER, UID, PASSWORD = "nkuser", 29999, "correct horse"
HOME = pathlib.PurePath("/srv") / USER  # in the namespace; no parent of it may be writable by others
SFTP_SERVER = "/usr/lib/openssh/sftp-server"

# Before the server, in its namespaces: /srv, the user, and a /run that sshd may write.
NAMESPACE = """
mount --bind "$1/srv" /srv && mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow &&
mount -t tmpfs tmpfs /run && mkdir /run/sshd && shift && exec "$@"
"""
SSHD = """
ListenAddress 127.0.0.1
PidFile none
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
MaxStartups 200
MaxSessions 200
LogLevel VERBOSE
AcceptEnv LANG NK_*
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
"""


class ServerError(RuntimeError):
    """A server did not come up; what it logged."""


class PortTaken(ServerError):
    """Somebody took the port between our looking and the server's binding."""


def algorithms(kex, cipher, hostkey, mac=None):
    options = {"KexAlgorithms": kex, "Ciphers": cipher, "HostKeyAlgorithms": hostkey}
    if mac:
        options["MACs"] = mac
    return options


def program(name):
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", "/usr/bin:/bin"))


def module(name):
    return importlib.util.find_spec(name) is not None


# --- the newer OpenSSH ------------------------------------------------------------------------


def debian():
    """(URI, codename) of the Debian archive that apt here knows, or None."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(COMPONENT)|$(RELEASE)"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    for line in done.stdout.splitlines():
        uri, component, release = line.split("|")
        if component == "main" and release.isalpha() and "security" not in uri:
            return uri, release
    return None


def unpack_backports():
    """OpenSSH of the backports in UNPACKED, from signed indexes that are read with apt state of our own."""
    if not shutil.which("apt-get") or not (archive := debian()):
        return False
    work = UNPACKED.with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)
    for name in ("parts", "lists/partial", "cache/archives/partial", "root"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "parts" / "backports.sources").write_text(
        f"Types: deb\nURIs: {archive[0]}\nSuites: {archive[1]}-backports\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n", encoding="utf-8")
    options = {"Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": work / "parts",
               "Dir::State::lists": work / "lists", "Dir::State::status": work / "status",
               "Dir::Cache": work / "cache", "Acquire::Languages": "none", "APT::Sandbox::User": "",
               "Acquire::Check-Valid-Until": "false", "Acquire::Retries": "3"}
    apt = ["apt-get", "-qq", *(word for k, v in options.items() for word in ("-o", f"{k}={v}"))]
    packages = ["openssh-server", "openssh-sftp-server", "openssh-client"]
    for words in (["update"], ["download", *packages]):
        if subprocess.run(apt + words, cwd=work, stdout=sys.stderr, check=False).returncode != 0:
            return False
    for package in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, work / "root"], check=True)
    shutil.rmtree(UNPACKED, ignore_errors=True)
    (work / "root").rename(UNPACKED)
    shutil.rmtree(work)
    return True


def backports(path):
    """A file of the newer OpenSSH, which is fetched if necessary, or None."""
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    with open(UNPACKED.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not UNPACKED.exists() and not unpack_backports():
            return None
    found = UNPACKED / path
    return str(found) if found.exists() else None


# --- the kinds of servers ----------------------------------------------------------------------


class Server:
    """One running server. A subclass says how it is started."""

    features = {"exec", "sftp", "password", "forward", "strict"}
    best = worst = {}
    extra_args = ()
    namespace = True

    def __init__(self, servers, name, lines):
        self.servers, self.name, self.lines = servers, name, lines
        self.user, self.password = USER, PASSWORD if self.can("password") else None
        self.host = "127.0.0.1"
        self.home = str(HOME)  # as the server sees it; the same directory is servers.home
        self.port = 0
        self.proc = None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=servers.dir))
        self.log_path = self.dir / "log"

    @staticmethod
    def missing():
        return None

    def can(self, feature):
        return feature in self.features

    def host_keys(self):
        """{type: private key file} of what it shows to clients."""
        return self.servers.host_key

    def argv(self):
        raise NotImplementedError

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def start(self):
        for attempt in range(ATTEMPTS):
            self.port = free_port()
            try:
                self._start()
                return self
            except PortTaken:
                if attempt == ATTEMPTS - 1:
                    raise
        return self

    def _start(self):
        argv = [str(a) for a in self.argv()]
        if self.namespace:
            argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", NAMESPACE,
                    "sh", str(self.servers.dir), *argv]
        with open(self.log_path, "wb") as log:
            # pylint: disable-next=subprocess-popen-preexec-fn
            self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         cwd="/", preexec_fn=end_with_parent)
        self.wait_ready()

    def wait_ready(self):
        """Poll its port, for which there is no event here, until it says who it is."""
        deadline = time.monotonic() + PATIENCE
        pause = threading.Event()
        while True:
            if self.proc.poll() is not None:
                log = self.log()
                kind = PortTaken if "in use" in log.lower() else ServerError
                raise kind(f"{self.name} ended with {self.proc.returncode}:\n{log[-3000:]}")
            try:
                with socket.create_connection((self.host, self.port), 5) as s:
                    s.settimeout(5)
                    if s.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"{self.name} does not answer:\n{self.log()[-3000:]}")
            pause.wait(0.02)

    def stop(self):
        """End it and all its sessions at once."""
        if self.proc and self.proc.poll() is None:
            # the first process of its namespace takes all others with it; unshare reaps it then
            children = pathlib.Path(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children")
            first = children.read_text(encoding="ascii").split() if self.namespace else []
            os.kill(int(first[0]) if first else self.proc.pid, signal.SIGKILL)
        if self.proc:
            self.proc.wait()

    def restart(self):
        """The same server again, at the same port."""
        self.stop()
        self._start()

    def options(self, algos=None):
        """OpenSSH's words for logging in, without the host and after the program's name."""
        words = ["-p", str(self.port), "-l", self.user]
        settings = {"UserKnownHostsFile": self.servers.known_hosts, "GlobalKnownHostsFile": "/dev/null",
                    "StrictHostKeyChecking": "yes", "IdentitiesOnly": "yes", "BatchMode": "yes",
                    "IdentityFile": self.servers.identity["ed25519"], **(algos or {})}
        for key, value in settings.items():
            words += ["-o", f"{key}={value}"]
        return words


class OpenSsh(Server):
    """Debian's sshd."""

    best = algorithms("curve25519-sha256", "aes256-gcm@openssh.com", "ssh-ed25519")
    worst = algorithms("diffie-hellman-group14-sha256", "aes128-ctr", "rsa-sha2-256", "hmac-sha2-256")
    config = SSHD

    @staticmethod
    def missing():
        return None if program("sshd") else "the program sshd"

    def programs(self):
        return program("sshd"), SFTP_SERVER

    def argv(self):
        sshd, sftp = self.programs()
        config = self.dir / "sshd_config"
        servers = self.servers
        # the first value of a keyword counts
        lines = [*self.lines, f"Port {self.port}", *(f"HostKey {k}" for k in self.host_keys().values()),
                 f"TrustedUserCAKeys {servers.user_ca}.pub", f"Subsystem sftp {sftp}", self.config]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [sshd, "-D", "-e", "-f", config]


class OpenSshBackports(OpenSsh):
    """sshd of the backports, which is several programs."""

    best = algorithms("mlkem768x25519-sha256", "chacha20-poly1305@openssh.com", "ssh-ed25519")
    worst = algorithms("diffie-hellman-group16-sha512", "aes192-ctr", "ecdsa-sha2-nistp256", "hmac-sha2-512")
    config = SSHD + "PerSourcePenalties no\nKexAlgorithms +diffie-hellman-group16-sha512\n" + "".join(
        f"{key} {UNPACKED}/usr/lib/openssh/{name}\n"
        for key, name in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")))

    @staticmethod
    def missing():
        return None if backports("usr/sbin/sshd") else "OpenSSH of Debian's backports"

    def programs(self):
        return backports("usr/sbin/sshd"), backports("usr/lib/openssh/sftp-server")


class Dropbear(Server):
    best = algorithms("curve25519-sha256", "chacha20-poly1305@openssh.com", "ssh-ed25519")
    worst = algorithms("diffie-hellman-group14-sha256", "aes128-ctr", "rsa-sha2-256", "hmac-sha2-256")

    @staticmethod
    def missing():
        return None if program("dropbear") and program("dropbearkey") else "the programs dropbear and dropbearkey"

    def host_keys(self):
        keys = {}
        for kind in ("ed25519", "rsa"):
            keys[kind] = self.dir / kind
            if not keys[kind].exists():
                made = quiet(["dropbearkey", "-t", kind, *(["-s", "2048"] if kind == "rsa" else []), "-f", keys[kind]])
                public = [line for line in made.splitlines() if line.startswith(("ssh-", "ecdsa-"))]
                keys[kind].with_suffix(".pub").write_text(public[0] + "\n", encoding="ascii")
        return keys

    def argv(self):
        keys = [word for key in self.host_keys().values() for word in ("-r", key)]
        return [program("dropbear"), "-F", "-E", "-p", f"127.0.0.1:{self.port}", "-P", self.dir / "pid", *keys,
                *self.lines]


class DropbearAlone(Dropbear):
    """A dropbear on a machine without an SFTP server, which it runs where it is asked to."""

    features = Server.features - {"sftp"}

    def argv(self):
        return ["sh", "-c", 'mount --bind /dev/null "$(readlink -f /usr/lib/sftp-server)" && exec "$@"', "sh",
                *super().argv()]


class TinySsh(Server):
    """Speaks through tcpserver; knows one key type, one cipher and one channel."""

    features = {"exec", "sftp"}
    best = worst = algorithms("curve25519-sha256", "chacha20-poly1305@openssh.com", "ssh-ed25519")

    @staticmethod
    def missing():
        return next((f"the program {p}" for p in ("tinysshd", "tinysshd-makekey", "tcpserver") if not program(p)), None)

    def host_keys(self):
        keys = self.dir / "keys"
        public = keys / "shown.pub"
        if not keys.exists():
            quiet([program("tinysshd-makekey"), keys])
            shown = quiet([program("tinysshd-printkey"), keys])
            public.write_text(shown.splitlines()[0] + "\n", encoding="ascii")
        return {"ed25519": public.with_suffix("")}

    def argv(self):
        self.host_keys()
        return [program("tcpserver"), "-HRDl0", "127.0.0.1", self.port, program("tinysshd"), "-v", "-x",
                f"sftp={SFTP_SERVER}", self.dir / "keys"]


class PythonServer(Server):
    """A server that is a program of tests/peers; the account is in its words."""

    namespace = False
    script = ""

    def __init__(self, servers, name, lines):
        super().__init__(servers, name, lines)
        self.home = str(servers.home)

    def argv(self):
        keys = [word for key in self.host_keys().values() for word in ("--host-key", key)]
        return [sys.executable, "-B", HERE / self.script, "--port", self.port, "--user", self.user, "--password",
                self.password, "--authorized-keys", self.servers.home / ".ssh" / "authorized_keys", "--home",
                self.home, *keys, *self.lines]


class AsyncSsh(PythonServer):
    best = algorithms("curve25519-sha256", "aes256-gcm@openssh.com", "ssh-ed25519")
    worst = algorithms("diffie-hellman-group14-sha256", "aes128-ctr", "rsa-sha2-256", "hmac-sha2-256")
    script = "ssh_asyncssh.py"

    @staticmethod
    def missing():
        return None if module("asyncssh") else "the Python module asyncssh"


class Conch(PythonServer):
    features = {"exec", "sftp", "password", "forward"}
    best = algorithms("curve25519-sha256", "aes256-ctr", "ssh-ed25519", "hmac-sha2-512")
    worst = algorithms("ecdh-sha2-nistp521", "aes128-ctr", "rsa-sha2-256", "hmac-sha2-256")
    script = "ssh_conch.py"

    @staticmethod
    def missing():
        return None if module("twisted") and module("cryptography") else "the Python modules twisted and cryptography"


KINDS = {"openssh": OpenSsh, "openssh-backports": OpenSshBackports, "dropbear": Dropbear, "dropbear-alone": DropbearAlone,
         "tinyssh": TinySsh,
         "asyncssh": AsyncSsh, "conch": Conch}
NAMES = tuple(KINDS)


def with_features(*features):
    """The names of those that have them all."""
    return [name for name in NAMES if KINDS[name].features.issuperset(features)]


# --- what they share ---------------------------------------------------------------------------


def quiet(argv):
    """Run to the end; what it said."""
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=True).stdout


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    for _ in range(200):
        port = random.choice(PORTS)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise ServerError("no free port")


def missing(name=None):
    """What the server lacks here (without a name: every server), or None."""
    if os.geteuid() != 0:
        return "root (SSH servers that log users in)"
    for tool in ("unshare", "ssh-keygen", "openssl"):
        if not program(tool):
            return f"the program {tool}"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "true"],
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return "the right to make mount and PID namespaces"
    return KINDS[name].missing() if name else None


class SshServers:
    """Keys, an account, and the servers that were asked for."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nk-ssh-"))
        self.dir.chmod(0o755)
        self.known_hosts = self.dir / "known_hosts"
        self.known_hosts.touch()
        self.home = self.dir / "srv" / USER
        self.started = {}
        self._all = []
        self._make_keys()
        self._make_account()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for server in self._all:
            server.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def make_key(self, path, kind="ed25519", *words):
        """A new key pair; the path of its private half."""
        bits = ["-b", "2048"] if kind == "rsa" else []
        quiet(["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-C", pathlib.Path(path).name, "-f", path, *words])
        return pathlib.Path(path)

    def certify(self, ca, key, name, principals, *words):
        """A certificate for key by ca, valid for a day unless words say otherwise; its path."""
        valid = [] if "-V" in words else ["-V", "-1h:+1d"]
        quiet(["ssh-keygen", "-q", "-s", ca, "-I", name, "-n", principals, *valid, *words, f"{key}.pub"])
        return pathlib.Path(f"{key}-cert.pub")

    def _make_keys(self):
        keys = self.dir / "keys"
        keys.mkdir(mode=0o700)
        self.identity = {kind: self.make_key(keys / f"user_{kind}", kind) for kind in ("ed25519", "ecdsa", "rsa")}
        self.host_key = {kind: self.make_key(keys / f"host_{kind}", kind) for kind in ("ed25519", "ecdsa", "rsa")}
        self.user_ca = self.make_key(keys / "user_ca")
        self.stranger = self.make_key(keys / "stranger")  # nobody accepts it

    def _make_account(self):
        ssh = self.home / ".ssh"
        ssh.mkdir(parents=True)
        public = [pathlib.Path(f"{key}.pub").read_text(encoding="ascii") for key in self.identity.values()]
        (ssh / "authorized_keys").write_text("".join(public), encoding="ascii")
        for path, mode in ((self.dir / "srv", 0o755), (self.home, 0o755), (ssh, 0o700), (ssh / "authorized_keys", 0o600)):
            path.chmod(mode)
            if path != self.dir / "srv":
                os.chown(path, UID, UID)
        line = f"{USER}:x:{UID}:{UID}:tests:{HOME}:/bin/sh\n"
        (self.dir / "passwd").write_text(pathlib.Path("/etc/passwd").read_text(encoding="utf-8") + line, encoding="utf-8")
        secret = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, stdout=subprocess.PIPE,
                                text=True, check=True).stdout.strip()
        (self.dir / "shadow").write_text(f"root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n{USER}:{secret}:19000:0:99999:7:::\n",
                                         encoding="ascii")
        (self.dir / "shadow").chmod(0o600)

    def get(self, name):
        """The server of that name with its usual configuration."""
        if name not in self.started:
            self.started[name] = self.start(name)
        return self.started[name]

    def start(self, name, lines=()):
        """One more server, with these lines of configuration (or words of its command) first."""
        server = KINDS[name](self, name, list(lines))
        self._all.append(server)
        server.start()
        with open(self.known_hosts, "a", encoding="ascii") as f:
            for key in server.host_keys().values():
                f.write(f"[{server.host}]:{server.port} " + pathlib.Path(f"{key}.pub").read_text(encoding="ascii"))
        return server


# --- as a program ------------------------------------------------------------------------------


def check(what, ok, detail=""):
    if not ok:
        raise SystemExit(f"FAILED: {what}\n{detail}")


def selftest_server(servers, name):
    """Log in with OpenSSH's client: exec, exit status, sftp, and a key that is not accepted."""
    server = servers.get(name)
    ssh = backports("usr/bin/ssh") or "ssh"
    for which in ("best", "worst"):
        words = server.options(getattr(server, which))
        done = subprocess.run([ssh, "-F", "none", *words, server.host, "cat; exit 7"], input="through\n",
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        check(f"{name} {which}", (done.returncode, done.stdout) == (7, "through\n"),
              f"{done.returncode} {done.stdout!r} {done.stderr}\n{server.log()[-3000:]}")
    if server.can("sftp"):
        target = servers.home / f"hello-{name}"
        batch = f"put {servers.identity['rsa']}.pub {server.home}/hello-{name}\n"
        words = [w.replace("-p", "-P") if w == "-p" else w for w in server.options()]
        user = words.index("-l")
        words[user:user + 2] = ["-o", f"User={server.user}"]
        done = subprocess.run(["sftp", "-F", "none", "-S", ssh, "-b", "-", *words, server.host], input=batch, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        check(f"{name} sftp", done.returncode == 0 and target.exists(), f"{done.stdout} {done.stderr}")
    words = [w.replace(str(servers.identity["ed25519"]), str(servers.stranger)) for w in server.options()]
    done = subprocess.run([ssh, "-F", "none", *words, "-o", "PreferredAuthentications=publickey", server.host, "true"],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    check(f"{name} refuses a strange key", done.returncode == 255 and "ermission denied" in done.stderr, done.stderr)
    return server


def selftest():
    absent = 0
    with SshServers() as servers:
        for name in NAMES:
            lacks = missing(name)
            if lacks:
                absent += 1
                print(f"SKIP  {name}: {lacks} is missing")
                continue
            start = time.monotonic()
            server = selftest_server(servers, name)
            print(f"ok    {name} at port {server.port} in {time.monotonic() - start:.1f} s", flush=True)
        lines = ["RekeyLimit 16K"]
        check("one more", servers.start("openssh", lines).port != servers.get("openssh").port)
    return 1 if absent and os.environ.get("NK_REQUIRE_PEERS") == "1" else 0


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    if len(sys.argv) == 3 and sys.argv[1] == "start" and sys.argv[2] in NAMES:
        if lacks := missing(sys.argv[2]):
            raise SystemExit(f"{lacks} is missing")
        with SshServers() as servers:
            server = servers.get(sys.argv[2])
            print("ssh", *server.options(), server.host, flush=True)
            sys.stdin.read()
        return 0
    print(f"usage: {sys.argv[0]} --selftest | start {'|'.join(NAMES)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
