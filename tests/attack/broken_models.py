"""Whole model files, and ways to break them: what they say of themselves, their graphs, their bytes."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper

from polyhead.model.file import KEY

SEED = 8
Random = np.random.Generator
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        2**63,
        -(2**63),
        10**400,
        0.5,
        -0.0,
        1e308,
        1e-308,
        float("nan"),
        float("inf"),
    ),
    *("", "a", "none", "\0", "\n", "\x1b[2J", "\u202e", "../../x", "/etc/passwd", "a|b", "x" * 10_000, "<b>", "\ud800"),
    *([], {}, [[]], [None], [0, 0], ["a", "a"], [1e308, -1e308], {"a": "b"}, {"": 0}, {"red": -1}, {"features": 1}),
)
SIZES = (0, 1, 2, 7, 64, 4096, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -1, -2, -(2**63))
OPERATORS = sorted({schema.name for schema in defs.get_all_schemas()})


def break_model(number: int, contents: list[bytes]) -> bytes:
    """A file of the whole ones `contents`, broken in one to three ways."""
    rng = np.random.default_rng((SEED, number))
    content = contents[int(rng.integers(len(contents)))]
    for way in rng.choice(len(WAYS), int(rng.choice([1, 1, 1, 2, 3])), p=SHARES):
        content = WAYS[way](content, rng)
    return content


def change_card(content: bytes, rng: Random) -> bytes:
    """Another value in one to three places of the card."""
    proto = _read(content)
    if proto is None or not proto.metadata_props:
        return content
    try:
        card = json.loads(proto.metadata_props[0].value)
    except (ValueError, TypeError, RecursionError):  # it was broken before
        return content
    if not isinstance(card, dict):
        return content
    for _ in range(int(rng.integers(1, 4))):
        _change(card, rng)
    return _say(proto, json.dumps(card).encode("utf-8", "surrogatepass"))


def _change(card: Any, rng: Random) -> None:
    """Change what is at one place of the card, all places being equally likely."""
    places = list(_list_places(card))
    if not places:
        return
    place, key = places[int(rng.integers(len(places)))]
    what = int(rng.integers(5))
    value = VALUES[int(rng.integers(len(VALUES)))]
    if what == 0:
        del place[key]
    elif what == 1 and isinstance(place, dict):
        place[str(value)] = place.pop(key)
    elif what == 2:
        place[key] = [place[key]] * int(rng.choice([0, 2, 1000]))
    elif what == 3 and isinstance(place[key], (int, float)):
        place[key] = place[key] * float(rng.choice([-1, 0, 1e-300, 1e30]))
    else:
        place[key] = value


def _list_places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Every dict and list within, with each of its keys."""
    for key in list(part) if isinstance(part, dict) else range(len(part)):
        yield part, key
        if isinstance(part[key], (dict, list)):
            yield from _list_places(part[key])


def change_text(content: bytes, rng: Random) -> bytes:
    """A card that is no JSON, or no such JSON."""
    proto = _read(content)
    if proto is None or not proto.metadata_props:
        return content
    value: Any = proto.metadata_props[0].value  # bytes, where it was broken before
    text = value if isinstance(value, bytes) else value.encode()
    at, deep = int(rng.integers(len(text) + 1)), int(rng.choice([50, 190, 300, 2000, 100_000]))
    broken = (
        b"",
        text[:at],
        text[:at] + bytes(rng.integers(128, 256, 3, np.uint8)) + text[at:],
        text[:at] + text[at + 1 :],
        text[:-1] + b"," + text[1:],
        text.replace(b'"recipe": {}', b'"recipe": {"a": ' + b"[" * deep + b"]" * deep + b"}"),
        b"[" * deep,
        b'{"a":' * deep,
        text + text,
        b"\xef\xbb\xbf" + text,
        text.decode(errors="replace").encode("utf-16"),
        text[:-1] + b', "note": "' + b"x" * int(rng.choice([10**5, 2**24])) + b'"}',
    )
    return _say(proto, broken[int(rng.integers(len(broken)))])


def _say(proto: ModelProto, text: bytes) -> bytes:
    """The file with a text, which need not be one, for its card."""
    marker = b"~" * len(text)
    del proto.metadata_props[:]
    helper.set_model_props(proto, {KEY: marker.decode()})
    return bytes(proto.SerializeToString()).replace(marker, text) if text else bytes(proto.SerializeToString())


