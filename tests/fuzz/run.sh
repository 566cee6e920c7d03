#!/usr/bin/env bash
# Runs the fuzz target of every import format: run.sh PROGRAM SECONDS_IN_ALL [CORPUS_DIRECTORY]
#
# Starts from the sample files of tests/datasets. What crashes is left in the working directory as
# crash-*, and the script fails. With a corpus directory, inputs that reach new code are kept there.
set -euo pipefail
program=$1
seconds=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
samples=$root/tests/datasets/samples
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
corpus=${3:-$scratch/corpus}
targets=(mquake:mquake.json counterfact:counterfact.json zsre:zsre.json knowedit:knowedit.json
  rippleedits:rippleedits.json wikibigedit:wikibigedit.json locft:locft.json easyedit:easyedit.json
  fastedit:fastedit.json dyknow:dyknow.json yago11k:yago11k.txt congress:congress.yaml
  table:table.csv table/rows:table.jsonl table/mapping:table_mapping.json facts:facts.jsonl relations:relations.json
  multihop:multihop.jsonl edits:edits.jsonl)
each=$(((seconds + ${#targets[@]} - 1) / ${#targets[@]}))
export ERRATA_FUZZ_SAMPLES=$samples TMPDIR=$scratch
runs=0
for target in "${targets[@]}"; do
  name=${target%%:*}
  seeds=$corpus/${name/\//-}
  mkdir -p "$seeds"
  cp "$samples/${target#*:}" "$seeds/sample"
  export ERRATA_FUZZ_FORMAT=${name%/*} ERRATA_FUZZ_INPUT=
  if [ "$name" != "${name%/*}" ]; then ERRATA_FUZZ_INPUT=${name#*/}; fi
  log=$("$program" -max_total_time="$each" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
    -dict="$root/tests/fuzz/tokens.dict" -print_final_stats=1 -verbosity=1 "$seeds" 2>&1) || {
    printf '%s\n' "$log" | tail -40
    echo "fuzz: $name failed" >&2
    exit 1
  }
  count=$(printf '%s\n' "$log" | sed -n 's/^stat::number_of_executed_units: *//p')
  runs=$((runs + count))
  printf '%-16s %10d inputs, %s\n' "$name" "$count" \
    "$(printf '%s\n' "$log" | grep -o 'cov: [0-9]*' | tail -1)"
done
echo "fuzz: $runs inputs in all, no fault"
