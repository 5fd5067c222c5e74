"""A backbone of hundreds of layers in a few stages: what works at one size of the map stands together.

Within a stage, what the backbone repeats is counted. Its units are found by the names that `keras.applications` gives
(`block_3_expand`), or else by the graph: what lies between two steps that all paths go through.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import keras
from keras import layers

from polyhead.training.graph import Step
from polyhead.training.layer_words import count_repeats, name_kind

UNIT = re.compile(
    r"(conv\d+_block\d+|block\d+_\d+|block\d+[a-z]|block_\d+|\w+_stage_\d+_block_\d+|expanded_conv(_\d+)?)_"
)
SAME_SIZE = 0.75  # a map less high than this share of a stage's first one begins the next stage
SPELT = 6  # layers of a unit that are named one after another; more are counted by their kinds
WORKING = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Dense,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    keras.Sequential,
)
SQUEEZE = "Squeeze-and-excitation"
RESIZING = (layers.ZeroPadding2D, layers.Cropping2D)


@dataclass
class Unit:
    """Steps that belong together; `name` is blank for those that nothing joins but their order."""

    name: str
    steps: list[int] = field(default_factory=list)


def find_stages(steps: Sequence[Step]) -> list[tuple[list[int], list[str]]]:
    """The stages of a backbone: the places of each one's steps, and what it is made of, in words.

    Args:
        steps: of the backbone alone, in order; `inputs` are places among them.
    """
    sizes = _follow_sizes(steps)
    stages: list[list[Unit]] = []
    before = 0
    for unit in _split_large(_find_units(steps), sizes):
        size = sizes[unit.steps[-1]]
        if not stages or size < SAME_SIZE * before:
            stages.append([])
            before = size
        stages[-1].append(unit)
    if len(stages) > 1 and not any(steps[place].parameters for unit in stages[0] for place in unit.steps):
        stages[:2] = [stages[0] + stages[1]]  # only scales the input
    return [([place for unit in units for place in unit.steps], _describe(units, steps, sizes)) for units in stages]


def _follow_sizes(steps: Sequence[Step]) -> list[int]:
    """The height at which each step works: its map's, or that of the map which it is led back into.

    A squeeze-and-excitation looks at the whole map, but works at the map's size; padding changes no size.
    """
    sizes = [0 if isinstance(step.operation, RESIZING) else step.height for step in steps]
    for place in reversed(range(len(steps))):
        for before in steps[place].inputs:
            sizes[before] = max(sizes[before], sizes[place])
    return sizes


def _find_units(steps: Sequence[Step]) -> list[Unit]:
    units: list[Unit] = []
    last_readers = {before: place for place, step in enumerate(steps) for before in step.inputs}
    start = farthest = 0
    for place in range(len(steps)):
        # No path jumps over it: all that is read later is read through it.
        if farthest <= place:
            segment = list(range(start, place + 1))
            _append(units, segment, steps)
            start = place + 1
        farthest = max(farthest, last_readers.get(place, place))
    return units


def _append(units: list[Unit], segment: list[int], steps: Sequence[Step]) -> None:
    """Add what lies between two cuts to the unit that it belongs to, or as one of its own."""
    names = [found[0] for place in segment if (found := UNIT.match(steps[place].operation.name))]
    several = len(segment) > 1
    name = names[0] if names else f"{segment[0]}" if several else ""
    idle = not several and not steps[segment[0]].parameters and not isinstance(steps[segment[0]].operation, WORKING)
    if units and (units[-1].name == name or (idle and not names)):
        units[-1].steps += segment
    else:
        units.append(Unit(name, list(segment)))


def _split_large(units: list[Unit], sizes: Sequence[int]) -> list[Unit]:
    """The same, with a unit that spans more than two sizes, as in NASNet, where paths jump over all, cut by size."""
    split = []
    for unit in units:
        groups: list[Unit] = []
        before = 0
        for place in sorted(unit.steps, key=lambda place: -sizes[place]):
            if not groups or sizes[place] < SAME_SIZE * before:
                groups.append(Unit(f"{unit.name}.{len(groups)}"))
                before = sizes[place]
            groups[-1].steps.append(place)
        split += groups if len(groups) > 2 else [unit]
    return split


def _describe(units: Sequence[Unit], steps: Sequence[Step], sizes: Sequence[int]) -> list[str]:
    """A line for each run of units that are alike, and for what stands between."""
    lines: list[str] = []
    for named, run in groupby(units, key=lambda unit: bool(unit.name)):
        words = [_spell(unit, steps, sizes) for unit in run]
        if named:
            lines += count_repeats([f"({word})" if ", " in word else word for word in words if word])
        elif any(words):
            lines.append(", ".join(count_repeats([word for word in words if word])))
    return [line.strip("()") if line.startswith("(") else line for line in lines]


def _spell(unit: Unit, steps: Sequence[Step], sizes: Sequence[int]) -> str:
    words = []
    for place in unit.steps:
        if isinstance(steps[place].operation, WORKING):
            squeezed = steps[place].height <= 1 < sizes[place]
            words.append(SQUEEZE if squeezed else name_kind(steps[place].operation))
    if SQUEEZE in words:
        words = [word for place, word in enumerate(words) if word != SQUEEZE or words[place - 1] != SQUEEZE]
    if len(words) <= SPELT:
        return ", ".join(count_repeats(words))
    return ", ".join(count_repeats([word for word, number in Counter(words).most_common() for _ in range(number)]))
