"""An evaluation as a program reads it: what `evaluation.json` holds, with a name and a type for each part of it."""

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, overload

from polyhead.errors import PolyheadError, show_text
from polyhead.fields import Plain

Row = tuple[str, int, str, float, float | None]  # task, n, metric, value, baseline
HEADS = ("task", "n", "metric", "value", "always one answer")
NO_SPLITS = frozenset({"combinations", "folds"})  # what stands beside them in evaluation.json
SHOWN = ("accuracy", "macro_f1", "mae", "r2")  # the metrics that say most of a task, as far as it has them


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
        found: dict[str, tuple[float, float]] = {}
        for key, value in _as_dict(self.get("intervals")).items():
            if isinstance(value, list) and len(value) == 2:
                low, high = value
                if isinstance(low, int | float) and isinstance(high, int | float):
                    found[key] = (low, high)
        return found

    @property
    def calibration(self) -> dict[str, Plain] | None:
        """How far its probabilities can be trusted, before and after calibration; None where there was none."""
        found = self.get("calibration")
        return found if isinstance(found, dict) else None


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
        def __getitem__(self, key: Literal["joint"]) -> dict[str, float | None]: ...
        @overload
        def __getitem__(self, key: str) -> object: ...
        def __getitem__(self, key: str) -> object: ...

    @property
    def tasks(self) -> dict[str, TaskEvaluation]:
        """By the task's name."""
        return self["tasks"]

    @property
    def joint(self) -> dict[str, float | None]:
        """Of all tasks together: `all_correct`, the fraction of the `n` images whose every answer is right;
        `mean_accuracy` over all `labels`; None where a number does not exist."""
        return self["joint"]

    def list_rows(self) -> list[Row]:
        """The numbers that say most: task, n, metric, its value, and the baseline's."""
        return [
            (name, task.n, metric, task.metrics[metric], task.baseline.get(metric))
            for name, task in self.tasks.items()
            for metric in SHOWN
            if metric in task.metrics
        ]

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
        return self.get("combinations")  # type: ignore[return-value]

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
        """The same as texts: split, task, n, metric, its value, and the baseline's, blank where it has none."""
        return [(split, *_list_cells(row)) for split, row in self.list_rows()]

    def __repr__(self) -> str:
        lines = [f"{show_text(split)}  {_write_row(row)}" for split, row in self.list_rows()]
        return "\n".join(lines) or "Evaluation({})"

    def _repr_html_(self) -> str:
        return draw_html("", (), ("split", *HEADS), self.list_cells())


def _write_row(row: Row) -> str:
    name, n, metric, value, baseline = row
    words = f"{show_text(name)}: {metric} {value:.3f} of {n:,}"
    return words if baseline is None else f"{words} (baseline {baseline:.3f})"


def _list_cells(row: Row) -> tuple[str, ...]:
    name, n, metric, value, baseline = row
    return name, f"{n:,}", metric, f"{value:.3f}", "" if baseline is None else f"{baseline:.3f}"


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


def _list_numbers(values: Mapping[str, Plain], but: str = "") -> dict[str, float]:
    """The values that are numbers, but for one key's."""
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and key != but
    }
