"""The bytes of a model file, read strictly: what its graph consists of, before ONNX Runtime sees any of it.

A file from elsewhere is data of a stranger. Protobuf would pass over what it does not know and ONNX would take graphs
within graphs, functions and weights in other files; none of these is in a file of ours, and whatever is not expected is
refused here. (By hand, since a lone answer is there before the `onnx` package is imported; the format is of five lines.
https://protobuf.dev/programming-guides/encoding, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a field is written
MOST_FIELDS = 300_000  # of a file; a large backbone's in whole numbers has 40,000
MOST_NODES = 10_000
MOST_NUMBERS = 64  # of a tensor whose numbers are read: a shape, axes, pads
WIDTHS = {FIXED64: 8, BYTES: 0, FIXED32: 4}  # bytes; of BYTES a number before them says how many
DAMAGED = "it is cut off or damaged"
INTEGERS = {6: 4, 7: 8}  # ONNX's int32 and int64, and their bytes

Spec = Mapping[int, tuple[str, int]]  # a field's number -> its name, and how it is written
MODEL: Spec = {
    1: ("ir_version", VARINT),
    2: ("producer_name", BYTES),
    3: ("producer_version", BYTES),
    4: ("domain", BYTES),
    5: ("model_version", VARINT),
    6: ("doc_string", BYTES),
    7: ("graph", BYTES),
    8: ("opset_import", BYTES),
    14: ("metadata", BYTES),
    20: ("training_info", BYTES),
    25: ("functions", BYTES),
}
GRAPH: Spec = {
    1: ("node", BYTES),
    2: ("name", BYTES),
    5: ("initializer", BYTES),
    10: ("doc_string", BYTES),
    11: ("input", BYTES),
    12: ("output", BYTES),
    13: ("value_info", BYTES),
    15: ("sparse_initializer", BYTES),
    16: ("metadata", BYTES),
}
NODE: Spec = {
    1: ("input", BYTES),
    2: ("output", BYTES),
    3: ("name", BYTES),
    4: ("op_type", BYTES),
    5: ("attribute", BYTES),
    6: ("doc_string", BYTES),
    7: ("domain", BYTES),
    9: ("metadata", BYTES),
}
ATTRIBUTE: Spec = {
    1: ("name", BYTES),
    2: ("f", FIXED32),
    3: ("i", VARINT),
    4: ("s", BYTES),
    5: ("t", BYTES),
    6: ("g", BYTES),
    7: ("floats", FIXED32),
    8: ("ints", VARINT),
    11: ("graphs", BYTES),
    13: ("doc_string", BYTES),
    20: ("type", VARINT),
}
TENSOR: Spec = {
    1: ("dims", VARINT),
    2: ("data_type", VARINT),
    4: ("float_data", FIXED32),
    5: ("int32_data", VARINT),
    7: ("int64_data", VARINT),
    8: ("name", BYTES),
    9: ("raw_data", BYTES),
    12: ("doc_string", BYTES),
    13: ("external_data", BYTES),
    14: ("data_location", VARINT),
}
ENTRY: Spec = {1: ("key", BYTES), 2: ("value", BYTES)}
FOREIGN = frozenset({"training_info", "functions", "sparse_initializer"})  # known to ONNX, and in no file of ours
SUBGRAPH = "a graph"  # the value of a setting that is one
PACKED = frozenset({"floats", "ints", "dims", "float_data", "int32_data", "int64_data"})  # may stand in one field


class InvalidModel(ValueError):
    """Bytes that are no ONNX model, or hold what no file of ours does; the message is the reason."""


@dataclass(frozen=True)
class Tensor:
    """A constant's shape; its numbers too where they are few integers, or else None."""

    shape: tuple[int, ...]
    numbers: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Node:
    """An operator, the values that it reads ("" where one is left out) and makes, and its settings.

    A setting is a number, a tuple of integers, text as bytes, a tensor or SUBGRAPH; fractions are not read, and None.
    """

    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of computation, constants by name, and what the file says of itself."""

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    outputs: int = 0
    metadata: dict[str, bytes] = field(default_factory=dict)


def read_graph(content: bytes) -> Graph:
    """The graph of a model file.

    Raises:
        InvalidModel: these are not the bytes of an ONNX model, or they hold what no file of ours does.
    """
    reader = Reader()
    try:
        model = reader.read(memoryview(content), MODEL, "model")
        inner = reader.read(_only(model, "graph"), GRAPH, "graph")
        metadata = [reader.read(entry, ENTRY, "metadata") for entry in model.get("metadata", ())]
        pairs = [(_text(entry, "key"), bytes(_only(entry, "value", b""))) for entry in metadata]
        nodes = inner.get("node", [])
        if len(nodes) > MOST_NODES:
            raise InvalidModel(f"its graph has {len(nodes):,} nodes; {MOST_NODES:,} are the most")
        constants = [reader.tensor(data) for data in inner.get("initializer", ())]
        graph = Graph([reader.node(data) for data in nodes], dict(constants), len(inner.get("output", ())), dict(pairs))
    except UnicodeDecodeError:
        raise InvalidModel("a name in it is not UTF-8") from None
    except IndexError:
        raise InvalidModel(DAMAGED) from None
    if len(graph.constants) < len(constants) or len(graph.metadata) < len(pairs):
        raise InvalidModel("a name in it is given twice")
    return graph


class Reader:
    """Reads messages until they are too many."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def read(self, data: memoryview, spec: Spec, what: str) -> dict[str, list[Any]]:
        """The fields of a message, by name; those that may be repeated and those that may not alike.

        Raises:
            InvalidModel: there is a field that is not in `spec`, or one that is written otherwise.
            IndexError: the data end within a field.
        """
        found: dict[str, list[Any]] = {}
        at, end = 0, len(data)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise InvalidModel(f"it has more than {MOST_FIELDS:,} fields")
            key, at = _varint(data, at)
            name, way = spec.get(key >> 3, ("", 0))
            if not name:
                raise InvalidModel(f"its {what} has a field, number {key >> 3}, that no file of ours has")
            written = key & 7
            value: Any
            if written == VARINT:
                value, at = _varint(data, at)
            elif written in WIDTHS:
                length, at = _varint(data, at) if written == BYTES else (WIDTHS[written], at)
                if at + length > end:
                    raise InvalidModel(DAMAGED)
                value, at = data[at : at + length], at + length
            else:
                raise InvalidModel(DAMAGED)
            if written == way:
                found.setdefault(name, []).append(value)
            elif written == BYTES and name in PACKED:
                found.setdefault(name, []).extend(self._unpack(value) if way == VARINT else [value])
            else:
                raise InvalidModel(f"its {what} has a {name} of another kind than ONNX's")
        for name in FOREIGN & set(found):
            raise InvalidModel(f"its {what} has {name}, as no file of ours does")
        return found

    def _unpack(self, data: memoryview) -> list[int]:
        numbers, at = [], 0
        while at < len(data):
            self._left -= 1
            if self._left < 0:
                raise InvalidModel(f"it has more than {MOST_FIELDS:,} fields")
            number, at = _varint(data, at)
            numbers.append(number)
        return numbers

    def node(self, data: memoryview) -> Node:
        """A node."""
        found = self.read(data, NODE, "node")
        operator = _text(found, "op_type")
        settings = {}
        for entry in found.get("attribute", ()):
            name, value = self._setting(entry, f"{operator} node")
            if name in settings:
                raise InvalidModel(f"its {operator} node has {name} twice")
            settings[name] = value
        inputs, outputs = (tuple(str(name, "utf-8") for name in found.get(key, ())) for key in ("input", "output"))
        return Node(operator, _text(found, "domain"), inputs, outputs, settings)

    def _setting(self, data: memoryview, what: str) -> tuple[str, Any]:
        found = self.read(data, ATTRIBUTE, what)
        value: Any = None
        if "g" in found or "graphs" in found:
            value = SUBGRAPH
        elif "ints" in found:
            value = tuple(map(_signed, found["ints"]))
        elif "i" in found:
            value = _signed(_only(found, "i"))
        elif "s" in found:
            value = bytes(_only(found, "s"))
        elif "t" in found:
            _, value = self.tensor(_only(found, "t"))
        elif _only(found, "type", 0) == 7:  # integers, and none of them
            value = ()
        return _text(found, "name"), value

    def tensor(self, data: memoryview) -> tuple[str, Tensor]:
        """A constant's name, and what is to be known of it."""
        found = self.read(data, TENSOR, "constant")
        if "external_data" in found or _only(found, "data_location", 0):
            raise InvalidModel("its weights lie in another file")
        shape = tuple(map(_signed, found.get("dims", ())))
        size = 1
        for length in shape:
            size *= length
        raw = _only(found, "raw_data", b"")
        kind = _only(found, "data_type", 0)
        held = len(raw) + sum(map(len, found.get("float_data", ())))
        held += len(found.get("int32_data", ())) + len(found.get("int64_data", ()))
        if min(shape, default=0) < 0 or size > held:
            raise InvalidModel("a constant in it has another shape than numbers")
        numbers = None
        if kind in INTEGERS and size <= MOST_NUMBERS:
            listed = found.get("int32_data" if kind == 6 else "int64_data", [])
            width = INTEGERS[kind]
            parts = [raw[at : at + width] for at in range(0, len(raw), width)]
            numbers = tuple(int.from_bytes(part, "little", signed=True) for part in parts) or tuple(
                map(_signed, listed)
            )
            if len(numbers) != size:
                raise InvalidModel("a constant in it has another shape than numbers")
        return _text(found, "name"), Tensor(shape, numbers)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at a place, and the place behind it."""
    number = data[at]
    if number < 128:
        return number, at + 1
    number &= 127
    for shift in range(7, 64, 7):
        at += 1
        byte = data[at]
        number |= (byte & 127) << shift
        if byte < 128:
            return number & (2**64 - 1), at + 1
    raise InvalidModel(DAMAGED)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _only(found: Mapping[str, list[Any]], name: str, absent: Any = None) -> Any:
    """The value of a field that stands once, or not at all."""
    values = found.get(name, [absent])
    if len(values) != 1 or values[0] is None:
        raise InvalidModel(f"it has {'no' if values == [None] else 'more than one'} {name}")
    return values[0]


def _text(found: Mapping[str, list[Any]], name: str) -> str:
    return str(_only(found, name, b""), "utf-8")
