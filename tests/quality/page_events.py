"""What the page says of incidents found by the streaming detector, and of how many false episodes that costs."""

from events import NONE, WARMUP
from intervals import BUDGETS, FIGURES, SAMPLES
from markdown import heading, paragraph, table
from replay import STREAMING
from sets import HARD, SCENARIOS, SEEDS, TOLERANCE

HEAD = ["events", "hit", "false episodes a series and day", "delay in rows, median / 90th percentile"]
RECALL = ["recall at 1 in 1,000", "at 1 in 10,000"]
# What scenarios.py calls an incident, and what happens in it.
INCIDENTS = {
    "spike": "spike",
    "dropout": "drop to zero",
    "half": "half of the values",
    "shift": "level shift",
    "ramp": "ramp",
    "wilder": "more noise",
    "stuck": "stuck at one value",
    "otherwise": "values of twelve hours ago",
    NONE: "none",
}
INTERVALS = ["hit", "false episodes a series and day", *RECALL]


def sections(found):
    terms()
    scenarios(found["scenarios"])
    real(found)


def terms():
    heading("How incidents are counted")
    paragraph(
        "An *event* is a labelled run of rows. It is *hit* if at least one of its rows has a score above 1, the "
        "threshold of an alert rule. The *delay* is the number of rows from the event's first row to the first row "
        "above 1. A *false episode* is a run of rows outside of events with scores above 1; runs with fewer than ten "
        "rows between them are one episode, and an episode counts again every 100 rows. *Recall at 1 in 1,000 "
        "(10,000)* is the share of events hit at the lowest threshold that leaves at most one false episode in 1,000 "
        f"(10,000) ordinary rows; a set has one threshold for all its series. The first {WARMUP} rows of each series "
        "do not count. `score.py events` computes these figures. Nothing is trained, and each series is scored from "
        "its first row on."
    )
    paragraph(
        f"Intervals hold 95 % of {SAMPLES} bootstrap samples, which draw series with replacement. They show how much "
        "the choice of series matters, not how much the detector was fitted to these series. A set of one series has "
        "no interval."
    )


def scenarios(found):
    everything = found["all"]
    heading(f"`{STREAMING}` on scenarios")
    paragraph(
        f"{everything['series']} generated series of 28 days (`scenarios.py`, {len(SEEDS)} seeds): twelve kinds of "
        "metric that services have, with eight kinds of incident that operators know, and exact labels. Deploys, "
        "nightly jobs, weekends, garbage collection, restarts and gaps are ordinary. A report up to "
        f"{TOLERANCE[SCENARIOS]} rows after an event's end still hits it. The tables by metric and by incident use the "
        "thresholds of all scenarios together, since users have one threshold, too."
    )
    table(["", *HEAD, *RECALL], [["**all**", *cells(everything)]])
    table(["95 % interval", *INTERVALS], [["all", *ranges(everything["interval"])]])
    table(["metric", *HEAD, *RECALL], [[kind, *cells(of)] for kind, of in found["kinds"].items()])
    of = found["incidents"]
    kinds = [*(kind for kind in INCIDENTS if kind in of), *(kind for kind in of if kind not in INCIDENTS)]
    table(["incident", *HEAD, *RECALL], [[INCIDENTS.get(kind, kind), *cells(of[kind])] for kind in kinds])
    paragraph(
        "`score.py` assumes a row a minute. CPU, disk, connections and temperature have a row every five minutes, so "
        "their false episodes a day are overstated five times. By the actual times there are "
        f"{found['false_real_day']:.2f} a series and day over all scenarios."
    )


def real(found):
    heading(f"`{STREAMING}` on seven labelled sets")
    paragraph(
        "Series of servers, services, devices and generators, with the labels of their publishers; a report after an "
        f"event's end does not hit it. NAB's windows begin well before the anomaly that they contain. {HARD}'s labels "
        "are the times at which faults were injected. Many of these faults do not affect the scored metric, and "
        "unlabelled faults elsewhere do, so its false episodes are an upper bound. The mean of false episodes is "
        "therefore also given without this set."
    )
    of = found["real"]
    means = [["**mean**", *cells(found["mean"])], [f"**mean without {HARD}**", *cells(found["mean without"])]]
    table(
        ["set", "series", *HEAD, *RECALL],
        [[name, str(figures["series"]), *cells(figures)] for name, figures in of.items()],
        [[name, "", *rest] for name, *rest in means],
    )
    rows = {name: one["interval"] for name, one in of.items() if one["series"] > 1}
    rows |= {"**mean**": found["mean"]["interval"], f"**mean without {HARD}**": found["mean without"]["interval"]}
    table(["95 % interval", *INTERVALS], [[name, *ranges(interval)] for name, interval in rows.items()])


def cells(figures):
    """The cells of HEAD and RECALL."""
    delay = figures.get("delay")
    later = " / ".join(f"{rows:.0f}" for rows in delay) if delay else ""
    recalls = [number(figures[budget]) for budget in BUDGETS]
    events = str(figures["events"]) if "events" in figures else ""
    return [events, number(figures["hit"]), number(figures["false_day"]), later, *recalls]


def ranges(interval):
    return [f"{number(interval[name][0])} to {number(interval[name][1])}" if interval[name] else "" for name in FIGURES]


def number(figure):
    return "" if figure is None else f"{figure:.2f}" if figure < 10 else f"{figure:.1f}"
