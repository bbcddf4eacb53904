#!/usr/bin/env bash
# Measures detection quality on labelled metrics, and writes docs/quality.md and docs/quality-trained.md.
#
#   tests/quality/run.sh --check       only says whether the labelled metrics are there; status 1 if not
#   tests/quality/run.sh               measures and writes
#   tests/quality/run.sh --events      measures incidents alone, in three minutes, and writes docs/quality.md
#   tests/quality/run.sh --streaming   measures the streaming detector alone, and writes docs/quality.md
#   tests/quality/run.sh --rivals      measures other detectors on the same series, for the next run's page
#   tests/quality/run.sh --pack        packs the series for the native harness, guest/core/examples/quality/
#
# From the environment:
#   QUALITY         the folder with prepare.py, scenarios.py, score.py and rivals, which are no part of this project
#   QUALM_BIN       the qualm to measure; by default target/release/qualm
#   QUALITY_PYTHON  a Python that has what score.py needs; by default one is made in target/quality/venv
#   QUALITY_DATA    the series as prepare.py and scenarios.py make them; by default they are made in target/quality/data
#   QUALITY_JOBS    how many things run at once; by default 2
#
# Everything lands in target/quality; `rm -rf target/quality` undoes it all.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$root/target/quality
quality=${QUALITY:-$root/../shared/quality}

say() { echo "quality: $*" >&2; }

for script in prepare.py scenarios.py score.py; do
    if [ ! -f "$quality/$script" ]; then
        say "there is no $script in $quality. The labelled metrics and their scorer are no part of this" \
            "project: set the variable QUALITY to the folder that has them, as in \`make quality QUALITY=FOLDER\`."
        exit 1
    fi
done
[ "${1:-}" != --check ] || exit 0

qualm=${QUALM_BIN:-$root/target/release/qualm}
if [ ! -x "$qualm" ] && [[ ${1:-} != --rivals && ${1:-} != --pack ]]; then
    say "there is no qualm at $qualm: run \`make build\`, or set the variable QUALM_BIN."
    exit 1
fi
mkdir -p "$target"

# What is there is whole: it is marked or named only once it is.
python=${QUALITY_PYTHON:-$target/venv/bin/python}
if [ -z "${QUALITY_PYTHON:-}" ] && [ ! -f "$target/venv/ready" ]; then
    say "installing what score.py needs; once, it takes a minute or two"
    python3 -m venv --clear "$target/venv"
    "$python" -m pip install --quiet numpy pandas scikit-learn scipy statsmodels tqdm
    "$python" -m pip install --quiet --no-deps TSB-AD # what it asks for is for detectors not used here
    touch "$target/venv/ready"
fi
data=${QUALITY_DATA:-$target/data}
if [ -z "${QUALITY_DATA:-}" ] && [ ! -d "$data" ]; then
    say "unpacking the labelled metrics"
    rm -rf "$data.new"
    "$python" "$quality/prepare.py" "$data.new"
    mv "$data.new" "$data"
fi
if [ -z "${QUALITY_DATA:-}" ] && [ ! -d "$data/scenarios" ]; then
    say "making the scenarios"
    rm -rf "$target/scenarios.new"
    "$python" "$quality/scenarios.py" "$target/scenarios.new" --seeds 2
    rm -rf "$data/labels/scenarios"
    mv "$target/scenarios.new/labels/scenarios" "$data/labels/scenarios"
    mv "$target/scenarios.new/scenarios" "$data/scenarios"
fi

if [ "${1:-}" = --rivals ]; then
    exec "$python" "$here/rivals.py" --quality "$quality" --data "$data" --work "$target" --out "$here/rivals.json"
fi
if [ "${1:-}" = --pack ]; then
    exec "$python" "$here/pack.py" --score "$quality/score.py" --data "$data" --out "$target/packed"
fi
given=(--score "$quality/score.py" --data "$data" --work "$target")
rm -rf "$target/models" "$target/scores" "$target/inputs" "$target/resources" # of an earlier run
# Another binary has nothing to do with what `cargo bench` measures.
[ -n "${QUALM_BIN:-}" ] || given+=(--criterion "$root/target/criterion")
"$python" "$here/measure.py" --qualm "$qualm" "${given[@]}" "$@"
"$python" "$here/page.py" "$target/measured.json" streaming >"$target/quality.md"
cp "$target/quality.md" "$root/docs/quality.md"
say "docs/quality.md is written"
if [ -z "${1:-}" ]; then
    "$python" "$here/page.py" "$target/measured.json" trained >"$target/quality-trained.md"
    cp "$target/quality-trained.md" "$root/docs/quality-trained.md"
    say "docs/quality-trained.md is written"
fi
