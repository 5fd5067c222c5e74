"""The page of a clustering: what each group is, a map of all images, the gallery, and how the groups were made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyhead.clustering.charts import draw_comparison
from polyhead.clustering.choice import Choice
from polyhead.clustering.methods import NOISE
from polyhead.clustering.names import ChosenLabels
from polyhead.clustering.summary import TYPICAL, GroupedImages, Summary, find_atypical
from polyhead.report.gallery.gallery import Gallery
from polyhead.report.rendering import write_page
from polyhead.report.words import MINUS, NOTHING, show_count, show_number, show_percent

Context = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ClusterPage:
    """What the page shows: facts and remarks at its top, the groups, how they were chosen, the gallery.

    `summaries` are those of `summarize_groups`; `choice` is None where nothing was compared.
    """

    title: str
    note: str
    facts: Sequence[tuple[str, str]]
    remarks: Sequence[str]
    image_set: GroupedImages
    summaries: Sequence[Summary]
    choice: Choice | None
    gallery: Gallery


def write_cluster_page(path: Path, page: ClusterPage) -> None:
    """Write the page; the files of the gallery and the eigenfaces are already beside it."""
    positions = np.argsort(page.gallery.order)  # of each image in the gallery
    parts = page.gallery.groups
    assert parts is not None  # a page of groups has a gallery with groups
    groups = [
        _describe_group(summary, page.image_set, positions) | {"colour": parts.colours[summary["group"]]}
        for summary in page.summaries
    ]
    context = {"page": page, "groups": groups, "maps": list(parts.maps), "comparison": _describe_choice(page.choice)}
    write_page(path, "clusters.html", context)


def _describe_group(summary: Summary, image_set: GroupedImages, positions: Mapping[int, int] | Any) -> Context:
    number = summary["group"]
    typical = image_set.groups.members(number)[:TYPICAL]
    atypical = find_atypical(image_set.groups, number)
    return {
        "number": number,
        "title": "Noise" if number == NOISE else f"Group {number}",
        "query": "noise" if number == NOISE else f"group {number}",
        "name": summary["name"].split(", ") if number != NOISE else [],
        "words": summary["name"],
        "images": show_count(summary["images"]),
        "share": show_percent(summary["share"]),
        "tightness": f"{summary['tightness']:.2f}".replace("-", MINUS),
        "silhouette": NOTHING if summary["silhouette"] is None else show_number(summary["silhouette"]),
        "typical": [(int(positions[row]), image_set.images[row]) for row in typical],
        "atypical": [
            (int(positions[row]), f"{image_set.images[row]}: closer to group {image_set.groups.others[row]}")
            if image_set.groups.fits[row] < 0
            else (int(positions[row]), f"{image_set.images[row]}: next closest is group {image_set.groups.others[row]}")
            for row in atypical
        ],
        "frequencies": _list_frequencies(summary, image_set.chosen),
        "eigenface": summary["eigenface"],
    }


def _list_frequencies(summary: Summary, chosen: ChosenLabels) -> list[Context]:
    """Every answer, the largest difference first; `by` marks those that were grouped by."""
    rows = []
    for found in sorted(summary["frequencies"], key=lambda row: -abs(row["apart"])):
        task, label = found["task"], found["label"]
        by = task in chosen and (not chosen[task] or label in chosen[task])
        shown = {"by": by, "name": task if label is None else label if found["several"] else f"{task} {label}"}
        if label is None:
            shown |= {"inside": show_number(found["inside"]), "overall": show_number(found["overall"]), "meter": None}
        else:
            shown |= {key: show_percent(found[key]) for key in ("inside", "overall")}
            shown["meter"] = (found["inside"], found["overall"])
        rows.append(shown)
    return rows


def _describe_choice(choice: Choice | None) -> Context | None:
    if choice is None:
        return None
    best = []
    for method in dict.fromkeys(found.method for found in choice.tries):
        tries = [found for found in choice.tries if found.method == method]
        top = max(tries, key=lambda found: -2 if found.silhouette is None else found.silhouette)
        metrics = [NOTHING if value is None else f"{value:.3f}" for value in (top.silhouette, top.davies_bouldin)]
        best.append((method, str(top.groups), *metrics, show_percent(top.noise)))
    return {
        "why": choice.why,
        "sampled": show_count(choice.sampled) if choice.sampled < choice.count else "",
        "drawings": [
            ("Silhouette: higher is better", draw_comparison(choice, "silhouette", "silhouette")),
            ("Davies-Bouldin index: lower is better", draw_comparison(choice, "davies_bouldin", "Davies-Bouldin")),
        ],
        "best": best,
    }
