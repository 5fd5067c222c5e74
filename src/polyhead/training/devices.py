"""Training on several devices of one machine, over `keras.distribution`; on JAX only.

Each device holds all variables and computes a part of every batch's images. The step is still one program over the
whole batch, so that batch normalisation, masked denominators and random numbers are those of one device.
"""

from typing import Any

from keras import distribution

from polyhead.errors import PolyheadError
from polyhead.progress import Progress, warn
from polyhead.recipe.training import TrainingRecipe
from polyhead.training.backend import NAME
from polyhead.training.losses import Tensor

REASONS = {
    "tensorflow": "TensorFlow gives each device its own batch normalisation and its own mean over known labels, and so "
    "other losses than one device has",
    "torch": "Keras on PyTorch trains on one device",
}


class WholeBatches(distribution.DataParallel):
    """Gives every device the whole batch of uint8 images and labels; `split_batch` then splits it.

    Keras itself would split a batch on its way to the devices, but only if they divide it: not an epoch's last one.
    """

    def get_data_layout(self, data_shape: Any) -> distribution.TensorLayout:
        """The same data on every device."""
        return distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def check_devices(training: TrainingRecipe) -> None:
    """Refuse what cannot be done on the devices that the recipe asks for.

    Raises:
        PolyheadError: the backend cannot train on several, or they do not divide a batch.
    """
    if training.devices == "one":
        return
    if NAME != "jax":
        raise PolyheadError(
            f"training.devices: `all` needs the jax backend (KERAS_BACKEND=jax): {REASONS[NAME]}; or take `one`"
        )
    count = distribution.get_device_count()
    if training.batch_size % count:
        lower, upper = training.batch_size // count * count, -(-training.batch_size // count) * count
        raise PolyheadError(
            f"training.batch_size: the {count} devices of this machine do not divide {training.batch_size}; "
            f"take {f'{lower} or ' if lower else ''}{upper}, or training.devices: one"
        )


def use_devices(training: TrainingRecipe, progress: Progress) -> None:
    """Place all variables that are created from now on, and all batches, on the devices that the recipe asks for."""
    distribution.set_distribution(None)
    if training.devices == "one":
        return
    count = distribution.get_device_count()
    if count == 1:
        warn("training.devices: this machine has one device; training on that")
        return
    distribution.set_distribution(WholeBatches(devices=distribution.list_devices()))
    progress.say(f"training on {count} devices: {', '.join(distribution.list_devices())}")


def split_batch(images: Tensor) -> Tensor:
    """The same images (n, ...), split evenly over the devices; whole on each where their number does not divide n."""
    parts = distribution.distribution()
    if parts is None or images.shape[0] is None or images.shape[0] % parts.device_mesh.devices.size:
        return images
    axes = [parts.batch_dim_name] + [None] * (len(images.shape) - 1)
    return distribution.distribute_tensor(images, distribution.TensorLayout(axes, parts.device_mesh))
