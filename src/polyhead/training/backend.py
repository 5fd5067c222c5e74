"""Everything that differs between Keras's backends and between devices in training."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras import distribution

from polyhead.errors import PolyheadError
from polyhead.model.hardware import GUIDE, find_accelerator
from polyhead.progress import Progress, warn
from polyhead.recipe.training import Precision, TrainingRecipe
from polyhead.training import quiet, suggest_backend
from polyhead.training.losses import Tensor

NAME = keras.backend.backend()
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
OUT_OF_MEMORY = re.compile(r"resource_?exhausted|out of memory|OOM when|(can't|cannot|unable to) allocate", re.I)


def start(seed: int, precision: Precision) -> None:
    """Seed everything, and make two runs on one machine equal.

    On TensorFlow deterministic operations alone do not: a network of several branches needs one thread between
    operations too. (Each operation still uses all cores.) And layers must be numbered from the start again: the order
    in which TensorFlow adds gradients up goes by name, and `dense_10` comes before `dense_9`.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    wanted = precision == "bfloat16"
    keras.config.set_dtype_policy("mixed_bfloat16" if wanted and has_accelerator() else "float32")
    if wanted and not has_accelerator() and not (NAME == "tensorflow" and _has_bfloat16()):
        warn("bfloat16 would be slower on this processor: training in float32")
    if NAME != "tensorflow":
        return
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it warns of networks that are compiled one after another
    tf.config.experimental.enable_op_determinism()
    if tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            warn("TensorFlow was in use before this run: another run may differ from it in the last digits")
    # On a CPU, oneDNN itself takes to bfloat16 where that is safe; variables and sums stay float32.
    rewrite = wanted and not has_accelerator() and _has_bfloat16()
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": rewrite})
    with quiet():
        keras.ops.zeros(())  # wakes the devices


def has_accelerator() -> bool:
    """Whether the backend computes on something other than a CPU."""
    if NAME == "torch":
        import torch

        return bool(torch.accelerator.is_available())
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())


def name_device() -> str:
    """What the backend computes on, as its maker calls it: `NVIDIA H100 80GB HBM3`, or `the CPU`."""
    if not has_accelerator():
        return "the CPU"
    if NAME == "jax":
        import jax

        return str(jax.devices()[0].device_kind)
    if NAME == "torch":
        import torch

        kind = str(torch.accelerator.current_accelerator())
        return str(torch.cuda.get_device_name()) if kind == "cuda" else kind
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return str(details.get("device_name", "GPU"))


def tell_device(progress: Progress) -> None:
    """Say what the training runs on, and warn where this machine has an accelerator that it does not use."""
    progress.say(f"training on {name_device()}, with {NAMES[NAME]}")
    accelerator = find_accelerator()
    if accelerator is None or has_accelerator():
        return
    found = f"this machine's {accelerator.name} is not used"
    if suggest_backend() != "jax":
        extra = f"pip install 'polyhead[cuda]', or see {GUIDE}"
        warn(f"{found}: {extra if accelerator.maker == 'nvidia' else f'see {GUIDE}'}")
    elif NAME != "jax":
        warn(f"{found}: JAX is installed and can, so begin a run with KERAS_BACKEND=jax or without KERAS_BACKEND")
    else:
        warn(f"{found}: JAX cannot, though what it needs is installed: is the driver too old? See {GUIDE}")


def _has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16, as far as Linux tells."""
    described = Path("/proc/cpuinfo")
    return described.exists() and bool({"avx512_bf16", "amx_bf16"} & set(described.read_text().split()))


@contextmanager
def explain_memory() -> Iterator[None]:
    """Say in a line that memory ran out, which each backend tells in an exception of its own.

    Raises:
        PolyheadError: it did.
    """
    try:
        yield
    except PolyheadError:
        raise
    except Exception as error:
        if not isinstance(error, MemoryError) and not OUT_OF_MEMORY.search(f"{type(error).__name__}: {error}"):
            raise
        raise PolyheadError(
            "there is too little memory to train; try a lower training.batch_size or image.size, or a smaller network"
        ) from None


def sync_variables(model: keras.Model) -> None:
    """Make the model's variables hold what training has reached; JAX keeps them elsewhere within an epoch."""
    if NAME == "jax":
        model.jax_state_sync()


def dropout_seed() -> int | None:
    """A dropout layer's seed, None for Keras's own choice.

    Without one, Keras's dropout on PyTorch draws from a generator that is no variable of the model, and that a run
    which goes on after a stop would not have.
    """
    return random.getrandbits(31) if NAME == "torch" else None


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
