"""`model.onnx`: an ONNX graph, and in its metadata all that an answer needs, as JSON. Data only: no code in it."""

import hashlib
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polyhead.errors import PolyheadError
from polyhead.files import write_beside
from polyhead.recipe import ImageRecipe
from polyhead.replacing import restore_replaced
from polyhead.tasks import AnyTask
from polyhead.use.diagram import Diagram

KEY = "polyhead"
CARD_FILE = "polyhead.json"  # the card where it is a file of its own, in formats without such metadata
LARGEST = 2 * 2**30  # bytes; no protobuf is larger


class Card(BaseModel):
    """What a model file says of itself.

    The graph's input is `images`, uint8 (n, height, width, 3); its outputs are one float32 array a task, by the task's
    name, and `features` (n, width), the vectors that the heads read.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    version: str = Field(description="The Polyhead that wrote it.")
    name: str
    description: str = ""
    note: str = ""
    image: ImageRecipe
    tasks: Annotated[dict[str, AnyTask], Field(min_length=1)]
    recipe: dict[str, Any] = Field(description="The recipe that it was trained by, without the data's path.")
    rows: dict[str, int] = Field(description="Images in each split.")
    parameters: int = Field(description="Weights in the network.")
    fingerprint: str = Field(description="A digest of the weights: 16 hex digits.")
    figures: dict[str, dict[str, float]] = Field(
        {}, description="By task, how good its answers are on the run's test images; none until they are judged."
    )
    baseline: dict[str, dict[str, float]] = Field({}, description="The same figures of always giving one answer.")
    diagram: Diagram | None = Field(None, description="What the network looks like; older files do not say.")

    @property
    def digest(self) -> str:
        """16 hex digits that differ where an answer may differ: of the weights, and of all that is said of them."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()


def write_card(path: Path, card: Card) -> None:
    """Put the card into the ONNX file's metadata."""
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {KEY: card.model_dump_json()})
    with write_beside(path) as beside:
        onnx.save(model, str(beside))


def find_model(path: str | Path) -> Path:
    """The model file that `path` is, or that lies in the run folder `path`.

    Raises:
        PolyheadError: there is none.
    """
    found = Path(path)
    for place in (found, found.parent):
        restore_replaced(place)  # where a killed process has left it aside; commands have said so before
    if found.is_dir():
        if not (found / "model.onnx").exists():
            unfinished = (found / "recipe.yaml").exists()
            hint = (
                f"the run is not finished: polyhead resume {path}"
                if unfinished
                else "give a run folder or a model.onnx"
            )
            raise PolyheadError(f"{path}: there is no model.onnx in it; {hint}")
        return found / "model.onnx"
    if not found.exists():
        raise PolyheadError(f"{path}: no such file; give a model.onnx or a run folder")
    return found


def open_model(path: Path, threads: int = 0) -> tuple[Any, Card]:
    """An ONNX Runtime session, on the GPU where onnxruntime-gpu and CUDA are installed, and the card.

    Args:
        threads: how many work at one call on a CPU; 0 for all cores.

    Raises:
        PolyheadError: the file is no model, damaged, or not one of Polyhead's.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    available = onnxruntime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    if len(providers) > 1:  # where CUDA's libraries are missing, both say so at length, and the CPU is taken
        onnxruntime.set_default_logger_severity(4)
        with redirect_stdout(StringIO()):
            onnxruntime.preload_dlls()  # those that pip has installed
    try:
        if path.stat().st_size > LARGEST:
            raise PolyheadError(f"{path}: is too large for an ONNX model: over {LARGEST / 2**30:.0f} GiB")
        # From its bytes: weights that lie in other files are refused, a model of ours has none.
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers, enable_fallback=0)
    except PolyheadError:
        raise
    except OSError as error:
        raise PolyheadError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        reason = " ".join(str(error).split())[:160]
        raise PolyheadError(f"{path}: is not an ONNX model that can be read ({reason})") from None
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise PolyheadError(
            f"{path}: is an ONNX model, but not one that Polyhead wrote: it does not say what it answers"
        )
    try:
        card = Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise PolyheadError(f"{path}: what it says of itself cannot be used: {place}: {first['msg']}") from None
    _check_graph(path, session, card)
    return session, card


def _check_graph(path: Path, session: Any, card: Card) -> None:
    inputs = {entry.name: (entry.type, entry.shape[1:]) for entry in session.get_inputs()}
    if inputs != {"images": ("tensor(uint8)", [*card.image.size, 3])}:
        raise PolyheadError(
            f"{path}: its input is not images of the size that it says, {card.image.size}; got {inputs}"
        )
    if isinstance(session.get_inputs()[0].shape[0], int):
        raise PolyheadError(f"{path}: its input is not any number of images")
    shapes = {entry.name: entry.shape for entry in session.get_outputs() if entry.type == "tensor(float)"}
    widths = {name: shape[1] for name, shape in shapes.items() if len(shape) == 2}
    for name, task in card.tasks.items():
        if widths.get(name) != task.width:
            raise PolyheadError(
                f"{path}: it should give {task.width} values for {name}, and gives {widths.get(name, 'none')}"
            )
    if "features" not in widths:
        raise PolyheadError(f"{path}: it gives no features")
