# SPDX-License-Identifier: MIT
"""`netkit ssh-key copy-id` against real servers: what is in authorized_keys before and after, and what then logs in."""

import json
import os
import pathlib
import shutil
import stat

import pytest
from support import clean_env, run

SERVERS = ["openssh", "openssh-backports", "dropbear", "tinyssh", "asyncssh", "conch", "dropbear-alone"]


def copy(server, *words, **extra):
    options = [w for w in server.options() if w not in ("-l", server.user)]
    return run("ssh-key", "copy-id", "-F", "none", *words, *options, f"{server.user}@{server.host}",
               env=clean_env(SSH_AUTH_SOCK=""), **extra)


@pytest.fixture(name="folder")
def _folder(ssh_servers):
    """~/.ssh of the user, as it was afterwards."""
    path = pathlib.Path(ssh_servers.home) / ".ssh"
    before = path.with_name("ssh.before")
    shutil.copytree(path, before)
    shutil.copystat(path, before)
    owner = path.stat()
    yield path
    for name in os.listdir(path):
        (path / name).unlink()
    for name in os.listdir(before):
        (before / name).rename(path / name)
        os.chown(path / name, owner.st_uid, owner.st_gid)
    before.rmdir()


@pytest.fixture(name="new_key")
def _new_key(ssh_servers, tmp_path):
    return pathlib.Path(ssh_servers.make_key(tmp_path / "new"))


@pytest.mark.parametrize("name", SERVERS)
def test_every_server(ssh_servers, folder, new_key, name):
    server = ssh_servers.get(name)
    file = folder / "authorized_keys"
    before = file.read_text(encoding="ascii").rstrip("\n")
    file.write_text(before, encoding="ascii")  # its last line has no end
    done = copy(server, "-i", new_key)
    assert done.returncode == 0 and done.stdout.endswith(": added\n"), (done.stdout, done.stderr)
    line = pathlib.Path(f"{new_key}.pub").read_text(encoding="ascii")
    assert file.read_text(encoding="ascii") == before + "\n" + line
    assert os.listdir(folder).count("authorized_keys") == 1 and not [n for n in os.listdir(folder) if ".nk-" in n]
    if name != "conch":  # the test's server reads the file when it is started
        done = run("ssh", "-F", "none", *server.options({"IdentityFile": new_key}), server.host, "echo in",
                   env=clean_env(SSH_AUTH_SOCK=""))
        assert done.stdout == "in\n", done.stderr
    done = copy(server, "-i", f"{new_key}.pub", "--json")
    [key] = json.loads(done.stdout)["keys"]
    assert not key["added"] and not key["missing"] and key["fingerprint"].startswith("SHA256:")
    assert file.read_text(encoding="ascii") == before + "\n" + line


@pytest.mark.parametrize("name", ["openssh", "dropbear-alone"])
def test_modes_and_links(ssh_servers, folder, new_key, name):
    server = ssh_servers.get(name)
    file, real = folder / "authorized_keys", folder / "real"
    keys = file.read_bytes()
    file.rename(real)
    real.chmod(0o644)
    file.symlink_to("real")
    assert copy(server, "-i", new_key).returncode == 0
    assert file.is_symlink() and real.read_bytes().startswith(keys) and len(real.read_bytes()) > len(keys)
    assert stat.S_IMODE(real.stat().st_mode) == 0o644 and sorted(os.listdir(folder)) == ["authorized_keys", "real"]


@pytest.mark.parametrize("name", ["openssh", "dropbear-alone"])
def test_nothing_there(ssh_servers, folder, new_key, tmp_path, name):
    """No file, no folder; the login is by a password."""
    server = ssh_servers.get(name)
    aside = tmp_path / "aside"
    password = tmp_path / "password"
    password.write_text(server.password + "\n", encoding="ascii")
    password.chmod(0o600)
    shutil.move(folder, aside)
    try:
        done = copy(server, "-i", new_key, "--password-file", password, "--dry-run")
        assert done.stdout.endswith(": would be added\n"), done.stderr
        assert not folder.exists()
        done = copy(server, "-i", new_key, "--password-file", password)
        assert done.returncode == 0, done.stderr
        file = folder / "authorized_keys"
        assert file.read_bytes() == pathlib.Path(f"{new_key}.pub").read_bytes()
        assert [stat.S_IMODE(p.stat().st_mode) for p in (folder, file)] == [0o700, 0o600]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(aside, folder)


def test_what_is_refused(ssh_servers, folder, new_key, tmp_path):
    server = ssh_servers.get("openssh")
    before = (folder / "authorized_keys").read_bytes()
    pathlib.Path(f"{new_key}.pub").unlink()
    done = copy(server, "-i", new_key)  # a private key is not sent anywhere
    assert done.returncode != 0 and "PRIVATE" not in done.stdout
    assert copy(server, "-i", tmp_path / "nothing").returncode != 0
    other = ssh_servers.make_key(tmp_path / "other")
    ssh_servers.certify(ssh_servers.user_ca, other, "id", server.user)
    done = copy(server, "-i", f"{other}-cert.pub")
    assert done.returncode != 0 and "certificate" in done.stderr
    home = tmp_path / "home"
    home.mkdir()
    done = run("ssh-key", "copy-id", "-F", "none", "-p", server.port, f"{server.user}@{server.host}",
               env=clean_env(SSH_AUTH_SOCK="", HOME=str(home)))
    assert done.returncode == 2 and "-i" in done.stderr
    assert (folder / "authorized_keys").read_bytes() == before


def test_shell_that_cannot(ssh_servers, folder, new_key, tmp_path):
    """Without SFTP: what the shell there says is told, the file stays as it is, and nothing is left beside it."""
    server = ssh_servers.get("dropbear-alone")
    before = (folder / "authorized_keys").read_bytes()
    assert b"nk-" not in before
    done = copy(server, "-i", new_key, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    [key] = json.loads(done.stdout)["keys"]
    assert key["missing"] and not key["added"] and (folder / "authorized_keys").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["authorized_keys"]
    account = pathlib.Path(ssh_servers.home)
    password = tmp_path / "password"
    password.write_text(server.password + "\n", encoding="ascii")
    password.chmod(0o600)
    folder.rename(account / "ssh.aside")
    (account / ".ssh").write_text("no folder", encoding="ascii")
    try:
        done = copy(server, "-i", new_key, "--password-file", password)
        assert done.returncode == 74 and "its shell cannot write authorized_keys: " in done.stderr, done.stderr
        assert (account / ".ssh").read_text(encoding="ascii") == "no folder"
    finally:
        (account / ".ssh").unlink()
        (account / "ssh.aside").rename(folder)

