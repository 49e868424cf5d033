# SPDX-License-Identifier: MIT
"""An SSH server of our own that breaks one rule of forwarding on purpose (RFC 4254 7, OpenSSH's PROTOCOL 2.4):

    with ForwardServer("refused-then-opened") as server:
        server.reached     # what a client came to, in order; "came back" when it had served a connection of ours

As long as it is honest it grants every listener, opens one connection from each and expects back what it sends, and gives
back what is sent through it. FAULTS says what it does wrong, and when: each entry is (when, messages), and messages get the
session. What it does not say ends its part otherwise as an honest server's.
"""

import contextlib

from ssh_hostile import PACKET, WINDOW, HostileServer, Session
from ssh_packets import (ADJUST, CLOSE, CONFIRMATION, DATA, DISCONNECT, EOF, FAILURE, GLOBAL_REQUEST, OPEN, OPEN_FAILURE,
                         REQUEST, REQUEST_FAILURE, REQUEST_SUCCESS, SUCCESS, Gone, string, u32)

CHOSEN = 4711  # the port for who leaves it to us
OURS = 9  # our number of a channel that is ours
STRANGE = 77  # of a channel that is nobody's
MANY = 100000
BATCH = 64 * 1024  # bytes that are written at once
HELLO = b"hello from the other side" * 100
ESCAPE = b"\x1b[2Jgo away\n\x07"


def forwarded(s, address=None, port=None, kind=b"forwarded-tcpip", number=STRANGE, window=WINDOW, packet=PACKET,
              origin=b"192.0.2.1", rest=b""):
    """An OPEN for a connection to what the client has asked for, but for what is given."""
    address = s.address if address is None else address
    where = u32(s.port if port is None else port) + string(origin) + u32(12345)
    if kind == b"forwarded-streamlocal@openssh.com":
        where = string(b"")
    return (OPEN, string(kind), u32(number), u32(window), u32(packet), string(address), where + rest)


def unix(s, path):
    return forwarded(s, address=path, kind=b"forwarded-streamlocal@openssh.com")


def often(message, n=MANY, answer=None):
    """The message n times; answer: the kind of message that comes for each, which is read from time to time."""
    for i in range(n):
        yield message
        if answer and i % 500 == 499:
            yield [answer] * 500


def strangers(s):
    """Channels of every type that nobody has asked for."""
    kinds = (b"session", b"x11", b"auth-agent@openssh.com", b"direct-tcpip", b"tun@openssh.com", b"", b"\0", b"\x1b[2J",
             b"x" * 200000)
    return [forwarded(s, kind=kind) for kind in kinds] + [unix(s, b"/run/x")]


