"""What `fit` reads: batches, balanced or not, whose content is a function of the seed, the epoch and the step alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from polyhead.data.table import WEIGHT, Dataset
from polyhead.tasks import Task
from polyhead.training.processes import share_rows

Strata = NDArray[np.float32]


class BalancedDraw:
    """Draws n of n rows: those of rare strata several times, those of frequent ones sometimes not at all.

    A row's chance is the mean over tasks, and within a task over its columns, of 1 / (strata x rows of its stratum).
    One column shows each of its strata equally often; several make a compromise. Unknown (NaN) is a stratum too.

    Args:
        strata: for each task, (n, ways to part the rows), a stratum a number.
    """

    def __init__(self, strata: Sequence[Strata]) -> None:
        columns = [np.nan_to_num(part, nan=-1) for part in strata]
        self.chances = np.mean([np.mean([_chances(way) for way in part.T], axis=0) for part in columns], axis=0)
        _, self.cells = np.unique(np.concatenate(columns, axis=1), axis=0, return_inverse=True)

    def draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Indices (n,) of rows, shuffled. Each row comes as often as n x its chance says, rounded up or down by lot.

        So do all rows that are alike in every stratum, together: n evenly spaced points are laid over the chances, with
        rows that are alike side by side (systematic sampling).
        """
        count = len(self.chances)
        order = np.lexsort((rng.random(count), self.cells.ravel()))
        ends = np.cumsum(self.chances[order])
        points = (rng.random() + np.arange(count)) / count * ends[-1]
        return rng.permutation(order[np.minimum(np.searchsorted(ends, points, side="right"), count - 1)])


def _chances(column: Strata) -> NDArray[np.float64]:
    _, indices, rows = np.unique(column, return_inverse=True, return_counts=True)
    chances: NDArray[np.float64] = 1 / (len(rows) * rows[indices])
    return chances


TAUGHT = "taught."  # before a task's name: a teacher's outputs, among targets; no task's name has a dot
Taught = Callable[[NDArray[np.intp]], dict[str, NDArray[np.float32]]]
Pixels = Callable[[NDArray[np.intp]], NDArray[np.uint8] | NDArray[np.float32]]


@dataclass(frozen=True)
class TrainingData:
    """What there is to learn from.

    Attributes:
        pixels: gives uint8 images (n, height, width, 3) for n rows of the table; or what a frozen backbone makes of
            them, float32 (n, width).
        targets: float32 (rows, width) by task, for all rows of the table.
        train: the rows to train on.
        valid: the rows that watch; empty where there are none.
        weights: what each row of the table weighs in losses, float32 (rows,); None where all weigh the same.
        strata: what is to be shown equally often, by task, for all rows; empty where the rows are shuffled.
        taught: gives a teacher's outputs (n, width) by task for n rows to train on; None without one.
    """

    pixels: Pixels
    targets: Mapping[str, NDArray[np.float32]]
    train: NDArray[np.intp]
    valid: NDArray[np.intp]
    weights: NDArray[np.float32] | None = None
    strata: Mapping[str, Strata] = field(default_factory=dict)
    taught: Taught | None = None

    @classmethod
    def from_dataset(cls, dataset: Dataset, tasks: Mapping[str, Task]) -> Self:
        """What a data set teaches tasks that have learnt from its training split."""
        recipe, frame = dataset.recipe, dataset.table.frame
        labels = {name: list(frame[name]) for name in tasks}
        weights = frame[WEIGHT].to_numpy("float32") if WEIGHT in frame else None
        balanced = recipe.training.sampler == "balanced"
        shown = [recipe.training.sampler_task] if recipe.training.sampler_task else list(tasks) if balanced else []
        return cls(
            dataset.pixels,
            targets={name: task.encode(labels[name]) for name, task in tasks.items()},
            train=dataset.rows_of("train"),
            valid=dataset.rows_of("test" if recipe.data.split.valid == "test" else "valid"),
            weights=weights,
            strata={name: tasks[name].strata(labels[name]) for name in shown},
        )

    def read(self, rows: NDArray[np.intp], taught: Taught | None = None) -> tuple[Any, ...]:
        """Images and targets of a batch's rows; and the rows' weights, where they have any.

        Of several processes each reads its own share, and the images then have a mark beside them: see `share_rows`.
        """
        rows, mark = share_rows(rows)
        images = self.pixels(rows)
        targets = {name: targets[rows] for name, targets in self.targets.items()}
        if taught is not None:
            targets |= {f"{TAUGHT}{name}": outputs for name, outputs in taught(rows).items()}
        batch = images if mark is None else (images, mark), targets
        return batch if self.weights is None else (*batch, self.weights[rows])


class Batches(keras.utils.PyDataset):
    """Endless shuffled batches of the training rows, from step `start` of all steps on; `steps` make an epoch.

    The last batch of an epoch may be smaller. Endless, and counted through, because Keras fetches ahead: a data set
    that were told of a new epoch would be told at no certain moment.
    """

    def __init__(self, training_data: TrainingData, size: int, seed: int) -> None:
        super().__init__()
        self.training_data, self.size, self.seed, self.start = training_data, size, seed, 0
        self.steps = -(-len(training_data.train) // size)
        strata = [part[training_data.train] for part in training_data.strata.values()]
        self._balanced = BalancedDraw(strata) if strata else None
        self._order: tuple[int, NDArray[np.intp]] = (-1, training_data.train)

    @property
    def num_batches(self) -> None:
        """Without end."""

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """What step `start + index` learns from."""
        epoch, step = divmod(self.start + index, self.steps)
        if self._order[0] != epoch:
            self._order = (epoch, self._draw(np.random.default_rng((self.seed, epoch))))
        rows = self._order[1][step * self.size : (step + 1) * self.size]
        return self.training_data.read(rows, self.training_data.taught)

    def _draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        rows = self.training_data.train
        return rows[self._balanced.draw(rng)] if self._balanced else rng.permutation(rows)


class OneEpoch(keras.utils.PyDataset):
    """Some rows once, in order."""

    def __init__(self, training_data: TrainingData, rows: NDArray[np.intp], size: int) -> None:
        super().__init__()
        self.training_data, self.rows, self.size = training_data, rows, size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """What one batch is evaluated on."""
        return self.training_data.read(self.rows[index * self.size : (index + 1) * self.size])
