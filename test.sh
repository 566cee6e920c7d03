#!/usr/bin/env bash
# Builds errata with its tests and runs them.
#
#   ./test.sh            everything
#   ./test.sh LABEL      one label: unit, integration, interop
#   ./test.sh fuzz [S]   the parsers against random input, S seconds in all (60)
#   ./test.sh llamacpp   GGUF adapters and chat prompts against llama.cpp, which is built first (once)
#   ./test.sh -R REGEX   any ctest options
#
# Installs what is missing (Debian packages, LibTorch and the interop judges into .deps/venv).
# Real data sets are found through ERRATA_DATA_DIR; without it those tests say that they skip.
set -euo pipefail
source "$(dirname "$0")/cmake/setup.sh"

if [ -z "${ERRATA_DATA_DIR:-}" ] && [ -d "$root/../shared/data" ]; then
  ERRATA_DATA_DIR=$(cd "$root/../shared/data" && pwd)
  export ERRATA_DATA_DIR
fi

if [ "${1:-}" = fuzz ]; then
  install_packages "${build_packages[@]}" "${test_packages[@]}" "${fuzz_packages[@]}"
  install_libtorch
  mkdir -p "$root/build/fuzz-corpus"
  fuzz_targets "$root/build/fuzz"
  say "Fuzzing the parsers"
  cd "$root/build"
  exec "$root/tests/fuzz/run.sh" "$root/build/fuzz/tests/fuzz_import" "${2:-60}" \
    "$root/build/fuzz-corpus"
fi

install_packages "${build_packages[@]}" "${test_packages[@]}"
install_libtorch
install_judges
if [ "${1:-}" = llamacpp ]; then
  install_llamacpp
  install_chat_judges
fi
mkdir -p "$root/build"
build_project "$root/build/test"

say "Running the tests"
arguments=("$@")
if [ $# -eq 1 ] && [[ $1 != -* ]]; then arguments=(-L "$1"); fi
ctest --test-dir "$root/build/test" --output-on-failure --no-tests=error "${arguments[@]}"
