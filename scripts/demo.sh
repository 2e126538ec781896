#!/usr/bin/env bash
# A short tour: a new project, one pipeline, and an index that is deleted and comes back byte for byte.
# OSIRIS names the osiris command to use; DEMO_DIR the folder for the project, which is made afresh.
set -euo pipefail

osiris="${OSIRIS:-osiris}"
case "$osiris" in
    */*) osiris="$(cd "$(dirname "$osiris")" && pwd)/$(basename "$osiris")" ;;
esac
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
project="${DEMO_DIR:-$root/demo/daylight}"

if ! command -v "$osiris" >/dev/null; then
    echo "demo: $osiris was not found. Install Osiris first, or set OSIRIS to its path." >&2
    exit 2
fi

# Only a folder that an earlier demo made is ever removed.
marker=".made-by-demo"
if [ -e "$project" ]; then
    if [ ! -f "$project/$marker" ]; then
        echo "demo: $project exists and was not made by this script. Move it away, or set DEMO_DIR." >&2
        exit 2
    fi
    rm -rf "$project"
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }
show() {
    printf '$ osiris %s\n' "$*"
    "$osiris" "$@"
}

if command -v sha256sum >/dev/null; then
    checksum() { sha256sum "$@"; }
else
    checksum() { shasum -a 256 "$@"; }
fi
# The text files of the index; counters.sqlite is a live database and is compared by `index verify`.
index_checksums() {
    find .osiris/index -type f \( -name '*.jsonl' -o -name '*.json' -o -name '*.txt' \) | LC_ALL=C sort |
        while IFS= read -r file; do checksum "$file"; done
}

say "1. A new project, with an example: sunrise and sunset in 108 places on every day of 2024."
mkdir -p "$project"
touch "$project/$marker"
# What follows works on this project, whatever the environment says of another one.
unset OSIRIS_HOME OSIRIS_FILESYSTEM_BASE OSIRIS_BASE_PATH OSIRIS_PROFILE
show init "$project" --example
cd "$project"

say "2. Compile: the pipeline becomes a build, named by a hash of all that counts. Same input, same bytes."
show compile pipelines/daylight.yaml

say "3. Run: the build stands already, so it is used again. Rows in and out are counted exactly."
show run pipelines/daylight.yaml

say "4. The run is in the index."
show runs list

say "5. A tag on the pipeline; every later run inherits it."
show pipelines tag daylight --add showcase

say "6. What came out: out/daylight_by_city.csv, from the places with the longest nights on."
head -n 8 out/daylight_by_city.csv

say "7. Now the index is deleted. The journal is the truth, and the index is only a view of it."
before="$(index_checksums)"
[ -n "$before" ] || { echo "demo: the index holds no text files" >&2; exit 1; }
echo '$ rm -rf .osiris/index'
rm -rf .osiris/index
show index rebuild

say "8. Is it what it was? Once by replaying the journal, once by the checksums from before."
show index verify
after="$(index_checksums)"
if [ "$before" != "$after" ]; then
    echo "demo: the rebuilt index differs:" >&2
    printf 'before:\n%s\nafter:\n%s\n' "$before" "$after" >&2
    exit 1
fi
echo "$after"
echo "All of these files have the checksums that they had before."

say "What you saw: a project from nothing, a build with a hash, a run with a record, and an index that can be lost."
echo "The project is in $project. Go there and try:"
echo "  osiris run pipelines/daylight.yaml --param hemisphere=south"
echo "  osiris runs show last"
echo "  osiris events"
