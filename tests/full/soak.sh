#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A relay and endpoints under mixed load for NK_SOAK_SECONDS (default 240): nothing may grow.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec timeout 900 "${PYTHON:-/usr/bin/python3}" -B tests/full/soak.py
