"""`model.onnx`: an ONNX graph, and in its metadata all that an answer needs, as JSON. Data only: no code in it."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polyhead.errors import PolyheadError
from polyhead.recipe import ImageRecipe
from polyhead.tasks import AnyTask
from polyhead.use.diagram import Diagram

KEY = "polyhead"


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


def write_card(path: Path, card: Card) -> None:
    """Put the card into the ONNX file's metadata."""
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {KEY: card.model_dump_json()})
    beside = path.with_suffix(".part")
    onnx.save(model, str(beside))
    os.replace(beside, path)


def find_model(path: str | Path) -> Path:
    """The model file that `path` is, or that lies in the run folder `path`.

    Raises:
        PolyheadError: there is none.
    """
    found = Path(path)
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


def open_model(path: Path) -> tuple[Any, Card]:
    """An ONNX Runtime session, and the card.

    Raises:
        PolyheadError: the file is no model, damaged, or not one of Polyhead's.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
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
    widths = {entry.name: entry.shape[-1] for entry in session.get_outputs()}
    for name, task in card.tasks.items():
        if widths.get(name) != task.width:
            raise PolyheadError(
                f"{path}: it should give {task.width} values for {name}, and gives {widths.get(name, 'none')}"
            )
