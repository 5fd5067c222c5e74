"""How far images, and a model's answers to them, are from those of validation."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyhead.errors import PolyheadError, require
from polyhead.evaluation.drift import Drift, measure_drift
from polyhead.files import write_text
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress, show_progress
from polyhead.recipe.loading import load_run_plugins

if TYPE_CHECKING:
    from polyhead.model.inputs import ImagesLike

RESULTS = "monitor.json"


def monitor(
    model: str | os.PathLike[str],
    images: "ImagesLike",
    *,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | bool = True,
) -> Drift:
    """Compare images, and a model's answers to them, with the validation images that its file tells of; no labels.

    Args:
        model: a run folder or a model file.
        images: as `Predictor.predict` takes them. Those that cannot be read are counted, and in no other figure.
        out: a folder to make, for monitor.json and a page.
        force: whether to replace what such a call wrote there before.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Raises:
        PolyheadError: the file tells of no validation images, there is no image that can be read, or the model is
            damaged.
    """
    require("monitor", "report")
    from polyhead.report.monitor import write_monitor_page

    with show_progress(progress) as shown:
        restore_replaced(Path(model), shown)
        load_run_plugins(model)
        predictor = Predictor(model)
        card = predictor.card
        if card.reference is None:
            raise PolyheadError(
                f"{predictor.path}: does not tell of the images that it was validated on, so that nothing can be "
                "compared: it is of an earlier version, or had too few of them; train it again"
            )
        parts, unreadable, first = [], 0, ""
        for batch in predictor.run_files(images):
            read = [row for row, error in enumerate(batch.errors) if error is None]
            unreadable += len(batch.errors) - len(read)
            first = first or next((f": {error}" for error in batch.errors if error), "")
            parts.append({name: values[read] for name, values in batch.outputs.items()})
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
        if not outputs or not len(outputs["features"]):
            raise PolyheadError(f"none of the {unreadable:,} images can be read{first}")
        unfamiliar = None
        if card.familiarity:
            unfamiliar = int((card.familiarity.rate(outputs["features"]) > card.familiarity.threshold).sum())
        found = measure_drift(card.reference, card.tasks, outputs, unfamiliar, unreadable)
        if out:
            with claim_folder(Path(out), RESULTS, force, shown) as folder:
                write_text(folder / RESULTS, json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
                write_monitor_page(folder, card.name, found)
    return found
