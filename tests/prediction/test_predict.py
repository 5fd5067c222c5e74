"""`polyhead predict`: which files are meant, where the answers go, and what a stop leaves."""

import csv
import json
import math
import os
import pty
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import COLORS, call
from polyhead.cli.terminal import Screen
from polyhead.data.images.decode import read_upright
from polyhead.errors import PolyheadError
from polyhead.model.file import open_model
from polyhead.model.records import Record, tell_record, write_json
from polyhead.prediction.annotating import draw_answers
from polyhead.prediction.gather import gather_files
from polyhead.tasks import CategoricalAnswer, MultiLabelAnswer, RegressionAnswer
from tiny_model import TASKS, write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model.onnx")


def paint_folder(folder: Path, count: int = 6) -> Path:
    """`count` images of one colour, in turn red, green and blue, in two folders below."""
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), list(COLORS.values())[number % 3]).save(path)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return paint_folder(tmp_path / "photos")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(*given: object) -> list[str]:
    return [path.name for path in gather_files([str(path) for path in given]).paths]


def test_files_folders_patterns_and_lists_are_expanded(folder: Path) -> None:
    (folder / "a/notes.txt").write_text("no image")
    (folder / "list.csv").write_text("number,path\n1,a/04.png\n2,\n3,b/01.png\n", encoding="utf-8")
    assert names(folder) == ["00.png", "02.png", "04.png", "01.png", "03.png", "05.png"]
    assert names(folder / "a" / "02.png", folder / "b") == ["02.png", "01.png", "03.png", "05.png"]
    assert names(folder / "a/*") == ["00.png", "02.png", "04.png"]
    assert names(folder / "**/0[34].png") == ["04.png", "03.png"]
    assert names(folder / "list.csv") == ["04.png", "01.png"]
    assert names(folder / "a/notes.txt") == ["notes.txt"]  # what is named is tried
    (folder / "[1].png").write_bytes((folder / "a/00.png").read_bytes())
    assert names(folder / "[1].png") == ["[1].png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{folder}/none.png", "photos/none.png: no such file or folder"),
        ("{folder}/*.jpg", "photos/*.jpg: matches no image"),
        ("{empty}", "empty: there is no image in it"),
        (
            "{empty}/wrong.csv",
            "wrong.csv: expected a column image, path, file or file_name; its columns are name, label",
        ),
        ("{empty}/blank.csv", "blank.csv: expected a line of column names and a row for each image; there is no row"),
        ("{empty}/latin.csv", "latin.csv: is not UTF-8 text"),
        ("{folder} --json --csv {empty}/out.csv", "one of --json, --csv, --parquet"),
        ("", "give images, folders, patterns or label files"),
        ("{folder} --csv {empty}/none/out.csv", "out.csv: cannot be written: No such file or directory"),
        ("{folder} --parquet {empty}/none/out.parquet", "out.parquet: cannot be written: "),
        ("{folder} --annotate {folder}", "photos: is there already; give another --annotate, or delete it"),
        ("{folder} --annotate {folder}/a/00.png", "00.png: is there already; give another --annotate, or delete it"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: str, message: str, model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = folder.parent / "empty"
    empty.mkdir()
    if "csv" in arguments:
        (empty / "wrong.csv").write_text("name,label\na,b\n")
        (empty / "blank.csv").write_text("")
        (empty / "latin.csv").write_bytes("image\nJalapeño.png\n".encode("latin-1"))
    before = sorted(folder.parent.rglob("*"))
    assert call("predict", model, *arguments.format(folder=folder, empty=empty).split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("polyhead: ")
    assert message in line
    assert sorted(folder.parent.rglob("*")) == before


def test_a_line_an_image_in_words_and_as_json(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b/99.png").write_bytes(b"broken")
    assert call("predict", model, folder) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"{folder / 'a/00.png'}: color: red (100.00%), brightness: 39.22 %"  # (220 + 40 + 40) / 3 / 255
    assert lines[-1] == f"{folder / 'b/99.png'}: not an image in a format that is read here"
    assert err == "polyhead: 1 of the images could not be answered\n"
    assert call("predict", model, folder, "--json") == 1
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(record["image"]).name for record in records] == [*names(folder)]
    assert [record["answers"].get("color", {}).get("answer") for record in records] == (
        ["red", "blue", "green", "green", "red", "blue", None]
    )


def test_names_that_are_no_text_are_passed_on(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text on every way out, since JSON and Parquet are Unicode; the files are found, and drawn on, all the same."""
    odd = os.fsencode(folder / "a") + b"/\xff\x1b\n.png"
    os.rename(folder / "a/00.png", odd)
    shown = str(folder / "a") + r"/\udcff\x1b\n.png"
    assert call("predict", model, folder / "a", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), json.loads(lines[-1])["image"]) == (3, shown)
    assert call("predict", model, folder / "a") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{shown}: color: red")
    assert call("predict", model, folder / "a", "--csv", folder / "out.csv", "--annotate", tmp_path / "drawn") == 0
    assert read(folder / "out.csv")[-1]["image"] == shown
    assert os.path.exists(os.fsencode(tmp_path / "drawn") + b"/\xff\x1b\n.png")
    parquet = pytest.importorskip("pyarrow.parquet")
    assert call("predict", model, folder / "a", "--parquet", folder / "out.parquet") == 0
    assert parquet.read_table(folder / "out.parquet")["image"].to_pylist()[-1] == shown


def test_what_is_no_image_or_is_not_read_is_counted(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(folder / "a/pipe.jpg")
    (folder / "a/zero.jpg").symlink_to("/dev/zero")
    (folder / "a/layers.psd").write_bytes(b"8BPS" + bytes(30))
    (folder / "list.csv").write_text("image\na/layers.psd\na/pipe.jpg\na/zero.jpg\na/gone.jpg\n")
    (folder / "a/twin").write_bytes((folder / "a/00.png").read_bytes())
    for given, answered in ((folder / "a", 4), (folder / "a/*", 4), (folder / "list.csv", 0)):
        assert call("predict", model, given) == 1
        out, err = capsys.readouterr()
        lines = out.splitlines()
        assert (len(lines), err) == (answered + 3 + (answered == 0), f"polyhead: {len(lines) - answered} of the images "
        "could not be answered\n")  # fmt: skip
        assert sum("color: " in line for line in lines) == answered
        assert f"{folder}/a/layers.psd: PSD is not a format that is read here; convert it to JPEG or PNG" in lines
        assert f"{folder}/a/pipe.jpg: is not a regular file" in lines
        assert f"{folder}/a/zero.jpg: is not a regular file" in lines


@pytest.mark.parametrize("target", [".", "photos", "photos/"])
def test_a_folder_is_no_csv(
    target: str, model: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert call("predict", model, "photos", "--csv", target) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"polyhead: predict: --csv: {target} is a folder; name a file in it")


def test_a_csv_goes_through_links_and_to_devices(model: Path, folder: Path, tmp_path: Path) -> None:
    whole, real, link, pipe = (tmp_path / name for name in ("whole.csv", "real.csv", "link.csv", "pipe"))
    assert call("predict", model, folder, "--csv", whole) == 0
    real.write_text("old")
    link.symlink_to("real.csv")
    assert call("predict", model, folder, "--csv", link) == 0
    assert link.is_symlink()
    assert real.read_bytes() == whole.read_bytes()
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        assert call("predict", model, folder, "--csv", pipe) == 0
        assert read.result() == whole.read_bytes()
    assert pipe.is_fifo()
    assert call("predict", model, folder, "--csv", "/dev/null") == 0
    assert Path("/dev/null").is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == (
        ["link.csv", "model.onnx", "real.csv", "whole.csv"]
    )


def test_the_longest_names_are_written(model: Path, folder: Path, tmp_path: Path) -> None:
    name = "é" * 125 + "x.png"  # 255 bytes
    os.rename(folder / "a/00.png", folder / "a" / name)
    out = tmp_path / (name[:-4] + ".csv")
    assert call("predict", model, folder, "--csv", out, "--annotate", tmp_path / "drawn") == 0
    assert len(read(out)) == 6
    assert (tmp_path / "drawn/a" / name).exists()


def test_an_image_that_is_given_twice_is_drawn_on_once(model: Path, folder: Path, tmp_path: Path) -> None:
    assert call("predict", model, *[folder] * 5, "--annotate", tmp_path / "drawn") == 0
    assert len([path for path in (tmp_path / "drawn").rglob("*") if path.is_file()]) == 6


def test_what_the_model_says_cannot_write_to_the_terminal(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "dumb")
    record = Record("x.png", None, {"ta\x1bsk": CategoricalAnswer("r\x1b[2Jed\n", 1.0, False, {})})
    assert tell_record(record) == r"x.png: ta\x1bsk: r\x1b[2Jed\n (100.00%)"
    with Screen() as screen:
        screen.show_records([record])
        screen.say("a\x1b[2J\nb")
    shown = capsys.readouterr()
    assert r"r\x1b[2Jed\n (100.00%)" in shown.out
    assert shown.err == "a\\x1b[2J\\nb\n"
    assert "\x1b[2J" not in shown.out


def test_json_is_never_nan() -> None:
    record = Record("a.png", None, {"width": RegressionAnswer(math.nan, "")})
    with pytest.raises(PolyheadError, match=r"^a.png: an answer is NaN or infinite, which JSON cannot hold"):
        write_json(record)


def test_a_terminal_is_shown_a_table(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b/99.png").write_bytes(b"broken")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(folder)
    assert call("predict", model, ".") == 1
    header, _, first, *_, last = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert header.split() == ["image", "color", "brightness"]
    assert first.split()[1:] == ["red", "(100.00%)", "39.22", "%"]
    assert "not an image" in last


def test_answers_go_to_a_file_though_the_bars_go_to_a_terminal(model: Path, folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "polyhead", "predict", str(model), str(folder), "--json"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=theirs, check=True, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    os.close(ours)
    assert len(done.stdout.splitlines()) == 6


def test_csv_and_parquet_hold_the_same(model: Path, folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (folder / "b/99.png").write_bytes(b"broken")
    assert call("predict", model, folder, "--csv", folder / "out.csv") == 1
    assert call("predict", model, folder, "--parquet", folder / "out.parquet") == 1
    table = parquet.read_table(folder / "out.parquet")
    rows = read(folder / "out.csv")
    assert [str(field.type) for field in table.schema] == (
        ["string", "string", "string", "double", "bool", "string", "double", "string", "bool"]
    )
    assert ["" if value is None else str(value) for row in table.to_pylist() for value in row.values()] == (
        [value for row in rows for value in row.values()]
    )
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "out.csv", "out.parquet"]


KILLED = """
import os, signal, sys
from pathlib import Path
from polyhead.prediction.predict import PredictionJob

class Killer:
    answered = 0
    def say(self, words): pass
    def track(self, words, total): return self.advance
    def advance(self, done):
        self.answered += done
        if self.answered > 30:
            os.kill(os.getpid(), signal.SIGKILL)

model, folder, out = map(Path, sys.argv[1:])
PredictionJob(model, [folder], progress=Killer()).to_csv(out)
"""


def kill_on_the_way(model: Path, folder: Path, out: Path) -> Path:
    """The file that a process leaves which is killed after 30 images."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(model), str(folder), str(out)], check=False)
    assert done.returncode == -9
    return out.with_name(f"{out.name}.{open_model(model)[1].digest}.part")


def test_a_killed_run_is_gone_on_with(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = paint_folder(tmp_path / "many", 60)
    (folder / "a/00.png").write_bytes(b"broken")
    assert call("predict", model, folder, "--csv", tmp_path / "whole.csv") == 1
    part = kill_on_the_way(model, folder, tmp_path / "out.csv")
    assert len(read(part)) == 30
    part.write_bytes(part.read_bytes()[:-20])  # and the machine lost power as well
    capsys.readouterr()
    assert call("predict", model, folder, "--csv", tmp_path / "out.csv") == 1
    assert capsys.readouterr().err == "continuing after 29 images\npolyhead: 1 of the images could not be answered\n"
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not part.exists()


def test_odd_names_are_gone_on_with(model: Path, folder: Path, tmp_path: Path) -> None:
    os.rename(folder / "a/00.png", os.fsencode(folder) + b"/a/\xff\r\n\x1b.png")
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    assert call("predict", model, folder, "--csv", whole) == 0
    rows = whole.read_bytes().splitlines(keepends=True)
    out.with_name(f"{out.name}.{open_model(model)[1].digest}.part").write_bytes(b"".join(rows[:4]))
    assert call("predict", model, folder, "--csv", out) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_images_that_came_since_are_answered_after_the_others(model: Path, tmp_path: Path) -> None:
    folder = paint_folder(tmp_path / "many", 60)
    kill_on_the_way(model, folder, tmp_path / "out.csv")
    (folder / "a/-.png").write_bytes((folder / "a/00.png").read_bytes())
    assert call("predict", model, folder, "--csv", tmp_path / "out.csv") == 0
    answered = [row["image"] for row in read(tmp_path / "out.csv")]
    assert answered[30] == str(folder / "a/-.png")
    assert sorted(answered) == sorted(map(str, gather_files([folder]).paths))


def test_what_was_begun_otherwise_is_not_gone_on_with(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = paint_folder(tmp_path / "many", 60), tmp_path / "out.csv"
    part = kill_on_the_way(model, folder, out)

    def refusal(model: Path, folder: Path) -> str:
        assert call("predict", model, folder, "--csv", out) == 2
        return capsys.readouterr().err.splitlines()[-1]

    another = write_tiny_model(tmp_path / "another.onnx", {"fingerprint": "1" * 16})
    assert refusal(another, folder) == (
        f"polyhead: {part}: was started with another model; delete it, or give another --csv"
    )
    assert f"{part}: was started with other images, such as {folder / 'a/00.png'}" in refusal(model, folder / "b")
    part.write_bytes(part.read_bytes() + b"a,b\r\n")
    assert refusal(model, folder) == f"polyhead: {part}: is damaged; delete it to start again"
    part.unlink()
    assert call("predict", model, folder / "b", "--csv", out) == 0


def test_a_stopped_run_goes_on_drawing_as_well(model: Path, tmp_path: Path) -> None:
    folder, out, drawn = paint_folder(tmp_path / "many", 60), tmp_path / "out.csv", tmp_path / "many/drawn"
    kill_on_the_way(model, folder, out)
    drawn.mkdir()
    (drawn / "old.png").write_bytes((folder / "a/00.png").read_bytes())  # of the run before
    assert call("predict", model, folder, "--csv", out, "--annotate", drawn) == 0
    assert len(read(out)) == 60
    assert len(list(drawn.rglob("*.png"))) == 1 + 30


def test_annotated_images_lie_as_the_originals_do_which_stay_as_they_are(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b/99.jpg").write_bytes(b"broken")
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*.*"))}
    assert call("predict", model, folder, "--annotate", tmp_path / "drawn") == 1
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*.*"))} == before
    drawn = sorted(path.relative_to(tmp_path / "drawn") for path in (tmp_path / "drawn").rglob("*.*"))
    assert drawn == [path.relative_to(folder) for path in before if path.name != "99.jpg"]
    assert "99.jpg: not an image" in capsys.readouterr().out
    assert call("predict", model, folder / "a/00.png", folder / "b/01.png", "--annotate", tmp_path / "two") == 0
    assert sorted(str(path.relative_to(tmp_path / "two")) for path in (tmp_path / "two").rglob("*.png")) == (
        ["a/00.png", "b/01.png"]
    )


ANSWERS = {
    "category": CategoricalAnswer("dress", 0.8904, False, {}),
    "color": CategoricalAnswer("red", 0.3, True, {}),
}
RECORD = Record("x.png", None, ANSWERS)


@pytest.mark.parametrize("size", [(1, 1), (40, 40), (40, 3000), (3000, 40), (320, 240), (2000, 3000)])
@pytest.mark.parametrize("background", ["white", "black", (60, 255, 90)])
def test_answers_stand_out_on_any_image(size: tuple[int, int], background: str) -> None:
    picture = draw_answers(Image.new("RGB", size, background), RECORD)
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    for color in ((60, 255, 90), (255, 200, 40)):  # sure, unsure
        near = np.abs(pixels - color).max(axis=1) < 16
        assert near.sum() >= 40
    assert max(picture.size) >= 320
    assert picture.width >= size[0]
    assert picture.height >= size[1]


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tif", "ppm", "jp2", "avif", "heic"])
def test_annotated_images_keep_their_format(suffix: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    original = tmp_path / f"in/red.{suffix}"
    if suffix == "heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(Image.new("RGB", (200, 100), COLORS["red"])).save(original)
        assert call("predict", model, original, "--annotate", tmp_path / "out") == 0
        assert read_upright(tmp_path / "out/red.heic")[0].size == (200, 100)
        return
    try:
        Image.new("RGB", (200, 100), COLORS["red"]).save(original)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow does not write {suffix}")
    assert call("predict", model, original, "--annotate", tmp_path / "out") == 0
    with Image.open(original) as before, Image.open(tmp_path / f"out/red.{suffix}") as after:
        assert (after.format, after.size) == (before.format, (200, 100))


def test_long_answers_are_broken_between_words() -> None:
    marks = MultiLabelAnswer(tuple(f"attribute {number}" for number in range(40)), 0.5, False, {})
    picture = draw_answers(Image.new("RGB", (178, 218)), Record("x.png", None, {"marks": marks}))
    assert picture.width < 400
    assert picture.height > 218


def test_the_columns_of_a_csv_are_those_of_the_tasks(model: Path, folder: Path) -> None:
    assert call("predict", model, folder, "--csv", folder / "out.csv") == 0
    header = (folder / "out.csv").read_text(encoding="utf-8").splitlines()[0]
    assert {column.partition(".")[0] for column in header.split(",")} == {"image", "error", *TASKS}
