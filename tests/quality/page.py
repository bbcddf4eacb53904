#!/usr/bin/env python3
"""Prints docs/quality.md, given what measure.py measured."""

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
    streaming, trained = measured["streaming"], measured.get("trained")
    print("# How well it finds anomalies\n")
    paragraph(
        "Made by `make quality`, which writes this page in full. It trains and scores with the binary itself, `qualm "
        "train` and `qualm replay`, with defaults throughout: one shipped configuration for all. A scorer that is no "
        "part of this project (`score.py`; VUS-PR and AUC-PR are the TSB-AD package's) says how good the scores are; "
        "nothing is point-adjusted. The labelled metrics are no part of it either: `make quality QUALITY=FOLDER` says "
        "where both are. Figures in italics are for reference: published ones, or measured once on the same series "
        "by those who wrote the scorer, not by this command. Those of other detectors on the same series are measured "
        "by `make rivals`."
    )
    paragraph(
        "**Expect less on your own metrics.** The constants of all detectors were chosen with these very files in "
        "sight, labels included."
    )
    heading("What is wanted, and what is reached")
    wanted = [
        *page_rivals.wanted(streaming["events"]["compared"]),
        *page_streaming.wanted(streaming),
        *(page_trained.wanted(trained) if trained else []),
    ]
    table(
        ["what", "wanted", "measured", "reached", "reference"],
        [
            [what, least, got, "yes" if met else "**no**", f"*{by}*" if by else ""]
            for what, least, got, met, by in wanted
        ],
    )
    paragraph(f"{sum(met for *_, met, _ in wanted)} of {len(wanted)} are reached; each is explained below.")
    page_events.sections(streaming["events"])
    page_nested.sections()
    page_rivals.section(streaming["events"]["compared"])
    page_streaming.sections(streaming)
    if trained:
        page_trained.sections(trained, streaming)


if __name__ == "__main__":
    main()
