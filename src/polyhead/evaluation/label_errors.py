"""Which labels are likely wrong, by answers that a model gave to images it had not learnt from.

Arrays in, rows out. A blank label is unknown: it is never a suspect, and counts in no mean and no share.

Classes, levels and each label of several: confident learning (Northcutt, Jiang, Chuang: Confident Learning: Estimating
Uncertainty in Dataset Labels, JAIR 70, 2021). Numbers: residuals against their own robust spread.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks import Array, Labels, Task

OUTLIER = 3.5  # robust deviations: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993
NORMAL = 4.65e-4  # the part of normal residuals that lies beyond that
TO_DEVIATION = 1.4826  # times a normal distribution's median absolute deviation is its standard deviation
BIN = 50  # rows at least, over which the spread of residuals is measured
BINS = 10


@dataclass(frozen=True)
class Suspect:
    """A label that is likely wrong.

    Attributes:
        row: of the labels that were given.
        label: that label, as a text.
        suggested: the text that the answers speak for instead.
        score: how likely it is wrong; larger is likelier. The probability of what is suggested less that of the label,
            -1 to 1; of a number, its distance from the answer in robust standard deviations.
    """

    row: int
    label: str
    suggested: str
    score: float


@dataclass(frozen=True)
class LabelErrors:
    """What was found of a task.

    Attributes:
        known: how many labels were looked at: rows; of several labels, the known yes and no.
        share: the estimated share of wrong ones among them, 0 to 1; None where none is known.
        suspects: the likeliest first.
    """

    known: int
    share: float | None
    suspects: list[Suspect]


def find_label_errors(task: Task, labels: Labels, outputs: Array) -> LabelErrors:
    """The labels of a task that are likely wrong.

    Args:
        task: as the training split taught it.
        labels: n texts, blank where unknown.
        outputs: (n, width) in the task's form, of each row by a model that has not learnt from it.
    """
    if task.numeric:
        return _judge_numbers(task.regroup(labels), outputs[:, 0].astype(float))
    if task.several:
        return _judge_label_sets(task, labels, outputs)
    targets = task.encode(labels)[:, 0]
    rows = np.flatnonzero(~np.isnan(targets))
    given, probabilities = targets[rows].astype(int), task.probabilities(outputs)[rows].astype(float)
    share, suggested = learn_confidently(given, probabilities)
    score = _score(given, suggested, probabilities)
    names = task.names
    found = [
        Suspect(int(rows[at]), names[given[at]], names[suggested[at]], float(score[at]))
        for at in _rank(score, suggested)
    ]
    return LabelErrors(len(rows), share, found)


def learn_confidently(given: NDArray[np.integer], probabilities: Array) -> tuple[float | None, NDArray[np.intp]]:
    """Confident learning over m rows whose label is known.

    A class's threshold is the mean probability that its own rows give it. A row counts as truly of the likeliest class
    whose threshold it reaches. These counts, scaled to the rows of each given label, estimate how labels were mistaken.

    Args:
        given: (m,) indices of classes.
        probabilities: (m, classes), 0 to 1, each by a model that has not learnt from the row.

    Returns:
        The estimated share of wrong labels, None without a row; and (m,) the class that each row confidently is of in
        place of its own, -1 where it is of none.
    """
    m, classes = probabilities.shape
    if not m:
        return None, np.zeros(0, np.intp)
    counts = np.bincount(given, minlength=classes)
    own = probabilities[np.arange(m), given]
    # A class without a row has no threshold that could be reached.
    thresholds = np.where(counts, np.bincount(given, own, classes) / np.maximum(counts, 1), np.inf)
    reached = np.where(probabilities >= thresholds - 1e-6, probabilities, -1.0)
    truly = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)
    confident = truly >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (given[confident], truly[confident]), 1)
    sums = joint.sum(axis=1)
    # Of a class no row of which is confident, nothing speaks against its labels.
    right = np.where(sums > 0, joint.diagonal() / np.maximum(sums, 1), 1.0)
    share = float((counts * (1 - right)).sum() / m)
    mistaken = confident & (truly != given) & (probabilities.argmax(axis=1) != given)
    return share, np.where(mistaken, truly, -1)


def _score(given: NDArray[np.integer], suggested: NDArray[np.intp], probabilities: Array) -> Array:
    rows = np.arange(len(given))
    return np.asarray(probabilities[rows, suggested] - probabilities[rows, given], float)


def _rank(score: Array, suggested: NDArray[np.intp]) -> NDArray[np.intp]:
    """The suspects' places, the likeliest first."""
    order = np.argsort(-score, kind="stable")
    return np.asarray(order[suggested[order] >= 0], np.intp)


def _judge_label_sets(task: Task, labels: Labels, outputs: Array) -> LabelErrors:
    """Each label is a question of its own, yes or no; what is suggested is the row's text with that one turned."""
    targets, yes = task.encode(labels), task.probabilities(outputs).astype(float)
    texts = task.regroup(labels)
    found: list[Suspect] = []
    known, wrong = 0, 0.0
    for column, name in enumerate(task.names):
        rows = np.flatnonzero(~np.isnan(targets[:, column]))
        given = targets[rows, column].astype(int)
        probabilities = np.column_stack([1 - yes[rows, column], yes[rows, column]])
        share, suggested = learn_confidently(given, probabilities)
        score = _score(given, suggested, probabilities)
        known, wrong = known + len(rows), wrong + len(rows) * (share or 0.0)
        for at in _rank(score, suggested):
            row = int(rows[at])
            found.append(Suspect(row, texts[row], _turn(texts[row], name, task.names), float(score[at])))
    found.sort(key=lambda suspect: -suspect.score)
    return LabelErrors(known, wrong / known if known else None, found)


def _turn(text: str, name: str, names: tuple[str, ...]) -> str:
    """The text of several labels with one of them turned from yes to no, or back."""
    words = set(text.split("|")) ^ {name}
    return "|".join(word for label in names for word in (label, f"?{label}") if word in words) or "none"


def _judge_numbers(labels: list[str], answers: Array) -> LabelErrors:
    """Residuals beyond 3.5 robust deviations: of the median, by the median absolute deviation.

    Errors often grow with the number, as ages' do: both are measured over rows of about the same answer, tenths of
    them where there are enough. Wrong labels are estimated as what lies beyond, less what a normal distribution has
    there; where right labels have heavier tails, that is too many.
    """
    rows = np.array([row for row, label in enumerate(labels) if label], np.intp)
    if not len(rows):
        return LabelErrors(0, None, [])
    residuals = np.array([float(labels[row]) for row in rows]) - answers[rows]
    score = np.zeros(len(rows))
    for part in np.array_split(np.argsort(answers[rows], kind="stable"), max(1, min(BINS, len(rows) // BIN))):
        away = abs(residuals[part] - np.median(residuals[part]))
        spread = TO_DEVIATION * np.median(away)
        # Where most answers are exactly right there is no spread to measure by: the mean's stands in for it.
        spread = spread or 1.2533 * away.mean()
        score[part] = away / spread if spread else 0.0
    order = np.argsort(-score, kind="stable")
    found = [
        Suspect(int(rows[at]), labels[rows[at]], f"{answers[rows[at]]:.4g}", float(score[at]))
        for at in order
        if score[at] > OUTLIER
    ]
    return LabelErrors(len(rows), max(0.0, len(found) / len(rows) - NORMAL), found)
