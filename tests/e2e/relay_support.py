# SPDX-License-Identifier: MIT
"""Relays and endpoints for the end-to-end tests: netkit's, and the independent peer's."""

import atexit
import functools
import pathlib
import shutil
import subprocess
import sys
import tempfile

import support

sys.path.insert(0, str(support.ROOT / "tests" / "peers"))

import tlspyo_peer  # noqa: E402  (found through the path above)

PASSWORD = "correct horse battery staple 7"


def write_secret(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


class NetkitRelay:
    """`netkit relay` with a state directory of its own. tls=False speaks plain TCP. groups is
    {name: {"max_count": n, ...}}: then only these groups are accepted."""

    def __init__(self, start, work, tls=True, groups=None, password=PASSWORD, header_size=10,
                 extra=(), ini=""):
        self.state = work / "state"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.header_size = header_size
        self.tls = tls
        self.password = password
        self.password_file = self.state / "credentials" / "password"
        self.ca = self.state / "credentials" / "certificate.pem"
        if password is not None:
            self.password_file.parent.mkdir(mode=0o700, exist_ok=True)
            write_secret(self.password_file, password + "\n")
        config = work / "relay.ini"
        config.write_text(ini + self._groups(groups), encoding="utf-8")
        argv = [support.NETKIT, "relay", "-c", config, "--state-dir", self.state,
                "--listen", "tcp:127.0.0.1:0", "--connection", "TLS" if tls else "TCP",
                "--header-size", header_size, *extra]
        self.program = start(argv)
        self.address = self.program.wait_line(r"listening on tcp:(127\.0\.0\.1:\d+)").group(1)
        if password is None:
            self.password = self.password_file.read_text(encoding="utf-8").rstrip("\n")

    @staticmethod
    def _groups(groups):
        """INI names are [a-z0-9-]+; the real name stands in `match`."""
        text = ""
        for i, (name, limits) in enumerate((groups or {}).items()):
            text += f"[group g{i}]\nmatch = {name}\n"
            text += "".join(f"{key} = {value}\n" for key, value in limits.items())
        return text

    def endpoint(self, groups=(), **kw):
        """A connected peer Endpoint."""
        kw.setdefault("password", self.password)
        kw.setdefault("header_size", self.header_size)
        return tlspyo_peer.Endpoint(self.address, groups=groups,
                                    ca=str(self.ca) if self.tls else None, **kw)

    def joined(self, groups=(), **kw):
        return self.endpoint(groups, **kw).wait_joined()

    def options(self):
        """What a `netkit endpoint` command needs to find this relay."""
        words = ["--connect", f"tcp:{self.address}", "--state-dir", self.state,
                 "--header-size", self.header_size]
        return words if self.tls else [*words, "--connection", "TCP"]

    def stop(self):
        return self.program.stop()


class PeerRelay(tlspyo_peer.Relay):
    """The independent relay, with files for `netkit endpoint`."""

    def __init__(self, work, tls=True, password=PASSWORD, **kw):
        self.password_file = write_secret(work / "peer.password", password + "\n")
        self.ca = work / "peer.pem"
        key = work / "peer.key"
        if tls:
            for source, target in zip(stock_certificate(), (self.ca, key)):
                shutil.copy(source, target)
        super().__init__(password=password, cert=str(self.ca) if tls else None,
                         key=str(key) if tls else None, **kw)
        self.tls = tls

    def options(self):
        words = ["--connect", f"tcp:{self.address}", "--password-file", self.password_file,
                 "--state-dir", self.ca.parent / "none"]
        return [*words, "--ca", self.ca] if self.tls else [*words, "--connection", "TCP"]


@functools.lru_cache(maxsize=None)
def stock_certificate():
    """Certificate and key as tlspyo makes them; once for all tests, because RSA takes its time."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="nk-e2e-cert-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    make_certificate(directory / "cert.pem", directory / "key.pem")
    return directory / "cert.pem", directory / "key.pem"


def make_certificate(cert, key, rsa=True):
    """As tlspyo's --generate makes them: RSA 4096 (smaller here, for speed), v3, SAN DNS:default and
    no other extension."""
    support.need_command("openssl")
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    config = pathlib.Path(str(key) + ".cnf")
    config.write_text("[req]\ndistinguished_name=d\nx509_extensions=x\nprompt=no\n[d]\nCN=default\n"
                      "[x]\nsubjectAltName=DNS:default\n", encoding="ascii")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-out",
                    cert, "-days", "3650", "-sha512", "-config", config], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def endpoint(relay, verb, *args, **kw):
    """Run `netkit endpoint VERB` against a relay to its end."""
    args = list(args)
    rest = []
    if "--" in args:
        rest = args[args.index("--"):]
        args = args[:args.index("--")]
    return support.run("endpoint", verb, *args, *relay.options(), *rest, **kw)


def endpoint_argv(relay, verb, *args):
    """The command line of `netkit endpoint VERB`, for support.Program."""
    args = list(args)
    rest = []
    if "--" in args:
        rest = args[args.index("--"):]
        args = args[:args.index("--")]
    return [support.NETKIT, "endpoint", verb, *args, *relay.options(), *rest]
