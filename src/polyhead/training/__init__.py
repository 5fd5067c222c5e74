"""From a table to a trained network. The only room that imports Keras, and only below `choose_backend`."""

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator

from polyhead.errors import PolyheadError

BACKENDS = ("tensorflow", "jax", "torch")
WEIGHTS = "state/kept.weights.h5"  # in a run folder: the weights that were exported, or are to be


def choose_backend() -> str:
    """The Keras backend to run on: KERAS_BACKEND where it is set, or the first one installed; call before any import.

    Raises:
        PolyheadError: it is not installed, or none is.
    """
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    wanted = os.environ.get("KERAS_BACKEND") or (installed[0] if installed else "tensorflow")
    if wanted not in BACKENDS:
        raise PolyheadError(f"KERAS_BACKEND: expected {', '.join(BACKENDS)}; got {wanted!r}")
    if wanted not in installed:
        raise PolyheadError(f"training needs Keras's {wanted} backend: pip install 'polyhead[{wanted}]'")
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
