"""Runs are followed in the trackers of their recipe: each figure once, whatever comes between."""

import base64
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

import polyhead
from conftest import call
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT

EPOCHS = [1, 2, 3]


class Stopped(Exception):
    pass


class Stopper(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise Stopped


def train_and_resume(shapes: Path, run: Path, tracker: str) -> polyhead.Run:
    """A run that is stopped behind its second epoch of three, and gone on with."""
    overrides = {"training.log": [tracker]}
    with pytest.raises(Stopped):
        polyhead.train(
            shapes.parent / "tiny.yaml",
            run,
            data=shapes,
            overrides=overrides,
            callbacks=[Stopper()],
            progress=SILENT,
        )
    return polyhead.resume(run, progress=SILENT)


def start_server(command: list[str], port: int) -> subprocess.Popen[bytes]:
    """A server, once it answers."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow calls `uvicorn`
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=os.environ | {"PATH": path})
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60).read()
            return server
        except OSError:
            continue
    raise AssertionError(f"{command[2]} ended with {server.returncode}")


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server on this machine, its tables in SQLite."""
    pytest.importorskip("mlflow")
    port, folder = find_port(), tmp_path_factory.mktemp("mlflow")
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/kept"]
    started = start_server(command, port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.wait()


@pytest.fixture
def mlflow_server(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """It, as the program's own."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    mlflow.set_tracking_uri(server)
    return server


def test_tensorboard_has_every_epoch_once(shapes: Path, tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_multiplexer")
    from tensorboard.util.tensor_util import make_ndarray

    run = train_and_resume(shapes, tmp_path / "run", "tensorboard")
    events = reading.EventMultiplexer().AddRunsFromDirectory(str(run.path / "tensorboard")).Reload()
    for split, column in (("train", "loss"), ("valid", "val_loss")):
        found = events.Tensors(split, "loss")
        assert [event.step for event in found] == EPOCHS
        values = [float(make_ndarray(event.tensor_proto)) for event in found]
        assert values == pytest.approx(list(run.history[column]), rel=1e-4)
    accuracy = run.evaluation["test"].tasks["color"].metrics["accuracy"]
    (tested,) = events.Tensors("test", "color.accuracy")
    assert float(make_ndarray(tested.tensor_proto)) == pytest.approx(accuracy)
    (recipe,) = events.Tensors("train", "recipe")
    assert b"training.epochs" in make_ndarray(recipe.tensor_proto).item()


@pytest.mark.slow
def test_mlflow_has_one_run_with_its_figures_parameters_and_files(
    shapes: Path, tmp_path: Path, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shapes")
    run = train_and_resume(shapes, tmp_path / "run", "mlflow")
    client = mlflow.MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name("shapes")
    assert experiment
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert found.data.params["training.batch_size"] == "8"
    losses = client.get_metric_history(found.info.run_id, "valid/loss")
    assert [metric.step for metric in losses] == EPOCHS
    assert [metric.value for metric in losses] == pytest.approx(list(run.history["val_loss"]))
    assert found.data.metrics["test/color.accuracy"] == run.evaluation["test"].tasks["color"].metrics["accuracy"]
    kept = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert {"recipe.yaml", "model.onnx", "evaluation.json", "report"} <= kept
    assert "report/index.html" in {file.path for file in client.list_artifacts(found.info.run_id, "report")}


@pytest.mark.slow
@pytest.mark.usefixtures("mlflow_server")
def test_mlflow_serves_the_model_as_the_predictor_answers(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "served")
    run = train_and_resume(shapes, tmp_path / "run", "mlflow")
    experiment = mlflow.get_experiment_by_name("served")
    assert experiment
    (model,) = mlflow.search_logged_models(experiment_ids=[experiment.experiment_id], output_format="list")
    image, port = shapes / "images/000.png", find_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model.model_uri, "--env-manager", "local"]
    server = start_server([*command, "--port", str(port)], port)
    try:
        question = {"dataframe_records": [{"image": base64.b64encode(image.read_bytes()).decode()}]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", json.dumps(question).encode(), {"Content-Type": "application/json"}
        )
        answer = json.load(urllib.request.urlopen(request, timeout=60))
    finally:
        server.terminate()
        server.wait()
    (expected,) = run.model.predict([image.read_bytes()])
    assert answer["predictions"] == json.loads(json.dumps([expected]))


@pytest.mark.slow
def test_a_tracker_that_is_gone_does_not_end_the_training(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Cutter(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            import mlflow

            mlflow.set_tracking_uri(f"http://127.0.0.1:{find_port()}")  # where nobody listens

    overrides = {"training.log": ["mlflow"]}
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = polyhead.train(
        shapes.parent / "tiny.yaml",
        tmp_path / "run",
        data=shapes,
        overrides=overrides,
        callbacks=[Cutter()],
        progress=SILENT,
    )
    assert run.is_finished
    assert len(run.history) == len(EPOCHS)
    assert caplog.text.count("mlflow could not be told of the run, which goes on") == 1


def test_wandb_is_gone_on_with(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = train_and_resume(shapes, tmp_path / "run", "wandb")
    written = list((run.path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len({file.stem for file in written}) == 1  # one run, by its id, in two parts


def test_trackio_has_every_epoch_once(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("TRACKIO_PROJECT", "shapes")
    trackio = pytest.importorskip("trackio")
    run = train_and_resume(shapes, tmp_path / "run", "trackio")
    (found,) = trackio.Api().runs("shapes")
    rows = trackio.SQLiteStorage.get_logs("shapes", found.name)
    losses = [row for row in rows if "valid/loss" in row]
    assert [row["step"] for row in losses] == EPOCHS
    assert [row["valid/loss"] for row in losses] == pytest.approx(list(run.history["val_loss"]))


def test_without_its_library_nothing_is_begun(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyhead.errors.find_spec", lambda name: None if name == "mlflow" else os)
    from polyhead.errors import require

    require.cache_clear()
    with pytest.raises(
        PolyheadError, match=r"training.log: \[mlflow\]` needs MLflow: pip install 'polyhead\[mlflow\]'"
    ):
        polyhead.train(
            shapes.parent / "tiny.yaml", tmp_path / "run", data=shapes, overrides={"training.log": ["mlflow"]}
        )
    assert not (tmp_path / "run").exists()


def test_a_server_that_cannot_be_reached_is_told_before_training(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # which the next line sets as well
    mlflow.set_tracking_uri(f"http://127.0.0.1:{find_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    recipe = shapes.parent / "tiny.yaml"
    assert call("train", recipe, "--data", shapes, "--out", tmp_path / "run", "--set", "training.log=[mlflow]") == 2
    assert "training.log: mlflow: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
