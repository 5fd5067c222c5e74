"""What a user asks of grouping: which answers, how weighted, by which methods, into how many groups; and its checks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyhead.clustering.methods import METHODS
from polyhead.errors import PolyheadError, nearest, shorten

ONS = ("probabilities", "answers", "features")
HEAVIEST = 1_000_000  # times that a difference can count
MOST_TRIES = 1000  # numbers of groups
USUAL = (2, 20)  # how many groups are tried where nobody says


@dataclass(frozen=True)
class Grouping:
    """What to group by, and how.

    Attributes:
        tasks: `TASK`, or `TASK=LABEL,LABEL`; all tasks whole, if absent.
        on: the calibrated probabilities, the answers themselves (yes or no), or the network's feature vector.
        methods: names of METHODS; K-Means if absent, and all of them where `k` is a range.
        k: how many groups: a number (`8`), a range to choose from (`2..50`); up to 20 if absent.
        weights: `rare` or `common` (labels count the more, the rarer or the commoner they are), and `NAME=NUMBER` for
            a task or a label: how many times a difference in it counts.
        settings: scikit-learn's parameters of the method, `eps=0.3`, or of one of several, `dbscan.eps=0.3`.
        seed: of whatever is random.
    """

    tasks: Sequence[str] = ()
    on: str = "probabilities"
    methods: Sequence[str] = ()
    k: str | int | None = None
    weights: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no images could make right.

        Raises:
            PolyheadError: in one line.
        """
        if self.on not in ONS:
            raise PolyheadError(f"`on`: expected {', '.join(ONS)}; got {shorten(self.on, 60)!r}{nearest(self.on, ONS)}")
        for method in self.methods:
            if method not in METHODS:
                raise PolyheadError(
                    f"`methods`: expected {', '.join(METHODS)}; got {shorten(method, 60)!r}{nearest(method, METHODS)}"
                )
        low, high = self.bounds
        if low < 2:
            raise PolyheadError(f"`k` {self.k}: two groups are the fewest")
        if high - low > MOST_TRIES:
            raise PolyheadError(f"`k` {self.k}: is a range of {high - low:,} numbers; {MOST_TRIES:,} can be tried")
        if not 0 <= self.seed < 2**32:
            raise PolyheadError(f"`seed`: expected a number from 0 to {2**32 - 1:,}; got {shorten(str(self.seed), 40)}")
        for text in self.weights:
            check_weight(text)
        for key, value in self.settings.items():
            check_finite(key, value)
        if self.k is not None and self.methods and not any(METHODS[method].counts for method in self.methods):
            raise PolyheadError(f"`k` {self.k}: {self.methods[0]} finds a number of groups of its own; leave `k` out")
        if self.on == "features" and (self.tasks or self.weights):
            raise PolyheadError("`on` features: takes the feature vector whole; leave `tasks` and `weights` out")

    @property
    def bounds(self) -> tuple[int, int]:
        """The fewest and the most groups."""
        if self.k is None:
            return USUAL
        low, _, high = str(self.k).partition("..")
        numbers = all(text.isdecimal() and len(text) < 10 for text in (low, high or low))
        if not numbers or int(low) > int(high or low):
            shown = shorten(str(self.k), 60)
            raise PolyheadError(f"`k`: expected a number such as 8, or a range such as 2..50; got {shown!r}")
        return int(low), int(high or low)

    def tried(self, count: int, different: int) -> dict[str, Sequence[int]]:
        """The numbers of groups to try for each method, given how many images there are and how many differ."""
        low, high = self.bounds
        if self.k is None:
            high = max(low, min(high, different, count - 1))
        names = self.methods or ([*METHODS] if low < high and self.k is not None else ["kmeans"])
        able = [name for name in names if self.methods or (METHODS[name].most or count) >= count]
        return {name: range(low, high + 1) if METHODS[name].counts or self.k is not None else () for name in able}

    def settings_of(self, tried: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The parameters by method, for the methods that are tried.

        Raises:
            PolyheadError: one of them is of another method, or it cannot be told of which.
        """
        found: dict[str, dict[str, Any]] = {}
        for key, value in self.settings.items():
            method, dot, name = key.rpartition(".")
            if not dot and len(tried) > 1:
                raise PolyheadError(
                    f"`settings` {key}: of which method? such as {tried[0]}.{key}; tried are {', '.join(tried)}"
                )
            method = method or tried[0]
            if method not in tried:
                raise PolyheadError(f"`settings` {key}: {method} is not tried; tried are {', '.join(tried)}")
            found.setdefault(method, {})[name] = value
        return found


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Parameters from `KEY=VALUE` texts, the values in YAML.

    Raises:
        PolyheadError: one of them is not of that form.
    """
    from polyhead.recipe.yaml import read_yaml

    settings = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise PolyheadError(f"`settings` {shorten(text, 60)}: expected PARAMETER=VALUE, such as eps=0.3")
        settings[key.strip()] = read_yaml(value, f"`settings` {shorten(key, 60)}")
    return settings


def check_weight(text: str) -> None:
    """Refuse a number of `NAME=NUMBER` that weighs nothing; what it is of, only a model can say.

    Raises:
        PolyheadError: it is no number from 0 up.
    """
    name, sign, number = text.rpartition("=")
    if not sign:
        return
    try:
        right = name and 0 <= float(number) <= HEAVIEST
    except ValueError:
        right = False
    if not right:
        shown = shorten(number, 60)
        raise PolyheadError(f"`weights` {shorten(text, 60)}: expected a number from 0 to {HEAVIEST:,}; got {shown!r}")


def check_finite(key: str, value: Any) -> None:
    """Refuse infinite numbers and NaN, also within lists and keys.

    Raises:
        PolyheadError: with the parameter.
    """
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for inner in value:
            check_finite(key, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise PolyheadError(f"`settings` {shorten(key, 60)}: expected a finite number; got {value}")