def change_bytes(content: bytes, rng: Random) -> bytes:
    """Some bytes flipped, cut off, doubled or put in."""
    mangled = bytearray(content)
    for _ in range(int(rng.choice([1, 2, 8, 64]))):
        if not mangled:
            break
        at, length = int(rng.integers(len(mangled))), int(rng.choice([1, 4, 100]))
        what = int(rng.integers(5))
        if what == 0:
            del mangled[at:]
        elif what == 1:
            del mangled[at : at + length]
        elif what == 2:
            mangled[at:at] = mangled[at : at + length]
        elif what == 3:
            mangled[at:at] = bytes(rng.integers(0, 256, length, np.uint8))
        else:
            mangled[at] ^= 1 << int(rng.integers(8))
    return bytes(mangled)


def change_node(content: bytes, rng: Random) -> bytes:
    """A node with another operator, other inputs or outputs, or another setting."""
    proto = _read(content)
    if proto is None or not proto.graph.node:
        return content
    nodes = proto.graph.node
    node = nodes[int(rng.integers(len(nodes)))]
    names = [
        *(name for other in nodes for name in other.output),
        *(entry.name for entry in proto.graph.initializer),
        "",
    ]
    what = int(rng.integers(6))
    if what == 0:
        node.op_type = str(rng.choice(OPERATORS))
    elif what == 1:
        node.domain = str(rng.choice(["com.microsoft", "ai.onnx.ml", "evil"]))
    elif what == 2 and node.input:
        node.input[int(rng.integers(len(node.input)))] = str(rng.choice(names))
    elif what == 3 and node.output:
        node.output[int(rng.integers(len(node.output)))] = str(rng.choice(names))
    elif what == 4:
        nodes.insert(int(rng.integers(len(nodes) + 1)), _make_node(rng, names))
    else:
        node.attribute.append(helper.make_attribute(str(rng.choice(["axis", "to", "axes", "x"])), _numbers(rng)))
    return bytes(proto.SerializeToString())


def add_bomb(content: bytes, rng: Random) -> bytes:
    """Nodes that ask for much: memory, time, depth; the last of them may be an output."""
    proto = _read(content)
    if proto is None:
        return content
    graph, names = proto.graph, ["features", "images", str(rng.choice(["shares", "mean", "floats"]))]
    for number in range(int(rng.choice([1, 3, 60]))):
        node = _make_node(rng, names[-3:])
        del node.output[:]
        node.output.append(f"bomb{number}")
        graph.node.append(node)
        names.append(node.output[0])
        for place, name in enumerate(node.input):
            if name == "sizes":
                node.input[place] = f"sizes{len(graph.initializer)}"
                values = np.array(_numbers(rng), np.int64)
                graph.initializer.append(numpy_helper.from_array(values, node.input[place]))
    if rng.random() < 0.3 and graph.output:
        kept = graph.output[int(rng.integers(len(graph.output)))].name
        graph.node.append(helper.make_node("Identity", [names[-1]], [kept]))
    return bytes(proto.SerializeToString())


def _make_node(rng: Random, names: Sequence[str]) -> NodeProto:
    """A node of an operator that makes much of little, or runs other graphs, reading some of the names and `sizes`."""
    first, second = (str(rng.choice(list(names))) for _ in range(2))
    pair = [int(value) for value in rng.choice(SIZES, 2)]
    makers: tuple[Callable[[], NodeProto], ...] = (
        lambda: helper.make_node("Pad", [first, "sizes"], ["made"]),
        lambda: helper.make_node("Tile", [first, "sizes"], ["made"]),
        lambda: helper.make_node("Expand", [first, "sizes"], ["made"]),
        lambda: helper.make_node("ConstantOfShape", ["sizes"], ["made"]),
        lambda: helper.make_node("Range", ["sizes", "sizes", "sizes"], ["made"]),
        lambda: helper.make_node("Reshape", [first, "sizes"], ["made"]),
        lambda: helper.make_node("Resize", [first, "", "", "sizes"], ["made"]),
        lambda: helper.make_node(
            "Concat", [first] * int(rng.choice([1, 2, 100])), ["made"], axis=int(rng.integers(-3, 3))
        ),
        lambda: helper.make_node("MaxPool", [first], ["made"], kernel_shape=pair, pads=pair * 2, strides=pair),
        lambda: helper.make_node("AveragePool", [first], ["made"], kernel_shape=[1, 1], pads=pair * 2),
        lambda: helper.make_node("Conv", [first, second], ["made"], pads=pair * 2, group=pair[0], dilations=pair),
        lambda: helper.make_node("MatMul", [first, second], ["made"]),
        lambda: helper.make_node("Gather", [first, "sizes"], ["made"], axis=int(rng.integers(-3, 3))),
        lambda: helper.make_node("Slice", [first, "sizes", "sizes"], ["made"]),
        lambda: helper.make_node("Unsqueeze", [first, "sizes"], ["made"]),
        lambda: helper.make_node("Transpose", [first], ["made"], perm=pair),
        lambda: helper.make_node("CumSum", [first, "sizes"], ["made"]),
        lambda: helper.make_node("Add", [first, second], ["made"]),
        lambda: _nest(str(rng.choice(["Loop", "If", "Scan"])), int(rng.choice([1, 5, 25]))),
    )
    return makers[int(rng.integers(len(makers)))]()


