"""All that differs between Keras's backends; every line of TensorFlow stands here."""

import random
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError
from polyhead.learn import quiet
from polyhead.progress import Progress
from polyhead.recipe_training import Precision

NAME = keras.backend.backend()
OUT_OF_MEMORY = re.compile(r"resource_?exhausted|out of memory|OOM when|(can't|cannot|unable to) allocate", re.I)
Run = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]  # images to outputs, by name


def start(seed: int, precision: Precision, progress: Progress) -> None:
    """Seed everything, and make two runs on one machine equal.

    On TensorFlow deterministic operations alone do not: a network of several branches needs one thread between
    operations too. (Each operation still uses all cores.) And layers must be numbered from the start again: the order
    in which TensorFlow adds gradients up goes by name, and `dense_10` comes before `dense_9`.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    wanted = precision == "bfloat16"
    keras.config.set_dtype_policy("mixed_bfloat16" if wanted and _has_accelerator() else "float32")
    if wanted and not _has_accelerator() and not (NAME == "tensorflow" and _has_bfloat16()):
        progress.say("bfloat16 would be slower on this processor: training in float32")
    if NAME != "tensorflow":
        return
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    if tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            progress.say("TensorFlow was in use before this run: another run may differ from it in the last digits")
    # On a CPU, oneDNN itself takes to bfloat16 where that is safe; variables and sums stay float32.
    rewrite = wanted and not _has_accelerator() and _has_bfloat16()
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": rewrite})
    with quiet():
        keras.ops.zeros(())  # wakes the devices


def _has_accelerator() -> bool:
    if NAME == "torch":
        import torch

        return bool(torch.accelerator.is_available())
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())


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
    from polyhead.learn.graph_names import name_by_order

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name="images")]
    function = tf.function(lambda images: model(images, training=False), input_signature=signature, autograph=False)
    tf.config.run_functions_eagerly(True)  # Keras compiles grouped convolutions as functions; in line they are nodes
    try:
        proto, _ = tf2onnx.convert.from_function(
            function, input_signature=signature, opset=17, custom_op_handlers={"Erfc": (_write_erfc, [])}
        )
    finally:
        tf.config.run_functions_eagerly(False)
    fold_norms(proto)
    name_by_order(proto.graph)
    path.write_bytes(proto.SerializeToString())


def write_saved_model(model: keras.Model, path: Path) -> Run:
    """Write such a model as a SavedModel, for TensorFlow Serving and what else reads it; how to run what was written.

    Its signature `serving_default` takes any number of `images`, and gives outputs by their names. TensorFlow only.
    """
    import tensorflow as tf

    model.export(path, format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {name: value.numpy() for name, value in serve(images=tf.constant(images)).items()}

    return run


def write_litert(model: keras.Model, path: Path) -> Run:
    """Write such a model as a .tflite file of LiteRT's own operations alone; how to run what was written.

    Its signature is that of `write_saved_model`. TensorFlow only.
    """
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(path, format="litert", verbose=False, target_spec=operations)
    serve = Interpreter(str(path)).get_signature_runner("serving_default")
    return lambda images: serve(images=images)


def _write_erfc(graph: Any, node: Any, *_: Any) -> None:
    """The complement of the error function, which GELU is made of and ONNX has not: 1 - erf."""
    shapes, kinds = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", node.input)
    one = graph.make_const(f"{node.name}_one", np.array(1, "float32"))
    graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=node.output, shapes=shapes, dtypes=kinds)
