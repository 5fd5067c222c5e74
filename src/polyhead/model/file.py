"""`model.onnx`: an ONNX graph, and in its metadata all that an answer needs, as JSON. Data only: no code in it.

What a graph is made of, and how much it may ask of the machine, is found out before it is run: the shapes of all its
values are worked out for a full batch.
"""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from math import prod
from pathlib import Path
from typing import Any

from polyhead.errors import PolyheadError
from polyhead.files import open_regular, write_beside
from polyhead.folders import restore_replaced
from polyhead.model.card import CARD_FILE, KEY, Card, read_card
from polyhead.model.onnx_bytes import MOST_NUMBERS, SUBGRAPH, Graph, InvalidModel, Node, read_graph
from polyhead.model.onnx_shapes import MULTIPLICATIONS, OPERATORS
from polyhead.model.onnx_values import NodeInputs, Value
from polyhead.recipe.builtin import built_in_names

LARGEST = 2 * 2**30  # bytes; no protobuf is larger
TEXT = 4096  # bytes by which a text is told
CONTROLS = frozenset({*range(9), *range(14, 32), 127})  # bytes that no text has
STARTS = {  # how files begin that are given for a model by mistake
    b"PK\3\4": "a zip archive, as .keras files are",
    b"\x89HDF": "an HDF5 file, as Keras's weights are",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "a gzip archive",
    b"\x80": "a pickle, as PyTorch's weights are",
}

__all__ = ["CARD_FILE", "KEY", "Card", "find_model", "open_model", "write_card"]


def write_card(path: Path, card: Card) -> None:
    """Put the card into the ONNX file's metadata.

    Raises:
        PolyheadError: the file cannot be written, or the card is one that could not be read again.
    """
    import onnx

    text = card.model_dump_json()
    read_card(text.encode(), str(path))
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {KEY: text})
    with write_beside(path) as beside:
        onnx.save(model, str(beside))


def find_model(path: str | os.PathLike[str]) -> Path:
    """The model file that `path` is, or that lies in the run folder `path`.

    Raises:
        PolyheadError: there is none.
    """
    found = Path(path)
    try:
        for place in (found, found.parent):
            restore_replaced(place)  # where a killed process has left it aside; commands have said so before
        if found.is_dir():
            if (found / "model.onnx").exists():
                return found / "model.onnx"
            unfinished = (found / "recipe.yaml").exists()
            hint = f"the run is not finished: `resume {path}`" if unfinished else "give a run folder or a model.onnx"
            raise PolyheadError(f"{path}: there is no model.onnx in it; {hint}")
        if found.exists():
            return found
    except OSError as error:  # a name that is too long
        raise PolyheadError(f"{path}: cannot be read: {error.strerror}") from None
    if str(path) in built_in_names():
        raise PolyheadError(f"{path}: is a recipe, not a model; train it, and give the run folder that it makes")
    raise PolyheadError(f"{path}: no such file; give a model.onnx or a run folder")


def open_model(path: Path, threads: int = 0) -> tuple[Any, Card]:
    """An ONNX Runtime session, on the GPU where onnxruntime-gpu and CUDA are installed, and the card.

    What the file says, and what its graph is made of, is checked before ONNX Runtime is given it.

    Args:
        threads: how many work at one call on a CPU; 0 for all cores.

    Raises:
        PolyheadError: the file is no model, damaged, or not one of Polyhead's.
    """
    content = _read(path)
    graph, card = _read_parts(path, content)
    try:
        check_graph(graph, card.image.size)
    except InvalidModel as error:
        raise PolyheadError(f"{path}: is not opened, as no model of Polyhead is like it: {error}") from None
    session = _start_session(path, content, threads)
    _check_inputs_and_outputs(path, session, card)
    return session, card


def read_model_card(path: Path) -> Card:
    """The card of a model file, without a session.

    Raises:
        PolyheadError: the file is no model, damaged, or not one of Polyhead's.
    """
    return _read_parts(path, _read(path))[1]


def _read_parts(path: Path, content: bytes) -> tuple[Graph, Card]:
    """What a model file computes, and what it says of itself."""
    try:
        graph = read_graph(content)
    except InvalidModel as error:
        reason = _recognize_other_format(path, content) or str(error)
        raise PolyheadError(f"{path}: is not an ONNX model that can be read: {reason}") from None
    if KEY not in graph.metadata:
        raise PolyheadError(
            f"{path}: is an ONNX model, but not one that Polyhead wrote: it does not say what it answers"
        )
    return graph, read_card(graph.metadata[KEY], str(path))


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > LARGEST:
                raise PolyheadError(f"{path}: is too large for an ONNX model: over {LARGEST / 2**30:.0f} GiB")
            return file.read(LARGEST)
    except OSError as error:
        raise PolyheadError(f"{path}: cannot be read: {error.strerror}") from None


def _recognize_other_format(path: Path, content: bytes) -> str:
    """What bytes are that are no ONNX model, where that can be told; or nothing."""
    if not content:
        return "it is empty"
    for start, words in STARTS.items():
        if content.startswith(start):
            return f"it is {words}"
    if content[4:8] == b"TFL3":
        return "it is a LiteRT model; give the model.onnx that it was made of"
    start = content[:TEXT]
    text = start.decode(errors="ignore")  # the last character may be cut through
    if not CONTROLS.isdisjoint(start) or len(text.encode()) < len(start) - 3:
        return ""
    if path.suffix.lower() in (".yaml", ".yml"):
        return "it is a recipe; give the run folder that was trained by it"
    return "it is a text file; give a model.onnx or a run folder"


