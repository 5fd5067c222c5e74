"""Predictions of a model for image files, as records or into files."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from polyhead.errors import PolyheadError
from polyhead.folders import restore_replaced
from polyhead.model.predictor import Predictor
from polyhead.model.records import Record, name_openly
from polyhead.prediction import fashionai
from polyhead.prediction.annotating import annotate_images
from polyhead.prediction.answer_files import CsvWriter, write_parquet
from polyhead.prediction.gather import Files, gather_files
from polyhead.prediction.ray_engine import predict_on_ray
from polyhead.progress import SILENT, Progress

Engine = Literal["threads", "ray"]


class PredictionJob:
    """A model, and the image files to predict.

    Args:
        model: a run folder or a model file.
        images: files, folders, patterns and label files, see `gather_files`.
        annotate: a folder for copies of the images with the answers drawn on them.
        engine: `threads` on this machine, in order; or `ray`, see `ray_engine.py`, in order of completion.

    Raises:
        PolyheadError: there is no such model, or no such image.
    """

    def __init__(
        self,
        model: str | Path,
        images: Sequence[str | Path],
        *,
        annotate: Path | None = None,
        engine: Engine = "threads",
        progress: Progress = SILENT,
    ) -> None:
        files = gather_files(images)
        if annotate:  # what an earlier run wrote there does not count as images
            target = Path(os.path.realpath(annotate))
            folders = {path.parent for path in files.paths}
            drawn = {folder for folder in folders if Path(os.path.realpath(folder)).is_relative_to(target)}
            files = Files([path for path in files.paths if path.parent not in drawn], files.root)
        self.files = files
        restore_replaced(Path(model), progress)
        self.predictor = Predictor(model)
        self._annotate = annotate
        self._engine = engine
        self._progress = progress

    def records(self) -> Iterator[Record]:
        """A record for each image."""
        return self._answer(self.files.paths)

    def to_csv(self, path: Path) -> int:
        """Write the answers as CSV, continuing an unfinished file; returns how many images have no answer."""
        answers = CsvWriter(path, self.predictor.card)
        return answers.write(self._answer(answers.list_remaining(self.files.paths)))

    def to_parquet(self, path: Path) -> int:
        """Write the answers as Parquet; returns how many images have no answer."""
        return write_parquet(self.records(), self.predictor.card, path)

    def _answer(self, paths: Sequence[Path]) -> Iterator[Record]:
        done = len(self.files.paths) - len(paths)
        if done:
            self._progress.say(f"continuing after {done:,} images")
        records = predict_on_ray(self.predictor, paths) if self._engine == "ray" else self.predictor.answer(paths)
        if self._annotate:
            out = self._annotate
            if not done and out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise PolyheadError(f"{out}: is there already; give another `annotate`, or delete it")
            records = annotate_images(records, self.files.root, out, self._progress)
        return self._count(records, done)

    def _count(self, records: Iterator[Record], done: int) -> Iterator[Record]:
        advance = self._progress.track("PredictionJob", len(self.files.paths))
        advance(done)
        rules, changeable = self.predictor.card.resolved_rules, self.predictor.card.changeable
        broken, changed = Counter[str](), 0
        for record in records:
            advance(1)
            broken.update(rule.text for rule in rules if record.answers and rule.is_broken_by(record.answers))
            said = [record.answers[name].to_dict() for name in changeable if record.answers]
            changed += any("before_rules" in answer for answer in said)
            yield name_openly(record)
        for text, count in broken.items():
            self._progress.say(f"{text}: broken by the answers to {count:,} {'image' if count == 1 else 'images'}")
        if changed:
            self._progress.say(f"rules changed the answers to {changed:,} {'image' if changed == 1 else 'images'}")


def answer_questions(
    model: str | Path, question: str | Path, *, progress: Progress = SILENT
) -> Iterator[tuple[bytes, bool]]:
    """The rows of FashionAI's answer file, and whether each has an answer. See `fashionai.answer_questions`."""
    return fashionai.answer_questions(Path(question), Predictor(model), progress)


def answer_questions_to_csv(model: str | Path, question: str | Path, path: Path, *, progress: Progress = SILENT) -> int:
    """The same, written to a file; returns how many of the rows have no answer."""
    return fashionai.write_fashionai_answers(Path(question), Predictor(model), path, progress)
