#!/usr/bin/env python3
"""Measures what each part of the streaming detector adds: with all of it, and with one part taken out at a time.

The parts are the patches in tests/quality/ablation, each against the last commit and named after what it takes out, as
in `season-of-the-day.patch`. Each detector is built and run natively, for its scores are the same to the last bit. What
was measured of the same code and patch before is kept.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import mean

import alarms
import scorer
from measure import streaming
from replay import ALONE, MAXIMUM, Data, Streaming, run, say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIGURES = HERE / "ablation.json"
SOURCE = "guest/core/src"
WHOLE = "nothing"


def main():
    given = arguments()
    patches = {patch.stem.replace("-", " "): patch for patch in sorted((HERE / "ablation").glob("*.patch"))}
    if subprocess.run(["git", "-C", ROOT, "diff", "--quiet", "HEAD", "--", "guest/core"]).returncode:
        sys.exit("quality: guest/core has changes that are not committed; what is measured is the last commit")
    tree = Tree(given.work / "ablation")
    for part, patch in patches.items():
        tree.take_out(part, patch)
    parts = {WHOLE: None, **patches}
    names = {part: tree.name(patch) for part, patch in parts.items()}
    earlier = json.loads(FIGURES.read_text())["without"] if FIGURES.is_file() else {}
    found = {part: of for part, of in earlier.items() if of["of"] == names.get(part)}
    for part, patch in parts.items():
        if part not in found:
            tree.take_out(part, patch)
            found[part] = {"of": names[part], **figures(tree.build(), given, tree.folder / part.replace(" ", "-"))}
            write({part: found[part] for part in parts if part in found})
    say(f"{FIGURES.relative_to(ROOT)} is up to date")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--score", type=Path, required=True, help="score.py")
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py made")
    parser.add_argument("--work", type=Path, required=True, help="where all but the figures goes")
    return parser.parse_args()


def write(found):
    FIGURES.write_text(json.dumps({"made by": "make ablation", "without": found}, indent=1) + "\n")


class Tree:
    """The last commit's files, in a folder of their own."""

    def __init__(self, folder):
        self.folder, self.tree = folder, folder / "tree"
        run("git", "-C", ROOT, "worktree", "prune")
        if not self.tree.is_dir():
            run("git", "-C", ROOT, "worktree", "add", "--force", "--detach", self.tree, "HEAD")
        self.head = run("git", "-C", ROOT, "rev-parse", "HEAD").strip()

    def name(self, patch):
        """What tells this code with this patch from any other."""
        source = run("git", "-C", ROOT, "rev-parse", f"HEAD:{SOURCE}")
        return hashlib.sha256(source.encode() + (patch.read_bytes() if patch else b"")).hexdigest()[:16]

    def take_out(self, part, patch):
        run("git", "-C", self.tree, "checkout", "--quiet", "--force", "--detach", self.head)
        run("git", "-C", self.tree, "clean", "--quiet", "--force", "-d")
        applied = patch and subprocess.run(["git", "-C", self.tree, "apply", patch], capture_output=True, text=True)
        if applied and applied.returncode:
            sys.exit(
                f"{applied.stderr}quality: {patch.relative_to(ROOT)} no longer applies to the last commit; take "
                f"`{part}` out of {SOURCE} anew, `git diff >{patch.relative_to(ROOT)}`, and put it back"
            )

    def build(self):
        target = self.folder / "target"
        cargo = ["cargo", "build", "--release", "--locked", "-p", "qualm-core", "--example", "score"]
        run(*cargo, "--manifest-path", self.tree / "Cargo.toml", "--target-dir", target)
        return target / "release" / "examples" / "score"


def run_on(program, pairs):
    run(program, *(path for pair in pairs for path in pair))


def figures(program, given, work):
    say(f"without {work.name}")
    scored = partial(run_on, program)
    measured = streaming(Streaming(scored, Data(given.data), work), given.score, [ALONE], [MAXIMUM], quick=True)
    ranges = measured["ranges"][f"{ALONE}, {MAXIMUM}"]
    nab = measured["nab"]
    return {
        "NAB": {profile: [nab[profile][at]["all"] for at in ("best", "shipped")] for profile in scorer.PROFILES},
        "AUC-PR": {name: of["mean"]["AUC-PR"] for name, of in ranges.items()},
        "rates": {name: mean(alarms.rates(of)) for name, of in measured["alarms"][ALONE].items()},
    }


if __name__ == "__main__":
    main()
