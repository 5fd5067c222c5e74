"""Plans what a recipe leaves out: tries a few pretrained networks on some of the images, times the best, and writes it.

The choice is by validation images alone: by what linear heads on each network's frozen features reach there. Kornblith,
Shlens, Le: Do Better ImageNet Models Transfer Better?, 2019, arXiv:1805.08974, find that to go with what fine-tuning
reaches.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from polyhead.data.images.cache import ImageSettings, open_images
from polyhead.data.images.decode import ImageError, read_size
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.table import Dataset, Table, load_dataset, read_table, reopen_dataset
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress
from polyhead.recipe import plan as rules
from polyhead.recipe.loading import check_recipe, recipe_values
from polyhead.recipe.plan import Candidate, Values
from polyhead.recipe.schema import Quality, Recipe
from polyhead.tasks import Task
from polyhead.training.time_limit import TimeLimit

if TYPE_CHECKING:
    from polyhead.training.batches import TrainingData
    from polyhead.training.probe import FeatureProbe

SAMPLE = 50  # images whose size is read
PROBED = (1600, 800)  # training and validation images at most, that networks are tried on
PROBES = {"fast": 1, "good": 3, "best": 4}
PROBING = 0.15  # of the run's minutes, that trying may take
STEP_COST = 3.5  # a training step, in times of seeing its images
DECAYS = {"fast": (0.01, 0.1, 1.0), "good": (0.1,), "best": (0.1,)}  # of linear heads
TOO_SMALL = f"pretrained ones take {rules.SMALLEST_SIDE} pixels a side or more"


@dataclass(frozen=True)
class Plan:
    """What was planned.

    Attributes:
        recipe: whole.
        values: `image`, `network` and `training`, as planned.
        reasons: what was chosen and why, a line each.
    """

    recipe: Recipe
    values: Values
    reasons: list[str]

    @property
    def comments(self) -> str:
        """The reasons as YAML's comments."""
        lines = [line for reason in self.reasons for line in textwrap.wrap(reason, 116, subsequent_indent="  ")]
        return "".join(f"# {line}\n" for line in lines)