def _nest(operator: str, depth: int) -> NodeProto:
    node = helper.make_node(operator, ["sizes", ""], ["made"])
    for _ in range(depth):
        graph = helper.make_graph([node], "inner", [], [])
        node = helper.make_node(operator, ["sizes", ""], ["made"])
        key = "then_branch" if operator == "If" else "body"
        node.attribute.append(AttributeProto(name=key, type=AttributeProto.GRAPH, g=graph))
    return node


def _numbers(rng: Random) -> list[int]:
    """A few sizes of axes, or pads of them; half of the time all are such as an array may have."""
    sizes = SIZES if rng.random() < 0.5 else SIZES[:6]
    return [int(value) for value in rng.choice(sizes, int(rng.choice([1, 2, 4, 4, 8, 8, 3, 6])))]


def change_ends(content: bytes, rng: Random) -> bytes:
    """Other names, types and shapes of inputs and outputs."""
    proto = _read(content)
    if proto is None or not proto.graph.output or not proto.graph.input:
        return content
    ends = proto.graph.output if rng.random() < 0.7 else proto.graph.input
    end = ends[int(rng.integers(len(ends)))]
    what = int(rng.integers(5))
    if what == 0:
        end.name = str(rng.choice(["features", "images", "color", "", "x"]))
    elif what == 1:
        end.type.tensor_type.elem_type = int(rng.integers(0, 25))
    elif what == 2 and end.type.tensor_type.shape.dim:
        dims = end.type.tensor_type.shape.dim
        dims[int(rng.integers(len(dims)))].dim_value = int(rng.choice(SIZES))
    elif what == 3:
        ends.remove(end)
    else:
        end.type.tensor_type.shape.dim.add().dim_value = int(rng.choice(SIZES))
    return bytes(proto.SerializeToString())


def change_constant(content: bytes, rng: Random) -> bytes:
    """A constant of other numbers, another shape or type, or somewhere else."""
    proto = _read(content)
    if proto is None or not proto.graph.initializer:
        return content
    entry = proto.graph.initializer[int(rng.integers(len(proto.graph.initializer)))]
    what = int(rng.integers(5))
    if what == 0 and entry.data_type == TensorProto.FLOAT:
        try:
            values = numpy_helper.to_array(entry).copy()
        except Exception:  # it was broken before
            return content
        values[...] = rng.choice([np.nan, np.inf, -np.inf, 0, 1e38, -1e-38])
        entry.CopyFrom(numpy_helper.from_array(values, entry.name))
    elif what == 1:
        entry.dims.append(int(rng.choice(SIZES)))
    elif what == 2:
        entry.data_type = int(rng.integers(0, 25))
    elif what == 3:
        entry.data_location = TensorProto.EXTERNAL
        entry.external_data.add(key="location", value=str(rng.choice(["/dev/zero", "/etc/passwd", "../x"])))
    else:
        entry.raw_data = bytes(rng.integers(0, 256, int(rng.integers(0, 99)), np.uint8))
    return bytes(proto.SerializeToString())


def add_foreign(content: bytes, rng: Random) -> bytes:
    """What ONNX knows, and no model file of ours has; or very much of what it has."""
    proto = _read(content)
    if proto is None:
        return content
    what = int(rng.integers(6))
    if what == 0:
        proto.functions.add(name="Relu", domain="")
    elif what == 1:
        proto.training_info.add()
    elif what == 2:
        proto.graph.sparse_initializer.add()
    elif what == 3 and proto.opset_import:
        proto.opset_import[0].version = int(rng.choice(SIZES))
    elif what == 4:
        count = int(rng.choice([100, 9_000, 50_000]))
        proto.graph.node.extend(
            helper.make_node("Relu", [f"r{n}" if n else "features"], [f"r{n + 1}"]) for n in range(count)
        )
    else:
        proto.graph.doc_string = "x" * 10**7
    return bytes(proto.SerializeToString())


def _read(content: bytes) -> ModelProto | None:
    """The model, or nothing where an earlier way has broken its bytes."""
    try:
        return onnx.load_from_string(content)
    except Exception:  # protobuf's own
        return None


Way = Callable[[bytes, Random], bytes]
SHARED: dict[Way, float] = {
    change_card: 0.3,
    change_text: 0.1,
    change_bytes: 0.15,
    change_node: 0.12,
    add_bomb: 0.15,
    change_ends: 0.06,
    change_constant: 0.08,
    add_foreign: 0.04,
}
WAYS, SHARES = list(SHARED), list(SHARED.values())
