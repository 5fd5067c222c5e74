"""What goes wrong through no fault of the program, and how it is told: in one line, whatever stood in the input.

A library that is not installed is one of these things: `require` names the extra that brings it.
"""

import difflib
import re
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec

LONGEST = 1000  # characters of a message
LONGEST_WORD = 200  # that is compared with others
# What would break a line, or move a terminal's cursor, or turn its text around; and halves of UTF-16 pairs.
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class PolyheadError(Exception):
    """A mistake in what the user gave: one line that names the file, key or row and says what to do.

    An argument stands in it as Python has it, between backticks (`force`), and so does a call (`resume RUN`); the
    commands write both as their user does. Whatever the words quote, they come out as one line that is fit for a
    terminal and a log.
    """

    exit_code = 2  # of a process that it ends

    def __init__(self, words: str) -> None:
        super().__init__(shorten(show_text(words), LONGEST))


class TrainingDiverged(PolyheadError):
    """Losses or weights that are no longer finite. What was kept before stays, and `resume` can finish with it."""

    exit_code = 1


def show_text(text: str) -> str:
    r"""A text from elsewhere, such as a file's name, as one line of Unicode: control characters as `\n`, `\x1b`.

    What cannot be encoded (a file's name need not be Unicode) is escaped the same way, as `\udcff`.
    """
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shorten(text: str, longest: int) -> str:
    """A text of at most `longest` characters; of a longer one the start and the end, where what to do stands."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 3]}...{text[-end:]}"


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the likeliest of `words`, or nothing."""
    lowered = {other.lower(): other for other in words if len(other) <= LONGEST_WORD}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6) if len(word) <= LONGEST_WORD else []
    return f" (did you mean {lowered[close[0]]!r}?)" if close else ""


def list_words(words: Iterable[str]) -> str:
    """Words for a message: all of them, or as many of the first as make it no longer than a line can be."""
    words = [shorten(word, 60) for word in words]
    shown = words[:50]
    while len(", ".join(shown)) > 400:
        shown.pop()
    return ", ".join(shown) + (f" and {len(words) - len(shown):,} more" if len(shown) < len(words) else "")


REPORT = {
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "threadpoolctl": "threadpoolctl",
    "joblib": "joblib",
    "parse": "parse",
    "jinja2": "Jinja",
}
TRAIN = {"tensorflow": "TensorFlow", "keras": "Keras", "tf2onnx": "tf2onnx", "onnx": "onnx", **REPORT}
EXTRAS = {  # by name, as in pyproject.toml: modules to import, and what their libraries are called
    "report": REPORT,
    "train": TRAIN,
    "jax": {"jax": "JAX", **TRAIN},
    "torch": {"torch": "PyTorch", **TRAIN},
    "serve": {
        "fastapi": "FastAPI",
        "uvicorn": "uvicorn",
        "httptools": "httptools",
        "python_multipart": "python-multipart",
        "prometheus_client": "prometheus-client",
    },
    "ray": {"ray": "Ray", "pyarrow": "pyarrow"},
    "hub": {"keras_hub": "KerasHub", **TRAIN},
    "tune": {"optuna": "Optuna", **TRAIN},
    "parquet": {"pyarrow": "pyarrow"},
    "excel": {"openpyxl": "openpyxl"},
    "remote": {"fsspec": "fsspec"},
    "heif": {"pillow_heif": "pillow-heif"},
    "litert": {"ai_edge_litert": "LiteRT", **TRAIN},
    "openvino": {"openvino": "OpenVINO", **REPORT},
    "tensorboard": {"tensorboard": "TensorBoard", "tensorflow": "TensorFlow"},
    "mlflow": {"mlflow": "MLflow"},
    "wandb": {"wandb": "Weights & Biases"},
    "trackio": {"trackio": "Trackio"},
}


class MissingExtra(PolyheadError, ImportError):
    """A library that is not installed: what needs it, and what to install."""


@cache
def require(purpose: str, extra: str) -> None:
    """See that the libraries of an extra are installed, before one of them is imported.

    Args:
        purpose: what needs them; the error begins with it.
        extra: one of EXTRAS.

    Raises:
        MissingExtra: one is not.
    """
    for module, name in EXTRAS[extra].items():
        if find_spec(module) is None:
            raise MissingExtra(f"{purpose} needs {name}: pip install 'polyhead[{extra}]'")
