#!/usr/bin/env python3
"""Prints a page given what measure.py measured: `page.py MEASURED streaming` docs/quality.md, `… trained` the other."""

import json
import sys
from pathlib import Path

import page_events
import page_nested
import page_rivals
import page_streaming
import page_trained
from markdown import heading, paragraph, table


def main():
    measured = json.loads(Path(sys.argv[1]).read_text())
    {"streaming": of_streaming, "trained": of_trained}[sys.argv[2]](measured[sys.argv[2]])


def of_streaming(measured):
    """The page on the detector that needs no training."""
    print("# How well `streaming` detects incidents\n")
    paragraph(
        "After reading this page you can judge how many incidents `streaming` detects, how many false alarms that "
        "costs, and how it compares with other detectors."
    )
    made_by("quality.md")
    paragraph(
        "`make rivals` measures other detectors on the same series. [quality-trained.md](quality-trained.md) covers "
        "trained detectors."
    )
    paragraph(
        "**Expect less on your own metrics.** The constants were chosen with knowledge of these files, labels "
        "included."
    )
    summary([*page_rivals.wanted(measured["events"]["compared"]), *page_streaming.wanted(measured)])
    page_events.sections(measured["events"])
    page_nested.sections()
    page_rivals.section(measured["events"]["compared"])
    page_streaming.sections(measured)


def of_trained(measured):
    """The page on those that learn from history."""
    print("# How well trained detectors rank anomalies\n")
    paragraph(
        "After reading this page you can choose a trained detector, and judge how many false alarms to expect from it."
    )
    made_by("quality-trained.md")
    paragraph("**Expect less on your own metrics.** The defaults were chosen with knowledge of these files.")
    summary([*page_trained.wanted(measured)])
    page_trained.sections(measured)


def made_by(page):
    paragraph(
        f"`make quality` writes docs/{page} in full. It runs the qualm binary with the default configuration on all "
        "sets. A separate scorer, which is not part of this project (`score.py`; VUS-PR and AUC-PR come from the "
        "TSB-AD package), rates the scores; nothing is point-adjusted. The labelled metrics are not part of this "
        "project either: `make quality QUALITY=FOLDER` names the folder that contains both. Figures in italics are "
        "references: published ones, or measured once on the same series by the authors of the scorer, not by this "
        "command."
    )


def summary(wanted):
    """The targets, and which of them are met."""
    heading("Targets and results")
    table(
        ["figure", "target", "measured", "met", "reference"],
        [
            [what, least, got, "yes" if met else "**no**", f"*{by}*" if by else ""]
            for what, least, got, met, by in wanted
        ],
    )
    paragraph(f"{sum(met for *_, met, _ in wanted)} of {len(wanted)} targets are met.")


if __name__ == "__main__":
    main()
