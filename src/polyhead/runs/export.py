"""Exporting: another file of the same model, and how far that one is from it on real images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.table import Dataset
from polyhead.errors import PolyheadError, require
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.export.comparison import compare_outputs
from polyhead.fields import Plain
from polyhead.folders import clear_beside, put_in_place, restore_replaced, tell_failures, work_beside
from polyhead.model.onnx_bytes import read_graph
from polyhead.model.predictor import Outputs, Predictor
from polyhead.prediction.gather import gather_files
from polyhead.progress import Progress, show_progress
from polyhead.recipe.loading import load_run_plugins
from polyhead.run_folder import RunFolder
from polyhead.runs.evaluate import record_metrics
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.training import WEIGHTS

Format = Literal["litert", "saved_model", "openvino", "onnx-int8"]
NAMES = {"litert": "model.tflite", "saved_model": "saved_model", "openvino": "openvino", "onnx-int8": "model.int8.onnx"}
MARKS = {"saved_model": "saved_model.pb", "openvino": "model.xml"}  # what is in those that are folders
EXTRAS = {"litert": "litert", "saved_model": "train", "openvino": "openvino", "onnx-int8": "train"}
CALIBRATED = 200  # of a run's training images
COMPARED = 2000
TOLERANCE = 1e-3  # of an output's largest value, or of 1: more than floats that are added in another order differ by


@dataclass(frozen=True, eq=False)
class Sample:
    """Decoded images (n, height, width, 3), what they are, and their labels where they are known."""

    pixels: NDArray[np.uint8]
    words: str
    labels: pd.DataFrame | None = None
    held_out: bool = False  # whether they are the run's test images

    def every_other(self, first: int) -> "Sample":
        """Half of them."""
        labels = self.labels if self.labels is None else self.labels[first::2].reset_index(drop=True)
        pixels = self.pixels[first::2]
        return Sample(pixels, f"{len(pixels):,} of the {self.words}", labels)


def export(
    model: str | os.PathLike[str],
    kind: Format,
    images: Sequence[str | Path] = (),
    *,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | bool = True,
) -> dict[str, Plain]:
    """Write a model for another runtime, and compare it with the original on real images.

    Args:
        model: a run folder; for `openvino` and `onnx-int8` a model file will do.
        kind: `litert` (a .tflite file), `saved_model`, `openvino` (both folders), or `onnx-int8`: a model file like the
            original, whose layers compute in whole numbers of eight bits.
        images: files, and folders that stand for the images in them: what to compare on instead of the run's test
            images; for `onnx-int8` what to find its ranges on instead of its training images, and, for a model file
            without its run, to compare on: half of them each.
        data: labelled images; for a run, where they are now, for a model file, what `images` are for.
        out: where to write it; beside the model, if absent.
        force: whether to replace what is there.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Returns:
        `path`, `bytes`, `original_bytes`, `images` (on how many both were compared), and what `compare_outputs` gives.

    Raises:
        PolyheadError: something given is wrong, or the new file answers otherwise; nothing is written then.
    """
    with show_progress(progress) as shown:
        restore_replaced(Path(model), shown)
        load_run_plugins(model)
        predictor = Predictor(model)
        target = Path(out) if out else predictor.path.parent / NAMES[kind]
        with tell_failures(target):
            restore_replaced(target, shown)
            clear_beside(target)
            _check(kind, target, predictor.path, force)
        if predictor.card.averages and kind in ("litert", "saved_model"):
            raise PolyheadError(
                f"{kind}: is made from the weights of one network, and {predictor.path} is the mean of "
                f"{predictor.card.averages}; give the run of one fold, or take openvino"
            )
        ranges, sample = _choose_images(predictor, images, data, kind == "onnx-int8", shown)
        if ranges:
            if not len(ranges.pixels):
                raise PolyheadError(f"{kind}: give at least two images: some to find ranges on, others to compare on")
            shown.say(f"finding ranges on {ranges.words}")
        with tell_failures(target), work_beside(target) as folder:
            made = folder / NAMES[kind]
            outputs = _write(predictor, kind, made, ranges, sample)
            shown.say(f"comparing on {sample.words}")
            found = compare_outputs(predictor.card.tasks, predictor.run(sample.pixels), outputs, sample.labels)
            if not ranges and not found["difference"] <= TOLERANCE:
                raise PolyheadError(f"{kind}: not written: its outputs are {found['difference']:.2g} off the model's")
            put_in_place(made, target)
    sizes = {"bytes": _size(target), "original_bytes": _size(predictor.path)}
    return {"path": str(target), **sizes, "images": len(sample.pixels), **found}


def _check(kind: Format, target: Path, model: Path, force: bool) -> None:
    """Before anything that takes time."""
    if any(node.operator == "QuantizeLinear" for node in read_graph(model.read_bytes()).nodes):
        raise PolyheadError(f"{model}: is in whole numbers already; export the model that it was made of")
    require(f"export to {kind}", EXTRAS[kind])
    if not target.exists():
        return
    if target.resolve() == model.resolve():
        raise PolyheadError(f"{target}: is the model itself; give another `out`")
    if target.is_dir() != (kind in MARKS) or (kind in MARKS and not (target / MARKS[kind]).exists()):
        raise PolyheadError(f"{target}: is there already, and is not of this format; give another `out`")
    if not force:
        raise PolyheadError(f"{target}: is there already; give another `out`, or `force` to replace it")


def _choose_images(
    predictor: Predictor,
    images: Sequence[str | Path],
    data: str | os.PathLike[str] | None,
    calibrates: bool,
    progress: Progress,
) -> tuple[Sample | None, Sample]:
    """Images to find ranges on, if it `calibrates`, and others to compare on."""
    given = _read_images(predictor, images, progress) if images else None
    if given and not calibrates:
        return None, given
    if RunFolder(predictor.path.parent).table.exists():
        try:
            dataset = find_labelled_data(predictor, data, "test", progress)
            split = next(name for name in ("test", "valid", "train") if len(dataset.rows_of(name)))
            own = _take(dataset, "train", CALIBRATED) if calibrates else None
            return given or own, _take(dataset, split, COMPARED)
        except PolyheadError as error:
            if not given:
                raise
            progress.say(f"without the run's images ({error})")
    if data:
        labelled = _take(find_labelled_data(predictor, data, "all", progress), "all", COMPARED)
        return (given, labelled) if given or not calibrates else (labelled.every_other(1), labelled.every_other(0))
    if not given:
        raise PolyheadError(f"{predictor.path}: what is it to be tried on? give images, `data`, or its run folder")
    return given.every_other(1), given.every_other(0)


def _take(dataset: Dataset, split: str, most: int) -> Sample:
    rows = _spread(dataset.rows_of(split), most)
    words = f"{len(rows):,} {'labelled' if split == 'all' else split} images"
    return Sample(dataset.pixels(rows), words, dataset.table.frame.iloc[rows].reset_index(drop=True), split == "test")


def _read_images(predictor: Predictor, images: Sequence[str | Path], progress: Progress) -> Sample:
    paths = gather_files(images).paths
    parts = []
    for batch in predictor.run_files([paths[row] for row in _spread(np.arange(len(paths)), COMPARED)]):
        parts.append(batch.pixels[[error is None for error in batch.errors]])
        for image, error in zip(batch.images, batch.errors, strict=True):
            if error:
                progress.say(f"{image!s}: {error}")
    pixels = np.concatenate(parts)
    if not len(pixels):
        raise PolyheadError(f"{images[0]}: none of the images can be read")
    return Sample(pixels, f"{len(pixels):,} given images")


def _spread(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of them, spread evenly."""
    spread: NDArray[np.intp] = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
    return spread


def _write(predictor: Predictor, kind: Format, made: Path, ranges: Sample | None, sample: Sample) -> Outputs:
    """Write `made`; its outputs for the sample."""
    card = predictor.card
    if kind == "openvino":
        from polyhead.export.openvino import convert_to_openvino

        return convert_to_openvino(predictor.path, card, made, sample.pixels)
    if kind != "onnx-int8":
        from polyhead.export.tensorflow import convert_network

        return convert_network(card, predictor.path.parent / WEIGHTS, kind, made, sample.pixels)
    assert ranges
    from polyhead.export.int8 import quantize_model

    quantize_model(predictor.path, card, made, ranges.pixels)
    outputs = Predictor(made).run(sample.pixels)
    if sample.labels is not None and sample.held_out:
        record_metrics(made, {"test": evaluate_split(card.tasks, sample.labels, outputs)})
    return outputs


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
