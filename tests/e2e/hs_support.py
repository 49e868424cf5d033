# SPDX-License-Identifier: MIT
"""What the tests of onion keys share: a real tor without network, directories of keys, key lines."""

import base64
import os
import sys

import support

sys.path.insert(0, str(support.ROOT / "tests" / "peers"))
import tor_offline  # noqa: E402  (tests/peers is no package)

LOCK = "zz-netkit-lock"


def need_tor():
    if not tor_offline.TOR:
        support.missing_peer("tor")


def base32(data):
    return base64.b32encode(data).decode().lower().rstrip("=")


def random_key():
    """32 bytes that are a good X25519 public key as well as a good secret one."""
    return os.urandom(31) + b"\x10"


def line(key):
    return "descriptor:x25519:" + base32(key)


def arti_line(key):
    name = b"x25519@spec.torproject.org"
    blob = len(name).to_bytes(4, "big") + name + len(key).to_bytes(4, "big") + key
    return name.decode() + " " + base64.b64encode(blob).decode()


def service(work, name="web"):
    """A HiddenServiceDir as tor itself makes it."""
    need_tor()
    path = work / name
    base = work / f"make-{name}"
    base.mkdir(mode=0o700)
    with tor_offline.OfflineTor(base, services=[path]):
        pass
    assert (path / "hs_ed25519_secret_key").stat().st_size == 96
    return path


def authorized(path):
    return path / "authorized_clients"


def put_client(path, name, text):
    file = authorized(path) / name
    file.write_text(text, encoding="ascii")
    file.chmod(0o600)
    return file
