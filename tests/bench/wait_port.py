#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wait until something listens on a port of this machine: wait_port.py PORT. Status 1 after 30 s."""
import socket
import sys
import time

for _ in range(600):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()
        sys.exit(0)
    except OSError:
        time.sleep(0.05)
sys.exit(1)
