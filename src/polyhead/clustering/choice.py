"""Which method, and how many groups: tried, measured, and chosen by a rule that fits in a sentence.

All trials are measured on the same points by the silhouette (Rousseeuw 1987; a mean over points: 1 in tight groups,
far apart, 0 between two) and the Davies-Bouldin index (1979; lower is better). A noise point counts as 0 in the
silhouette, so that leaving points out does not raise it.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polyhead.clustering.methods import METHODS, NOISE, Labels, find_groups
from polyhead.errors import PolyheadError, require
from polyhead.progress import Progress
from polyhead.report.words import MINUS, NOTHING, show_count
from polyhead.tasks import Array

SAMPLE = 2000  # points, at most, that trials are made and measured on
TIE = 0.01  # silhouettes that differ by less are equally good
MAX_SHARE = 0.8  # if one group, or noise, holds more than this fraction of all points, the grouping shows nothing

Settings = Mapping[str, Mapping[str, object]]  # parameters by method


@dataclass(frozen=True)
class Trial:
    """One grouping that was tried.

    Attributes:
        method: its name.
        k: how many groups were asked for; None if the method finds the number itself.
        groups: how many were found.
        noise: the fraction of the points that are noise.
        largest: the fraction of the points in the largest group.
        silhouette: -1 to 1, higher is better; None with fewer than two groups.
        davies_bouldin: from 0 up, lower is better; None with fewer than two groups.
    """

    method: str
    k: int | None
    groups: int
    noise: float
    largest: float
    silhouette: float | None
    davies_bouldin: float | None


@dataclass(frozen=True)
class Choice:
    """The best of several trials, why, and on how many (`sampled`) of how many points (`count`) they were made."""

    best: Trial
    why: str
    tries: Sequence[Trial]
    sampled: int
    count: int


def choose_groups(
    points: Array, candidates: Mapping[str, Sequence[int]], settings: Settings, seed: int, progress: Progress
) -> Choice:
    """Trial methods with numbers of groups on a sample of 2,000 points at most, and choose.

    Args:
        points: (n, columns).
        candidates: the numbers of groups to try by method; of one that finds the number itself, those it may find.
        settings: parameters by method.
        seed: of the sample, and of the methods' own randomness.
        progress: advances with each trial.

    Raises:
        PolyheadError: a parameter is wrong, or no trial found two groups or more.
    """
    rows = sample_rows(len(points), SAMPLE, seed)
    sample = points[rows]
    advance = progress.track(
        "Comparing", sum(len(ks) if METHODS[name].takes_k else 1 for name, ks in candidates.items())
    )
    tries = []
    with tempfile.TemporaryDirectory() as folder:  # for the tree that serves every number of groups
        for method, ks in candidates.items():
            given = dict(settings.get(method, {}))
            if method == "agglomerative" and len(ks) > 1:
                given = {"memory": folder, "compute_full_tree": True} | given
            for k in ks if METHODS[method].takes_k else [None]:
                labels = find_groups(sample, method, k, given, seed)
                tries.append(measure_trial(sample, labels, method, k))
                advance(1)
    best = _choose(tries, candidates)
    return Choice(best, _explain(best, tries), tries, len(rows), len(points))


def sample_rows(count: int, limit: int, seed: int) -> Labels:
    """The indices of all `count` rows, or of `limit` random ones, in order."""
    if count <= limit:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def measure_trial(points: Array, labels: Labels, method: str, k: int | None) -> Trial:
    """Measure groups (n,) of points (n, columns)."""
    require("clustering", "report")
    from sklearn.metrics import davies_bouldin_score

    groups, inside = int(labels.max(initial=0)), labels != NOISE
    noise = float(1 - inside.mean())
    largest = float((labels == 1).mean())
    if not 2 <= groups < inside.sum():
        return Trial(method, k, groups, noise, largest, None, None)
    silhouette = float(measure_silhouettes(points, labels).mean())
    index = float(davies_bouldin_score(points[inside], labels[inside]))
    return Trial(method, k, groups, noise, largest, silhouette, index)


def measure_silhouettes(points: Array, labels: Labels) -> Array:
    """The silhouette of each point (n,); 0 for noise, and for all points if there are fewer than two groups."""
    require("clustering", "report")
    from sklearn.metrics import silhouette_samples

    inside = labels != NOISE
    found = np.zeros(len(points))
    if 2 <= len(set(labels[inside].tolist())) < inside.sum():
        found[inside] = silhouette_samples(points[inside], labels[inside])
    return found


def _choose(tries: Sequence[Trial], candidates: Mapping[str, Sequence[int]]) -> Trial:
    """The trial with the highest silhouette; among ties, the fewest groups, then the lowest Davies-Bouldin index.

    Only trials with a number of groups that was asked for can be chosen; and none in which one group holds more than
    four fifths, unless all do: a few outliers against the rest have a high silhouette, and show nothing.
    """
    allowed = [
        found for found in tries if found.silhouette is not None and _is_candidate(found, candidates[found.method])
    ]
    if not allowed:
        counts = ", ".join(f"{found.method} {found.groups}" for found in tries)
        raise PolyheadError(f"no method found two or more groups within `k` (groups found: {counts}); try another `k`")
    allowed = [found for found in allowed if max(found.largest, found.noise) <= MAX_SHARE] or allowed
    highest = max(found.silhouette or 0 for found in allowed)
    tied = [found for found in allowed if (found.silhouette or 0) > highest - TIE]
    return min(tied, key=lambda found: (found.groups, found.davies_bouldin))


def _is_candidate(found: Trial, ks: Sequence[int]) -> bool:
    return not ks or min(ks) <= found.groups <= max(ks)


def _explain(best: Trial, tries: Sequence[Trial]) -> str:
    measured = [found for found in tries if found.silhouette is not None]
    summary = f"{best.method} with {best.groups} groups: silhouette {_show(best.silhouette)}"
    if len(measured) == 1:
        return f"{summary}, Davies-Bouldin {_show(best.davies_bouldin)}."
    higher = [found for found in measured if (found.silhouette or 0) > (best.silhouette or 0)]
    lopsided = [found for found in higher if max(found.largest, found.noise) > MAX_SHARE]
    tied = [
        found for found in higher if found not in lopsided and (found.silhouette or 0) < (best.silhouette or 0) + TIE
    ]
    words = [f"the highest of {show_count(len(measured))} trials"] if not higher else []
    if tied:
        rule = "the one with the fewest groups, then the lowest Davies-Bouldin index"
        words.append(f"of {len(tied) + 1} equally good trials (within {TIE}), {rule}")
    if lopsided:
        words.append(f"{_pass(len(lopsided))} because one group held more than {100 * MAX_SHARE:.0f} % of all images")
    if outside := len(higher) - len(tied) - len(lopsided):
        words.append(f"{_pass(outside)} because of more or fewer groups than asked for")
    rank = 1 + sum((found.davies_bouldin or 0) < (best.davies_bouldin or 0) for found in measured)
    index = f"Davies-Bouldin {_show(best.davies_bouldin)}, rank {rank} of {len(measured)} (lower is better)"
    return f"{summary}, {'; '.join(words)}; {index}."


def _pass(count: int) -> str:
    return "a higher one was passed over" if count == 1 else f"{count} higher ones were passed over"


def _show(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}".replace("-", MINUS)
