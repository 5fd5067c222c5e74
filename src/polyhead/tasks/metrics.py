"""Numbers that say how good answers are: plain arrays in, plain dicts out, over rows whose label is known.

Every function expects at least one row. Metrics are scikit-learn's, under the names that it uses; a precision or
recall without any case counts as 0.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import require

Array = NDArray[np.floating]
Labels = Sequence[str]  # text, "" where unknown
Numbers = dict[str, Any]
AVERAGES = ("macro", "weighted")


def measure_classes(truth: Sequence[str], answers: Sequence[str], order: Sequence[str]) -> Numbers:
    """One class of several: accuracy, precision, recall, F1, support, confusion matrix (rows: truth).

    Args:
        truth: n labels.
        answers: n labels.
        order: classes in the order to show them; labels that are not among them follow, sorted.
    """
    require("evaluation", "report")
    from sklearn.metrics import confusion_matrix

    present = set(truth) | set(answers)
    labels = [label for label in order if label in present] + sorted(present - set(order))
    found: Numbers = {"accuracy": float(np.mean(np.asarray(truth, object) == np.asarray(answers, object)))}
    for average in AVERAGES:
        scores = _score(truth, answers, labels=labels, average=average)
        found |= {f"{average}_{name}": float(scores[i]) for i, name in enumerate(("precision", "recall", "f1"))}
    columns = _score(truth, answers, labels=labels, average=None)
    found["per_class"] = {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for label, p, r, f, s in zip(labels, *columns, strict=True)
    }
    # scikit-learn warns where there is a single label.
    alone = len(labels) == 1
    matrix = [[len(truth)]] if alone else confusion_matrix(truth, answers, labels=labels).tolist()
    return found | {"confusion": {"labels": labels, "matrix": matrix}}


def _score(truth: Any, answers: Any, **options: Any) -> Any:
    """scikit-learn's precision, recall, F1 and support; 0 where there is no case."""
    require("evaluation", "report")
    from sklearn.metrics import precision_recall_fscore_support

    options["zero_division"] = 0
    return precision_recall_fscore_support(truth, answers, **options)


def measure_ranking(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> Numbers:
    """How well scores order yes before no; empty where the n rows are all of one sort."""
    require("evaluation", "report")
    from sklearn.metrics import average_precision_score, roc_auc_score

    if truth.all() or not truth.any():
        return {}
    return {
        "average_precision": float(average_precision_score(truth, scores)),
        "roc_auc": float(roc_auc_score(truth, scores)),
    }


def measure_labels(
    truth: NDArray[np.floating], scores: NDArray[np.floating], names: Sequence[str], cuts: NDArray[np.floating]
) -> Numbers:
    """Several yes/no labels: each over the rows where it is known, and their means.

    Args:
        truth: (n, labels), 1 yes, 0 no, NaN unknown.
        scores: (n, labels) probabilities of yes.
        names: the labels, in the order of the columns.
        cuts: (labels,) from which probability on each is a yes.
    """
    per_label: Numbers = {}
    for name, column, score, cut in zip(names, truth.T, scores.T, cuts, strict=True):
        known = ~np.isnan(column)
        if not known.any():
            per_label[name] = {"n": 0}
            continue
        yes, said = column[known] == 1, score[known] >= cut
        precision, recall, f1, _ = _score(yes, said, average="binary")
        per_label[name] = {"n": int(known.sum()), "rate": float(yes.mean()), "accuracy": float(np.mean(yes == said))}
        per_label[name] |= {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
        per_label[name] |= measure_ranking(yes, score[known])
    labelled = [row for row in per_label.values() if row["n"]]
    whole = ~np.isnan(truth).any(axis=1)
    exact = ((truth == 1) == (scores >= cuts)).all(axis=1)[whole]
    found: Numbers = {
        "accuracy": float(np.mean([row["accuracy"] for row in labelled])),
        "macro_f1": float(np.mean([row["f1"] for row in labelled])),
        "exact_match": float(exact.mean()) if len(exact) else None,
    }
    precisions = [row["average_precision"] for row in labelled if "average_precision" in row]
    found["mean_average_precision"] = float(np.mean(precisions)) if precisions else None
    return found | {"per_label": per_label}


def measure_numbers(truth: NDArray[np.floating], answers: NDArray[np.floating]) -> Numbers:
    """A number, in the label's own unit: MAE, RMSE and R2 (None where the n labels are all equal)."""
    errors = answers - truth
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "r2": 1 - float(np.sum(errors**2)) / spread if spread else None,
    }


def measure_ranges(truth: NDArray[np.floating], answers: NDArray[np.floating], edges: Sequence[float]) -> list[Numbers]:
    """MAE apart for every range of the label between the inner `edges`; None for a range without rows."""
    ranges = np.digitize(truth, edges)
    rows = []
    for number, name in enumerate(range_names(edges)):
        errors = np.abs(answers - truth)[ranges == number]
        rows.append({"range": name, "n": len(errors), "mae": float(errors.mean()) if len(errors) else None})
    return rows


def range_names(edges: Sequence[float]) -> list[str]:
    """Names of the ranges between inner edges: [10, 20] gives `<10`, `10-20`, `20+`."""
    words = [f"{edge:g}" for edge in edges]
    if not words:
        return ["all"]
    return [f"<{words[0]}", *(f"{low}-{high}" for low, high in itertools.pairwise(words)), f"{words[-1]}+"]
