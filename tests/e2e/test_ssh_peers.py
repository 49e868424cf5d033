# SPDX-License-Identifier: MIT
"""sftp put and get on every SSH server, with its best and its worst algorithms (what `netkit ssh` does on them is in
test_ssh.py)."""

import json
import os
import random

import pytest
import ssh_servers as real_servers

import support

SIZE = 1500000


def sftp(servers, server, verb, *words, **settings):
    """Run it; paths of the server begin with ':'."""
    options = {"UserKnownHostsFile": servers.known_hosts, "GlobalKnownHostsFile": "none", "StrictHostKeyChecking": "yes",
               "IdentitiesOnly": "yes", **settings}
    argv = ["sftp", verb, "--json", "--no-input", "-F", "none", "-P", server.port]
    for key, value in options.items():
        argv += ["-o", f"{key}={value}"]
    paths = [f"{server.user}@{server.host}{w}" if str(w).startswith(":") else w for w in words]
    return support.run(*argv, *paths, env=support.clean_env(SSH_AUTH_SOCK=""))


@pytest.mark.parametrize("which", ["best", "worst"])
@pytest.mark.parametrize("name", real_servers.with_features("sftp"))
def test_there_and_back(ssh_servers, work, name, which):
    server = ssh_servers.get(name)
    data = random.Random(name).randbytes(SIZE)
    (work / "from").mkdir()
    (work / "from" / "large").write_bytes(data)
    for i in range(20):
        (work / "from" / f"small {i}").write_text(str(i), encoding="ascii")
    os.utime(work / "from" / "large", (1111111111, 1222222222))
    there = f":{server.home}/{name}-{which}"
    key = {"IdentityFile": ssh_servers.identity["ed25519"], **getattr(server, which)}
    for verb, words in (("put", [work / "from", there]), ("get", [there, work / "back"])):
        done = sftp(ssh_servers, server, verb, "-rp", *words, **key)
        assert done.returncode == 0, (verb, done.stderr, server.log()[-2000:])
        state = json.loads(done.stdout)
        assert (state["files"], state["failed"]) == (21, 0)
    names = sorted(p.name for p in (work / "from").iterdir())
    assert names == sorted(p.name for p in (work / "back").iterdir())
    assert all((work / "from" / n).read_bytes() == (work / "back" / n).read_bytes() for n in names)
    assert int((work / "back" / "large").stat().st_mtime) == 1222222222


@pytest.mark.parametrize("name", real_servers.with_features("sftp", "password"))
def test_with_a_password(ssh_servers, work, name):
    server = ssh_servers.get(name)
    (work / "from").write_text("by password", encoding="ascii")
    (work / "password").write_text(server.password + "\n", encoding="ascii")
    (work / "password").chmod(0o600)
    done = sftp(ssh_servers, server, "put", "--password-file", work / "password", work / "from", f":{server.home}/{name}-password",
                PubkeyAuthentication="no")
    assert done.returncode == 0, done.stderr
    assert (ssh_servers.home / f"{name}-password").read_text(encoding="ascii") == "by password"
    (work / "password").write_text("wrong", encoding="ascii")
    done = sftp(ssh_servers, server, "put", "--password-file", work / "password", work / "from", f":{server.home}/x",
                PubkeyAuthentication="no")
    assert done.returncode == 77 and not (ssh_servers.home / "x").exists(), done.stderr
