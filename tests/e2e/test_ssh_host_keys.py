# SPDX-License-Identifier: MIT
"""netkit ssh and the keys of hosts: what is believed, asked about, remembered and refused."""

import re
import subprocess

import pytest
import ssh_hostile

import support
from terminal_support import Terminal

FAILED = 255  # as ssh ends when there is no connection
ALARM = "REMOTE HOST IDENTIFICATION HAS CHANGED"


@pytest.fixture(scope="module", name="sshd")
def _sshd(ssh_servers):
    return ssh_servers.get("openssh")


def public(key):
    return " ".join(open(f"{key}.pub", encoding="ascii").read().split()[:2])


def fingerprint(key, kind="sha256"):
    done = subprocess.run(["ssh-keygen", "-l", "-E", kind, "-f", f"{key}.pub"], capture_output=True, text=True,
                          check=True)
    return done.stdout.split()[1]


def words(servers, server, known, *options):
    settings = {"UserKnownHostsFile": known, "GlobalKnownHostsFile": "none", "IdentitiesOnly": "yes",
                "IdentityFile": servers.identity["ed25519"]}
    out = ["ssh", "-F", "none", "-p", str(server.port), "-l", getattr(server, "user", "nkuser")]
    for option in options:
        out += [option] if option.startswith("--") else ["-o", option]
    for key, value in settings.items():
        out += ["-o", f"{key}={value}"]
    return [*out, "127.0.0.1", "true"]


def connect(servers, server, known, *options):
    argv = words(servers, server, known, "BatchMode=yes", *options)
    return support.run(*argv, env=support.clean_env(SSH_AUTH_SOCK=""))


def refused(done, *texts):
    assert done.returncode == FAILED, (done.returncode, done.stderr)
    for text in texts:
        assert text in done.stderr, done.stderr


def test_accept_new(ssh_servers, sshd, work):
    known = work / "ssh" / "known_hosts"
    done = connect(ssh_servers, sshd, known, "StrictHostKeyChecking=accept-new")
    assert done.returncode == 0, done.stderr
    assert "Permanently added" in done.stderr
    first = known.read_text().splitlines()[0].split()
    assert first[0] == f"[127.0.0.1]:{sshd.port}"
    assert known.stat().st_mode & 0o777 == 0o600
    done = connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes")
    assert (done.returncode, done.stderr) == (0, "")
    known.unlink()
    done = connect(ssh_servers, sshd, known, "StrictHostKeyChecking=accept-new", "HashKnownHosts=yes")
    assert done.returncode == 0 and known.read_text().startswith("|1|")
    found = subprocess.run(["ssh-keygen", "-F", f"[127.0.0.1]:{sshd.port}", "-f", known], capture_output=True,
                           text=True, check=True)
    assert "found" in found.stdout


def test_unknown_hosts_are_refused(ssh_servers, sshd, work):
    known = work / "known"
    for option in ("StrictHostKeyChecking=yes", "StrictHostKeyChecking=ask"):
        refused(connect(ssh_servers, sshd, known, option), "SHA256:", "is not known")
        assert not known.exists()


@pytest.mark.parametrize("mode", ["yes", "ask", "accept-new"])
def test_changed_keys_are_refused(ssh_servers, sshd, work, mode):
    known = work / "known"
    text = f"# first\n[127.0.0.1]:{sshd.port} {public(ssh_servers.stranger)}\n"
    known.write_text(text)
    before = sshd.log().count("Accepted")
    done = connect(ssh_servers, sshd, known, f"StrictHostKeyChecking={mode}")
    refused(done, ALARM, f"{known}, line 2", "ssh-key known-hosts remove", fingerprint(ssh_servers.host_key["ed25519"]))
    assert known.read_text() == text
    assert sshd.log().count("Accepted") == before