def _start_session(path: Path, content: bytes, threads: int) -> Any:
    """The session."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; there is no need to log it too
    options.intra_op_num_threads = threads
    available = onnxruntime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    if len(providers) > 1:  # where CUDA's libraries are missing, both say so at length, and the CPU is taken
        onnxruntime.set_default_logger_severity(4)
        with redirect_stdout(StringIO()):
            onnxruntime.preload_dlls()  # those that pip has installed
    try:
        # From its bytes: weights that lie in other files are refused, a model of ours has none.
        return onnxruntime.InferenceSession(content, options, providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        reason = " ".join(str(error).split())[:160]
        raise PolyheadError(f"{path}: is not an ONNX model that can be read ({reason})") from None


def _check_inputs_and_outputs(path: Path, session: Any, card: Card) -> None:
    """Whether the graph takes the images and gives the numbers that the card says."""
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
    told = max((part.width for part in (card.familiarity, card.reference) if part), default=0)
    if told and not (isinstance(widths["features"], int) and widths["features"] >= told):
        raise PolyheadError(f"{path}: it gives fewer features than the {told} that it tells of")


IMAGES = 32  # the most of a call
MOST_AXES = 8
# For an image of p pixels. The heaviest backbones hold 100 numbers a pixel at a time, and multiply a million.
HELD = (2048, 2**22)  # numbers that are in memory at a time: 2048 p + 4 million
MOVE_STEPS = 16  # what it costs to read or write a number, compared with a multiplication
PACKED = 4  # how often constants are read, on average: ONNX Runtime makes a copy that is fit for each node
STEPS = (10**8, 10**9)  # multiplications: 100 million p + a billion


def check_graph(graph: Graph, size: tuple[int, int]) -> None:
    """Refuse a graph that no file of ours has, or that asks for too much.

    Args:
        size: height and width of its `images`.

    Raises:
        InvalidModel: with the first node that is refused.
    """
    pixels = size[0] * size[1]
    held_most, steps_most = (IMAGES * (each * pixels + more) for each, more in (HELD, STEPS))
    values = {name: Value(tensor.shape, tensor.numbers) for name, tensor in graph.constants.items()}
    values["images"] = Value((IMAGES, *size, 3))
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    held, steps = prod(values["images"].shape), 0
    sizes = {name: prod(tensor.shape) for name, tensor in graph.constants.items()}
    packed, packed_most = 0, PACKED * sum(sizes.values()) + 2**24
    for index, node in enumerate(graph.nodes):
        where = f"node {index + 1}, {node.operator[:40]}"
        if node.operator not in OPERATORS or node.domain not in ("", "ai.onnx") or SUBGRAPH in node.settings.values():
            raise InvalidModel(f"{where}: is no operator that Polyhead writes")
        try:
            made, cost = _work_out(node, values, held_most)
        except InvalidModel as error:
            raise InvalidModel(f"{where}: {error}") from None
        values |= made
        steps += cost
        held += sum(prod(value.shape) for value in made.values())
        packed += sum(sizes.get(name, 0) for name in node.inputs)
        if packed > packed_most:
            raise InvalidModel(f"{where}: reads the same constants over and over")
        if held > held_most or steps > steps_most:
            raise InvalidModel(
                f"{where}: asks for more than an image of {size[0]}x{size[1]} is worth, {_tell(held, steps)}"
            )
        for name in (*node.inputs, *made):
            uses[name] -= name in node.inputs
            if not uses[name] and name in values and name not in graph.constants:
                held -= prod(values.pop(name).shape)


def _work_out(node: Node, values: Mapping[str, Value], most: int) -> tuple[dict[str, Value], int]:
    """The values that a node makes, and how many multiplications that takes, at most."""
    if missing := [name for name in node.inputs if name and name not in values]:
        raise InvalidModel(f"reads {missing[0][:80]!r}, which nothing makes")
    inputs = NodeInputs(node, [values.get(name) for name in node.inputs])
    made = OPERATORS[node.operator](inputs)
    if len(made.shape) > MOST_AXES or min(made.shape, default=0) < 0 or prod(made.shape) > most:
        raise InvalidModel(f"asks for an array of {' x '.join(map(str, made.shape[:MOST_AXES]))}"[:200])
    if made.numbers is not None and (len(made.numbers) > MOST_NUMBERS or len(made.numbers) != prod(made.shape)):
        made = Value(made.shape)
    largest = max([prod(made.shape), *(prod(value.shape) for value in inputs.values if value)])
    cost = MOVE_STEPS * largest + (
        prod(made.shape) * MULTIPLICATIONS[node.operator](inputs) if node.operator in MULTIPLICATIONS else 0
    )
    return {name: made if index == 0 else Value(made.shape) for index, name in enumerate(node.outputs) if name}, cost


def _tell(held: int, steps: int) -> str:
    return f"{held / IMAGES:.2g} numbers in memory and {steps / IMAGES:.2g} multiplications"
