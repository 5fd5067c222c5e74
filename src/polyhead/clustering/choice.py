"""Which method, and how many groups: tried, measured, and chosen by a rule that can be said in a sentence.

Every try is measured on the same points: the silhouette (Rousseeuw 1987; the mean of 1 where points lie in tight groups
far apart, 0 where it is as well one group as another) and the Davies-Bouldin index (1979; less is better). A point of
noise counts as 0 in the silhouette, so that leaving points out is no way to a high one.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from polyhead.clustering.methods import METHODS, NOISE, Labels, find_groups
from polyhead.errors import PolyheadError
from polyhead.extras import require
from polyhead.progress import Progress
from polyhead.report.words import MINUS, NOTHING, show_count
from polyhead.tasks import Array

SAMPLE = 2000  # points that tries are made and measured on at most
AS_GOOD = 0.01  # silhouettes that differ by less are as good
MOST = 0.8  # a group, or noise, that holds more than this share of all shows nothing

Settings = Mapping[str, Mapping[str, Any]]  # parameters by method


@dataclass(frozen=True)
class Try:
    """One grouping: what was asked for, what was found, the shares of noise and of the largest group, and how it
    measures (None where it made no two groups)."""

    method: str
    k: int | None
    groups: int
    noise: float
    largest: float
    silhouette: float | None
    davies_bouldin: float | None


@dataclass(frozen=True)
class Choice:
    """The best of some tries, why, and on how many of how many points they were made."""

    best: Try
    why: str
    tries: Sequence[Try]
    sampled: int
    count: int


def choose_groups(
    points: Array, asked: Mapping[str, Sequence[int]], settings: Settings, seed: int, progress: Progress
) -> Choice:
    """Try methods with numbers of groups on a sample of 2,000 points at most, and choose.

    Args:
        points: (n, columns).
        asked: the numbers of groups to try by method; of a method that takes none, the numbers that it may find.
        settings: parameters by method.
        seed: of the sample, and of whatever is random in a method.
        progress: is told of each try.

    Raises:
        PolyheadError: a parameter is wrong, or no try made two groups or more.
    """
    rows = sample_rows(len(points), SAMPLE, seed)
    sample = points[rows]
    advance = progress.track("Comparing", sum(len(ks) if METHODS[name].counts else 1 for name, ks in asked.items()))
    tries = []
    with tempfile.TemporaryDirectory() as folder:  # where a tree that serves every number of groups is kept
        for method, ks in asked.items():
            given = dict(settings.get(method, {}))
            if method == "agglomerative" and len(ks) > 1:
                given = {"memory": folder, "compute_full_tree": True} | given
            for k in ks if METHODS[method].counts else [None]:
                labels = find_groups(sample, method, k, given, seed)
                tries.append(measure_try(sample, labels, method, k))
                advance(1)
    best = _choose(tries, asked)
    return Choice(best, _explain(best, tries), tries, len(rows), len(points))


def sample_rows(count: int, most: int, seed: int) -> Labels:
    """All of `count` rows, or `most` of them at random, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def measure_try(points: Array, labels: Labels, method: str, k: int | None) -> Try:
    """How good groups (n,) of points (n, columns) are."""
    require("clustering", "report")
    from sklearn.metrics import davies_bouldin_score

    groups, inside = int(labels.max(initial=0)), labels != NOISE
    noise = float(1 - inside.mean())
    largest = float((labels == 1).mean())
    if not 2 <= groups < inside.sum():
        return Try(method, k, groups, noise, largest, None, None)
    silhouette = float(measure_silhouettes(points, labels).mean())
    index = float(davies_bouldin_score(points[inside], labels[inside]))
    return Try(method, k, groups, noise, largest, silhouette, index)


def measure_silhouettes(points: Array, labels: Labels) -> Array:
    """The silhouette of each point (n,); 0 for noise, and everywhere where there are no two groups."""
    require("clustering", "report")
    from sklearn.metrics import silhouette_samples

    inside = labels != NOISE
    found = np.zeros(len(points))
    if 2 <= len(set(labels[inside].tolist())) < inside.sum():
        found[inside] = silhouette_samples(points[inside], labels[inside])
    return found


def _choose(tries: Sequence[Try], asked: Mapping[str, Sequence[int]]) -> Try:
    """The highest silhouette; of those as good, the fewest groups, then the lowest Davies-Bouldin index.

    Only what made a number of groups that was asked for can be chosen; and, where there is any other, nothing of which
    one group holds more than four fifths: a few outliers against all the rest have a high silhouette, and show nothing.
    """
    fair = [found for found in tries if found.silhouette is not None and _is_asked(found, asked[found.method])]
    if not fair:
        counts = ", ".join(f"{found.method} {found.groups}" for found in tries)
        raise PolyheadError(f"no method found two groups or more within `k` (groups found: {counts}); try another `k`")
    fair = [found for found in fair if max(found.largest, found.noise) <= MOST] or fair
    highest = max(found.silhouette or 0 for found in fair)
    good = [found for found in fair if (found.silhouette or 0) > highest - AS_GOOD]
    return min(good, key=lambda found: (found.groups, found.davies_bouldin))


def _is_asked(found: Try, ks: Sequence[int]) -> bool:
    return not ks or min(ks) <= found.groups <= max(ks)


def _explain(best: Try, tries: Sequence[Try]) -> str:
    measured = [found for found in tries if found.silhouette is not None]
    figure = f"{best.method} with {best.groups} groups: silhouette {_show(best.silhouette)}"
    if len(measured) == 1:
        return f"{figure}, Davies-Bouldin {_show(best.davies_bouldin)}."
    higher = [found for found in measured if (found.silhouette or 0) > (best.silhouette or 0)]
    lumps = [found for found in higher if max(found.largest, found.noise) > MOST]
    near = [
        found for found in higher if found not in lumps and (found.silhouette or 0) < (best.silhouette or 0) + AS_GOOD
    ]
    words = [f"the highest of {show_count(len(measured))} tries"] if not higher else []
    if near:
        rule = "the one with the fewest groups, then the lowest Davies-Bouldin index"
        words.append(f"of {len(near) + 1} as good (within {AS_GOOD}) {rule}")
    if lumps:
        words.append(f"{_pass(len(lumps))}, as one group held more than {100 * MOST:.0f} % of all")
    if outside := len(higher) - len(near) - len(lumps):
        words.append(f"{_pass(outside)}, for more groups or fewer than was asked for")
    place = 1 + sum((found.davies_bouldin or 0) < (best.davies_bouldin or 0) for found in measured)
    index = f"Davies-Bouldin {_show(best.davies_bouldin)}, place {place} of {len(measured)} (less is better)"
    return f"{figure}, {'; '.join(words)}; {index}."


def _pass(count: int) -> str:
    return "a higher one was passed over" if count == 1 else f"{count} higher ones were passed over"


def _show(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}".replace("-", MINUS)
