"""How often the 95 % intervals of `evaluation.json` hold the truth, and how long they take.

Test sets are drawn from a model whose true figures are known: of every label, how often it occurs and how often each
answer is given to it; of numbers, how large errors are. `drawn together` repeats each row, as an image and its copies
are, in groups of 1 to 5.
"""

import argparse
import time

import numpy as np
import pandas as pd

from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.tasks import KINDS, Array, Task

LABELS = ["a", "b", "c", "d"]
OFTEN = np.array([0.5, 0.3, 0.15, 0.05])
DEVIATION = 4.0  # of a number's errors, which are normal
SPREAD = 10.0  # of the numbers


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


def main() -> None:
    """Print the table."""
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
