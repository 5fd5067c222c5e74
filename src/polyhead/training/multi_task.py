"""The model that Keras fits: augmentation, then the network, with losses and metrics that leave unknown labels out, and
the tasks' losses weighted against each other.

Keras would divide each task's loss by all rows, log it averaged over batches of any size, and know no mask within a
multilabel target; here every value, of a batch or of an epoch, is a sum over known labels divided by their number. A
row's weight w makes its labels count w times in losses, sum(w loss) / sum(w): a row of weight 2 is two rows, and one of
weight 0 is not there. Metrics count each row once.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import metrics, ops

from polyhead.errors import PolyheadError
from polyhead.recipe.augment import Augment
from polyhead.recipe.own_parts import is_dotted
from polyhead.recipe.schema import Recipe
from polyhead.training.augmentation import RandomChange, check_own_layers
from polyhead.training.backend import split_batch
from polyhead.training.batches import TAUGHT
from polyhead.training.heads import Head
from polyhead.training.losses import Masked, Tensor
from polyhead.training.mixing import SHARES, MixImages, next_of
from polyhead.training.network import Network
from polyhead.training.own_code import import_part, own_failures


class MultiTaskModel(keras.Model):
    """What `fit` trains; its variables are the network's, the seeds' and the metrics'.

    Logs hold `loss` (the sum of the tasks' losses by the recipe's weights, whatever balances them), and `TASK.loss`,
    `TASK.accuracy`, `TASK.mae` as the kinds have them; NaN where no label was known.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        super().__init__(dtype="float32")
        self.core, self.top = network.core, network.top
        self.train_through(network.core)
        self.heads = network.heads
        for name, head in self.heads.items():
            if is_dotted(getattr(head.task, "loss", "")):
                _take_own_loss(name, head)
        changes = recipe.training.augment != Augment()
        self.changes_images = True  # whether the stage that is trained wants that
        self.augment = RandomChange(recipe.training.augment, recipe.seed) if changes else None
        if self.augment is not None and recipe.training.augment.layers:
            for size in {recipe.image.size, *(stage.size for stage in recipe.training.stages if stage.size)}:
                check_own_layers(self.augment, size)
        self.mix = MixImages(recipe.training.mix, recipe.seed) if recipe.training.mix.mixes else None
        self.teaching = recipe.training
        weights = {name: head.task.loss_weight for name, head in self.heads.items()}
        self.balance = BALANCES[recipe.training.task_weighting](weights)
        self.means = {
            name: {key: metrics.Mean(name=key) for key in ("loss", *self._scores_of(name))} for name in self.heads
        }

    def train_through(self, core: keras.Model) -> None:
        """Make training images smaller, and train through `core`, which has the network's weights, from now on.

        Evaluation keeps to the network's own size.
        """
        # In a function: Keras would take it for a part of this model, which may have no new ones once it is built.
        self._trained_core: Callable[[], keras.Model] = lambda: core

    def _scores_of(self, name: str) -> list[str]:
        head = self.heads[name]
        targets, logits = ops.convert_to_tensor(head.task.encode([""])), ops.zeros((1, head.units))
        return list(head.scores(targets, logits))

    def build(self, input_shape: Any) -> None:
        """Nothing is left to build: the network is made of built layers."""

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Logits by task of uint8 images (n, height, width, 3), or of the vectors (n, width) that the top reads.

        Where images are mixed, SHARES too: how much of each is its own. Of several processes each gives its share, and
        beside it the mark of `share_rows`: (images, mark).
        """
        images = split_batch(*images) if isinstance(images, tuple | list) else split_batch(images)
        if self.top is not None and len(images.shape) == 2:
            return dict(self.top(images, training=training))
        pixels, core = ops.cast(images, "float32"), self._trained_core() if training else self.core
        if core is not self.core:
            pixels = ops.image.resize(pixels, core.input_shape[1:3], antialias=True)
        changes = training and self.changes_images
        if changes and self.augment is not None:
            pixels = self.augment(pixels)
        shares = {}
        if changes and self.mix is not None:
            pixels, shares[SHARES] = self.mix(pixels)
        found = core(pixels, training=training)
        return {name: found[name] for name in self.heads} | shares

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The balanced sum of the tasks' losses over a batch, each over its known labels."""
        total = 0.0
        y, sample_weight = _cut(y, y_pred), _cut(sample_weight, y_pred)
        sides = _sides(y, y_pred, sample_weight)
        for name, head in self.heads.items():
            found = [_weigh(head.loss(labels[name], y_pred[name]), weights) for labels, weights in sides]
            weighed = [
                (values, counts * head.weights(labels[name]))
                for (values, counts), (labels, _) in zip(found, sides, strict=True)
            ]
            mean, known = _mean(_join(weighed))
            if f"{TAUGHT}{name}" in y:
                taught, rows = _mean(_join([self._compare(name, labels, y_pred, weights) for labels, weights in sides]))
                part = self.teaching.teacher_weight
                mean, known = (1 - part) * mean + part * taught, ops.logical_or(known, rows)
            total += self.balance.weigh(name, mean, known)
        return total

    def _compare(
        self, name: str, labels: dict[str, Tensor], logits: dict[str, Tensor], weights: Tensor | None
    ) -> Masked:
        """How far a task's answers are from a teacher's, (n, columns), and how much each counts: as its row does."""
        outputs = labels[f"{TAUGHT}{name}"]
        values = self.heads[name].compare(outputs, logits[name], self.teaching.teacher_temperature)
        return _weigh((values, ops.ones_like(values)), weights)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Tensor]:
        """Add a batch to the epoch's sums; of mixed images the losses and scores of both, by their shares."""
        y, sample_weight = _cut(y, y_pred), _cut(sample_weight, y_pred)
        for name, head in self.heads.items():
            for labels, weights in _sides(y, y_pred, sample_weight):
                values, counts = _weigh(head.loss(labels[name], y_pred[name]), weights)
                self.means[name]["loss"].update_state(values, sample_weight=counts)
            for labels, shares in _sides(y, y_pred, None):
                for key, masked in head.scores(labels[name], y_pred[name]).items():
                    scores, known = _weigh(masked, shares)
                    self.means[name][key].update_state(scores, sample_weight=known)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Tensor]:
        """The logs of the epoch so far."""
        logs: dict[str, Any] = {"loss": 0.0}
        for name, means in self.means.items():
            logs["loss"] += self.heads[name].task.loss_weight * means["loss"].result()  # 0 where nothing was known
            for key, mean in means.items():
                logs[f"{name}.{key}"] = ops.where(mean.count > 0, mean.result(), float("nan"))
        return logs

    def log_names(self) -> list[str]:
        """The logs' names in the order of the tasks; TensorFlow sorts them."""
        return ["loss", *(f"{name}.{key}" for name, means in self.means.items() for key in means)]


