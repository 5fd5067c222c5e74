"""The optimiser of a stage: one of Keras's, with its learning rate, weight decay, clipping and averages."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import keras

from polyhead.recipe.training import Stage, TrainingRecipe

# By name; Keras's own `get` does not know all of them.
OPTIMIZERS = {name.lower(): found for name, found in vars(keras.optimizers).items() if isinstance(found, type)}
WARMUP = 0.05  # of a stage's steps, where the recipe does not say


class ScaledRates(keras.optimizers.Optimizer):
    """Before an optimiser of Keras among a class's bases: multiplies the learning rate of each variable by its own.

    It must be the rate: Adam and others divide the gradient's scale out again.
    """

    rates: Sequence[float]  # in the order of the variables that it is built for
    decayed = 1.0  # the rate whose variables are just being decayed

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        super().update_step(gradient, variable, learning_rate * self.rates[self._get_variable_index(variable)])

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Decay all variables, before they are updated; Keras does so by the optimiser's own rate."""
        for rate in sorted(set(self.rates)):
            of_rate = [variable for variable in variables if self.rates[self._get_variable_index(variable)] == rate]
            shrunk = [variable for variable in of_rate if self._use_weight_decay(variable)]
            if shrunk:
                self.decayed = rate
                super()._apply_weight_decay(shrunk)
        self.decayed = 1.0

    def _get_current_learning_rate(self) -> Any:
        return super()._get_current_learning_rate() * self.decayed


def make_optimizer(
    training: TrainingRecipe,
    stage: Stage,
    steps: int,
    variables: Sequence[keras.Variable],
    rates: Sequence[float] = (),
) -> keras.optimizers.Optimizer:
    """The optimiser of a stage, built.

    Args:
        steps: of an epoch.
        variables: those that the stage trains.
        rates: what to multiply the learning rate of each of them by; 1 if empty.
    """
    given: dict[str, Any] = {}
    if training.ema_momentum:
        given |= {"use_ema": True, "ema_momentum": training.ema_momentum}
    if training.clip_norm is not None:
        given["global_clipnorm"] = training.clip_norm
    if training.weight_decay is not None:
        # Muon has a second one, for what it leaves to Adam.
        keys = ["weight_decay", "adam_weight_decay"] if training.optimizer == "muon" else ["weight_decay"]
        given |= dict.fromkeys(keys, training.weight_decay)
    kind = OPTIMIZERS[training.optimizer]
    if set(rates) - {1.0}:
        kind = type(kind.__name__, (ScaledRates, kind), {"rates": tuple(rates)})
    optimizer = kind(learning_rate=_schedule(training, stage, steps), **given)
    if training.weight_decay is not None:
        # Biases, and the scales and offsets of normalisations, are vectors: shrinking them regularises nothing.
        optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if len(variable.shape) < 2])
    optimizer.build(list(variables))
    return optimizer


def _schedule(training: TrainingRecipe, stage: Stage, steps: int) -> Any:
    rate, total = stage.learning_rate, stage.epochs * steps
    if stage.schedule == "inverse_time":
        return keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=rate / stage.epochs)
    if stage.schedule == "cosine":
        # In decimals, as the recipe has it: in floats, 0.29 x 100 is less than 29.
        warmup = int(Decimal(str(WARMUP if training.warmup is None else training.warmup)) * total)
        return keras.optimizers.schedules.CosineDecay(
            rate / 100 if warmup else rate, max(total - warmup, 1), warmup_target=rate, warmup_steps=warmup
        )
    return rate
