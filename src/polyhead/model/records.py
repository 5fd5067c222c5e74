"""The answers to one image: typed, as JSON, as a flat row of a table, and in words."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NotRequired, Self, TypedDict

from polyhead.errors import PolyheadError, show_text
from polyhead.fields import Plain
from polyhead.tasks import Answer, Task

Flat = dict[str, Any]


class Prediction(TypedDict):
    """One image and its answers, ready for JSON.

    `image` is its path, None for what has none; `error` the reason why there are no answers, None where there are;
    `answers` holds by task `answer` (a label, a list of labels, or a number), `unsure`, and, as the kind has them,
    `probability` (0 to 1), `top` or `probabilities`, `unit`. Where the model file can tell, and there are answers,
    `unfamiliar` says whether the image is unlike those that it was trained on, and `unfamiliarity` how much, 0 to 1.
    """

    image: str | None
    error: str | None
    answers: dict[str, dict[str, Plain]]
    unfamiliar: NotRequired[bool]
    unfamiliarity: NotRequired[float]


@dataclass(frozen=True)
class Record:
    """One image and its answers.

    Attributes:
        image: its name, None for what has none.
        error: why it has no answers, None where it has.
        answers: by task; none where there is an error.
        unfamiliar: whether it is unlike the images that the model was trained on; None where that cannot be told.
        unfamiliarity: how unlike, 0 to 1; see `model/familiarity.py`.
    """

    image: str | None
    error: str | None
    answers: Mapping[str, Answer]
    unfamiliar: bool | None = None
    unfamiliarity: float | None = None

    def to_dict(self) -> Prediction:
        """The record as it stands in JSON."""
        answers = {name: answer.to_dict() for name, answer in self.answers.items()}
        found: Prediction = {"image": self.image, "error": self.error, "answers": answers}
        if self.unfamiliar is not None and self.unfamiliarity is not None:
            found["unfamiliar"], found["unfamiliarity"] = self.unfamiliar, self.unfamiliarity
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], tasks: Mapping[str, Task]) -> Self:
        """The record that `to_dict` was made of, of a model with these tasks."""
        answers = {name: tasks[name].answer_type.from_dict(answer) for name, answer in values["answers"].items()}
        unfamiliar, unfamiliarity = values.get("unfamiliar"), values.get("unfamiliarity")
        return cls(values["image"], values["error"], answers, unfamiliar, unfamiliarity)


def flatten_answers(answers: Mapping[str, Answer]) -> Flat:
    """Answers by task as one flat row: `TASK.KEY` for every key of each answer.

    Several labels stand in one cell with `|` between them (`none` for none), `top` is JSON text, and `probabilities`
    has a column `TASK.probabilities.LABEL` a label.
    """
    return {f"{name}.{key}": cell for name, answer in answers.items() for key, cell in answer.to_columns().items()}


def flat_form(tasks: Mapping[str, Task], changeable: Collection[str] = (), rated: bool = False) -> Flat:
    """A row such as `flatten_record` gives for the tasks: its columns, and values of their types.

    Args:
        changeable: the tasks whose answers rules may change; they have columns `TASK.before_rules` and
            `TASK.by_rules`.
        rated: whether the model tells how unfamiliar images are; then there are `unfamiliar` and `unfamiliarity`.
    """
    found: Flat = {"image": "", "error": ""}
    if rated:
        found |= {"unfamiliar": False, "unfamiliarity": 0.0}
    for name, task in tasks.items():
        found |= flatten_answers({name: task.baseline()})
        found |= {f"{name}.before_rules": "", f"{name}.by_rules": ""} if name in changeable else {}
    return found


def flat_columns(tasks: Mapping[str, Task], changeable: Collection[str] = (), rated: bool = False) -> list[str]:
    """The columns of such a row."""
    return list(flat_form(tasks, changeable, rated))


def flatten_record(record: Record) -> Flat:
    """A record as one flat row."""
    told = {"unfamiliar": record.unfamiliar, "unfamiliarity": record.unfamiliarity}
    rated = {} if record.unfamiliar is None else told
    return {"image": record.image, "error": record.error, **rated, **flatten_answers(record.answers)}


def tell_answer(answer: Answer) -> str:
    """An answer as a person reads it, in one line: `dress (89.04%)`, `dress (41.20%, unsure)`, `27.3 years`."""
    return show_text(str(answer))


def tell_record(record: Record) -> str:
    """A record as one line: the image, whether it is unfamiliar, and its answers, or why there are none."""
    answers = ", ".join(f"{name}: {tell_answer(answer)}" for name, answer in record.answers.items())
    unfamiliar = "(unfamiliar) " if record.unfamiliar else ""
    return show_text(f"{record.image}: {record.error or unfamiliar + answers}")


def name_openly(record: Record) -> Record:
    """A record that may leave the program: its image's name as one line of Unicode, which a file's name need not be.

    Everything that is written or printed of files goes through here, and the files themselves keep their names.
    """
    return record if record.image is None else replace(record, image=show_text(record.image))


def write_json(record: Record) -> str:
    """A record as a line of JSON.

    Raises:
        PolyheadError: an answer is not finite, which JSON has no word for.
    """
    try:
        return json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise PolyheadError(
            f"{record.image}: an answer is NaN or infinite, which JSON cannot hold: the model is damaged; train anew"
        ) from None
