"""An evaluation as a program reads it: what `evaluation.json` holds, with a name and a type for each part of it."""

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NotRequired, Self, TypedDict, overload

from polyhead.errors import PolyheadError, show_text
from polyhead.fields import Plain

HEADS = ("task", "n", "metric", "value", "95 % interval", "always one answer")
NO_SPLITS = frozenset({"combinations", "folds"})  # what stands beside them in evaluation.json
FEW = 30  # images: with fewer, only an interval is told
SHOWN = ("accuracy", "macro_f1", "mae", "r2")  # the metrics that say most of a task, as far as it has them


class Row(NamedTuple):
    """A figure: of which task, over how many images, its interval and what always giving one answer has."""

    task: str
    n: int
    metric: str
    value: float
    baseline: float | None
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        """`accuracy 0.903 (0.893 to 0.913; baseline 0.504)`; of few images the interval alone, if there is one."""
        if self.n < FEW:
            low, high = self.interval or (None, None)
            return f"{self.metric} {'unknown' if low is None else f'between {low:.2f} and {high:.2f}'}"
        told = [f"{self.interval[0]:.3f} to {self.interval[1]:.3f}"] if self.interval else []
        told += [] if self.baseline is None else [f"baseline {self.baseline:.3f}"]
        return f"{self.metric} {self.value:.3f}" + (f" ({'; '.join(told)})" if told else "")


def admit_few(n: int) -> str:
    """What there is to say of a figure over so few images; blank if there are enough."""
    return f"{n} image{' is' if n == 1 else 's are'} too few to say more" if n < FEW else ""


class TaskEvaluation(dict[str, Plain]):
    """How good the answers to one task are; as a dict, what evaluation.json holds of it."""

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: Literal["kind"]) -> str: ...
        @overload
        def __getitem__(self, key: Literal["n"]) -> int: ...
        @overload
        def __getitem__(self, key: str) -> Plain: ...
        def __getitem__(self, key: str) -> object: ...

    @property
    def kind(self) -> str:
        """categorical, multilabel, binary, regression, ordinal, or a kind of another package."""
        return self["kind"]

    @property
    def n(self) -> int:
        """Over how many images, those whose label is known."""
        return self["n"]

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics that are one number, by their usual names: `accuracy` and the like from 0 to 1, `mae` and `rmse`
        in the task's unit (levels, of an ordinal task). Empty where n is 0; without those that do not exist."""
        return {key: value for key, value in _list_numbers(self).items() if key != "n"}

    @property
    def baseline(self) -> dict[str, float]:
        """The same metrics of always giving one answer; empty where n is 0."""
        return _list_numbers(_as_dict(self.get("baseline")), but="answer")

    @property
    def baseline_answer(self) -> Plain:
        """That answer: the training split's most frequent label, or its median; None where n is 0."""
        return _as_dict(self.get("baseline")).get("answer")

    @property
    def labels(self) -> dict[str, dict[str, float]]:
        """For each label its own metrics, such as `precision`, `recall`, `f1`; empty for a task without labels."""
        found = _as_dict(self.get("per_class") or self.get("per_label"))
        return {label: _list_numbers(_as_dict(values)) for label, values in found.items()}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """By metric, from where to where it may lie: a 95 % interval; empty where none was worked out."""
        return _list_intervals(self)

    @property
    def label_intervals(self) -> dict[str, dict[str, tuple[float, float]]]:
        """For each label the intervals of its metrics."""
        found = _as_dict(self.get("per_class") or self.get("per_label"))
        return {label: _list_intervals(_as_dict(values)) for label, values in found.items()}

    def list_rows(self, name: str) -> list[Row]:
        """The figures that say most, of a task of this name."""
        metrics, baseline, intervals = self.metrics, self.baseline, self.intervals
        return [
            Row(name, self.n, metric, metrics[metric], baseline.get(metric), intervals.get(metric))
            for metric in SHOWN
            if metric in metrics
        ]

    def describe(self) -> str:
        """The figures that say most, in a line; of few images, that they are too few."""
        if not self.n:
            return "no labels"
        few = admit_few(self.n)
        return ", ".join(map(str, self.list_rows(""))) + (f": {few}" if few else "")

    @property
    def calibration(self) -> dict[str, Plain] | None:
        """How far its probabilities can be trusted, before and after calibration; None where there was none."""
        found = self.get("calibration")
        return found if isinstance(found, dict) else None