def test_nothing_is_forwarded_by_a_changed_host(ssh_servers, sshd, work):
    """StrictHostKeyChecking=no runs a program there all the same, and leads on to hosts that are verified themselves."""
    known, good, config = work / "known", work / "good", work / "config"
    known.write_text(f"[127.0.0.1]:{sshd.port} {public(ssh_servers.stranger)}\n")
    good.write_text(f"[127.0.0.1]:{sshd.port} {public(ssh_servers.host_key['ed25519'])}\n")
    argv = words(ssh_servers, sshd, known, "BatchMode=yes", "StrictHostKeyChecking=no")
    env = support.clean_env(SSH_AUTH_SOCK="")
    there = f"127.0.0.1:{sshd.port}"
    assert support.run(*argv, env=env).returncode == 0
    for more in (["-W", there, "127.0.0.1"], ["-N", "-L", f"{work}/s:{there}", "127.0.0.1"],
                 ["-o", "ExitOnForwardFailure=yes", "-R", f"0:{there}", "127.0.0.1", "true"]):
        done = support.run(*argv[:-2], *more, env=env)
        refused(done, ALARM, "nothing is forwarded")
        assert done.stdout == ""
    done = support.run(*argv[:-2], "-R", f"0:{there}", "127.0.0.1", "echo", "in", env=env)
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr
    assert "nothing is forwarded" in done.stderr and "Allocated port" not in done.stderr
    config.write_text(f"Host *\n HostName 127.0.0.1\n Port {sshd.port}\n User {argv[argv.index('-l') + 1]}\n"
                      f" IdentityFile {ssh_servers.identity['ed25519']}\n GlobalKnownHostsFile none\n BatchMode yes\n"
                      f"Host hop\n StrictHostKeyChecking no\n UserKnownHostsFile {known}\n"
                      f"Host target\n ProxyJump hop\n StrictHostKeyChecking yes\n UserKnownHostsFile {good}\n")
    done = support.run("ssh", "-F", config, "target", "echo", "in", env=env)
    assert (done.returncode, done.stdout) == (0, "in\n") and ALARM in done.stderr, done.stderr


def test_revoked(ssh_servers, sshd, work):
    known = work / "known"
    key = public(ssh_servers.host_key["ed25519"])
    known.write_text(f"* {key}\n@revoked * {key}\n")
    refused(connect(ssh_servers, sshd, known, "StrictHostKeyChecking=no"), "revoked", f"{known}:2")
    known.write_text(f"* {key}\n")
    (work / "list").write_text(f"{key} lost\n")
    refused(connect(ssh_servers, sshd, known, f"RevokedHostKeys={work}/list"), "revoked")
    refused(connect(ssh_servers, sshd, known, f"RevokedHostKeys={work}/absent"), "absent")


def test_pins(ssh_servers, sshd, work):
    known = work / "known"
    good = ssh_servers.host_key["ed25519"]
    for pin in (fingerprint(good), fingerprint(good, "md5"), fingerprint(good, "md5")[4:]):
        done = connect(ssh_servers, sshd, known, f"--fingerprint={pin}", "HostKeyAlgorithms=ssh-ed25519")
        assert done.returncode == 0, done.stderr
        assert ("can be forged" in done.stderr) == (not pin.startswith("SHA256:"))
        assert not known.exists()
    known.write_text(f"* {public(good)}\n")
    done = connect(ssh_servers, sshd, known, f"--fingerprint={fingerprint(ssh_servers.stranger)}")
    refused(done, "another fingerprint", fingerprint(good))
    done = connect(ssh_servers, sshd, known, "--fingerprint=SHA256:abc")
    assert done.returncode != 0 and "not the fingerprint" in done.stderr


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_the_known_type_is_asked_for(ssh_servers, sshd, work, kind):
    """A server with several keys shows the one that is known, so that nothing is asked."""
    known = work / "known"
    text = f"[127.0.0.1]:{sshd.port} {public(ssh_servers.host_key[kind])}\n"
    known.write_text(text)
    done = connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes", "UpdateHostKeys=no")
    assert (done.returncode, done.stderr) == (0, "")
    assert known.read_text() == text


def test_name_without_port(ssh_servers, sshd, work):
    known = work / "known"
    known.write_text(f"127.0.0.1 {public(ssh_servers.host_key['ed25519'])}\n")
    assert connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes").returncode == 0
    known.write_text(f"alias {public(ssh_servers.host_key['ed25519'])}\n")
    assert connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes", "HostKeyAlias=Alias").returncode == 0
    known.write_text(f"[alias]:2200 {public(ssh_servers.host_key['ed25519'])}\n")
    assert connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes", "HostKeyAlias=Alias").returncode == FAILED
    assert connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes", "HostKeyAlias=[Alias]:2200").returncode == 0
    known.write_text("")  # and what is learnt goes under that name
    assert connect(ssh_servers, sshd, known, "StrictHostKeyChecking=accept-new", "HostKeyAlias=[Alias]:2200").returncode == 0
    assert known.read_text().startswith("[alias]:2200 ssh-")


