"""A model file as a model of MLflow, which `mlflow models serve` serves: data alone, nothing that is unpickled."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyhead import __version__
from polyhead.model.predictor import Predictor
from polyhead.model.records import Prediction

if TYPE_CHECKING:
    import pandas

COLUMN = "image"


class ImageModel:
    """What MLflow asks for answers."""

    def __init__(self, path: Path) -> None:
        self.predictor = Predictor(path)

    def predict(self, data: "pandas.DataFrame", params: Any = None) -> list[Prediction]:
        """The answers to images, as `Predictor.predict` gives them.

        Args:
            data: a column `image` of encoded images, bytes. Over HTTP they come in base64, which MLflow decodes.
            params: there are none.
        """
        return list(self.predictor.predict([bytes(image) for image in data[COLUMN]]))


def describe_model(file: Path) -> dict[str, Any]:
    """What `mlflow.pyfunc.log_model` and `save_model` are to be told of a model file."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    return {
        "loader_module": __name__,
        "data_path": str(file),
        "pip_requirements": [f"polyhead=={__version__}", "mlflow", "pandas"],
        "signature": ModelSignature(inputs=Schema([ColSpec(DataType.binary, COLUMN)])),
    }


def _load_pyfunc(data_path: str) -> ImageModel:
    """What MLflow calls: the model from a folder, or from the file in it."""
    path = Path(data_path)
    return ImageModel(next(path.glob("*.onnx")) if path.is_dir() else path)
