# SPDX-License-Identifier: MIT
"""netkit hs share, netkit hs accept: from an invitation to a client that two real tors agree on."""

import base64
import json
import re

import pytest

import hs_support
import qr_decode
import support
from tor_offline import OfflineTor


@pytest.fixture
def web(work):
    return hs_support.service(work)


def ok(done):
    assert done.returncode == 0, done.stderr
    return done


def test_the_private_key_never_travels(work, web):
    address = (web / "hostname").read_text(encoding="ascii").strip().removesuffix(".onion")
    invitation = ok(support.run("hs", "share", web, "--nickname", "alice")).stdout
    assert invitation == f"onion-auth:v1?addr={address}&name=alice\n"
    # at the client's
    keys = work / "onion_auth"
    keys.mkdir(mode=0o700)
    done = ok(support.run("hs", "accept", "-", "--keystore", f"ctor:{keys}", input=invitation))
    answer = done.stdout
    assert re.fullmatch(r"descriptor:x25519:[A-Z2-7]{52}\n", answer)
    (file,) = keys.iterdir()
    secret = file.read_text(encoding="ascii").strip().split(":")[3]
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret.lower() not in (answer + done.stderr).lower()
    with OfflineTor(work, client_auth=keys) as tor:
        raw = base64.b32decode(secret.upper() + "====")
        assert {a: base64.b64decode(k) for a, k in tor.client_keys().items()} == {address: raw}
    # back at the service's
    ok(support.run("hs", "auth", "import", "--dir", web, "--nickname", "alice", "-", input=answer))
    second = work / "service"
    second.mkdir(mode=0o700)
    with OfflineTor(second, services=[web]) as tor:
        assert "alice.auth" in tor.clients_loaded(web)
    # the public half belongs to the private one
    shown = json.loads(ok(support.run("hs", "show", file, "--json")).stdout)
    fingerprint = json.loads(ok(support.run("hs", "auth", "list", "--dir", web, "--json")).stdout)
    (mark,) = [c["fingerprint"] for c in fingerprint["clients"] if c["name"] == "alice"]
    assert mark in json.dumps(shown)


def test_codes_for_the_camera(work, web):
    out = ok(support.run("hs", "share", web, "--nickname", "bob", "--qr")).stdout
    invitation, picture = out.split("\n", 1)
    assert qr_decode.decode(picture) == invitation
    colored = ok(support.run("hs", "share", web, "--nickname", "bob", "--qr", "--color", "always")).stdout
    assert "\x1b[" in colored and qr_decode.decode(colored.split("\n", 1)[1]) == invitation
    out = ok(support.run("hs", "accept", invitation, "--keystore", f"arti:{work}/keys", "--qr")).stdout
    public, picture = out.split("\n", 1)
    assert qr_decode.decode(picture) == public.upper()
    assert len(picture.splitlines()[0]) == 29 + 8  # version 3: capitals make it that small
    # what the camera saw is taken as it is
    ok(support.run("hs", "auth", "import", "--dir", web, "--nickname", "bob", "-", input=qr_decode.decode(picture)))
    doc = json.loads(ok(support.run("hs", "auth", "list", "--dir", web, "--json")).stdout)
    (key,) = [c["key"] for c in doc["clients"] if c["name"] == "bob"]
    assert public.lower().endswith(key)


def test_answers_as_json(work, web):
    doc = json.loads(ok(support.run("hs", "share", web, "--json")).stdout)
    assert doc["nickname"] is None and doc["invitation"].endswith(doc["address"].removesuffix(".onion"))
    doc = json.loads(ok(support.run("hs", "accept", doc["invitation"], "-k", f"ctor:{work}/new", "--json")).stdout)
    assert doc["public"].startswith("descriptor:x25519:") and doc["path"].startswith(f"{work}/new/")


def test_what_is_refused(work, web):
    invitation = ok(support.run("hs", "share", web)).stdout.strip()
    place = f"ctor:{work}/keys"
    ok(support.run("hs", "accept", invitation, "-k", place, "--dry-run"))
    assert not (work / "keys").exists()
    ok(support.run("hs", "accept", invitation, "-k", place))
    before = [(p.name, p.read_bytes()) for p in (work / "keys").iterdir()]
    support.check_error(support.run("hs", "accept", invitation, "-k", place), 73, "export-pubkey")
    assert [(p.name, p.read_bytes()) for p in (work / "keys").iterdir()] == before
    support.check_error(support.run("hs", "accept", invitation.replace("v1", "v2"), "-k", place), 1, "version 1")
    support.check_error(support.run("hs", "accept", invitation + "x", "-k", place), 1, "addr")
    support.check_error(support.run("hs", "accept", "hello", "-k", place), 1, "does not begin")
    support.check_error(support.run("hs", "share", "expyuzz4wqqyqhjn.onion"), 1, "version 2")
    support.check_error(support.run("hs", "share", web, "--nickname", "Bob"), 2, "'B'")
    support.check_error(support.run("hs", "share", work), 1)
