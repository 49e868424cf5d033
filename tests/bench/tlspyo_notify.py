#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Median time in microseconds from notify to pop between two unmodified tlspyo Endpoints.

    tlspyo_notify.py PORT PASSWORD CREDENTIALS_DIR LOCAL_PORT LOCAL_PORT
"""
import statistics
import sys
import time

from tlspyo import Endpoint

ROUNDS = 100


def main():
    def endpoint(groups, local):
        return Endpoint(
            ip_server="127.0.0.1",
            port=int(sys.argv[1]),
            password=sys.argv[2],
            groups=groups,
            keys_dir=sys.argv[3],
            local_com_port=int(local),
        )

    producer = endpoint("producers", sys.argv[4])
    consumer = endpoint("consumers", sys.argv[5])
    time.sleep(1)
    samples = []
    for i in range(ROUNDS):
        producer.produce(i, "consumers")
        time.sleep(0.02)  # it has to wait in the queue; Endpoints do not say when it does
        start = time.perf_counter()
        consumer.notify("consumers")
        got = consumer.pop(blocking=True)
        samples.append((time.perf_counter() - start) * 1e6)
        assert got == [i], got
    producer.stop()
    consumer.stop()
    print(round(statistics.median(samples)))


if __name__ == "__main__":
    main()