def _cut(given: Any, y_pred: dict[str, Tensor]) -> Any:
    """Targets or weights without those rows that only fill up the processes' shares: they have no logits."""
    count = next(iter(y_pred.values())).shape[0]
    if given is None or count is None:
        return given
    return keras.tree.map_structure(lambda values: values if values.shape[0] == count else values[:count], given)


def _sides(
    targets: dict[str, Tensor], logits: dict[str, Tensor], weights: Tensor | None
) -> list[tuple[dict[str, Tensor], Tensor | None]]:
    """The labels that a batch is held against, and how much its rows then count; two where its images are mixed."""
    if SHARES not in logits:
        return [(targets, weights)]
    shares = logits[SHARES]
    partners = {name: next_of(values) for name, values in targets.items()}
    own = ops.ones_like(shares) if weights is None else ops.reshape(weights, (-1, 1))
    return [(targets, shares * own), (partners, (1 - shares) * next_of(own))]


def _mean(masked: Masked) -> tuple[Tensor, Tensor]:
    """The mean over what counts, and whether anything does."""
    values, counts = masked
    number = ops.sum(counts)
    return ops.sum(values * counts) / ops.where(number > 0, number, 1.0), number > 0


def _join(sides: list[Masked]) -> Masked:
    """All values and counts."""
    if len(sides) == 1:
        return sides[0]
    values, counts = zip(*sides, strict=True)
    return ops.concatenate(values), ops.concatenate(counts)


def _weigh(masked: Masked, weights: Tensor | None) -> Masked:
    """The same, where each row counts as much as its weight (n,) says."""
    values, known = masked
    return (values, known) if weights is None else (values, known * ops.reshape(weights, (-1, 1)))


