"""What a user asks of grouping: which answers, how weighted, by which methods, into how many groups; and its checks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyhead.errors import PolyheadError
from polyhead.look.clusters import METHODS
from polyhead.recipe import nearest

ONS = ("probabilities", "answers", "features")
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
            raise PolyheadError(f"--on: expected {', '.join(ONS)}; got {self.on!r}{nearest(self.on, ONS)}")
        for method in self.methods:
            if method not in METHODS:
                raise PolyheadError(
                    f"--method: expected {', '.join(METHODS)}; got {method!r}{nearest(method, METHODS)}"
                )
        low, _ = self.bounds
        if low < 2:
            raise PolyheadError(f"--k {self.k}: two groups are the fewest")
        if self.k is not None and self.methods and not any(METHODS[method].counts for method in self.methods):
            raise PolyheadError(f"--k {self.k}: {self.methods[0]} finds a number of groups of its own; leave --k out")
        if self.on == "features" and (self.tasks or self.weights):
            raise PolyheadError("--on features: takes the feature vector whole; leave --task and --weight out")

    @property
    def bounds(self) -> tuple[int, int]:
        """The fewest and the most groups."""
        if self.k is None:
            return USUAL
        low, _, high = str(self.k).partition("..")
        if not (low.isdecimal() and (high or low).isdecimal() and int(low) <= int(high or low)):
            raise PolyheadError(f"--k: expected a number such as 8, or a range such as 2..50; got {str(self.k)!r}")
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
                    f"--set {key}: of which method? such as {tried[0]}.{key}; tried are {', '.join(tried)}"
                )
            method = method or tried[0]
            if method not in tried:
                raise PolyheadError(f"--set {key}: {method} is not tried; tried are {', '.join(tried)}")
            found.setdefault(method, {})[name] = value
        return found


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Parameters from `KEY=VALUE` texts, the values in YAML.

    Raises:
        PolyheadError: one of them is not of that form.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    settings = {}
    for text in texts:
        key, sign, value = text.partition("=")
        try:
            settings[key.strip()] = YAML(typ="safe", pure=True).load(value)
        except YAMLError:
            sign = ""
        if not sign or not key.strip():
            raise PolyheadError(f"--set {text}: expected PARAMETER=VALUE, such as eps=0.3")
    return settings
