# SPDX-License-Identifier: MIT
"""netkit tor doctor: the lines that it asks for are those that open a tor."""

import json
import shutil
import subprocess

import pytest

import support
from tor_offline import TOR


def doctor(*args, **kw):
    return support.run("tor", "doctor", *args, **kw)


def test_nothing_is_missing(tor_network):
    done = doctor("--control", tor_network.client.control_socket)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "authenticated by: SAFECOOKIE" in done.stderr and tor_network.client.socks in done.stderr
    doc = json.loads(support.run("--json", "tor", "doctor", "--control", tor_network.client.control_socket).stdout)
    assert doc["control"] and doc["missing"] == [] and doc["socks"] == f"tcp:{tor_network.client.socks}"


def test_lines_for_a_tor_without_control_port(work):
    (work / "torrc").write_text("Nickname x\n", encoding="ascii")
    done = doctor("--control", work / "nothing.sock", "--torrc-file", work / "torrc")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:3] == ["ControlPort 9051", "CookieAuthentication 1", "CookieAuthFileGroupReadable 1"]
    # tor takes them, and what is there already is not asked for again
    with open(work / "torrc", "a", encoding="ascii") as torrc:
        torrc.write(done.stdout)
    done = doctor("--control", work / "nothing.sock", "--torrc-file", work / "torrc")
    assert done.returncode == 1 and done.stdout == "" and "start tor" in done.stderr


def test_tor_takes_its_lines(work):
    if not TOR:
        support.missing_peer("the program tor")
    (work / "torrc").write_text("", encoding="ascii")
    said = doctor("--control", work / "nothing.sock", "--torrc-file", work / "torrc").stdout
    (work / "torrc").write_text(f"DataDirectory {work}/data\n{said}", encoding="ascii")
    (work / "defaults").write_text("", encoding="ascii")
    subprocess.run([TOR, "--verify-config", "-f", work / "torrc", "--defaults-torrc", work / "defaults"], check=True,
                   stdout=subprocess.DEVNULL, timeout=support.PATIENCE)


def test_cookie_that_may_not_be_read(work, tor_network):
    """As a user who is not in tor's group: the line that opens the cookie to the group, and whose it is."""
    support.need_root()
    words = [support.need_command("setpriv"), "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    work.chmod(0o755)
    shutil.copy(support.NETKIT, work / "netkit")
    (work / "torrc").write_text(f"ControlPort {tor_network.client.control}\nCookieAuthentication 1\n", encoding="ascii")
    done = subprocess.run([*words, work / "netkit", "tor", "doctor", "--control", tor_network.client.control,
                           "--torrc-file", work / "torrc"], text=True, capture_output=True, timeout=support.PATIENCE,
                          env=support.clean_env(NETKIT_STATE_DIR="/nonexistent"), check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[0] == "CookieAuthFileGroupReadable 1"
    assert "control_auth_cookie may not be read" in done.stderr and "owner root" in done.stderr


@pytest.mark.parametrize("more", [["--control", "nonsense:nowhere:1"]])
def test_bad_places(more):
    done = doctor(*more)
    assert done.returncode != 0 and done.stderr