def find_median_size(table: Table) -> tuple[int, int]:
    """Height and width, in pixels, of some of the images; what cannot be read is passed over."""
    sizes: list[tuple[int, int]] = []
    for path in table.frame["path"].iloc[:: max(1, len(table.frame) // SAMPLE)]:
        try:
            sizes.append(read_size(table.root / path))
        except ImageError:
            continue
    heights, widths = zip(*sizes or [(96, 96)], strict=True)
    return round(median(heights)), round(median(widths))


def _begin_at_size(recipe: Recipe, data: Path) -> Recipe:
    """A recipe whose network is still to be planned, with the size that its images are first read at.

    Raises:
        PolyheadError: the labels cannot be read.
    """
    from polyhead.training import backend

    backend.start(recipe.seed, recipe.training.precision)  # before anything asks for devices
    if "size" in recipe.image.model_fields_set:
        return recipe
    table = read_table(complete_recipe(recipe, data), data, SILENT)
    size = rules.choose_sizes(find_median_size(table), recipe.quality or "good", backend.has_accelerator())[0]
    return recipe.model_copy(update={"image": recipe.image.model_copy(update={"size": size})})


def load_unplanned(recipe: Recipe, data: Path, progress: Progress, folds: int = 0) -> Dataset:
    """The data set of a recipe whose network is still to be planned; its images are read at the first size to try.

    Raises:
        PolyheadError: see `load_dataset`.
    """
    dataset = load_dataset(_begin_at_size(recipe, data), data, progress, folds=folds)
    return replace(dataset, recipe=dataset.recipe.model_copy(update={"image": recipe.image}))


def plan_recipe(dataset: Dataset, tasks: Mapping[str, Task], limit: TimeLimit, progress: Progress) -> Plan:
    """A whole recipe for a data set whose recipe leaves its network out.

    Args:
        dataset: its images are read at other sizes, too.
        tasks: having learnt from the training split.
        limit: what the run may take.

    Raises:
        PolyheadError: an image is gone, or there is too little memory.
    """
    return _Planner(dataset, tasks, limit, progress).plan()


def plan_dataset(dataset: Dataset, limit: TimeLimit | None, progress: Progress) -> Dataset:
    """The data set with a whole recipe, its images read as that wants them; without a limit, for the usual minutes.

    Raises:
        PolyheadError: see `plan_recipe`.
    """
    limit = limit or TimeLimit(rules.USUAL_MINUTES[dataset.recipe.quality or "good"])
    planned = plan_recipe(dataset, dataset.fit_tasks(), limit, progress)
    return reopen_dataset(planned.recipe, dataset.table, progress)


class _Planner:
    """What planning goes by."""

    def __init__(self, dataset: Dataset, tasks: Mapping[str, Task], limit: TimeLimit, progress: Progress) -> None:
        from polyhead.training import backend
        from polyhead.training.batches import TrainingData

        backend.start(dataset.recipe.seed, dataset.recipe.training.precision)
        self.dataset, self.tasks, self.limit, self.progress = dataset, tasks, limit, progress
        self.recipe = dataset.recipe
        self.quality: Quality = self.recipe.quality or "good"
        self.median = find_median_size(dataset.table)
        self.accelerator = backend.has_accelerator()
        self.training_data = TrainingData.from_dataset(dataset, tasks)
        self.images = len(self.training_data.train)
        self.augment, self.cautions = rules.choose_augment(tasks)

    def plan(self) -> Plan:
        """Try, choose, time, write."""
        backbone = self.recipe.network.backbone
        given = "size" in self.recipe.image.model_fields_set or (backbone and backbone.model)  # which has one size
        sizes = rules.choose_sizes(self.median, self.quality, self.accelerator)
        sizes = [self.recipe.image.size] if given else sizes
        if self.recipe.has_network:
            if self.quality == "fast":
                return self._finish(rules.plan_heads(sizes[0], self.images, DECAYS["good"][0]), [])
            return self._plan_training({}, sizes, [])
        networks = rules.find_weights() or [rules.USUAL]
        candidates = rules.list_candidates(networks, sizes)
        missing = self._find_fault(candidates[0]) if min(sizes[-1]) >= rules.SMALLEST_SIDE else TOO_SMALL
        if missing:
            words = f"a network from scratch, which learns less from as many images: {missing}"
            return self._plan_training({"network": rules.plan_stack(sizes[-1])}, sizes[-1:], [words])
        chosen, decay, words = self._choose(candidates)
        network = {"network": rules.plan_network(chosen, self.augment, self.quality)}
        if self.quality == "fast":
            return self._finish(network | rules.plan_heads(chosen.size, self.images, decay), [words])
        return self._plan_training(network, [chosen.size], [words])

    def _plan_training(self, network: Values, sizes: Sequence[tuple[int, int]], words: list[str]) -> Plan:
        """What else a network needs: the largest of the sizes at which a few epochs fit, and as many as fit there.

        Args:
            network: `network`, where the recipe has none.
        """
        size, *smaller = sizes
        epochs, seconds = self._fit_epochs(network | self._train_for(network, size, 1))
        if epochs < rules.FEWEST_EPOCHS and smaller:
            return self._plan_training(network, smaller, words)
        planned = network | self._train_for(network, size, epochs)
        return self._finish(planned, [*words, self._tell_epochs(epochs, seconds)])

    def _train_for(self, network: Values, size: tuple[int, int], epochs: int) -> Values:
        """`image` and `training`, for so many epochs of the whole network."""
        own = self.recipe.network.backbone
        if own.weights != "none" if own else "backbone" in network.get("network", {}):
            return rules.plan_fine_tuning(size, self.images, epochs, self.augment, self.quality)
        return rules.plan_from_scratch(size, self.images, epochs, self.augment)

    def _find_fault(self, candidate: Candidate) -> str:
        from polyhead.training.probe import can_load

        return can_load(self._complete(self._freeze(candidate, self.images, 0.0)))

    def _freeze(self, candidate: Candidate, images: int, weight_decay: float) -> Values:
        """Linear heads on its frozen features."""
        network = rules.plan_network(candidate, self.augment, "fast")
        return {"network": network} | rules.plan_heads(candidate.size, images, weight_decay)

    def _choose(self, candidates: Sequence[Candidate]) -> tuple[Candidate, float, str]:
        """The candidate whose features know most, the weight decay of its heads, and a line on it."""
        tried: list[tuple[Candidate, FeatureProbe, float]] = []
        left = list(candidates)
        while left and len(tried) < PROBES[self.quality]:
            candidate = left.pop(0 if not tried and self.quality != "fast" else -1)
            if not tried or self._is_affordable(candidate, tried[0]):
                tried.append((candidate, *self._probe(candidate)))
                if tried[-1][1].seconds * (len(tried) + 1) > PROBING * 60 * self.limit.minutes:
                    break
        chosen, probe, decay = min(tried, key=lambda found: found[1].loss)
        words = f"{chosen.title}: linear heads on its frozen features reach {_tell_metrics(probe.metrics)}"
        others = [f"{other.title} {_tell_metrics(found.metrics)}" for other, found, _ in tried if other is not chosen]
        return chosen, decay, words + (f" on validation images ({'; '.join(others)})" if others else "")

    def _is_affordable(self, candidate: Candidate, tried: "tuple[Candidate, FeatureProbe, float]") -> bool:
        """Whether it could be trained for a few epochs, by the speed of one that was tried."""
        image_seconds = tried[1].image_seconds * candidate.cost / tried[0].cost
        epoch = STEP_COST * image_seconds * self.images
        return self.quality == "fast" or self.limit.affordable(epoch, self.images) >= rules.FEWEST_EPOCHS

    def _probe(self, candidate: Candidate) -> "tuple[FeatureProbe, float]":
        """What heads on its features reach, with the best of a few weight decays."""
        from polyhead.training.probe import probe_features, take_sample

        sample = take_sample(self.training_data, *PROBED, self.recipe.seed)
        if not len(sample.valid):  # a part of the training images takes their place
            cut = len(sample.train) * 4 // 5
            sample = replace(sample, train=sample.train[:cut], valid=sample.train[cut:])
        sample = self._read_at(sample, candidate.size)
        decays = DECAYS[self.quality]
        recipes = [self._complete(self._freeze(candidate, len(sample.train), decay)) for decay in decays]
        self.progress.say(f"trying {candidate.title}")
        probe, index = probe_features(recipes, self.tasks, sample, self.progress)
        return probe, decays[index]

    def _read_at(self, training_data: "TrainingData", size: tuple[int, int]) -> "TrainingData":
        """The same rows, at another size."""
        rows = np.concatenate([training_data.train, training_data.valid])
        table, image = self.dataset.table, self.recipe.image
        paths = [table.root / table.frame["path"].iloc[row] for row in rows]
        opened = open_images(paths, ImageSettings(size, image.resize, image.cache), self.progress)
        if opened.failures:
            row, reason = next(iter(opened.failures.items()))
            raise PolyheadError(f"{paths[row]}: {reason}")
        at = {int(row): index for index, row in enumerate(rows)}
        return replace(training_data, pixels=lambda wanted: opened.read(np.array([at[int(row)] for row in wanted])))

    def _fit_epochs(self, planned: Values) -> tuple[int, float]:
        """How many epochs fit into what is left, and the seconds that one takes, by timing steps."""
        from polyhead.training.probe import take_sample, time_step

        recipe = self._complete(planned)
        batch = recipe.training.batch_size
        sample = self._read_at(take_sample(self.training_data, 2 * batch, 1, self.recipe.seed), recipe.image.size)
        step = time_step(recipe, self.tasks, sample)
        valid = len(self.training_data.valid)
        epoch = step / batch * (self.images + valid / STEP_COST)
        heads = step / batch / STEP_COST * (self.images + valid) if recipe.network.backbone else 0.0
        return rules.choose_epochs(self.limit.left(step / batch) - heads, epoch, self.quality), epoch

    def _tell_epochs(self, epochs: int, seconds: float) -> str:
        within = f", to end within {self.limit.minutes:g} minutes" if self.recipe.minutes else ""
        each = f"{seconds:.0f} seconds" if seconds >= 2 else "a second or two"
        return f"{epochs} {'epoch' if epochs == 1 else 'epochs'} of about {each}{within}"

    def _complete(self, planned: Values) -> Recipe:
        """The recipe with what is planned, where it says nothing itself."""
        return check_recipe(rules.merge(planned, recipe_values(self.recipe)), self.recipe.name)

    def _finish(self, planned: Values, words: list[str]) -> Plan:
        reasons = words + (["; ".join(self.cautions)] if self.cautions and "augment" in planned["training"] else [])
        recipe = self._complete(planned)
        for reason in reasons:
            self.progress.say(f"planned: {reason}")
        return Plan(recipe, planned, reasons)


def _tell_metrics(metrics: Mapping[str, Any]) -> str:
    """The tasks' metrics in a line: accuracies by the tasks' names, errors of numbers as `mae`."""
    words = [
        f"{name.removesuffix('.accuracy')} {value:.3f}" for name, value in metrics.items() if name.endswith(".accuracy")
    ]
    words += [f"{name.replace('.', ' ')} {value:.3g}" for name, value in metrics.items() if name.endswith(".mae")]
    return ", ".join(words[:4]) + (", ..." if len(words) > 4 else "")


def check_quality(recipe: Recipe, asked: str | None) -> None:
    """Refuse a quality where nothing is planned.

    Raises:
        PolyheadError: the recipe has a network, a size and its epochs.
    """
    if asked and recipe.is_complete:
        raise PolyheadError(
            f"`quality`: is of a plan, and {recipe.name} has a network, a size and its epochs already; leave "
            "`network`, `image` or `training` out of the recipe to have them planned, or take `quality` out"
        )
