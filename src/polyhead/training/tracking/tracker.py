"""What a tracker is told of a run, and how: a class for each of those that there are."""

import os
import secrets
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyhead.fields import Plain

PROJECT = "polyhead"  # that runs are gathered in, where the user's environment names none
Figures = Mapping[str, float]  # by name, `train/loss`, `valid/color.accuracy`, `test/color.accuracy`, `learning_rate`


@dataclass(frozen=True)
class Described:
    """A run as trackers show it.

    Attributes:
        folder: the run's; what a tracker keeps on this machine, it keeps there.
        name: the folder's, with that of the run that it is a part of before it.
        parameters: the recipe's keys.
    """

    folder: Path
    name: str
    parameters: Mapping[str, Plain]

    def flat(self) -> dict[str, str]:
        """The parameters by dotted key: `training.epochs`."""
        return {".".join(keys): str(value) for keys, value in _flatten(self.parameters, ())}


class Tracker(ABC):
    """A place where a run is followed. What a method raises is told by whoever calls it."""

    @abstractmethod
    def begin(self, run: Described, known: str) -> str:
        """Begin a run there, or go on with it by what it is known by, which this returned before; and return that."""

    @abstractmethod
    def log(self, figures: Figures, epoch: int) -> None:
        """Tell the figures of an epoch, from 1; or of the finished run, behind the last."""

    @abstractmethod
    def keep(self, files: Sequence[Path]) -> None:
        """Keep the finished run's files and folders."""

    @abstractmethod
    def end(self, finished: bool) -> None:
        """Leave the run, which may be gone on with if it is not finished."""


class TensorBoard(Tracker):
    """TensorBoard's event files, in the run's folder `tensorboard`: a writer for each of train, valid and test."""

    def begin(self, run: Described, known: str) -> str:
        """Write where a run before it has written, too."""
        import tensorflow as tf

        self.summary, self.folder = tf.summary, run.folder / "tensorboard"
        self.writers = {split: tf.summary.create_file_writer(str(self.folder / split)) for split in ("train", "valid")}
        if not known:
            lines = [f"| {key} | {value.replace('|', '/')} |" for key, value in run.flat().items()]
            with self.writers["train"].as_default():
                tf.summary.text("recipe", "\n".join(["| key | value |", "|---|---|", *lines]), step=0)
        return str(self.folder.name)

    def log(self, figures: Figures, epoch: int) -> None:
        """A scalar each, by the name that it has in every split, so that their curves lie in one chart."""
        for name, value in figures.items():
            split, _, figure = name.rpartition("/")
            split = split or "train"
            if split not in self.writers:
                self.writers[split] = self.summary.create_file_writer(str(self.folder / split))
            with self.writers[split].as_default():
                self.summary.scalar(figure, value, step=epoch)
        for writer in self.writers.values():
            writer.flush()

    def keep(self, files: Sequence[Path]) -> None:
        """They lie beside the event files, in the run's own folder."""

    def end(self, finished: bool) -> None:
        """Close the files."""
        for writer in self.writers.values():
            writer.close()


class MLflow(Tracker):
    """MLflow's server, experiment and user, as its own environment variables or the program say."""

    def begin(self, run: Described, known: str) -> str:
        """Begin a run, or make one RUNNING again; within one that is under way, as its child."""
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 of them hold up an epoch for four minutes
        import mlflow

        self.mlflow, nested = mlflow, mlflow.active_run() is not None
        begun = mlflow.start_run(run_id=known or None, run_name=None if known else run.name, nested=nested)
        self.run, self.name = str(begun.info.run_id), run.name
        if not known:
            mlflow.log_params(run.flat(), run_id=self.run)
        return self.run

    def log(self, figures: Figures, epoch: int) -> None:
        """Metrics, in its own letters, with the epoch as their step."""
        self.mlflow.log_metrics({_write_plain(name): value for name, value in figures.items()}, epoch, run_id=self.run)

    def keep(self, files: Sequence[Path]) -> None:
        """Artefacts; and the model once more in MLflow's own form, which `mlflow models serve` serves."""
        with warnings.catch_warnings(action="ignore"):
            from mlflow.pyfunc import log_model

        from polyhead.model.mlflow_model import describe_model

        client = self.mlflow.MlflowClient()
        for file in files:
            place = file.name if file.is_dir() else None
            (client.log_artifacts if file.is_dir() else client.log_artifact)(self.run, str(file), place)
            if file.suffix == ".onnx":
                with warnings.catch_warnings(action="ignore"):  # on type hints, its own ones among them
                    log_model(name="polyhead", **describe_model(file))

    def end(self, finished: bool) -> None:
        """FINISHED, or KILLED, as MLflow has it."""
        self.mlflow.end_run("FINISHED" if finished else "KILLED")


class WandB(Tracker):
    """Weights & Biases, as its own environment variables say; what it keeps here lies in the run's folder `wandb`."""

    def begin(self, run: Described, known: str) -> str:
        """Begin a run, or go on with it by its id."""
        import wandb

        self.wandb, self.name = wandb, run.name
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.name,
            id=known or None,
            resume="allow" if known else None,
            config=dict(run.parameters),
            dir=str(run.folder),
            reinit="create_new",
        )
        return str(self.run.id)

    def log(self, figures: Figures, epoch: int) -> None:
        """Metrics, with the epoch as their step."""
        self.run.log(dict(figures), step=epoch)

    def keep(self, files: Sequence[Path]) -> None:
        """One artefact of type `model`."""
        artifact = self.wandb.Artifact(_write_plain(self.name).replace("/", "-").replace(" ", "-"), type="model")
        for file in files:
            if file.is_dir():
                artifact.add_dir(str(file), name=file.name)
            else:
                artifact.add_file(str(file))
        self.run.log_artifact(artifact)

    def end(self, finished: bool) -> None:
        """Send what is not sent yet."""
        self.run.finish(exit_code=0 if finished else 1)


class Trackio(Tracker):
    """Trackio's tables on this machine, or a Space of Hugging Face's, as its own environment variables say."""

    def begin(self, run: Described, known: str) -> str:
        """Begin a run, or go on with it by its name, which is made one that no other run has."""
        import trackio

        self.trackio, self.name = trackio, known or f"{run.name}-{secrets.token_hex(4)}"
        self.run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT") or PROJECT,
            name=self.name,
            resume="must" if known else "never",
            config=dict(run.parameters),
            embed=False,
        )
        return self.name

    def log(self, figures: Figures, epoch: int) -> None:
        """Metrics, with the epoch as their step."""
        self.run.log(dict(figures), step=epoch)

    def keep(self, files: Sequence[Path]) -> None:
        """An artefact for each file and folder."""
        for file in files:
            name = _write_plain(f"{self.name}-{file.name}").replace("/", "-").replace(" ", "-")
            self.trackio.log_artifact(file, name=name, type="model" if file.suffix == ".onnx" else "report")

    def end(self, finished: bool) -> None:
        """Write what is not written yet."""
        self.run.finish()


def _flatten(values: Mapping[str, Plain], before: tuple[str, ...]) -> list[tuple[tuple[str, ...], Plain]]:
    found: list[tuple[tuple[str, ...], Plain]] = []
    for key, value in values.items():
        keys = (*before, str(key))
        found += _flatten(value, keys) if isinstance(value, dict) and value else [(keys, value)]
    return found


def _write_plain(name: str) -> str:
    """A name without the letters that MLflow and Weights & Biases refuse."""
    return "".join(letter if letter.isalnum() or letter in "/._- " else "_" for letter in name)
