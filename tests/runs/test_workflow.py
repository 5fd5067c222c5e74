"""The whole way on a tiny set: recipe to report, and what a user may do wrong along it."""

import csv
import io
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from fastapi.testclient import TestClient

import polyhead
from conftest import call, draw_shapes, list_leaves
from polyhead.data.table import read_csv, reopen_dataset
from polyhead.model.inputs import read_pixels
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.runs import train as training
from polyhead.runs.calibrate import calibrate
from polyhead.server.app import create_app
from polyhead.training import WEIGHTS
from polyhead.training.network import build_network

ASKED = ["tasks.marks.threshold=best_f1", "tasks.color.answer_accuracy=1", "tasks.size.answer_accuracy=0.5"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on drawn shapes, with one combination held out."""
    from conftest import TINY_RECIPE

    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    draw_shapes(folder / "shapes", 80)
    (folder / "shapes/images/007.png").write_bytes(b"not an image")
    os.environ["POLYHEAD_CACHE"] = str(folder / "cache")
    held = "data.split.hold_out=[{color: red, shape: disc}]"
    polyhead.train(
        folder / "tiny.yaml", folder / "run", data=folder / "shapes", overrides=[held, "training.epochs=8", *ASKED]
    )
    return folder / "run"


def test_a_run_folder_holds_what_it_should(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names == {
        *("recipe.yaml", "model.onnx", "table.csv", "rejected.csv", "history.csv", "evaluation.json"),
        *("predictions.csv", "report", "state"),
    }
    assert (run / "report/index.html").exists()
    assert polyhead.load_recipe(run / "recipe.yaml").data.path == str(run.parent / "shapes")


def test_what_was_left_out_is_listed_with_its_reason(run: Path) -> None:
    with (run / "rejected.csv").open(encoding="utf-8") as file:
        rejected = list(csv.DictReader(file))
    assert [row["path"] for row in rejected] == ["images/007.png"]
    assert rejected[0]["reason"]


def test_held_out_combinations_are_a_split_of_their_own(run: Path) -> None:
    with (run / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"train", "valid", "test", "unseen"}
    for row in rows:
        assert ((row["color"], row["shape"]) == ("red", "disc")) == (row["split"] == "unseen")


def test_the_evaluation_is_of_the_shipped_file(run: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert set(evaluation) == {"valid", "test", "unseen", "combinations"}
    assert set(evaluation["combinations"]) == {"seen", "unseen", "harmonic_mean", "intervals"}
    predictor = polyhead.load_model(run)
    with (run / "predictions.csv").open(encoding="utf-8") as file:
        answers = {row["image"]: row["color.answer"] for row in csv.DictReader(file)}
    with (run / "table.csv").open(encoding="utf-8") as file:
        truth = {row["path"]: row["color"] for row in csv.DictReader(file) if row["split"] == "test"}
    assert set(answers) == set(truth)
    known = [path for path in truth if truth[path]]
    figures = evaluation["test"]["tasks"]["color"]
    assert figures["n"] == len(known)
    assert figures["accuracy"] == pytest.approx(sum(answers[path] == truth[path] for path in known) / len(known))
    records = list(predictor.predict([run.parent / "shapes" / path for path in sorted(truth)]))
    assert [record["answers"]["color"]["answer"] for record in records] == [answers[path] for path in sorted(truth)]


def test_the_model_file_says_everything_and_takes_any_number_of_uint8_images(run: Path) -> None:
    session = onnxruntime.InferenceSession(str(run / "model.onnx"), providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["polyhead"])
    assert card["tasks"]["color"]["classes"] == ["blue", "green", "red"]
    assert sum(card["tasks"]["color"]["counts"].values()) > 0
    assert card["tasks"]["width"]["unit"] == "px"
    assert "path" not in card["recipe"]["data"] or card["recipe"]["data"]["path"] is None
    names = [output.name for output in session.get_outputs()]
    assert set(names) == {"color", "shape", "marks", "width", "size", "features"}
    for count in (1, 3):
        outputs = session.run(None, {"images": np.zeros((count, 16, 16, 3), np.uint8)})
        assert {len(output) for output in outputs} == {count}


def test_the_model_file_says_how_good_it_is_on_test_images(run: Path) -> None:
    card = polyhead.load_model(run).card
    judged = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["test"]["tasks"]
    assert card.figures["color"]["accuracy"] == judged["color"]["accuracy"]
    assert card.figures["width"]["mae"] == judged["width"]["mae"]
    assert card.baseline["color"]["accuracy"] == judged["color"]["baseline"]["accuracy"]


def test_predict_answers_in_order_and_names_what_it_cannot_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = run.parent / "shapes/images"
    assert call("predict", run, images / "001.png", images / "007.png", images / "000.png", "--json") == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(record["image"]).name for record in found] == ["001.png", "007.png", "000.png"]
    assert [bool(record["error"]) for record in found] == [False, True, False]
    assert found[1]["answers"] == {}
    color, width, marks = (found[0]["answers"][name] for name in ("color", "width", "marks"))
    assert set(color) == {"answer", "probability", "unsure", "top"}
    assert color["top"][0] == [color["answer"], color["probability"]]
    assert set(width) == {"answer", "unit", "unsure"}
    assert set(marks["probabilities"]) == {"dot", "bar"}


def test_predictions_go_to_csv_with_the_same_columns_as_a_runs(run: Path, tmp_path: Path) -> None:
    assert call("predict", run, run.parent / "shapes/images/000.png", "--csv", tmp_path / "out.csv") == 0
    header = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == (run / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]


def test_other_labelled_images_are_judged_by_the_file_alone(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_shapes(tmp_path / "others", 12, seed=9)
    shutil.copy(run / "model.onnx", tmp_path / "model.onnx")
    out = tmp_path / "judged"
    command = ["evaluate", tmp_path / "model.onnx", "--data", tmp_path / "others", "--split", "all", "--out", out]
    assert call(*command) == 0
    assert "all  color: accuracy" in capsys.readouterr().out
    evaluation = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["all"]["joint"]["n"] == 12
    assert 'id="network"' in (out / "report/index.html").read_text(encoding="utf-8")  # the file says how it looks


def test_a_runs_own_splits_are_judged_again_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("evaluate", run, "--split", "train") == 0
    assert "train  color: accuracy" in capsys.readouterr().out
    written = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert polyhead.evaluate(run, split="valid")["valid"] == written["valid"]


def test_what_validation_teaches_is_in_the_file_and_in_every_answer(run: Path) -> None:
    predictor = polyhead.load_model(run)
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    tasks = {name: task.state.model_dump() for name, task in predictor.card.tasks.items()}
    assert all(
        task["calibrated_on"] > 0 and task["temperature"] != 1 for name, task in tasks.items() if name != "width"
    )
    assert set(tasks["marks"]["thresholds"]) == {"dot", "bar"}
    assert evaluation["valid"]["tasks"]["color"]["answered_accuracy"] in (1, None)
    figures = evaluation["test"]["tasks"]["color"]
    with (run / "predictions.csv").open(encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    with (run / "table.csv").open(encoding="utf-8") as file:
        known = [row["path"] for row in csv.DictReader(file) if row["split"] == "test" and row["color"]]
    assert figures["answered"] == sum(rows[path]["color.unsure"] == "False" for path in known) / len(known)
    for record in predictor.predict([run.parent / "shapes" / path for path in known]):
        name = Path(str(record["image"])).relative_to(run.parent / "shapes")
        answer, row = record["answers"]["color"], rows[str(name)]
        assert (answer["answer"], str(answer["unsure"])) == (row["color.answer"], row["color.unsure"])
        assert answer["probability"] == pytest.approx(float(row["color.probability"]))
        assert answer["unsure"] == (answer["probability"] < tasks["color"]["unsure_below"])
    page = (run / "report/index.html").read_text(encoding="utf-8")
    assert "Accuracy by coverage" in page
    assert "Not calibrated" not in page


def test_a_run_stopped_while_it_was_calibrated_ends_as_an_unbroken_one(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    broken = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training, "calibrate", stop)
        with pytest.raises(KeyboardInterrupt):
            polyhead.train(run / "recipe.yaml", broken)
    assert not (broken / "model.onnx").exists()
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate_splits", stop)
        with pytest.raises(KeyboardInterrupt):
            polyhead.resume(broken)
    unjudged: dict[str, dict[str, float]] = {"figures": {}, "baseline": {}}
    assert polyhead.load_model(broken).card == polyhead.load_model(run).card.model_copy(update=unjudged)
    polyhead.resume(broken)
    assert polyhead.load_model(broken).card == polyhead.load_model(run).card
    for name in ("evaluation.json", "predictions.csv"):
        assert (broken / name).read_bytes() == (run / name).read_bytes()


def test_calibrating_a_file_again_changes_nothing_in_it(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "model.onnx", tmp_path / "model.onnx")
    recipe = polyhead.load_recipe(run / "recipe.yaml")
    dataset = reopen_dataset(recipe, read_csv(run, run.parent / "shapes"), SILENT)
    calibrate(tmp_path / "model.onnx", dataset)
    assert (tmp_path / "model.onnx").read_bytes() == (run / "model.onnx").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_task_without_validation_labels_is_not_calibrated_and_the_report_says_so(
    shapes: Path, tmp_path: Path
) -> None:
    with (shapes / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row |= {"split": "valid", "size": ""} if number % 3 == 0 else {"split": "test" if number % 3 == 1 else "train"}
    with (shapes / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    settings = ["data.split.column=split", "training.epochs=1", "tasks.size.answer_accuracy=0.9"]
    run = polyhead.train(shapes.parent / "tiny.yaml", tmp_path / "run", data=shapes, overrides=settings)
    tasks = polyhead.load_model(run).card.tasks
    assert {name for name, task in tasks.items() if task == task.uncalibrated()} == {"size", "width"}
    assert "calibration" not in json.loads((run / "evaluation.json").read_text("utf-8"))["test"]["tasks"]["size"]
    page = (run / "report/index.html").read_text(encoding="utf-8")
    assert "Not calibrated, as no validation image could show how far to trust it: size." in page


@pytest.mark.slow
def test_every_way_to_an_answer_gives_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keras, the predictor, JSON lines, HTTP; Ray's are in test_ray.py."""
    files = sorted(path for path in (run.parent / "shapes/images").iterdir() if path.name != "007.png")[:12]
    predictor = polyhead.load_model(run)
    card = predictor.card
    network = build_network(load_recipe(run / "recipe.yaml"), card.tasks)
    network.core.load_weights(run / WEIGHTS)
    pixels = np.stack([read_pixels(path, card.image.size, card.image.resize) for path in files])
    outputs = {name: np.asarray(value) for name, value in network.answering()(pixels).items()}
    columns = {name: task.decode(outputs[name]) for name, task in card.tasks.items()}
    expected = [{name: column[row].to_dict() for name, column in columns.items()} for row in range(len(files))]

    capsys.readouterr()
    assert call("predict", run, *files, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with TestClient(create_app(predictor)) as client:
        served = client.post("/predict", files=[("images", (path.name, path.read_bytes())) for path in files]).json()
    found = {"predictor": list(predictor.predict(files)), "JSON lines": lines, "HTTP": served}
    for way, records in found.items():
        for record, answers in zip(records, expected, strict=True):
            assert list_leaves(record["answers"]) == pytest.approx(list_leaves(answers), abs=1e-4), way


def test_two_runs_of_one_seed_are_equal(run: Path, tmp_path: Path) -> None:
    again = polyhead.train(run / "recipe.yaml", tmp_path / "again")
    for name in ("table.csv", "evaluation.json", "predictions.csv"):
        assert (again / name).read_bytes() == (run / name).read_bytes()
    fingerprints = {polyhead.load_model(path).card.fingerprint for path in (run, again)}
    assert len(fingerprints) == 1


def test_without_a_cache_training_is_the_same(run: Path, tmp_path: Path) -> None:
    again = polyhead.train(run / "recipe.yaml", tmp_path / "again", overrides=["image.cache=off"])
    assert (again / "evaluation.json").read_bytes() == (run / "evaluation.json").read_bytes()


def test_where_test_serves_as_validation_nothing_is_chosen_by_it(shapes: Path, tmp_path: Path) -> None:
    settings = ["data.split.valid=test", "training.epochs=2"]
    run = polyhead.train(shapes.parent / "tiny.yaml", tmp_path / "run", data=shapes, overrides=settings)
    assert set(json.loads((run / "evaluation.json").read_text(encoding="utf-8"))) == {"test"}
    page = (run / "report/index.html").read_text(encoding="utf-8")
    assert "nothing was chosen by" in page
    assert "nothing was calibrated" in page
    assert "Expected calibration error" not in page
    tasks = polyhead.load_model(run).card.tasks
    assert {name for name, task in tasks.items() if task == task.uncalibrated()} == set(tasks)
    assert polyhead.load_recipe(run / "recipe.yaml").kept_epoch == "last"


def test_an_explored_data_set_needs_no_training(shapes: Path, tmp_path: Path) -> None:
    assert call("explore", shapes.parent / "tiny.yaml", "--data", shapes, "--out", tmp_path / "page") == 0
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert "color" in page
    assert "marks" in page


def test_a_proposed_recipe_trains_unedited(shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("init", shapes) == 0
    (tmp_path / "my.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert call("train", tmp_path / "my.yaml", "--out", tmp_path / "run", "--set", "training.epochs=1") == 0
    assert (tmp_path / "run/report/index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train fashionnt --data {shapes} --out {out}", "no recipe is called 'fashionnt' (did you mean 'fashionnet'?)"),
        ("train {none}.yaml --data {shapes} --out {out}", "none.yaml: cannot be read as a recipe: No such file"),
        ("train {tiny} --out {out}", "tiny: where is the data? give --data, or data.path"),
        ("train {tiny} --data {none} --out {out}", "none"),
        ("train {tiny} --data {empty} --out {out}", "empty"),
        ("train fashionnet --data {empty} --out {out}", "empty"),
        ("train {tiny} --data {shapes} --out {shapes}", "is there already; give another --out, or --force"),
        ("train {tiny} --data {shapes} --out {shapes} --force", "no recipe.yaml in it, so it is not one of Polyhead's"),
        ("train {tiny} --data {shapes} --out {out} --set training.epoch=1", "training.epoch: there is no such key"),
        ("train {tiny} --data {shapes} --out {out} --set tasks.weight.kind=regression", "weight"),
        (
            "train {tiny} --data {shapes} --out {out} --set tasks.size.blank=[S,M,L]",
            "tasks.size: no row of the training",
        ),
        ("explore {tiny} --data {none} --out {out}", "none"),
        ("resume {none}", "there is no such run folder"),
        ("evaluate {none}", "no such file; give a model.onnx or a run folder"),
        ("evaluate {empty}", "there is no model.onnx in it"),
        ("predict {tiny} {shapes}", "is not an ONNX model that can be read"),
        ("init {none}", "none"),
        ("init {empty}", "empty"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    arguments: str, message: str, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"shapes": shapes, "tiny": shapes.parent / "tiny.yaml", "out": tmp_path / "out", "none": tmp_path / "none"}
    before = sorted(tmp_path.rglob("*"))
    assert call(*arguments.format(**places, empty=tmp_path / "empty").split()) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("polyhead: ")
    assert message in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_refused_replacement_leaves_the_old_run(run: Path, tmp_path: Path) -> None:
    old = tmp_path / "run"
    shutil.copytree(run, old)
    (tmp_path / "broken").mkdir()
    for number in range(3):
        (tmp_path / f"broken/{number}.png").write_bytes(b"")
    (tmp_path / "broken/labels.csv").write_text("image,color,shape,marks,width,size\n0.png,red,disc,dot,4,S\n")
    before = sorted(path.name for path in old.iterdir())
    assert call("train", run.parent / "tiny.yaml", "--data", tmp_path / "broken", "--out", old, "--force") == 2
    assert sorted(path.name for path in old.iterdir()) == before


def test_ctrl_c_says_how_to_go_on_and_ends_in_130(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from polyhead.training import fit as training

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_network", interrupt)
        assert call("train", shapes.parent / "tiny.yaml", "--data", shapes, "--out", out) == 130
    assert f"stopped; to continue: polyhead resume {out}" in capsys.readouterr().err
    assert call("resume", out) == 0
    assert (out / "report/index.html").exists()
    assert "test  color: accuracy" in capsys.readouterr().out
    assert call("resume", out) == 0
    told = capsys.readouterr()  # what is finished is not told all over again
    assert f"{out}: is finished" in told.err
    assert [line.split()[0] for line in told.out.splitlines()] == ["report", "model"]


@pytest.mark.slow
def test_the_demo_goes_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from polyhead.runs import train as training

    monkeypatch.setattr(training, "DEMO_IMAGES", 200)
    assert call("demo", "--out", tmp_path / "demo") == 0
    evaluation = json.loads((tmp_path / "demo/evaluation.json").read_text(encoding="utf-8"))
    assert set(evaluation["test"]["tasks"]) == {"category", "color", "striped", "details", "length", "size"}
    assert evaluation["combinations"]["unseen"] is not None
    assert (tmp_path / "demo/report/index.html").exists()
    assert call("demo", "--out", tmp_path / "demo") == 2  # never replaced unasked


OTHER_LAYOUTS = {
    "folders": "found labels (folder names): color in color, shape in shape",
    "other columns": "found labels (column of sheet.csv): color in Farbe, shape in kind, size in Size",
    "excel": "found labels (column of sheet.xlsx): color in Farbe, shape in kind, size in Size",
    "database": "found labels (column of sheet.db): color in Farbe, shape in kind, size in Size",
    "names": "found labels (file names): color in color, shape in shape",
}


TABLES = ("other columns", "excel", "database")


def lay_out(layout: str, folder: Path) -> Path:
    """Drawn shapes whose labels stand elsewhere, and are written otherwise, than those that the run learnt from."""
    rows = list(csv.DictReader(draw_shapes(folder / "from", 40, seed=5).read_text(encoding="utf-8").splitlines()))
    to = folder / "to"
    to.mkdir()
    known = [row for row in rows if row["color"] and row["shape"]]
    for number, row in enumerate(known):
        color, shape = row["color"], row["shape"]
        target = {
            "folders": to / f"{color}_{shape}" / f"{number}.png",
            "names": to / f"{shape}-{color}-{number}.png",
        }.get(layout, to / "pictures" / f"{number}.png")
        target.parent.mkdir(exist_ok=True)
        shutil.copy(folder / "from" / row["image"], target)
    if layout in TABLES:
        lines = ["Picture,Farbe,kind,Size,width"]
        for number, row in enumerate(known):
            cells = [f"pictures/{number}.png", row["color"].upper(), row["shape"], row["size"], "unknown"]
            lines.append(",".join(cells))
        sheet = pd.read_csv(io.StringIO("\n".join(lines)))
        if layout == "excel":
            sheet.to_excel(to / "sheet.xlsx", index=False)
        elif layout == "database":
            with closing(sqlite3.connect(to / "sheet.db")) as database:
                sheet.to_sql("shapes", database, index=False)
        else:
            sheet.to_csv(to / "sheet.csv", index=False)
    return to


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
def test_labels_in_another_layout_are_found_and_matched_with_the_tasks(
    layout: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lay_out(layout, tmp_path)
    assert call("evaluate", run / "model.onnx", "--data", data, "--split", "all") == 0
    out, err = capsys.readouterr()
    assert OTHER_LAYOUTS[layout] in err
    found = polyhead.evaluate(run / "model.onnx", data=data, split="all")["all"]["tasks"]
    assert found["shape"]["n"] == len(list(data.rglob("*.png")))
    assert found["width"]["n"] == 0
    assert "no labels of" in err
    assert "width: no labels" in out
    assert (found["size"]["n"] > 0) == (layout in TABLES)


def test_a_recipe_says_where_the_labels_of_other_images_stand(run: Path, tmp_path: Path) -> None:
    data = lay_out("folders", tmp_path)
    found = polyhead.evaluate(run / "model.onnx", data=data, split="all")
    recipe = tmp_path / "others.yaml"
    recipe.write_text(
        f"name: others\ndata: {{path: {data}, source: {{kind: folders, pattern: '{{c}}_{{s}}'}}}}\n"
        "tasks: {color: {kind: categorical, column: c}, shape: {kind: binary, column: s}}\n"
        "network: {trunk: {blocks: [{filters: 8}]}}\n",
        encoding="utf-8",
    )
    assert polyhead.evaluate(run, data=recipe) == found
    source = "data.source={kind: folders, pattern: '{color}_{shape}'}"
    tasks = "tasks={color: {kind: categorical}, shape: {kind: binary}}"
    assert polyhead.evaluate(run, data=data, overrides=[source, tasks]) == found


def test_other_images_without_the_models_labels_are_told(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(12):
            shutil.copy(run.parent / "shapes/images/000.png", tmp_path / "pets" / label / f"{number}.png")
    assert call("evaluate", run / "model.onnx", "--data", tmp_path / "pets") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no labels of the model's tasks were found in it (color: blue, green, red; shape: disc, square;" in line
    assert "folder names: category (" in line
