"""Ask a model about worse images than those of a split."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyhead.evaluation.robustness import STRENGTHS, compare_worse, worsen
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress
from polyhead.report.parts import EvaluatedSplit
from polyhead.tasks import Array

ASKED = 1000  # images at most: each is asked about 25 times


def measure_worse(predictor: Predictor, split: EvaluatedSplit, progress: Progress) -> dict[str, Any]:
    """What `compare_worse` gives, over 1,000 images of the split at most, drawn at random, the same every time."""
    rows = np.sort(np.random.default_rng(0).permutation(len(split.rows))[:ASKED])
    advance = progress.track("Asking about worse images", sum(map(len, STRENGTHS.values())))
    tasks = predictor.card.tasks
    worse: dict[str, list[Mapping[str, Array]]] = {}
    for kind, strengths in STRENGTHS.items():
        for strength in strengths:

            def pixels(some: Any, kind: str = kind, strength: float = strength) -> Any:
                return worsen(split.pixels(rows[some]), kind, strength)

            found = predictor.obey(predictor.run_all(pixels, len(rows))).outputs
            worse.setdefault(kind, []).append({name: found[name] for name in tasks})
            advance(1)
    unchanged = {name: split.outputs[name][rows] for name in tasks}
    return compare_worse(tasks, split.rows.iloc[rows].reset_index(drop=True), unchanged, worse)