class Joint(TypedDict):
    """Of all tasks together, over one split: `all_correct`, the fraction of the `n` images whose every answer is right;
    `mean_accuracy` over all `labels`, and `mean_accuracy_baseline` of always giving one answer; from 0 to 1, None where
    there is none; and the 95 % `intervals` of the first two, from and to, as far as they were worked out."""

    all_correct: float | None
    n: int
    mean_accuracy: NotRequired[float | None]
    mean_accuracy_baseline: NotRequired[float | None]
    labels: NotRequired[int]
    intervals: NotRequired[dict[str, list[float]]]


class SplitEvaluation(dict[str, object]):
    """How good the answers to one split's images are; as a dict, `{"tasks": {...}, "joint": {...}}`."""

    def __init__(self, values: Mapping[str, Plain]) -> None:
        tasks = {name: TaskEvaluation(_as_dict(v)) for name, v in _as_dict(values["tasks"]).items()}
        super().__init__({**values, "tasks": tasks})

    if TYPE_CHECKING:
        # A dict of dicts is Plain too, but dict is invariant.
        @overload
        def __getitem__(self, key: Literal["tasks"]) -> dict[str, TaskEvaluation]: ...  # pyright: ignore[reportOverlappingOverload]
        @overload
        def __getitem__(self, key: Literal["joint"]) -> Joint: ...
        @overload
        def __getitem__(self, key: str) -> object: ...
        def __getitem__(self, key: str) -> object: ...

    @property
    def tasks(self) -> dict[str, TaskEvaluation]:
        """By the task's name."""
        return self["tasks"]

    @property
    def joint(self) -> Joint:
        """Of all tasks together."""
        return self["joint"]

    @property
    def unfamiliar(self) -> dict[str, Plain] | None:
        """The `share` of the `n` images that are unlike the training images, its `interval`, the share `expected`; None
        where the model file cannot tell."""
        found = self.get("unfamiliar")
        return found if isinstance(found, dict) else None

    @property
    def learning_curve(self) -> dict[str, Plain] | None:
        """Of the validation split of a run, how answers get better with more training images: by task its `points`,
        what the last doubling gave (`gain`, `interval`), and the `verdict`; or `missing`, why there is none. None of
        what is no run's validation split, and of older runs."""
        found = self.get("learning_curve")
        return found if isinstance(found, dict) else None

    def list_rows(self) -> list[Row]:
        """The figures that say most, of each task."""
        return [row for name, task in self.tasks.items() for row in task.list_rows(name)]

    def __repr__(self) -> str:
        return "\n".join(map(_write_row, self.list_rows())) or "SplitEvaluation({})"

    def _repr_html_(self) -> str:
        return draw_html("", (), HEADS, map(_list_cells, self.list_rows()))


class Evaluation(dict[str, SplitEvaluation]):
    """How good a model is, by split: `evaluation["test"].tasks["color"].metrics["accuracy"]`.

    It is a dict of what evaluation.json holds: where combinations were held out it has a key `combinations`, and of a
    run of folds a key `folds`, beside the splits, which are `splits`.
    """

    def __init__(self, values: Mapping[str, Plain]) -> None:
        super().__init__({key: SplitEvaluation(_as_dict(values[key])) for key in values if key not in NO_SPLITS})
        for key in NO_SPLITS & values.keys():
            self[key] = values[key]  # type: ignore[assignment]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read an evaluation.json.

        Raises:
            PolyheadError: it is missing or damaged.
        """
        try:
            return cls(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise PolyheadError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PolyheadError(f"{path}: is damaged; delete it and the report, and resume the run") from None

    @property
    def splits(self) -> dict[str, SplitEvaluation]:
        """The splits that were evaluated: train, valid, test, unseen, or all; and `out_of_fold` of a run of folds, its
        training images, each answered by the network that was trained without it."""
        return {key: value for key, value in self.items() if key not in NO_SPLITS}

    @property
    def combinations(self) -> dict[str, float | None] | None:
        """`all_correct` of `seen` and `unseen` combinations, and their `harmonic_mean`; None if none are held out."""
        found: dict[str, float | None] | None = self.get("combinations")  # type: ignore[assignment]
        return None if found is None else {key: value for key, value in found.items() if key != "intervals"}

    @property
    def combination_intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % intervals of the same; empty where none were worked out."""
        return _list_intervals(self.get("combinations") or {})  # type: ignore[arg-type]

    @property
    def folds(self) -> dict[str, Plain] | None:
        """Of a run of folds, their `count`, and for each of `valid` (each network's own fold), `test` and `unseen`
        every metric's `mean`, `deviation` and `values` over the folds' networks; None of any other."""
        return self.get("folds")  # type: ignore[return-value]

    def to_dict(self) -> dict[str, Plain]:
        """Plain dicts, lists, texts and numbers, as in evaluation.json."""
        plain: dict[str, Plain] = json.loads(json.dumps(self))
        return plain

    def list_rows(self) -> list[tuple[str, Row]]:
        """The numbers that say most: the split, and what `SplitEvaluation.list_rows` gives of it."""
        return [(split, row) for split, found in self.splits.items() for row in found.list_rows()]

    def list_cells(self) -> list[tuple[str, ...]]:
        """The same as texts: split, task, n, metric, value, interval and the baseline's value, blank if there is none.

        Of few images the value is not told.
        """
        return [(split, *_list_cells(row)) for split, row in self.list_rows()]

    def __repr__(self) -> str:
        lines = [f"{show_text(split)}  {_write_row(row)}" for split, row in self.list_rows()]
        return "\n".join(lines) or "Evaluation({})"

    def _repr_html_(self) -> str:
        return draw_html("", (), ("split", *HEADS), self.list_cells())