# When: "login", "asked" (a listener is asked for), "granted" (its answer is on its way), "taken" (the client has confirmed
# our channel), "open" (the client opens one), "confirmed" (we have agreed), "data" (it has sent something).
# To clients that do not ask for listeners only those from "open" on happen.
FAULTS = {
    "honest": ("login", lambda s: []),
    # channels of ours
    "unasked": ("login", lambda s: [forwarded(s, b"localhost", 22)]),
    "strangers": ("granted", strangers),
    "unasked-many": ("granted", lambda s: often(forwarded(s, b"localhost", 22), answer=OPEN_FAILURE)),
    "before-granted": ("asked", lambda s: [forwarded(s)]),
    "refused-then-opened": ("granted", lambda s: [forwarded(s)]),
    "other-port": ("granted", lambda s: [forwarded(s, port=s.port + 1), forwarded(s, port=s.port + 65536)]),
    "other-kind": ("granted", lambda s: [unix(s, s.address)]),
    "no-port": ("granted", lambda s: [(OPEN, string(b"forwarded-tcpip"), u32(STRANGE), u32(WINDOW), u32(PACKET),
                                       string(s.address))]),
    "no-origin": ("granted", lambda s: [(OPEN, string(b"forwarded-tcpip"), u32(STRANGE), u32(WINDOW), u32(PACKET),
                                         string(s.address), u32(s.port))]),
    "more-than-origin": ("granted", lambda s: [forwarded(s, rest=b"?")]),
    "giant-address": ("granted", lambda s: [forwarded(s, address=b"x" * 200000, port=1)]),
    "giant-origin": ("granted", lambda s: [forwarded(s, number=STRANGE + 1, origin=ESCAPE * 10000)]),
    "opens-many": ("granted", lambda s: [forwarded(s, number=1000 + n) for n in range(3000)]),
    "open-packet-zero": ("granted", lambda s: [forwarded(s, packet=0)]),
    "open-short": ("granted", lambda s: [(OPEN, string(b"forwarded-tcpip"), u32(STRANGE))]),
    "taken-overflow": ("taken", lambda s: [(ADJUST, u32(s.theirs), u32(0xffffffff))]),
    "taken-beyond": ("taken", lambda s: often((DATA, u32(s.theirs), string(bytes(PACKET))), 32 * s.their_window // PACKET)),
    "taken-large": ("taken", lambda s: [(DATA, u32(s.theirs), string(bytes(PACKET + 1)))]),
    "taken-after-eof": ("taken", lambda s: [(EOF, u32(s.theirs)), (DATA, u32(s.theirs), string(b"more"))]),
    "taken-after-close": ("taken", lambda s: [(CLOSE, u32(s.theirs)), (DATA, u32(s.theirs), string(b"more"))]),
    "taken-close-twice": ("taken", lambda s: [(CLOSE, u32(s.theirs)), (CLOSE, u32(s.theirs))]),
    "taken-confirmed": ("taken", lambda s: [(CONFIRMATION, u32(s.theirs), u32(1), u32(WINDOW), u32(PACKET))]),
    "taken-refused": ("taken", lambda s: [(OPEN_FAILURE, u32(s.theirs), u32(1), string(ESCAPE), string(b""))]),
    "taken-replied": ("taken", lambda s: [(SUCCESS, u32(s.theirs))]),
    "taken-asked": ("taken", lambda s: [(REQUEST, u32(s.theirs), string(ESCAPE), b"\1", string(b"x" * 100000))]),
    "stranger-confirmed": ("granted", lambda s: [(CONFIRMATION, u32(STRANGE), u32(1), u32(WINDOW), u32(PACKET))]),
    "stranger-refused": ("granted", lambda s: [(OPEN_FAILURE, u32(STRANGE), u32(1), string(b""), string(b""))]),
    "stranger-data": ("granted", lambda s: [(DATA, u32(STRANGE), string(b"?"))]),
    "stranger-adjusted": ("granted", lambda s: [(ADJUST, u32(0xffffffff), u32(1))]),
    # of a unix socket there
    "path-nul": ("granted", lambda s: [unix(s, s.address + b"\0x"), unix(s, s.address + b"\0"), unix(s, b"")]),
    "path-other": ("granted", lambda s: [unix(s, b"/tmp/.." + s.address), unix(s, s.address + b"/"), unix(s, s.address[1:])]),
    # answers to requests
    "granted-twice": ("granted", lambda s: [(REQUEST_SUCCESS,)]),
    "granted-unasked": ("login", lambda s: [(REQUEST_SUCCESS, u32(22))]),
    "refused-unasked": ("granted", lambda s: [(REQUEST_FAILURE,)]),
    "granted-nothing": ("asked", lambda s: []),  # the port that it has chosen is missing, and so on
    "granted-short": ("asked", lambda s: []),
    "granted-long": ("asked", lambda s: []),
    "granted-zero": ("asked", lambda s: []),
    "granted-large": ("asked", lambda s: []),
    "silent": ("asked", lambda s: []),  # never answers requests and opens
    "globals-many": ("granted", lambda s: often((GLOBAL_REQUEST, string(b"x" * 1000), b"\1"), 3000, REQUEST_FAILURE)),
    # the client's channels
    "confirm-packet-zero": ("open", lambda s: [(CONFIRMATION, u32(s.theirs), u32(1), u32(WINDOW), u32(0))]),
    "confirm-short": ("open", lambda s: [(CONFIRMATION, u32(s.theirs), u32(1))]),
    "confirm-twice": ("confirmed", lambda s: [(CONFIRMATION, u32(s.theirs), u32(1), u32(WINDOW), u32(PACKET))]),
    "refuse-confirmed": ("confirmed", lambda s: [(OPEN_FAILURE, u32(s.theirs), u32(2), string(b"late"), string(b""))]),
    "close-unconfirmed": ("open", lambda s: [(CLOSE, u32(s.theirs))]),
    "eof-unconfirmed": ("open", lambda s: [(EOF, u32(s.theirs))]),
    "data-unconfirmed": ("open", lambda s: [(DATA, u32(s.theirs), string(b"early"))]),
    "adjust-unconfirmed": ("open", lambda s: [(ADJUST, u32(s.theirs), u32(1))]),
    "refuse-giant": ("open", lambda s: [(OPEN_FAILURE, u32(s.theirs), u32(1), string(ESCAPE * 10000), string(b""))]),
    "refuse-bare": ("open", lambda s: [(OPEN_FAILURE, u32(s.theirs), u32(99))]),
    "refuse-twice": ("open", lambda s: often((OPEN_FAILURE, u32(s.theirs), u32(1), string(b""), string(b"")), 2)),
    "close-at-once": ("confirmed", lambda s: [(CLOSE, u32(s.theirs))]),
    "data-after-close": ("confirmed", lambda s: [(CLOSE, u32(s.theirs)), (DATA, u32(s.theirs), string(b"more"))]),
    "data-beyond": ("confirmed", lambda s: often((DATA, u32(s.theirs), string(bytes(PACKET))), 32 * s.their_window // PACKET)),
    "data-giant": ("confirmed", lambda s: [(DATA, u32(s.theirs), string(bytes(200000)))]),
    "data-lies": ("confirmed", lambda s: [(DATA, u32(s.theirs), u32(0xfffffff0) + b"short")]),
    "window-overflow": ("data", lambda s: [(ADJUST, u32(s.theirs), u32(0xffffffff))]),
    "adjusts-many": ("confirmed", lambda s: often((ADJUST, u32(s.theirs), u32(0)), 20000)),
    "empty-data-many": ("confirmed", lambda s: often((DATA, u32(s.theirs), string(b"")), 20000)),
    "tiny-packets": ("login", lambda s: []),  # takes one byte at a time
    "no-window": ("login", lambda s: []),  # and no data at all
    "never-reads": ("login", lambda s: []),  # from the first data on
}
CHOICES = {"granted-nothing": b"", "granted-short": b"\x12", "granted-long": u32(CHOSEN) + b"?", "granted-zero": u32(0),
           "granted-large": u32(65536 + 22)}
STATES = ("asked", "granted", "taken", "open", "confirmed", "data")
for _state in STATES:
    FAULTS["end-" + _state] = (_state, lambda s: [Gone("ended")])
    FAULTS["disconnect-" + _state] = (_state, lambda s: [(DISCONNECT, u32(2), string(ESCAPE), string(b"")), Gone("said it")])


class ForwardSession(Session):
    """One connection of a client that forwards."""

    def __init__(self, server, sock):
        super().__init__(server, sock)
        self.address, self.port, self.theirs, self.their_window = b"", 0, 0, 0
        self.back = b""  # of what our connection has got
        self.windows = {}  # what may still be sent, by the client's number of a channel

    def now(self, state):
        """The client has come so far: the fault's turn."""
        self.server.reached.append(state)
        when, messages = FAULTS[self.server.forward_fault]
        if when != state or (self.server.once and self.server.reached.count(state) > 1):
            return
        out = b""
        for message in messages(self):
            if isinstance(message, tuple):
                out += self.sealed(*message)
            if isinstance(message, Gone) or len(out) >= BATCH:
                self.write(out)
                out = b""
            if isinstance(message, Gone):
                raise message
            if isinstance(message, list):
                self.write(out)
                out = b""
                for kind in message:
                    self.expect(kind)
        self.write(out)

    # --- listeners there ---

    def on_global(self, body):
        name, want = body.string(), body.u8()
        self.server.asked.append(name)
        if name not in (b"tcpip-forward", b"streamlocal-forward@openssh.com"):
            if want:
                self.send(REQUEST_FAILURE)
            return
        tcp = name == b"tcpip-forward"
        self.address, self.port = body.string(), body.u32() if tcp else 0
        fault, chosen = self.server.forward_fault, b""
        if tcp and self.port == 0:
            self.port, chosen = CHOSEN, CHOICES.get(fault, u32(CHOSEN))
        self.now("asked")
        if fault == "silent":
            return
        if fault == "refused-then-opened":
            self.send(REQUEST_FAILURE)
        else:
            self.send(REQUEST_SUCCESS, chosen)
        self.now("granted")
        if fault != "refused-then-opened":
            self.send(*(forwarded(self, number=OURS) if tcp else
                        (OPEN, string(b"forwarded-streamlocal@openssh.com"), u32(OURS), u32(WINDOW), u32(PACKET),
                         string(self.address), string(b""))))

    def on_confirmation(self, body):
        ours, self.theirs, self.their_window = body.u32(), body.u32(), body.u32()
        if ours != OURS:
            return
        self.now("taken")
        with contextlib.suppress(OSError):
            self.send(DATA, u32(self.theirs), string(HELLO))
            self.send(EOF, u32(self.theirs))

    # --- the client's channels ---

    def on_open(self, body):
        kind, self.theirs, self.their_window = body.string(), body.u32(), body.u32()
        packet = body.u32()
        self.server.opened.append((kind, packet, body.string()))
        self.now("open")
        fault = self.server.forward_fault
        if fault == "silent" or FAULTS[fault][0] == "open":
            return
        self.windows[self.theirs] = self.their_window
        window = 0 if fault == "no-window" else WINDOW
        self.send(CONFIRMATION, u32(self.theirs), u32(self.theirs), u32(window), u32(1 if fault == "tiny-packets" else PACKET))
        self.now("confirmed")

    def on_data(self, body):
        ours, data = body.u32(), body.string()
        if ours == OURS:
            self.back += data
            return
        if self.server.forward_fault == "never-reads":
            self.server.reached.append("stopped")
            self.server.released.wait()
            raise Gone("never read")
        self.now("data")
        if self.server.forward_fault == "close-at-once":
            return  # which it has
        self.send(ADJUST, u32(ours), u32(len(data)))
        self.send(DATA, u32(ours), string(data))

    def on_end(self, kind, ours):
        if ours == OURS and kind == CLOSE:
            self.server.reached.append("came back" if self.back == HELLO else f"other: {self.back!r}")
            self.send(CLOSE, u32(self.theirs))
        elif ours != OURS and kind == EOF and self.server.forward_fault != "close-at-once":
            self.send(EOF, u32(ours))
            self.send(CLOSE, u32(ours))

    def run(self):
        self.identify()
        self.exchange()
        self.login()
        self.now("login")
        kinds = (GLOBAL_REQUEST, OPEN, CONFIRMATION, OPEN_FAILURE, ADJUST, DATA, EOF, CLOSE, REQUEST, SUCCESS, FAILURE,
                 REQUEST_SUCCESS, REQUEST_FAILURE)
        while True:
            kind, body = self.expect(*kinds)
            if kind == GLOBAL_REQUEST:
                self.on_global(body)
            elif kind == OPEN:
                self.on_open(body)
            elif kind == CONFIRMATION:
                self.on_confirmation(body)
            elif kind == DATA:
                self.on_data(body)
            elif kind in (EOF, CLOSE):
                self.on_end(kind, body.u32())


class ForwardServer(HostileServer):
    """Every connection gets the fault; with once, only the first time that a client comes to it."""

    session = ForwardSession

    def __init__(self, fault="honest", once=False, **kw):
        self.forward_fault, self.once, self.opened = fault, once, []
        super().__init__("honest", **kw)

