"""The whole way from a label file that holds its images: train, evaluate after the cache was cleared, other data."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

import polyhead
from conftest import call, draw_shapes
from polyhead.data.images.cache import cache_root


def pack(folder: Path, file: Path) -> Path:
    """A Parquet file with the images of a folder of drawn shapes in it."""
    table = pd.read_csv(folder / "labels.csv")
    images = [{"bytes": (folder / path).read_bytes(), "path": path} for path in table["image"]]
    table.assign(image=pd.Series(images, dtype=object)).to_parquet(file, index=False)
    return file


@pytest.mark.slow
def test_a_run_on_images_inside_a_label_file(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POLYHEAD_CACHE", str(tmp_path / "cache"))
    data = pack(shapes, tmp_path / "shapes.parquet")
    source = {"kind": "table", "file": data.name}
    recipe = tmp_path / "tiny.yaml"
    run = polyhead.train(recipe, tmp_path / "run", data=data, overrides={"data.source": source}, progress=False)
    judged = run.evaluation["test"]
    assert call("cache", "--clear") == 0
    assert not os.path.exists(cache_root() / "files")
    again = polyhead.evaluate(tmp_path / "run", progress=False)
    assert again["test"]["tasks"]["color"]["accuracy"] == judged.tasks["color"].metrics["accuracy"]
    # Where the run's images are absolute paths, other data is not taken for the place that they were moved to.
    draw_shapes(tmp_path / "other", 20, seed=3)
    found = polyhead.evaluate(tmp_path / "run", data=tmp_path / "other", progress=False)
    assert list(found) == ["all"]
    assert found["all"]["tasks"]["color"]["n"] <= 20
    other = pack(tmp_path / "other", tmp_path / "other.parquet")
    shutil.rmtree(tmp_path / "other")
    inside = polyhead.evaluate(tmp_path / "run", data=other, progress=False)["all"]["tasks"]
    for name, metric in (("color", "accuracy"), ("marks", "accuracy"), ("width", "mae"), ("size", "accuracy")):
        assert inside[name][metric] == pytest.approx(found["all"]["tasks"][name][metric])
    capsys.readouterr()
    assert call("predict", tmp_path / "run", other, "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 20
    assert call("cache") == 0
    assert "files  " in capsys.readouterr().out


@pytest.mark.slow
def test_a_zip_is_trained_on_like_its_folder(shapes: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "packed"), "zip", shapes)
    runs = [
        polyhead.train(tmp_path / "tiny.yaml", tmp_path / name, data=data, progress=False)
        for name, data in (("folder", shapes), ("zip", tmp_path / "packed.zip"))
    ]
    first, second = ((run.path / "evaluation.json").read_text(encoding="utf-8") for run in runs)
    assert first == second
