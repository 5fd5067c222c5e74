"""All that differs between Keras's backends; every line of TensorFlow stands here."""

import random
import warnings
from pathlib import Path

import keras

from polyhead.learn import quiet
from polyhead.progress import Progress

NAME = keras.backend.backend()


def start(seed: int, progress: Progress) -> None:
    """Seed everything, and make two runs on one machine equal.

    On TensorFlow deterministic operations alone do not: a network of several branches needs one thread between
    operations too. (Each operation still uses all cores.) And layers must be numbered from the start again: the order
    in which TensorFlow adds gradients up goes by name, and `dense_10` comes before `dense_9`.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if NAME != "tensorflow":
        return
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    if tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            progress.say("TensorFlow was in use before this run: another run may differ from it in the last digits")
    with quiet():
        keras.ops.zeros(())  # wakes the devices


def settle(model: keras.Model) -> None:
    """Make the model's variables hold what training has reached; JAX keeps them elsewhere within an epoch."""
    if NAME == "jax":
        model.jax_state_sync()


def dropout_seed() -> int | None:
    """A dropout layer's seed, None for Keras's own choice.

    Without one, Keras's dropout on PyTorch draws from a generator that is no variable of the model, and that a run
    which goes on after a stop would not have.
    """
    return random.getrandbits(31) if NAME == "torch" else None


def write_onnx(model: keras.Model, path: Path) -> None:
    """Write a model of uint8 `images` and a dict of outputs, which keep their names. TensorFlow only."""
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
        import tf2onnx

    from polyhead.learn.folding import fold_norms

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name="images")]
    function = tf.function(lambda images: model(images, training=False), input_signature=signature, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=17)
    fold_norms(proto)
    path.write_bytes(proto.SerializeToString())
