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
    print("# How well it finds incidents untrained\n")
    made_by("quality.md")
    paragraph(
        "Those of other detectors on the same series are measured by `make rivals`. "
        "[Trained detectors](quality-trained.md) have a page of their own."
    )
    paragraph(
        "**Expect less on your own metrics.** The constants were chosen with these very files in sight, labels "
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
    made_by("quality-trained.md")
    paragraph("**Expect less on your own metrics.** Defaults were chosen with these very files in sight.")
    summary([*page_trained.wanted(measured)])
    page_trained.sections(measured)


def made_by(page):
    paragraph(
        f"Made by `make quality`, which writes docs/{page} in full. It scores with the binary itself, with defaults "
        "throughout: one shipped configuration for all. A scorer that is no part of this project (`score.py`; VUS-PR "
        "and AUC-PR are the TSB-AD package's) says how good the scores are; nothing is point-adjusted. The labelled "
        "metrics are no part of it either: `make quality QUALITY=FOLDER` says where both are. Figures in italics are "
        "for reference: published ones, or measured once on the same series by those who wrote the scorer, not by "
        "this command."
    )


def summary(wanted):
    """What is wanted, and what is reached."""
    heading("What is wanted, and what is reached")
    table(
        ["what", "wanted", "measured", "reached", "reference"],
        [
            [what, least, got, "yes" if met else "**no**", f"*{by}*" if by else ""]
            for what, least, got, met, by in wanted
        ],
    )
    paragraph(f"{sum(met for *_, met, _ in wanted)} of {len(wanted)} are reached; each is explained below.")


if __name__ == "__main__":
    main()
