"""Which fold of a cross-validation each training row is in."""

from collections import Counter

import numpy as np
import pandas as pd

from polyhead.data.splits import Stratum, find_groups, list_groups
from polyhead.errors import PolyheadError
from polyhead.recipe.schema import Recipe

FOLD = "data.fold"  # a column of the frame; no task can have this name


def assign_folds(frame: pd.DataFrame, recipe: Recipe, count: int) -> list[str]:
    """Part the training rows into folds of about equal size; rows that belong together are in one fold.

    Groups go, the largest first and otherwise in the order that the seed gives, each to the fold that has the fewest
    rows of the group's stratum, or the fewest of all where several have as few. So under `stratify` every fold has
    nearly the same share of each combination of those tasks' labels (as scikit-learn's StratifiedGroupKFold).

    Args:
        frame: as `split_rows` takes it, with `split` as it gave it.
        recipe: its `data.split.stratify` and `seed`.
        count: of the folds, two or more.

    Returns:
        For each row of the frame the number of its fold as text, from 1; blank for rows that do not train.

    Raises:
        PolyheadError: there are fewer groups than folds.
    """
    rows = frame.iloc[frame["path"].to_numpy(object).argsort(kind="stable")]
    groups, pool = find_groups(rows), (rows["split"] == "train").to_numpy(bool)
    strata = rows[recipe.data.split.stratify].to_numpy(object)
    keys = np.random.Generator(np.random.PCG64([recipe.seed, count])).random(len(rows))
    listed = sorted(list_groups(pool, groups, strata, keys), key=lambda group: -group.rows)
    if len(listed) < count:
        raise PolyheadError(f"`folds`: {count} are asked for, and there are {len(listed)} groups of rows to train on")
    sizes, alike = [0] * count, [Counter[Stratum]() for _ in range(count)]
    fold_of: dict[int, int] = {}
    for group in listed:
        fold = min(range(count), key=lambda one: (alike[one][group.stratum], sizes[one]))
        fold_of[group.number] = fold
        sizes[fold] += group.rows
        alike[fold][group.stratum] += group.rows
    names = [str(fold_of[group] + 1) if trains else "" for group, trains in zip(groups.tolist(), pool, strict=True)]
    return pd.Series(names, rows.index, dtype=str).loc[frame.index].tolist()
