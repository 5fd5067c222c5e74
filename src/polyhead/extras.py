"""What `pip install polyhead` leaves out: the libraries of each extra, and the line that says which to install."""

from functools import cache
from importlib.util import find_spec

from polyhead.errors import PolyheadError

REPORT = {
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "threadpoolctl": "threadpoolctl",
    "joblib": "joblib",
    "parse": "parse",
    "jinja2": "Jinja",
    "plotly": "Plotly",
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
    "parquet": {"pyarrow": "pyarrow"},
    "heif": {"pillow_heif": "pillow-heif"},
    "litert": {"ai_edge_litert": "LiteRT", **TRAIN},
    "openvino": {"openvino": "OpenVINO", **REPORT},
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
