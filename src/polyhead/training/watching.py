"""A callback that hands on how a training goes, to code that knows no Keras."""

from collections.abc import Callable, Mapping

import keras


def watch_training(
    on_epoch: Callable[[int, Mapping[str, float]], None], on_step: Callable[[], None]
) -> keras.callbacks.Callback:
    """A callback that calls `on_epoch` with each epoch's number, from 1, and its figures, and `on_step` after a step.

    What one of them raises ends the training, which can then be resumed.
    """
    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, logs or {}),
        on_train_batch_end=lambda batch, logs: on_step(),
    )
