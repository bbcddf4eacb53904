#!/bin/sh
# The life of a model in two minutes: trained, run, drifting, trained again, in shadow, promoted, rolled back by command.
# Works in a directory of its own, which it prints. QUALM=PROGRAM runs another qualm than the one on the PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
qualm=${QUALM:-qualm}
case $qualm in */*) qualm=$(cd "$(dirname "$qualm")" && pwd)/$(basename "$qualm") ;; esac # from where we are now
work=$(mktemp -d)
cp "$here/qualm.toml" "$work"
cd "$work"
say() { printf '\n== %s\n' "$*"; }
metrics() { awk -v from="$1" -v seconds="$2" -v moves="${3:-}" -f "$here/metrics.awk"; }

say "1. Train on four hours. What these look like becomes a part of the bundle. ($work)"
metrics -14400 14400 > history.lp
printf 'detector = "pca-mahalanobis"\ndrift_window = "20m"\n' > spec.toml
"$qualm" train --spec spec.toml --input history.lp --name web --out model

say "2. Run. 200 lines come in each second, as many as in three minutes of real time; after 20 s disk and memory are higher."
mkfifo lines
"$qualm" execd --config qualm.toml < lines > scored.lp 2> log &
(
    second=0
    while [ ! -e stop ]; do
        metrics "$second" 200 4000
        second=$((second + 200))
        sleep 1
    done
) > lines &
feeder=$!
until grep -q 'changed since' log 2> /dev/null; do sleep 1; done
say "3. Drift. The log says what has changed, /metrics has all the figures:"
grep 'changed since' log
show() { curl -s http://127.0.0.1:18033/metrics | grep -E "$1" | grep -v '^#' || true; }
show '^qualm_feature_drift|^qualm_feature_mean.*(disk|memory)'

until grep -q 'in shadow' log; do sleep 1; done
say "4. A new model was trained by itself, in a process of its own, on the rows that were kept. It scores in shadow now:"
grep -E 'trained again|a new model is ready|in shadow' log | tail -3
sleep 3
"$qualm" models list --config qualm.toml

until grep -q 'has taken over' log; do sleep 1; done
say "5. It stayed within its bounds, and was promoted:"
grep 'has taken over' log | tail -1
show '^qualm_bundle_info'

say "6. The model before is a command away:"
"$qualm" models rollback --config qualm.toml
sleep 1
show '^qualm_bundle_info|^qualm_rollout_rollbacks'

touch stop
wait "$feeder"
wait
say "7. Lines in, lines out:"
tail -1 log
echo "lines of the host in the output: $(grep -c '^host,host=web1 cpu' scored.lp)"
echo "all of it is in $work"
