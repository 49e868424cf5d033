# SPDX-License-Identifier: MIT
"""What ssh_hostile.py can do wrong, and the bytes that it says then."""

from ssh_packets import CLOSE, DATA, EOF, EXTENDED, REQUEST, string, u32

# What can go wrong, and in which step it does.
FAULTS = {
    "honest": "nothing",
    # before there are packets
    "lines-forever": "lines that are no identification, without end",
    "line-forever": "a line without end",
    "http": "an answer of a web server",
    "ssh1": "a server of version 1",
    "refused": "a sentence instead of an identification, as sshd with penalties has it",
    # packets
    "length-huge": "a packet of 4 GiB",
    "length-zero": "a packet without anything",
    "length-odd": "a packet that is no multiple of 8",
    "padding-all": "padding as long as the packet",
    "tag-wrong": "the first encrypted packet has a wrong tag",
    "sealed-huge": "an encrypted packet of 4 GiB",
    "sealed-zero": "an encrypted packet without anything",
    "sealed-odd": "an encrypted packet that is no multiple of 16",
    "prefix-truncated": "the first packet after NEWKEYS is lost (what Terrapin does)",
    # key exchange
    "kexinit-twice": "KEXINIT twice",
    "kexinit-short": "a KEXINIT that ends early",
    "nothing-common": "no algorithm of ours",
    "not-strict": "no strict key exchange; honest otherwise",
    "ignore-in-kex": "IGNORE during a strict key exchange (what Terrapin needs)",
    "debug-first": "DEBUG before KEXINIT in a strict key exchange (what Terrapin needs)",
    "success-in-kex": "USERAUTH_SUCCESS during the key exchange",
    "newkeys-early": "NEWKEYS before the reply",
    "zero-x25519": "the X25519 point of order 1",
    "short-x25519": "31 bytes for X25519",
    "short-mlkem": "an ML-KEM ciphertext that lacks a byte",
    "random-mlkem": "an ML-KEM ciphertext of another key",
    "zero-mlkem": "an ML-KEM ciphertext with the X25519 point of order 1",
    "point-mlkem": "no ML-KEM ciphertext but an X25519 point",
    "one-dh": "1 for the Diffie-Hellman value",
    "small-group": "a Diffie-Hellman group of 1024 bits",
    "even-group": "a Diffie-Hellman group whose modulus is no prime",
    "off-curve": "a point that is not on the curve P-256",
    "signature-wrong": "a signature over something else",
    "signature-name": "a signature that says it is of another algorithm",
    "signature-short": "a signature that lacks a byte",
    "key-changes": "another host key in the second key exchange",
    "rekey-data": "channel data in the middle of the server's own key exchange",
    "rekey-kexinit-twice": "KEXINIT twice in the second key exchange",
    "newkeys-twice": "NEWKEYS once more, encrypted",
    "ext-info-huge": "four thousand million extensions, says their number",
    "ext-info-forever": "EXT_INFO without end",
    # user authentication
    "service-wrong": "another service is accepted",
    "success-unasked": "success before anybody asked",
    "pk-ok-other": "PK_OK for another key",
    "prompts": "a million questions, says their number",
    "prompts-forever": "one question after the other",
    "failures-forever": "every method fails and may go on",
    "partial-forever": "every method succeeds in part, and more is wanted",
    "banners-forever": "banners without end",
    "data-early": "channel data before the login",
    "open-early": "a channel is opened before the login",
    # connection
    "window-overflow": "a window of more than 2^32 - 1",
    "max-packet-zero": "packets of at most no bytes",
    "data-beyond": "more data than the window allows",
    "data-unknown": "data for a channel that does not exist",
    "data-after-eof": "data after the end of data",
    "confirm-twice": "a channel is opened twice",
    "close-twice": "a channel is closed twice",
    "eof-twice": "the end of data twice",
    "adjust-unknown": "a window for a channel that does not exist",
    "request-short": "a request that ends early",
    "status-short": "an exit status of two bytes",
    "signal-escape": "an exit signal whose name and text are for terminals",
    "open-refused": "the channel is refused with a text for terminals",
    "extended-other": "data of a kind that nobody knows; honest otherwise",
    "hostkeys-bad": "an announcement of host keys that ends early; honest otherwise",
    "hostkeys-many": "an announcement of thousands of host keys; honest otherwise",
    "reply-unasked": "success of a request that was not made",
    "global-reply-unasked": "success of a global request that was not made",
    "opens-channels": "channels that nobody asked for are opened; honest otherwise",
    "unknown-message": "a message of a number that nobody knows; honest otherwise",
    "ignore-forever": "IGNORE without end after login",
    "requests-forever": "global requests that want answers, without end, which are not read",
}
# Its methods of key exchange, where they are not what it is otherwise.
OTHER_KEX = {"nothing-common": "rot13", "short-mlkem": "mlkem768x25519-sha256", "random-mlkem": "mlkem768x25519-sha256",
             "zero-mlkem": "mlkem768x25519-sha256", "point-mlkem": "mlkem768x25519-sha256", "off-curve": "ecdh-sha2-nistp256",
             "one-dh": "diffie-hellman-group14-sha256", "small-group": "diffie-hellman-group-exchange-sha256",
             "even-group": "diffie-hellman-group-exchange-sha256"}
GROUPS = ("small-group", "even-group")
# What it sends instead of its value (mpint 1 is the byte 1).
BAD_VALUES = {"zero-x25519": bytes(32), "short-x25519": bytes([9] * 31), "short-mlkem": bytes(1087) + bytes([9] * 32),
              "random-mlkem": bytes(1088) + bytes([9] + [0] * 31), "zero-mlkem": bytes(1120), "point-mlkem": bytes([9] * 32),
              "one-dh": b"\1", "small-group": b"\xff" * 128, "even-group": b"\xff" * 255 + b"\xfe",
              "off-curve": b"\4" + bytes([1] * 64)}
# Bytes in the place of the first encrypted packet: its length is not encrypted with AES-GCM.
SEALED = {"sealed-huge": b"\xff" * 64, "sealed-zero": bytes(64), "sealed-odd": u32(33) + bytes(60)}
# Messages about the channel once something runs in it, without its number.
LATE = {
    "data-after-eof": [(EOF,), (DATA, string(b"more"))],
    "eof-twice": [(EOF,), (EOF,)],
    "close-twice": [(CLOSE,), (CLOSE,)],
    "request-short": [(REQUEST, u32(100) + b"exit")],
    "status-short": [(REQUEST, string(b"exit-status"), b"\0", b"\0\0"), (EOF,), (CLOSE,)],
    "signal-escape": [(REQUEST, string(b"exit-signal"), b"\0", string(b"\x1b[2J"), b"\0", string(b"\x1b]0;x\x07"), string(b"")),
                      (EOF,), (CLOSE,)],
    "extended-other": [(EXTENDED, u32(7), string(b"hello"))],
}
STEPS = ("ident", "kexinit", "kex", "newkeys", "service", "auth", "open", "request", "data")
for _step in STEPS:
    FAULTS["end-" + _step] = f"the connection ends at the step {_step}"
    FAULTS["disconnect-" + _step] = f"DISCONNECT at the step {_step}, with a text for terminals"
