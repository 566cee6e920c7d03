#!/usr/bin/env bash
# From a bare Debian or Ubuntu machine to an edited model: installs what is missing, builds, and
# writes the 480 real changes of 2021-01-31 to 2026-01-22 into the lab model.
#
#   ./quickstart.sh            (re-running is quick and safe: a finished run is shown again)
#   ./quickstart.sh --check    says what it would install, and changes nothing
#   ./quickstart.sh --fresh    edits again from the start
set -euo pipefail
source "$(dirname "$0")/cmake/setup.sh"

run=out/quickstart
errata=build/release/cli/errata

check() {
  local missing
  mapfile -t missing < <(missing_packages "${build_packages[@]}")
  echo "Debian packages to install: ${missing[*]:-none}"
  if [ -n "${CMAKE_PREFIX_PATH:-}" ]; then
    echo "LibTorch: from CMAKE_PREFIX_PATH ($CMAKE_PREFIX_PATH)"
  elif [ -e "$venv/torch-$torch_version" ]; then
    echo "LibTorch: $torch_version is in .deps/venv"
  else
    echo "LibTorch: would install the PyTorch $torch_version wheel into .deps/venv (about 700 MB)"
  fi
  [ -x "$errata" ] && echo "Program: built" || echo "Program: would be built into build/release"
}

case "${1:-}" in
  --check) check; exit 0 ;;
  --fresh) rm -rf "$run" ;;
  "") ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

install_packages "${build_packages[@]}"
install_libtorch
mkdir -p "$root/build"
build_project "$root/build/release" -DERRATA_BUILD_TESTS=OFF

if [ ! -e "$run.db" ]; then
  say "Making an edit store of the Factbook: facts with dates, changes, multi-hop questions"
  mkdir -p out
  rm -f "$run.db.new"*
  "$errata" store init --store "$run.db.new"
  "$errata" store import --store "$run.db.new" --format factbook
  mv "$run.db.new" "$run.db"
fi

say "Editing the lab model: the world of 2021-01-31 becomes the world of 2026-01-22"
"$errata" edit-batch --model models/lab --store "$run.db" \
  --from 2021-01-31 --to 2026-01-22 --out "$run" --resume || {
  status=$?
  [ $status -ne 2 ] || echo "A run of another version stands there: ./quickstart.sh --fresh edits again" >&2
  exit $status
}

cat <<END

Ask it    $errata generate --model models/lab --adapter $run/adapter \\
            --prompt \$'Question: What is the capital of Kazakhstan?\\nAnswer:'
END