# --- authorities ------------------------------------------------------------------------------------------------


@pytest.fixture(name="certified")
def _certified(ssh_servers, work):
    """certified(principals, words..) -> a running server whose key has such a certificate."""
    running = []

    def start(principals, *how):
        key = ssh_servers.make_key(work / f"host{len(running)}")
        ca = work / "ca"
        if not ca.exists():
            ssh_servers.make_key(ca)
        certificate = ssh_servers.certify(ca, key, "id", principals, "-h", *how)
        server = ssh_hostile.HostileServer("honest", host_key=key, certificate=certificate)
        server.key = key
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()


def test_authorities(ssh_servers, certified, work):
    known = work / "known"
    good, other, old = certified("a,127.0.0.1"), certified("a.example"), certified("127.0.0.1", "-V", "-2d:-1d")
    critical = certified("127.0.0.1", "-O", "critical:x@example=1")
    ca = f"@cert-authority 127.0.0.1,[127.0.0.1]:* {public(work / 'ca')}\n"
    known.write_text(ca)
    ask = "StrictHostKeyChecking=no"  # whatever is asked: a bad certificate is refused
    assert connect(ssh_servers, good, known, "StrictHostKeyChecking=yes").returncode == 0
    refused(connect(ssh_servers, other, known, ask), "not for that name")
    refused(connect(ssh_servers, old, known, ask), "not valid any more")
    refused(connect(ssh_servers, critical, known, ask), "x@example")
    refused(connect(ssh_servers, good, known, ask, "CASignatureAlgorithms=rsa-sha2-512"), "CASignatureAlgorithms")
    known.write_text(ca + f"@revoked * {public(work / 'ca')}\n")
    refused(connect(ssh_servers, good, known, ask), "revoked")
    known.write_text("")  # nobody knows the authority: the key counts
    refused(connect(ssh_servers, good, known, "StrictHostKeyChecking=yes"), "not known", fingerprint(good.key))
    known.write_text(f"[127.0.0.1]:{old.port} {public(old.key)}\n" + ca)
    assert connect(ssh_servers, old, known, "StrictHostKeyChecking=yes").returncode == 0


def test_authority_with_sha1(ssh_servers, work):
    """The same authority of RSA keys: a certificate with SHA-2 is good, one with SHA-1 is not."""
    ca, known = ssh_servers.make_key(work / "ca", "rsa"), work / "known"
    known.write_text(f"@cert-authority * {public(ca)}\n", encoding="ascii")
    for alg, good in (("rsa-sha2-512", True), ("ssh-rsa", False)):
        key = ssh_servers.make_key(work / alg)
        certificate = ssh_servers.certify(ca, key, "id", "127.0.0.1", "-h", "-t", alg)
        with ssh_hostile.HostileServer("honest", host_key=key, certificate=certificate) as server:
            done = connect(ssh_servers, server, known, "StrictHostKeyChecking=no")
            if good:
                assert done.returncode == 0, done.stderr
            else:
                refused(done, "signed with an algorithm that is not supported")


# A line for ssh-keygen -k (OpenSSH's KRL), and what it revokes: the key, its certificate with the serial number 70.
REVOCATIONS = {
    "key": ("{key}", True, True),
    "sha1": ("sha1: {key}", True, True),
    "sha256": ("sha256: {key}", True, True),
    "hash": ("hash: {print}", True, True),
    "other key": ("{other}", False, False),
    "serial": ("serial: 70", False, True),
    "other serial": ("serial: 71", False, False),
    "serials": ("serial: 60-100000", False, True),
    "some serials": ("\n".join(f"serial: {n}" for n in (1, 3, 64, 70, 71, 80, 500)), False, True),
    "other serials": ("\n".join(f"serial: {n}" for n in (1, 3, 64, 69, 71, 80, 500)), False, False),
    "id": ("id: id", False, True),
    "other id": ("id: idea", False, False),
    "authority": ("{ca}", False, True),
    "nothing": ("", False, False),
}


