"""What to group by, and how: which answers, how weighted, by which methods, into how many groups; and the checks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyhead.clustering.methods import METHODS
from polyhead.errors import PolyheadError, nearest, shorten

ON_CHOICES = ("probabilities", "answers", "features")
MAX_WEIGHT = 1_000_000
MAX_RANGE = 1000  # numbers of groups to try
DEFAULT_RANGE = (2, 20)  # numbers of groups to try if `k` is not given


@dataclass(frozen=True)
class Grouping:
    """What to group by, and how.

    Attributes:
        tasks: `TASK`, or `TASK=LABEL,LABEL` for some of its labels; all tasks, if empty.
        on: the calibrated probabilities, the answers themselves (yes or no), or the network's feature vector.
        methods: names of METHODS; if empty, K-Means, or all of them where `k` is a range.
        k: how many groups: a number (`8`), or a range to choose from (`2..50`); if None, 2 to 20.
        weights: `rare` or `common` (rarer or commoner labels count more), and `NAME=NUMBER` for a task or a label: how
            many times a difference in it counts.
        settings: scikit-learn's parameters of the method, `eps=0.3`, or of one of several, `dbscan.eps=0.3`.
        seed: of all randomness.
    """

    tasks: Sequence[str] = ()
    on: str = "probabilities"
    methods: Sequence[str] = ()
    k: str | int | None = None
    weights: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is wrong whatever the images are.

        Raises:
            PolyheadError: naming the argument.
        """
        if self.on not in ON_CHOICES:
            raise PolyheadError(
                f"`on`: expected {', '.join(ON_CHOICES)}; got {shorten(self.on, 60)!r}{nearest(self.on, ON_CHOICES)}"
            )
        for method in self.methods:
            if method not in METHODS:
                raise PolyheadError(
                    f"`methods`: expected {', '.join(METHODS)}; got {shorten(method, 60)!r}{nearest(method, METHODS)}"
                )
        low, high = self.bounds
        if low < 2:
            raise PolyheadError(f"`k` {self.k}: expected 2 groups or more")
        if high - low > MAX_RANGE:
            raise PolyheadError(
                f"`k` {self.k}: is a range of {high - low:,} numbers; at most {MAX_RANGE:,} can be tried"
            )
        if not 0 <= self.seed < 2**32:
            raise PolyheadError(f"`seed`: expected a number from 0 to {2**32 - 1:,}; got {shorten(str(self.seed), 40)}")
        for text in self.weights:
            check_weight(text)
        for key, value in self.settings.items():
            check_finite(key, value)
        if self.k is not None and self.methods and not any(METHODS[method].takes_k for method in self.methods):
            raise PolyheadError(f"`k` {self.k}: {self.methods[0]} finds the number of groups itself; leave `k` out")
        if self.on == "features" and (self.tasks or self.weights):
            raise PolyheadError("`on` features: uses the whole feature vector; leave `tasks` and `weights` out")

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest number of groups."""
        if self.k is None:
            return DEFAULT_RANGE
        low, _, high = str(self.k).partition("..")
        numbers = all(text.isdecimal() and len(text) < 10 for text in (low, high or low))
        if not numbers or int(low) > int(high or low):
            shown = shorten(str(self.k), 60)
            raise PolyheadError(f"`k`: expected a number such as 8, or a range such as 2..50; got {shown!r}")
        return int(low), int(high or low)

    def list_candidates(self, count: int, different: int) -> dict[str, Sequence[int]]:
        """The numbers of groups to try for each method, given how many images there are and how many differ."""
        low, high = self.bounds
        if self.k is None:
            high = max(low, min(high, different, count - 1))
        names = self.methods or ([*METHODS] if low < high and self.k is not None else ["kmeans"])
        able = [name for name in names if self.methods or (METHODS[name].max_points or count) >= count]
        return {name: range(low, high + 1) if METHODS[name].takes_k or self.k is not None else () for name in able}

    def settings_by_method(self, tried: Sequence[str]) -> dict[str, dict[str, object]]:
        """The parameters of each method that is tried.

        Raises:
            PolyheadError: one belongs to a method that is not tried, or it is not clear to which.
        """
        found: dict[str, dict[str, object]] = {}
        for key, value in self.settings.items():
            method, dot, name = key.rpartition(".")
            if not dot and len(tried) > 1:
                raise PolyheadError(
                    f"`settings` {key}: name its method, such as {tried[0]}.{key}; those tried are {', '.join(tried)}"
                )
            method = method or tried[0]
            if method not in tried:
                raise PolyheadError(
                    f"`settings` {key}: {method} is not tried; the methods tried are {', '.join(tried)}"
                )
            found.setdefault(method, {})[name] = value
        return found


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Parameters from texts `PARAMETER=VALUE`, the values in YAML.

    Raises:
        PolyheadError: one of them has another form.
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
    """Check the number in `NAME=NUMBER`; whether there is such a name, only a model can say.

    Raises:
        PolyheadError: it is not a number from 0 to MAX_WEIGHT.
    """
    name, sign, number = text.rpartition("=")
    if not sign:
        return
    try:
        right = name and 0 <= float(number) <= MAX_WEIGHT
    except ValueError:
        right = False
    if not right:
        shown = shorten(number, 60)
        raise PolyheadError(f"`weights` {shorten(text, 60)}: expected a number from 0 to {MAX_WEIGHT:,}; got {shown!r}")


def check_finite(key: str, value: Any) -> None:
    """Refuse infinite numbers and NaN, also within lists and mappings.

    Raises:
        PolyheadError: naming the parameter.
    """
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for inner in value:
            check_finite(key, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise PolyheadError(f"`settings` {shorten(key, 60)}: expected a finite number; got {value}")
