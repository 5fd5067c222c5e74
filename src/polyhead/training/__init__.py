"""From a table to a trained network. The only room that imports Keras, and only below `choose_backend`."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from polyhead.errors import PolyheadError, require
from polyhead.files import LONGEST_NAME, open_regular
from polyhead.model.hardware import find_accelerator
from polyhead.run_folder import RunFolder

BACKENDS = {"tensorflow": "train", "jax": "jax", "torch": "torch"}  # and the extra that brings each
PLUGINS = {  # by the accelerator's maker: what JAX computes on it with
    "nvidia": ("jax_cuda13_plugin", "jax_cuda12_plugin"),
    "amd": ("jax_rocm7_plugin", "jax_rocm60_plugin"),
    "google": ("libtpu",),
    "apple": (),
}
WEIGHTS = "state/kept.weights.h5"  # in a run folder: the weights that were exported, or are to be
BACKEND = "state/backend"  # in a run folder: the backend that it began on


def choose_backend(run: Path | None = None) -> str:
    """The Keras backend to run on; call before any import of Keras.

    KERAS_BACKEND where it is set; or the one that a run began on; or JAX where it can use this machine's accelerator;
    or else TensorFlow.

    Args:
        run: the folder of a run that is resumed.

    Raises:
        PolyheadError: it is not installed, or something else that a run needs to its end.
    """
    wanted = os.environ.get("KERAS_BACKEND") or _read_backend(run) or suggest_backend()
    if wanted not in BACKENDS:
        raise PolyheadError(f"KERAS_BACKEND: expected {', '.join(BACKENDS)}; got {wanted!r}")
    require("training", BACKENDS[wanted])
    os.environ["KERAS_BACKEND"] = wanted
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet():
        importlib.import_module(wanted)
    return wanted


def suggest_backend() -> str:
    """JAX where what is installed of it is made for this machine's accelerator, or else TensorFlow."""
    accelerator = find_accelerator()
    fits = accelerator and find_spec("jax") and any(find_spec(plugin) for plugin in PLUGINS[accelerator.maker])
    return "jax" if fits else "tensorflow"


def _read_backend(run: Path | None) -> str | None:
    """The backend that a run began on; of one that does not say, TensorFlow, if it has trained, as was the default."""
    if run is None:
        return None
    try:
        with open_regular(run / BACKEND) as file:
            name = file.read(LONGEST_NAME).decode(errors="replace")
    except (OSError, PolyheadError):
        return "tensorflow" if RunFolder(run).has_trained else None
    return name if name in BACKENDS else None


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
