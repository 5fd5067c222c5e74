"""From a table to a trained network. The only room that imports Keras, and only below `choose_backend`."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

from polyhead.errors import PolyheadError, require

BACKENDS = {"tensorflow": "train", "jax": "jax", "torch": "torch"}  # and the extra that brings each
WEIGHTS = "state/kept.weights.h5"  # in a run folder: the weights that were exported, or are to be


def choose_backend() -> str:
    """The Keras backend to run on: KERAS_BACKEND where it is set, or else TensorFlow; call before any import of Keras.

    Raises:
        PolyheadError: it is not installed, or something else that a run needs to its end.
    """
    wanted = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if wanted not in BACKENDS:
        raise PolyheadError(f"KERAS_BACKEND: expected {', '.join(BACKENDS)}; got {wanted!r}")
    require("training", BACKENDS[wanted])
    os.environ["KERAS_BACKEND"] = wanted
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet():
        importlib.import_module(wanted)
    return wanted


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing on stderr: TensorFlow greets there, from C++, before any setting of its own is heard."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
