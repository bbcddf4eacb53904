#!/usr/bin/env python3
"""Writes an isolation forest that scikit-learn fitted as JSON that qualm can import.

    export.py model.joblib forest.json --rows rows.csv

The model is an IsolationForest, or a Pipeline of one StandardScaler, RobustScaler or MinMaxScaler and an
IsolationForest, saved by joblib (only open files that you trust: loading one runs what is in it). `rows.csv` holds rows
of the kind it was fitted to, a column a feature, with a header: by them qualm knows what an ordinary score is, and what
stands for a missing value. Where the model knows the names of its features, columns are matched by name, in whatever
order they stand; otherwise the header names them. From Python, `export(model, rows)` gives the same as a dictionary.

The form, "qualm forest JSON" version 1:

    format          "qualm-forest"
    version         1
    features        names of the features, in the order of a row
    scaler          null, or {"kind", "center", "scale"}: (value - center) / scale, for each feature; the kind is
                    "standard", "robust" or "min-max"
    fill            what stands for a missing value, for each feature, before scaling
    max_samples     rows that each tree was grown of (max_samples_)
    offset          offset_: rows with score_samples below it are anomalies
    ordinary        the median of score_samples over the rows; where that is no better than the offset (a contamination
                    of 0.5), over those that are no anomalies
    trees           for each tree children_left, children_right, feature, threshold and n_node_samples as in its tree_,
                    and features, its estimators_features_: which feature of a row each feature of the tree is

All numbers are written so that a reader which rounds correctly gets the same doubles back.
"""

import argparse
import csv
import json

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler


def export(model, rows, names=None):
    """The form as a dictionary; `rows` are as the model takes them, `names` those of their columns."""
    scaler, forest = parts(model)
    count = forest.n_features_in_
    if names is None:
        names = getattr(rows, "columns", None)
    rows = np.asarray(rows, dtype=float)
    if rows.ndim != 2 or len(rows) == 0:
        raise SystemExit("there are no rows; give some that are ordinary")
    if names is not None and len(names) != rows.shape[1]:
        raise SystemExit(f"the rows have {rows.shape[1]} columns, and {len(names)} names")
    known = getattr(model, "feature_names_in_", None)
    if known is not None and names is not None:
        rows = rows[:, places(list(known), list(names))]
        names = known
    if rows.shape[1] != count:
        raise SystemExit(f"the rows have {rows.shape[1]} columns, the model {count} features")
    if names is None:
        names = [f"feature_{at}" for at in range(count)] if known is None else known
    return {
        "format": "qualm-forest",
        "version": 1,
        "features": [str(name) for name in names],
        "scaler": scaling(scaler, count),
        "fill": fill(rows),
        "max_samples": int(forest.max_samples_),
        "offset": float(forest.offset_),
        "ordinary": ordinary(scores(scaler, forest, rows), forest.offset_),
        "trees": [
            tree(estimator.tree_, features)
            for estimator, features in zip(forest.estimators_, forest.estimators_features_)
        ],
    }


def places(known, names):
    """Where each feature of the model stands among the rows' columns."""
    twice = sorted({name for name in names if names.count(name) > 1})
    missing = [name for name in known if name not in names]
    unknown = [name for name in names if name not in known]
    wrong = [("has twice", twice), ("lacks", missing), ("has what the model does not know,", unknown)]
    for what, of in wrong:
        if of:
            shown, known = (", ".join(map(repr, map(str, names))) for names in (of, known))
            raise SystemExit(f"the table of rows {what} {shown}; the model has {known}")
    return [names.index(name) for name in known]


def ordinary(scored, offset):
    """What an ordinary row scores: always better than what sets anomalies apart."""
    middle = np.median(scored)
    if middle <= offset:
        better = scored[scored > offset]
        if len(better) == 0:
            raise SystemExit("the model takes all of the rows for anomalies; give rows that are ordinary")
        middle = np.median(better)
    return float(middle)


def parts(model):
    """The scaler, if there is one, and the forest."""
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    steps = [step for step in steps if step not in (None, "passthrough")]
    if not isinstance(steps[-1], IsolationForest):
        raise SystemExit(f"the model is a {type(steps[-1]).__name__}; an IsolationForest can be exported")
    if len(steps) > 2 or not isinstance(steps[0], (IsolationForest, *KINDS)):
        raise SystemExit("before the forest only one StandardScaler, RobustScaler or MinMaxScaler may stand")
    return (steps[0] if len(steps) == 2 else None), steps[-1]


KINDS = {StandardScaler: "standard", RobustScaler: "robust", MinMaxScaler: "min-max"}


def scaling(scaler, count):
    if scaler is None:
        return None
    if isinstance(scaler, MinMaxScaler):
        if scaler.clip:
            raise SystemExit("a MinMaxScaler that clips cannot be exported")
        # It computes value * scale_ + min_.
        center, scale = -scaler.min_ / scaler.scale_, 1 / scaler.scale_
    else:
        center = scaler.mean_ if isinstance(scaler, StandardScaler) else scaler.center_
        center = np.zeros(count) if center is None or getattr(scaler, "with_mean", True) is False else center
        scale = np.ones(count) if scaler.scale_ is None else scaler.scale_
    return {"kind": KINDS[type(scaler)], "center": center.tolist(), "scale": scale.tolist()}


def fill(rows):
    """The medians of the rows."""
    return np.nan_to_num(np.nanmedian(rows, axis=0)).tolist()


def scores(scaler, forest, rows):
    complete = np.where(np.isnan(rows), fill(rows), rows)
    return forest.score_samples(complete if scaler is None else scaler.transform(complete))


def tree(grown, features):
    arrays = ("children_left", "children_right", "feature", "threshold", "n_node_samples")
    return {name: getattr(grown, name).tolist() for name in arrays} | {"features": [int(at) for at in features]}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("model", help="saved by joblib")
    arguments.add_argument("out", help="the JSON that is written")
    arguments.add_argument("--rows", required=True, help="CSV of rows like those it was fitted to")
    arguments = arguments.parse_args()

    import joblib

    # What Excel puts before the first name is none of it.
    with open(arguments.rows, newline="", encoding="utf-8-sig") as file:
        names, *lines = csv.reader(file)
    rows = [[float(value) if value else float("nan") for value in line] for line in lines]
    model = joblib.load(arguments.model)
    with open(arguments.out, "w") as file:
        json.dump(export(model, rows, names), file, separators=(",", ":"))


if __name__ == "__main__":
    main()