@pytest.mark.parametrize("name", sorted(REVOCATIONS))
def test_binary_revocation_lists(ssh_servers, certified, work, name):
    """What OpenSSH's ssh-keygen writes into a list is revoked, and it is of the same opinion about what is in it."""
    server = certified("127.0.0.1", "-z", "70")
    other = ssh_servers.make_key(work / "other")
    text, key_revoked, cert_revoked = REVOCATIONS[name]
    values = {"key": public(server.key), "other": public(other), "ca": public(work / "ca"), "print": fingerprint(server.key)}
    (work / "spec").write_text(text.format(**values) + "\n", encoding="ascii")
    krl, certificate = work / "krl", f"{server.key}-cert.pub"
    authority = [] if "serial" not in text and "id:" not in text else ["-s", work / "ca.pub"]
    subprocess.run(["ssh-keygen", "-q", "-k", "-z", "5", "-f", krl, *authority, work / "spec"], check=True)
    for file, revoked in ((f"{server.key}.pub", key_revoked), (certificate, cert_revoked)):
        done = subprocess.run(["ssh-keygen", "-Q", "-f", krl, file], capture_output=True, check=False)
        assert (done.returncode != 0) == revoked, done.stdout
    known = work / "known"
    known.write_text(f"@cert-authority * {public(work / 'ca')}\n", encoding="ascii")
    done = connect(ssh_servers, server, known, "StrictHostKeyChecking=yes", f"RevokedHostKeys={krl}")
    if cert_revoked:
        refused(done, "revoked", str(krl))
    else:
        assert done.returncode == 0, done.stderr
    with ssh_hostile.HostileServer("honest", host_key=server.key) as plain:
        known.write_text(f"* {public(server.key)}\n", encoding="ascii")
        done = connect(ssh_servers, plain, known, "StrictHostKeyChecking=yes", f"RevokedHostKeys={krl}")
        assert done.returncode == (FAILED if key_revoked else 0), done.stderr
        krl.write_bytes(krl.read_bytes() + b"\6\0\0\0\0")  # a section that nobody knows
        refused(connect(ssh_servers, plain, known, "StrictHostKeyChecking=no", f"RevokedHostKeys={krl}"), "section", str(krl))


# --- questions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer, status", [("yes", 0), ("no", FAILED), ("fingerprint", 0), ("another", FAILED)])
def test_asking(ssh_servers, sshd, work, answer, status):
    known = work / "known"
    key = ssh_servers.host_key["ed25519"]
    typed = {"fingerprint": fingerprint(key), "another": fingerprint(ssh_servers.stranger)}.get(answer, answer)
    argv = words(ssh_servers, sshd, known, "HostKeyAlgorithms=ssh-ed25519")
    with Terminal(*argv, SSH_AUTH_SOCK="") as t:
        t.wait(re.escape(fingerprint(key)))
        t.press("y\n")  # that is no answer
        t.wait("'yes', 'no'")
        t.press(typed + "\n")
        assert int(t.wait(r"status (\d+)\.")[1]) == status
    assert known.exists() == (status == 0)


# --- keys that change -------------------------------------------------------------------------------------------


def test_update(ssh_servers, sshd, work):
    """After a login with a known key the others are learnt, and those that are gone are forgotten."""
    known = work / "known"
    name = f"[127.0.0.1]:{sshd.port}"
    keys = {kind: public(key) for kind, key in ssh_servers.host_key.items()}
    known.write_text(f"{name} {keys['ed25519']}\n{name} {public(ssh_servers.stranger)}\nother {keys['rsa']}\n")
    done = connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes", "UpdateHostKeys=yes")
    assert done.returncode == 0, done.stderr
    assert sorted(known.read_text().splitlines()) == sorted(
        [f"other {keys['rsa']}"] + [f"{name} {key}" for key in keys.values()])
    text = f"{name},other {keys['ed25519']}\n"  # also another's line: it stays as it is
    known.write_text(text)
    assert connect(ssh_servers, sshd, known, "StrictHostKeyChecking=yes", "UpdateHostKeys=yes").returncode == 0
    assert known.read_text() == text


def test_algorithms_that_netkit_does_not_have(ssh_servers, sshd, work):
    """Lists for OpenSSH are taken as far as they go."""
    known = work / "known"
    known.write_text(f"* {public(ssh_servers.host_key['ed25519'])}\n")
    done = connect(ssh_servers, sshd, known, "Ciphers=blowfish-cbc,aes256-ctr", "KexAlgorithms=+sntrup4591761x25519",
                   "HostKeyAlgorithms=+ssh-dss", "UpdateHostKeys=no")
    assert done.returncode == 0, done.stderr
    for name in ("blowfish-cbc", "sntrup4591761x25519", "ssh-dss"):
        assert f"no algorithm {name} in netkit" in done.stderr
    refused(connect(ssh_servers, sshd, known, "Ciphers=blowfish-cbc"), "netkit has none of them")
