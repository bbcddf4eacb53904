# Metrics of one host, a line a second by their own time: cpu and memory swing with the load, disk and swap do not.
# -v from=SECOND -v seconds=N; from second `moves` on disk and memory are higher.
# Random numbers are awk's own, from a fixed seed: each awk prints others, and the same ones each time.
function noise() { return rand() + rand() + rand() - 1.5 }
BEGIN {
    srand(from + 1)
    for (second = from; second < from + seconds; second++) {
        load = sin(second / 300 * 6.2832)
        moved = moves != "" && second >= moves
        printf "host,host=web1 cpu=%.3f,memory=%.3f,disk=%.3f,swap=%.3f %d000000000\n", \
            30 + 12 * load + 3 * noise(), 55 + 4 * load + 2 * noise() + 6 * moved, 40 + noise() + 4 * moved, 2 + 0.5 * noise(), \
            1800000000 + second
    }
}
