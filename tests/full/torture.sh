#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every single allocation fails once, also where the quick tests try a sample only.
set -euo pipefail
cd "$(dirname "$0")/../.."

names=(modules/*/torture*_test.c)
names=("${names[@]#modules/}")
NK_TORTURE=full timeout 600 ./build.sh unit asan "${names[@]%_test.c}"
