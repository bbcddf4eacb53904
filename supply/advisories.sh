#!/usr/bin/env bash
# Puts RustSec's advisories where `cargo deny` and `cargo audit` look for them, and says which they are: those of today
# where their repository can be reached, else the copy in the tree.
#
#   supply/advisories.sh                    prints the directory as the last line
#   supply/advisories.sh --renew [CLONE]    makes the copy anew, of the repository or of a clone of it
#
# The copy has the advisories of the crates that stand in one of our Cargo.lock files, and the names of these crates:
# whatever comes in later is not covered by it, which is said too. What came in since, and was looked up in a database that
# is older than the copy, stands in `older` with that database's date; it has no advisories there. Renewing empties it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C # one order for sort and comm

repository=https://github.com/RustSec/advisory-db
copy=supply/advisories
# The name that `cargo deny` gives it.
database=target/advisories/advisory-db-3157b0e258782691

say() { echo "advisories.sh: $*" >&2; }

crates() { git ls-files '*Cargo.lock' | grep -v '^tests/fixtures/' | xargs sed -n 's/^name = "\(.*\)"$/\1/p' | sort -u; }

clone() {
    rm -rf "$1"
    GIT_TERMINAL_PROMPT=0 timeout 60 git clone --quiet --depth 1 "$repository" "$1" 2>/dev/null
}

# The tools take nothing but a repository.
as_repository() {
    rm -rf "$database"
    mkdir -p "$database"
    cp -r "$copy/crates" "$database"
    git -C "$database" init --quiet
    git -C "$database" add crates
    git -C "$database" -c user.name=qualm -c user.email= commit --quiet --message "$(cat "$copy/of")"
}

if [ "${1:-}" = --renew ]; then
    from=${2:-target/advisories/new}
    [ -n "${2:-}" ] || clone "$from" || { say "$repository cannot be reached; name a clone of it"; exit 1; }
    rm -rf "$copy/crates"
    mkdir -p "$copy/crates"
    crates >"$copy/names"
    : >"$copy/older"
    git -C "$from" log -1 --format='%cs, commit %H' >"$copy/of"
    git -C "$from" ls-tree --name-only HEAD crates/ | sed 's|^crates/||' | sort | comm -12 - "$copy/names" |
        sed 's|^|crates/|' | xargs git -C "$from" archive HEAD | tar -x -C "$copy"
    say "$copy has $(find "$copy/crates" -name 'RUSTSEC-*.md' | wc -l) advisories as of $(cat "$copy/of")"
    exit
fi

# A clone is good for a day.
if [ -z "$(find "$database/support.toml" -mtime -1 2>/dev/null)" ]; then
    if clone target/advisories/new; then
        rm -rf "$database"
        mv target/advisories/new "$database"
    else
        as_repository
        say "$repository cannot be reached: the copy in the tree is used, of $(cat "$copy/of")"
        covered=$(cut -d ' ' -f 1 "$copy/names" "$copy/older" | sort -u)
        missing=$(crates | comm -23 - <(echo "$covered") | sed '/^qualm/d' | tr '\n' ' ')
        [ ! -s "$copy/older" ] || say "looked up in an older database: $(tr '\n' ';' <"$copy/older")"
        [ -z "$missing" ] || say "nothing is known of what came in since: ${missing}(\`make advisories\` renews the copy)"
    fi
fi
echo "$PWD/$database"