def _take_own_loss(name: str, head: Head) -> None:
    """Give a head the function that its task's `loss` names, and see that it gives a value for each that is learnt."""
    key = f"tasks.{name}.loss"
    head.own_loss = import_part(head.task.loss, key)
    targets, logits = ops.convert_to_tensor(head.task.encode(["", ""])), ops.zeros((2, head.units))
    with own_failures(key, f"calling {head.task.loss}"):
        values, known = head.loss(targets, logits)
        found, expected = tuple(ops.shape(values)), tuple(ops.shape(known))
    if found != expected:
        raise PolyheadError(f"{key}: expected values {expected} for two rows; {head.task.loss} gives {found}")


TEMPERATURE = 2.0  # of the dynamic average, as in its paper


class Balance(keras.layers.Layer, ABC):
    """What all ways share. A layer only so that its variables are the model's: trained, saved and restored.

    Args:
        weights: the recipe's `loss_weight` of each task.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(name="balance")
        self.fixed = dict(weights)
        self.indices = {name: index for index, name in enumerate(weights)}
        self.built = True

    @abstractmethod
    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        """What a task adds to the sum that is minimised.

        Args:
            loss: the task's mean over a batch.
            labelled: whether the batch has labels of it.
        """

    def start_epoch(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take note of the history so far, before an epoch or the rest of one."""

    def current(self) -> dict[str, float]:
        """The factor of each task's loss at present; empty where it never changes."""
        return {}


class Fixed(Balance):
    """The recipe's weights."""

    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        return self.fixed[name] * loss


class Uncertainty(Balance):
    """A learnt variance for each task: exp(-s) loss + s / 2, where s is its logarithm.

    That is least where exp(-s) = 1 / (2 loss): each task's loss weighs as one over its size. (Kendall et al. halve the
    first term for regressions, which moves s and not the weight that is reached.) In a batch without labels of a task s
    stays as it is. Kendall, Gal, Cipolla: Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
    Semantics, 2018, arXiv:1705.07115.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.log_variances = self.add_weight(shape=(len(weights),), initializer="zeros", name="log_variances")

    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        log_variance = self.log_variances[self.indices[name]]
        cost = ops.exp(-log_variance) * loss + log_variance / 2
        return self.fixed[name] * ops.where(labelled, cost, 0.0)

    def current(self) -> dict[str, float]:
        found = ops.convert_to_numpy(ops.exp(-self.log_variances))
        return {name: self.fixed[name] * float(found[index]) for name, index in self.indices.items()}


class DynamicAverage(Balance):
    """Weights that follow how fast each task's training loss fell over the last two epochs: see `average_weights`."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.factors = self.add_weight(shape=(len(weights),), initializer="ones", trainable=False, name="factors")

    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        return self.fixed[name] * self.factors[self.indices[name]] * loss

    def start_epoch(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.factors.assign(average_weights(rows, list(self.indices)))

    def current(self) -> dict[str, float]:
        found = ops.convert_to_numpy(self.factors)
        return {name: self.fixed[name] * float(found[index]) for name, index in self.indices.items()}


def average_weights(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[float]:
    """The dynamic weight average of k tasks for the epoch after `rows` of history: k exp(r/2) / sum of exp(r/2).

    r is a task's training loss in the last epoch over that in the one before; 1 in the first two epochs, and where one
    of the two is unknown or 0. The weights' mean is 1; a task that falls more slowly than others weighs more. Liu,
    Johns, Davison: End-to-End Multi-Task Learning with Attention, 2019, arXiv:1803.10704.
    """
    rates = [1.0] * len(names)
    if len(rows) > 1:
        pairs = [(rows[-1].get(f"{name}.loss"), rows[-2].get(f"{name}.loss")) for name in names]
        rates = [last / before if last and before else 1.0 for last, before in pairs]
    powers = [math.exp((rate - max(rates)) / TEMPERATURE) for rate in rates]
    return [len(names) * power / sum(powers) for power in powers]


BALANCES: dict[str, type[Balance]] = {
    "fixed": Fixed,
    "uncertainty": Uncertainty,
    "dynamic_average": DynamicAverage,
}
