"""What is wrong with a command line is one line, and exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import call

LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "there is no command 'trian' (did you mean 'train'?); there are demo, recipes, init, "),
        (["train"], "train: RECIPE|DIR|FILE is missing (see `polyhead train --help`)"),
        (["train", "demo", "--outt", "x"], "train: there is no option '--outt' (did you mean '--out'?)"),
        (
            ["export", "m", "--format", "tflite"],
            "export: --format: expected litert, saved_model, openvino, onnx-int8",
        ),
        (["export", "m", "--format", "tflite"], "got 'tflite' (did you mean 'litert'?)"),
        (["predict", "m", "a", "--engine", "rya"], "predict: --engine: expected threads, ray; got 'rya'"),
        (["train", "demo", "--out", "x", "--seed", "1e3"], "train: --seed: expected a valid integer"),
        (["predict", "m", "a", "--csv", "."], "predict: --csv: . is a folder; name a file in it"),
        (["predict", "m", "a", "--csv", ""], "predict: --csv: the path is empty"),
        (["predict", "m", "a", "--parquet", ".."], "predict: --parquet: .. is a folder; name a file in it"),
        (["predict", LONG, "a"], "predict: RUN|MODEL: the path has a name of 300 bytes in it; 255 is the most"),
        (["predict", "m", LONG], "the path has a name of 300 bytes in it"),
        (["train", "demo", "--out", LONG], "train: --out: the path has a name of 300 bytes in it"),
        (["train", "demo", "--out", "o", "--data", "a\0b"], "train: --data: the path holds a NUL"),
        (["evaluate", LONG], "the path has a name of 300 bytes in it"),
        (["init", LONG], "the path has a name of 300 bytes in it"),
        (["init", "~nosuchuser"], "there is no user ~nosuchuser"),
        (["cache", "--path", "~nosuchuser/x"], "there is no user ~nosuchuser"),
        (["cluster", "m", "a", "--out", "o", "--k", "9" * 6000], "--k: expected a number such as 8"),
        (["cluster", "m", "a", "--out", "o", "--k", "2..999999999"], "is a range of 999,999,997 numbers"),
        (["cluster", "m", "a", "--out", "o", "--seed", "-1"], "--seed: expected a number from 0 to 4,294,967,295"),
        (["cluster", "m", "a", "--out", "o", "--weight", "a=nan"], "--weight a=nan: expected a number from 0 to"),
        (["cluster", "m", "a", "--out", "o", "--set", "eps=.inf"], "--set eps: expected a finite number; got inf"),
        (["cluster", "m", "a", "--out", "o", "--on", "features", "--task", "a"], "leave --task and --weight out"),
        (["train", ".", "--out", "o"], "there is no image in it"),
        (["train", ".", "--out", "o", "--data", "."], ".: is the data already; give a recipe, or take --data out"),
        (
            ["train", "demo", "--out", "o", "--quality", "fast"],
            "--quality: is of a plan, and demo has a network, a size and its epochs already",
        ),
        (
            ["train", "demo", "--out", "o", "--quality", "fine"],
            "train: --quality: expected fast, good, best; got 'fine'",
        ),
        (["train", "demo", "--out", "o", "--minutes", "0"], "minutes: expected greater than 0; got 0.0"),
        (
            ["init", "demo", "--minutes", "5"],
            "demo: is a built-in recipe, in which nothing is planned; take --quality and",
        ),
        (["train", "demo", "--out", "o", "--set", "epochs"], "--set epochs: expected KEY=VALUE, such as "),
        (["train", "demo", "--out", "o"], "demo: where is the data? give --data, or data.path in the recipe"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("polyhead: ")
    assert words in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(36, "File name too long", "abc"), "polyhead: abc: File name too long"),
        (MemoryError(), "polyhead: there is not enough memory for this"),
        (RecursionError(), "polyhead: an input is nested too deeply"),
    ],
)
def test_what_no_check_foresaw_is_one_line(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("polyhead.runs.explore.propose", fail)
    assert call("init", "here") == 2
    assert capsys.readouterr().err.startswith(words)


def test_a_reader_that_has_enough_is_no_mistake() -> None:
    code = "from polyhead.cli.app import main; import sys; sys.argv = ['polyhead', 'recipes', '--schema']; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    process.stdout.close()
    _, told = process.communicate()
    assert (process.returncode, told) == (1, b"")
