"""How many images of a split are unlike those that the model was trained on."""

import numpy as np
import pandas as pd

from polyhead.data.splits import find_groups
from polyhead.evaluation.bootstrap import Draws
from polyhead.evaluation.shares import find_shares
from polyhead.model.familiarity import Familiarity
from polyhead.tasks import Array, Numbers


def measure_unfamiliar(familiarity: Familiarity, labels: pd.DataFrame, features: Array) -> Numbers:
    """The share of unfamiliar images.

    Args:
        familiarity: what the model file keeps.
        labels: n rows, one or more; those of equal `content` or `split.group` are a group.
        features: (n, width).

    Returns:
        `n`, `share` (0 to 1), its 95 % `interval`, the `expected` share among images like those of validation, and the
        `threshold` of the unfamiliarity.
    """
    groups = np.unique(find_groups(labels), return_inverse=True)[1].reshape(-1)
    rows = (familiarity.rate(features) > familiarity.threshold)[:, np.newaxis]
    (interval,) = find_shares(rows, np.ones_like(rows), Draws(groups, seed=0))
    found: Numbers = {"n": len(labels), "share": float(rows.mean()), "interval": interval}
    return found | {"expected": round(1 - familiarity.familiar, 6), "threshold": familiarity.threshold}
