# SPDX-License-Identifier: MIT
"""ssh-key scan: the keys that real servers have, and what servers do that are none."""

import json
import socket
import subprocess
import time

import pytest
import ssh_hostile
import ssh_servers as real_servers

import support


def scan(*args, **kw):
    return support.run("ssh-key", "scan", *args, **kw)


def lines(text):
    return sorted(line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("name", real_servers.NAMES)
def test_every_server(ssh_servers, name):
    """The keys are those of the server's files, no more and no less."""
    server = ssh_servers.get(name)
    done = scan("-p", server.port, server.host)
    assert done.returncode == 0, done.stderr
    has = [f"[{server.host}]:{server.port} " + " ".join(open(f"{key}.pub", encoding="ascii").read().split()[:2])
           for key in server.host_keys().values()]
    assert lines(done.stdout) == sorted(has)


def test_as_ssh_keyscan(ssh_servers):
    support.need_command("ssh-keyscan")
    server = ssh_servers.get("openssh")
    theirs = subprocess.run(["ssh-keyscan", "-p", str(server.port), server.host], capture_output=True, text=True,
                            check=True, timeout=support.PATIENCE).stdout
    assert lines(scan(f"[{server.host}]:{server.port}").stdout) == lines(theirs)


def test_certificates_and_json(ssh_servers, work):
    key = ssh_servers.host_key["ed25519"]
    local = work / "host"
    local.write_bytes(key.read_bytes())
    local.chmod(0o600)
    (work / "host.pub").write_bytes(key.with_name(key.name + ".pub").read_bytes())
    certificate = ssh_servers.certify(ssh_servers.user_ca, local, "id", "127.0.0.1", "-h")
    with ssh_hostile.HostileServer("honest", host_key=local, certificate=certificate) as server:
        done = scan("--certificates", "--json", f"[127.0.0.1]:{server.port}")
    assert done.returncode == 0, done.stderr
    (host,) = json.loads(done.stdout)
    assert host["server"] == "SSH-2.0-hostile_1" and host["error"] is None
    assert host["host"] == f"[127.0.0.1]:{server.port}"
    assert "ssh-ed25519-cert-v01@openssh.com" in [k["type"] for k in host["keys"]]
    assert len({k["fingerprint"] for k in host["keys"]}) == 1  # of the key, also for its certificate


def test_several_hosts_at_once(ssh_servers, work):
    """One that never answers holds up nobody, and each is told for itself."""
    server = ssh_servers.get("openssh")
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
        gone.close()
        begin = time.monotonic()
        done = scan("--timeout", "1s", "--hash", f"[127.0.0.1]:{silent.getsockname()[1]}", f"[127.0.0.1]:{port}",
                    *[f"[127.0.0.1]:{server.port}"] * 3)
        assert time.monotonic() - begin < support.PATIENCE
    assert done.returncode == 75  # the first that failed: no answer in time
    assert "no host key came in time" in done.stderr and "refused" in done.stderr
    found = lines(done.stdout)
    assert len(found) == 9 and all(line.startswith("|1|") for line in found)
    (work / "known").write_text(done.stdout)
    known = support.run("ssh-key", "known-hosts", "find", "-f", work / "known", f"[127.0.0.1]:{server.port}")
    assert len(known.stdout.splitlines()) == 9


def test_over_an_endpoint(ssh_servers):
    server = ssh_servers.get("openssh")
    done = scan("--connect", f"tcp:127.0.0.1:{server.port}", "name.example")
    assert done.returncode == 0 and "name.example ssh-ed25519 " in done.stdout
    support.check_error(scan("--connect", "tcp:127.0.0.1:1", "a", "b"), 2, "--connect")


@pytest.mark.parametrize("fault", [
    "http", "ssh1", "refused", "line-forever", "lines-forever", "length-huge", "length-zero", "length-odd",
    "padding-all", "kexinit-twice", "kexinit-short", "nothing-common", "ignore-in-kex", "debug-first",
    "success-in-kex", "newkeys-early", "zero-x25519", "short-x25519", "signature-wrong",
    "signature-name", "signature-short", "end-ident", "end-kexinit", "end-kex", "disconnect-kexinit"])
def test_hostile_servers(fault):
    """No key of theirs is told."""
    with ssh_hostile.HostileServer(fault) as server:
        done = scan("--timeout", "5s", f"[127.0.0.1]:{server.port}")
    assert done.returncode in (69, 75, 76, 77), (done.returncode, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith(f"[127.0.0.1]:{server.port}: ")
    assert "\x1b" not in done.stderr


def test_names(work):
    del work
    for host in ("-x", "a b", "a;b", "$(x)", "a,b", "*", "a/b", "", "[a]:0", "[a]:70000", "[a]x"):
        assert scan("--", host).returncode == 2, host
