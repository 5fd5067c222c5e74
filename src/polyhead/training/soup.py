"""A greedy soup: the average of the weights of the best epochs, as long as it does validation good.

Wortsman et al.: Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time, 2022, arXiv:2203.05482; here of the epochs of one training.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError
from polyhead.files import write_text
from polyhead.progress import Progress
from polyhead.training import WEIGHTS, checkpoint
from polyhead.training.batches import OneEpoch
from polyhead.training.history import Row, rank_epochs
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.processes import leads, wait_for_all

MOST = 5  # epochs whose weights are kept, and averaged
PARTS, MADE = "state/soup", "state/soup.json"  # in a run folder


@dataclass(frozen=True)
class Soup:
    """The epochs, from 1, that are in it, and a digest of the file of the averaged weights."""

    epochs: list[int] = field(default_factory=list)
    digest: str = ""


def is_candidate(rows: Sequence[Row]) -> bool:
    """Whether the last epoch is among the best so far."""
    return len(rows) in rank_epochs(rows)[:MOST]


def keep_candidate(folder: Path, model: MultiTaskModel, rows: Sequence[Row]) -> None:
    """Keep the weights of the last epoch in a run's folder, and drop those that are not among the best any more.

    An epoch that has once been dropped cannot be among the best later, so that a run which is resumed has all it needs.
    """
    (folder / PARTS).mkdir(exist_ok=True)
    checkpoint.keep_weights(_part(folder, len(rows)), model)
    best = {_part(folder, epoch) for epoch in rank_epochs(rows)[:MOST]}
    for file in set((folder / PARTS).iterdir()) - best:
        file.unlink()


def make_soup(folder: Path, model: MultiTaskModel, valid: OneEpoch, rows: Sequence[Row], progress: Progress) -> Soup:
    """Average the weights of the best epochs, best first, each where the validation loss is then no worse.

    All weights are averaged, those that are not trained too (the averages of batch normalisation). They take the place
    of the best epoch's. What was made before stays as it is.

    Args:
        model: a trained one, whose weights and optimiser are replaced.

    Raises:
        PolyheadError: the weights of an epoch are damaged.
    """
    soup = _read_made(folder)
    wait_for_all("read")  # before anyone writes it
    if soup is None:
        model.compile(optimizer="sgd")  # to evaluate; it takes no step
        soup = _average(folder, model, valid, rows, progress)
        wait_for_all("averaged")
        if leads():
            write_text(folder / MADE, json.dumps(asdict(soup)))
    if leads():
        clear_candidates(folder)
    return soup


def clear_candidates(folder: Path) -> None:
    """Delete the epochs' weights."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)


def _average(folder: Path, model: MultiTaskModel, valid: OneEpoch, rows: Sequence[Row], progress: Progress) -> Soup:
    # Where time ended a resumed run sooner than before, one of the best may have been dropped.
    candidates = [epoch for epoch in rank_epochs(rows)[:MOST] if _part(folder, epoch).exists()]
    advance = progress.track("soup", len(candidates))
    total: list[NDArray[np.float64]] = []
    epochs: list[int] = []
    losses: list[float] = []
    for epoch in candidates:
        found = [weights.astype(np.float64) for weights in _load(_part(folder, epoch), model)]
        together = [one + other for one, other in zip(total, found, strict=True)] if total else found
        _set_mean(model, together, len(epochs) + 1)
        loss = float(model.evaluate(valid, verbose=0, return_dict=True)["loss"])
        if not losses or loss <= losses[-1]:
            total, epochs, losses = together, [*epochs, epoch], [*losses, loss]
        advance(1)
    if not epochs:
        return Soup()
    _set_mean(model, total, len(epochs))
    digest = checkpoint.keep_weights(folder / WEIGHTS, model)
    names = ", ".join(map(str, sorted(epochs)))
    progress.say(f"averaged epochs {names}: validation loss {losses[-1]:.4g}; the best epoch's {losses[0]:.4g}")
    return Soup(sorted(epochs), digest)


def _load(file: Path, model: MultiTaskModel) -> list[NDArray[np.float32]]:
    try:
        model.core.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:100]
        raise PolyheadError(f"{file}: is damaged: {reason}; delete it, and resume") from None
    weights: list[NDArray[np.float32]] = model.core.get_weights()
    return weights


def _set_mean(model: MultiTaskModel, total: Sequence[NDArray[np.float64]], count: int) -> None:
    model.core.set_weights([(weights / count).astype(np.float32) for weights in total])


def _read_made(folder: Path) -> Soup | None:
    try:
        return Soup(**json.loads((folder / MADE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _part(folder: Path, epoch: int) -> Path:
    return folder / PARTS / f"{epoch}.weights.h5"
