"""How often the 95 % intervals of `evaluation.json` hold the truth, and how long they take.

Test sets are drawn from a model whose true figures are known: of every label, how often it occurs and how often each
answer is given to it; of numbers, how large errors are. `drawn together` repeats each row, as an image and its copies
are, in groups of 1 to 5. Of two models on the same images it is the difference whose interval is looked at: part of
their errors they share.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import binom, multinomial

from polyhead.evaluation.bootstrap import Draws
from polyhead.evaluation.comparison import Answers, compare_joint, compare_task
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.paired import find_paired
from polyhead.evaluation.shares import bound_fraction
from polyhead.tasks import KINDS, Array, Task

LABELS = ["a", "b", "c", "d"]
OFTEN = np.array([0.5, 0.3, 0.15, 0.05])
DEVIATION = 4.0  # of a number's errors, which are normal
SPREAD = 10.0  # of the numbers
NUMBER_ERRORS = (1.05, 1.0)  # how large those of two models are


def true_figures(right: float) -> dict[str, float]:
    """What the figures come to over endlessly many images, where wrong answers are evenly the other labels."""
    wrong = (1 - right) / (len(LABELS) - 1)
    answered = OFTEN * right + (1 - OFTEN) * wrong
    f1 = 2 * OFTEN * right / (OFTEN + answered)
    return {
        "accuracy": right,
        "macro_f1": float(f1.mean()),
        "f1 of a": float(f1[0]),
        "recall of d": right,
        "mae": DEVIATION * float(np.sqrt(2 / np.pi)),
        "r2": 1 - DEVIATION**2 / SPREAD**2,
    }


def draw(rows: int, right: float, grouped: bool, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, Array]]:
    """Labels and outputs of a test set."""
    groups = np.repeat(np.arange(rows), rng.integers(1, 6, rows))[:rows] if grouped else np.arange(rows)
    count = groups[-1] + 1
    truth = rng.choice(len(LABELS), count, p=OFTEN)
    other = (truth + rng.integers(1, len(LABELS), count)) % len(LABELS)
    answers = np.where(rng.random(count) < right, truth, other)
    numbers = rng.normal(0, SPREAD, count)
    said = numbers + rng.normal(0, DEVIATION, count)
    frame = pd.DataFrame({"content": groups, "label": truth[groups], "number": numbers[groups]}).astype(str)
    frame["label"] = [LABELS[index] for index in truth[groups]]
    outputs = np.full((rows, len(LABELS)), 0.1) + 0.6 * np.eye(len(LABELS))[answers[groups]]
    return frame, {"label": outputs, "number": said[groups][:, None]}


def measure(frame: pd.DataFrame, outputs: dict[str, Array], tasks: dict[str, Task]) -> dict[str, list[float] | None]:
    """The intervals of these figures."""
    found = evaluate_split(tasks, frame, outputs)
    add_intervals(found, tasks, frame, outputs)
    label, number = found["tasks"]["label"], found["tasks"]["number"]
    return {
        "accuracy": label["intervals"].get("accuracy"),
        "macro_f1": label["intervals"].get("macro_f1"),
        "f1 of a": label["per_class"]["a"]["intervals"].get("f1"),
        "recall of d": label["per_class"].get("d", {"intervals": {}})["intervals"].get("recall"),
        "mae": number["intervals"].get("mae"),
        "r2": number["intervals"].get("r2"),
    }


def draw_two(rows: int, right: tuple[float, float], grouped: bool, rng: np.random.Generator) -> Answers:
    """A test set, and what two models answer: each is right so often; half of the better one's errors are both's."""
    groups = np.repeat(np.arange(rows), rng.integers(1, 6, rows))[:rows] if grouped else np.arange(rows)
    count = groups[-1] + 1
    shared = (1 - max(right)) / 2
    both_wrong = rng.random(count) < shared
    truth, numbers, outputs = {}, rng.normal(0, SPREAD, count), []
    for name in ("label", "other"):
        truth[name] = rng.choice(len(LABELS), count, p=OFTEN)
    frame = pd.DataFrame({"content": groups, "number": numbers[groups]}).astype(str)
    common = rng.normal(0, DEVIATION, count) * np.sqrt(0.5)
    shifts = {name: rng.integers(1, len(LABELS), count) for name in truth}
    for share, size in zip(right, NUMBER_ERRORS, strict=True):
        answers = {
            "number": (numbers + (common + rng.normal(0, DEVIATION, count) * np.sqrt(0.5)) * size)[groups][:, None]
        }
        for name, labels in truth.items():
            wrong = both_wrong | (rng.random(count) < (1 - share - shared) / (1 - shared))
            said = np.where(wrong, (labels + shifts[name]) % len(LABELS), labels)
            answers[name] = np.full((rows, len(LABELS)), 0.1) + 0.6 * np.eye(len(LABELS))[said[groups]]
        outputs.append(answers)
    for name, labels in truth.items():
        frame[name] = [LABELS[index] for index in labels[groups]]
    numbered = np.unique(groups, return_inverse=True)[1].reshape(-1)
    return Answers({}, frame, (outputs[0], outputs[1]), Draws(numbered, 0))


def true_differences(right: tuple[float, float]) -> dict[str, float]:
    """By how much the second of two such models is better."""
    shared = (1 - max(right)) / 2
    first, second = (true_figures(share) for share in right)
    all_right = [(1 - shared) * ((share / (1 - shared)) ** 2) for share in right]
    return {
        "accuracy": right[1] - right[0],
        "macro_f1": second["macro_f1"] - first["macro_f1"],
        "all_correct": all_right[1] - all_right[0],
        "mae": first["mae"] * (NUMBER_ERRORS[0] - NUMBER_ERRORS[1]),
        "r2": (DEVIATION / SPREAD) ** 2 * (NUMBER_ERRORS[0] ** 2 - NUMBER_ERRORS[1] ** 2),
    }


def print_differences(sets: int, tasks: dict[str, Task]) -> None:
    """The table of two models."""
    rng, names = np.random.default_rng(0), list(true_differences((0.9, 0.9)))
    both = {name: (tasks["label" if name == "other" else name],) * 2 for name in ("label", "other", "number")}
    print("\n| images | true accuracies | " + " | ".join(names) + " |\n|---|---|" + "---|" * len(names))
    for rows, right, grouped in [
        (30, (0.8, 0.9), False), (60, (0.85, 0.88), False), (60, (0.95, 0.97), False), (200, (0.85, 0.88), False),
        (1000, (0.95, 0.97), False), (1000, (0.9, 0.9), False), (1000, (0.85, 0.88), True),
    ]:  # fmt: skip
        truth, held = true_differences(right), {name: [0, 0] for name in names}
        for _ in range(sets):
            answers = replace(draw_two(rows, right, grouped, rng), tasks=both)
            for found in [*compare_task("label", answers), *compare_task("number", answers), *compare_joint(answers)]:
                if found.metric in held and found.interval:
                    held[found.metric][0] += found.interval[0] <= truth[found.metric] <= found.interval[1]
                    held[found.metric][1] += 1
        cells = [f"{hits / max(1, count):.3f}" for hits, count in held.values()]
        told = f"{right[0]:g} and {right[1]:g}"
        print(f"| {rows:,}{' drawn together' if grouped else ''} | {told} | {' | '.join(cells)} |", flush=True)


def print_exact() -> None:
    """How often intervals of accuracies hold the truth, by all that can happen instead of by drawn sets."""
    rights = np.linspace(0.5, 0.99, 50)
    for rows in (50, 200, 1000):
        bounds = np.array([bound_fraction(hits / rows, rows) for hits in range(rows + 1)])
        held = [cover(bounds, binom.pmf(np.arange(rows + 1), rows, right), right) for right in rights]
        at = cover(bounds, binom.pmf(np.arange(rows + 1), rows, 0.9), 0.9)
        print(f"{rows:,} images, accuracies .5 to .99: {min(held):.3f} to {max(held):.3f}; .9: {at:.3f}")
    for rows in (30, 60, 120, 200):
        pairs = [(wins, losses) for wins in range(rows + 1) for losses in range(rows + 1 - wins)]
        gains = np.zeros((rows, 1))
        bounds = np.zeros((len(pairs), 2))
        for at, (wins, losses) in enumerate(pairs):
            gains[:, 0] = np.arange(rows) < wins
            gains[rows - losses :, 0] = -1
            bounds[at] = find_paired(gains, np.arange(rows)) or (-1, 1)
        table = np.array([(*pair, rows - sum(pair)) for pair in pairs])
        held = [
            cover(bounds, multinomial.pmf(table, rows, (wins, losses, 1 - wins - losses)), wins - losses)
            for differ in np.linspace(5 / rows, 0.5, 12)
            for wins, losses in zip(np.linspace(0, differ, 11), np.linspace(differ, 0, 11), strict=True)
        ]
        print(f"{rows:,} pairs, of which 5 to half differ: {min(held):.3f} to {max(held):.3f}", flush=True)


def cover(bounds: Array, chances: Array, truth: float) -> float:
    """The probability that the interval holds the truth, of all intervals (n, 2) and how likely each is (n,)."""
    return float(chances[(bounds[:, 0] <= truth + 1e-12) & (truth <= bounds[:, 1] + 1e-12)].sum())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=500, help="drawn test sets a row")
    options = parser.parse_args()
    tasks = {"label": KINDS["categorical"].model_validate({"kind": "categorical", "classes": LABELS})}
    tasks["number"] = KINDS["regression"].model_validate({"kind": "regression"})
    frame, _ = draw(1000, 0.9, False, np.random.default_rng(1))
    tasks = {name: task.fit(name, frame[name].tolist()) for name, task in tasks.items()}
    rng = np.random.default_rng(0)
    print("| images | true accuracy | " + " | ".join(true_figures(0.9)) + " |")
    print("|---|---|" + "---|" * len(true_figures(0.9)))
    for rows, right, grouped in [
        (50, 0.9, False), (200, 0.9, False), (1000, 0.9, False), (1000, 0.98, False), (1000, 0.9, True)
    ]:  # fmt: skip
        truth, held = true_figures(right), {name: [0, 0] for name in true_figures(right)}
        for _ in range(options.sets):
            for name, interval in measure(*draw(rows, right, grouped, rng), tasks).items():
                if interval:
                    held[name][0] += interval[0] <= truth[name] <= interval[1]
                    held[name][1] += 1
        cells = [f"{hits / max(1, count):.3f}" for hits, count in held.values()]
        print(f"| {rows:,}{' drawn together' if grouped else ''} | {right:g} | {' | '.join(cells)} |", flush=True)
    print_differences(options.sets, tasks)
    print_exact()
    frame, outputs = draw(10_000, 0.9, False, rng)
    found = evaluate_split(tasks, frame, outputs)
    begun = time.perf_counter()
    add_intervals(found, tasks, frame, outputs)
    print(f"\n10,000 rows of a label and a number: {time.perf_counter() - begun:.2f} s")
    marks = rng.random((10_000, 40)) < 0.2
    names = [f"mark {number}" for number in range(40)]
    texts = ["|".join(np.array(names)[row]) or "none" for row in marks]
    marked = {"marks": KINDS["multilabel"].model_validate({"kind": "multilabel", "labels": names}).fit("marks", texts)}
    frame = pd.DataFrame({"content": "", "marks": texts})
    given = {"marks": np.clip(0.3 * marks + 0.7 * rng.random(marks.shape), 0, 1)}
    found = evaluate_split(marked, frame, given)
    begun = time.perf_counter()
    add_intervals(found, marked, frame, given)
    print(f"10,000 rows of forty labels: {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
