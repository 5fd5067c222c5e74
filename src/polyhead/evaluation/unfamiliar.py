"""How many images of a split are unlike those that the model was trained on."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.splits import find_groups
from polyhead.evaluation.bootstrap import Draws, find_fraction
from polyhead.model.familiarity import Familiarity
from polyhead.tasks import Array, Numbers


def measure_unfamiliar(familiarity: Familiarity, labels: pd.DataFrame, features: Array, seed: int = 0) -> Numbers:
    """The share of unfamiliar images.

    Args:
        familiarity: what the model file keeps.
        labels: n rows; those of equal `content` or `split.group` are a group.
        features: (n, width).
        seed: of the draws.

    Returns:
        `n`, `share` (0 to 1), its 95 % `interval`, the `expected` share among images like those of validation, and the
        `threshold` of the unfamiliarity.
    """
    groups = np.unique(find_groups(labels), return_inverse=True)[1].reshape(-1)
    share, interval = measure_share(familiarity.rate(features) > familiarity.threshold, groups, seed)
    found: Numbers = {"n": len(labels), "share": share, "interval": interval}
    return found | {"expected": round(1 - familiarity.familiar, 6), "threshold": familiarity.threshold}


def measure_share(
    rows: NDArray[np.bool_], groups: NDArray[np.intp], seed: int = 0
) -> tuple[float | None, list[float] | None]:
    """The share of rows (n,) that are marked, and its 95 % interval by the bootstrap over groups; None without rows."""
    if not len(rows):
        return None, None
    draws = Draws(groups, seed)
    drawn = draws.share(rows.astype(float), np.ones(len(rows)))
    share = float(rows.mean())
    return share, find_fraction(share, drawn[:, 0], (len(rows), int(groups.max()) + 1))