def falls_short(figures: Mapping[str, Any]) -> bool:
    """Whether a task's promise is kept less often than it says, by more than chance explains."""
    interval = figures.get("intervals", {}).get("coverage")
    return bool(interval and interval[1] < figures["promised"])


def describe_broken(found: Mapping[str, Any], of: str) -> str:
    """A line: `No_Beard excludes Goatee: broken by 12 of the 3,400 labelled images it is about, such as 000123.jpg`.

    Args:
        found: what `evaluation.rules.count_broken` gives of a rule.
        of: such as `labelled images`.
    """
    if not found["n"]:
        return f"{found['rule']}: is about none of the {of}"
    such = f", such as {found['examples'][0]}" if found["examples"] else ""
    count = f"{found['broken']:,}" if found["broken"] else "none"
    return f"{found['rule']}: broken by {count} of the {found['n']:,} {of} it is about{such}"


def describe_learning_curve(curve: Mapping[str, Any]) -> list[str]:
    """A line a task whose curve says something, such as `more images, color: accuracy 0.910 with half of 1,628 training
    images, 0.940 with all; the last doubling gave 0.030 (0.012 to 0.048): climbing (frozen features)`."""
    lines = []
    for name, found in curve.get("tasks", {}).items():
        if found["verdict"] == "too few":
            continue
        metric, (low, high) = found["metric"], found["interval"]
        half, whole = found["points"][-2:]
        lines.append(
            f"more images, {show_text(name)}: {metric} {half[metric]:.3f} with half of {whole['images']:,} training "
            f"images, {whole[metric]:.3f} with all; the last doubling gave {found['gain']:.3f} ({low:.3f} to "
            f"{high:.3f}): {found['verdict']} (linear models on frozen features)"
        )
    return lines


def _write_row(row: Row) -> str:
    return f"{show_text(row.task)}: {row}" + (f": {admit_few(row.n)}" if row.n < FEW else f", of {row.n:,} images")


def _list_cells(row: Row) -> tuple[str, ...]:
    value = "too few images" if row.n < FEW else f"{row.value:.3f}"
    interval = f"{row.interval[0]:.3f} to {row.interval[1]:.3f}" if row.interval else ""
    baseline = "" if row.baseline is None else f"{row.baseline:.3f}"
    return row.task, f"{row.n:,}", row.metric, value, interval, baseline


def draw_html(title: str, about: Iterable[str], heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A title, lines about it and a table, for a notebook; every text is shown as it is, whatever it holds."""

    def show(text: str) -> str:
        return html.escape(show_text(text))

    heading = f"<strong>{show(title)}</strong>" if title else ""
    lines = "".join(f"<div>{show(line)}</div>" for line in about if line)
    head = "".join(f"<th>{show(word)}</th>" for word in heads)
    body = "".join(f"<tr>{''.join(f'<td>{show(cell)}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div>{heading}{lines}{table}</div>"


def _as_dict(value: Plain) -> dict[str, Plain]:
    return value if isinstance(value, dict) else {}


def _list_intervals(values: Mapping[str, Plain]) -> dict[str, tuple[float, float]]:
    """What stands in `intervals`, as far as it is pairs of numbers."""
    found: dict[str, tuple[float, float]] = {}
    for key, value in _as_dict(values.get("intervals")).items():
        if isinstance(value, list) and len(value) == 2:
            low, high = value
            if isinstance(low, int | float) and isinstance(high, int | float):
                found[key] = (low, high)
    return found


def _list_numbers(values: Mapping[str, Plain], but: str = "") -> dict[str, float]:
    """The values that are numbers, but for one key's."""
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and key != but
    }
