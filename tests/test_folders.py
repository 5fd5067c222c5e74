"""What `--force` replaces is not lost, whatever becomes of its successor."""

# ruff: noqa: PT012 (what fails is the block that a folder is claimed for)

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import call
from polyhead.errors import PolyheadError
from polyhead.folders import claim_folder, work_beside
from polyhead.progress import Silent
from polyhead.report.report import Report, write_report
from polyhead.run_folder import RunFolder, lock_run
from polyhead.runs.claims import claim_run, open_run
from tiny_model import write_tiny_model

MARK = "clusters.json"


class Heard(Silent):
    """A `Progress` that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        """Keep it."""
        self.lines.append(words)


class Killed(BaseException):
    """What ends the work as a kill does: nothing is cleaned up after it."""


def make_run(path: Path, word: str = "good") -> RunFolder:
    """A whole run, as far as its folder is concerned."""
    run = RunFolder(path)
    run.report.mkdir(parents=True)
    for file in (run.recipe, run.model, run.evaluation):
        file.write_text(word)
    return run


def leave_killed(path: Path, *files: str) -> None:
    """A folder as a process leaves it that was killed."""
    path.mkdir()
    for file in files:
        (path / file).parent.mkdir(exist_ok=True)
        (path / file).write_text("begun")


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


UNTRAINED = [(), ("recipe.yaml",), ("recipe.yaml", "table.csv", "rejected.csv", "state/lock", ".part-history.csv")]


@pytest.mark.parametrize("files", [None, *UNTRAINED])
@pytest.mark.parametrize("command", ["resume", "train", "find"])
def test_the_next_command_restores_what_a_killed_start_was_to_replace(
    files: tuple[str, ...] | None, command: str, tmp_path: Path
) -> None:
    make_run(tmp_path / ".run.replaced")
    if files is not None:
        leave_killed(tmp_path / "run", *files)
    heard = Heard()
    if command == "resume":
        with open_run(tmp_path / "run", heard):
            pass
    elif command == "train":
        with (
            pytest.raises(PolyheadError, match="is there already"),
            claim_run(tmp_path / "run", force=False, progress=heard),
        ):
            pass
    else:
        from polyhead.model.file import find_model

        assert find_model(tmp_path / "run").read_text() == "good"
    assert RunFolder(tmp_path / "run").model.read_text() == "good"
    assert list_names(tmp_path) == {"run"}
    assert [line.partition(":")[2][:9] for line in heard.lines] == [" restored"] * (command != "find")


def test_a_refused_second_force_leaves_the_good_run(tmp_path: Path) -> None:
    make_run(tmp_path / ".run.replaced")
    leave_killed(tmp_path / "run", "recipe.yaml")
    with pytest.raises(PolyheadError, match="no good"), claim_run(tmp_path / "run", force=True, progress=Silent()):
        raise PolyheadError("no good")
    assert RunFolder(tmp_path / "run").model.read_text() == "good"
    assert list_names(tmp_path) == {"run"}


def test_a_second_force_over_an_unfinished_run_keeps_the_good_one_aside(tmp_path: Path) -> None:
    make_run(tmp_path / ".run.replaced")
    leave_killed(tmp_path / "run", "recipe.yaml", "state/last.npz")
    with pytest.raises(PolyheadError), claim_run(tmp_path / "run", force=True, progress=Silent()):
        assert list_names(tmp_path) == {"run", ".run.replaced", ".run.unfinished"}
        raise PolyheadError("no good")
    assert (tmp_path / "run/state/last.npz").exists()
    assert RunFolder(tmp_path / ".run.replaced").model.read_text() == "good"
    with claim_run(tmp_path / "run", force=True, progress=Silent()) as run:
        make_run(tmp_path / "whole").path.joinpath("model.onnx").rename(run.model)
        run.evaluation.write_text("{}")
        run.recipe.write_text("")
        run.report.mkdir()
    shutil.rmtree(tmp_path / "whole")
    assert list_names(tmp_path) == {"run"}  # its successor is whole


def test_what_has_begun_to_train_is_finished_before_the_other_is_deleted(tmp_path: Path) -> None:
    make_run(tmp_path / ".run.replaced")
    leave_killed(tmp_path / "run", "recipe.yaml", "state/last.npz")
    with pytest.raises(PolyheadError), open_run(tmp_path / "run", Silent()):
        raise PolyheadError("the disk is full")
    assert RunFolder(tmp_path / ".run.replaced").model.exists()
    with open_run(tmp_path / "run", Silent()) as run:
        for file in (run.model, run.evaluation):
            file.write_text("new")
        run.report.mkdir()
    assert list_names(tmp_path) == {"run"}
    assert RunFolder(tmp_path / "run").model.read_text() == "new"


@pytest.mark.parametrize("error", [PolyheadError("no good"), RuntimeError(), OSError(28, "No space left on device")])
def test_a_start_that_fails_leaves_nothing(error: Exception, tmp_path: Path) -> None:
    with (
        pytest.raises((PolyheadError, RuntimeError)),
        claim_run(tmp_path / "a/b/run", force=False, progress=Silent()) as run,
    ):
        run.recipe.write_text("")
        raise error
    assert list_names(tmp_path) == set()


def test_a_killed_start_does_not_stand_in_the_way(tmp_path: Path) -> None:
    leave_killed(tmp_path / "run", "recipe.yaml", "table.csv")
    heard = Heard()
    with pytest.raises(KeyboardInterrupt), claim_run(tmp_path / "run", force=False, progress=heard) as run:
        assert list_names(run.path) == {"state"}
        run.recipe.write_text("")
        raise KeyboardInterrupt
    assert "nothing had been trained in it yet" in heard.lines[0]
    assert run.recipe.exists()  # it can be resumed
    (tmp_path / "run/notes.txt").write_text("mine")
    with (
        pytest.raises(PolyheadError, match="is there already"),
        claim_run(tmp_path / "run", force=False, progress=heard),
    ):
        pass


def test_ctrl_c_while_it_loads_puts_the_good_run_back(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), claim_run(tmp_path / "run", force=True, progress=Silent()):
        raise KeyboardInterrupt
    assert RunFolder(tmp_path / "run").model.read_text() == "good"
    assert list_names(tmp_path) == {"run"}


def test_a_run_that_is_trained_is_left_alone(tmp_path: Path) -> None:
    make_run(tmp_path / ".run.replaced")
    leave_killed(tmp_path / "run", "recipe.yaml")
    with lock_run(RunFolder(tmp_path / "run")):
        for force in (False, True):
            with (
                pytest.raises(PolyheadError, match=r"run: another process is training it; wait"),
                claim_run(tmp_path / "run", force=force, progress=Silent()),
            ):
                pass
        with pytest.raises(PolyheadError, match="another process is training it"), open_run(tmp_path / "run", Silent()):
            pass
    assert list_names(tmp_path) == {"run", ".run.replaced"}


@contextmanager
def made(path: Path, force: bool = True) -> Iterator[Path]:
    with claim_folder(path, MARK, force) as folder:
        yield folder
        (folder / MARK).write_text("new")


@pytest.mark.parametrize("error", [PolyheadError("no good"), RuntimeError(), KeyboardInterrupt()])
def test_a_folder_is_replaced_when_its_successor_is_whole(error: BaseException, tmp_path: Path) -> None:
    leave_killed(tmp_path / "groups", MARK, "old.txt")
    with pytest.raises(type(error)), made(tmp_path / "groups") as folder:
        (folder / "half.txt").write_text("")
        assert (tmp_path / "groups" / MARK).read_text() == "begun"
        raise error
    assert list_names(tmp_path) == {"groups"}
    assert list_names(tmp_path / "groups") == {MARK, "old.txt"}
    with made(tmp_path / "groups"):
        pass
    assert list_names(tmp_path) == {"groups"}
    assert list_names(tmp_path / "groups") == {MARK}


def test_what_a_killed_command_leaves_is_mended_by_the_next(tmp_path: Path) -> None:
    leave_killed(tmp_path / ".groups.new", "half.txt")
    leave_killed(tmp_path / ".groups.replaced", MARK)  # killed between two renames
    with pytest.raises(PolyheadError, match="is there already"), made(tmp_path / "groups", force=False):
        pass
    assert list_names(tmp_path) == {"groups"}
    with made(tmp_path / "groups"):
        pass
    assert list_names(tmp_path) == {"groups"}
    leave_killed(tmp_path / ".groups.replaced", MARK)  # killed after them
    with made(tmp_path / "groups"):
        pass
    assert list_names(tmp_path) == {"groups"}


def test_what_was_being_deleted_when_it_was_killed_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(folder: Path, **_: object) -> None:
        (folder / "old" / MARK).unlink()
        raise Killed

    leave_killed(tmp_path / "groups", MARK, "old.txt")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", stop)
        with pytest.raises(Killed), made(tmp_path / "groups"):
            pass
    with made(tmp_path / "groups"):
        pass
    assert list_names(tmp_path) == {"groups"}


def test_a_folder_that_is_no_successor_deletes_nothing(tmp_path: Path) -> None:
    make_run(tmp_path / ".run.replaced")
    leave_killed(tmp_path / "run", "my own.txt")
    with pytest.raises(PolyheadError, match=r"recipe\.yaml"), claim_run(tmp_path / "run", True, Silent()):
        pass
    assert list_names(tmp_path) == {"run", ".run.replaced"}


def test_two_commands_do_not_write_one_folder(tmp_path: Path) -> None:
    with (
        work_beside(tmp_path / "out"),
        pytest.raises(PolyheadError, match="another process is writing it"),
        made(tmp_path / "out"),
    ):
        pass
    assert list_names(tmp_path) == set()


def test_a_run_is_no_folder_to_put_an_evaluation_into(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with (
        pytest.raises(PolyheadError, match="it is a run"),
        claim_folder(tmp_path / "run", "evaluation.json", force=True),
    ):
        pass
    assert RunFolder(tmp_path / "run").model.exists()


def test_a_report_that_stands_aside_is_put_back(tmp_path: Path) -> None:
    write_report(tmp_path / "report", Report("first"))
    (tmp_path / "report").rename(tmp_path / ".report.replaced")
    write_report(tmp_path / "report", Report("second"))
    assert list_names(tmp_path) == {"report"}
    assert "second" in (tmp_path / "report/index.html").read_text("utf-8")


def test_an_empty_folder_is_filled_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    monkeypatch.chdir(tmp_path / "empty")
    number = (tmp_path / "empty").stat().st_ino
    with pytest.raises(RuntimeError), made(tmp_path / "link", force=False):
        raise RuntimeError
    assert list_names(tmp_path / "empty") == set()
    with made(Path("."), force=False):
        pass
    assert list_names(tmp_path / "link") == {MARK}
    assert (tmp_path / "empty").stat().st_ino == number
    with pytest.raises(PolyheadError, match="is the current folder"), made(Path(".")):
        pass


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    leave_killed(tmp_path / "real", MARK)
    (tmp_path / "link").symlink_to("real")
    with made(tmp_path / "link"):
        pass
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / MARK).read_text() == "new"
    run = make_run(tmp_path / "run").path
    (tmp_path / "to run").symlink_to("run")
    with pytest.raises(PolyheadError), claim_run(tmp_path / "to run", True, Silent()):
        raise PolyheadError("no good")
    assert RunFolder(run).model.read_text() == "good"
    assert list_names(tmp_path) == {"real", "link", "run", "to run"}


PLACES = {
    "root": "/",
    "long": "x" * 300,
    "below a file": "file/out",
    "a file": "file",
    "link to itself": "loop",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["explore", "train", "cluster", "gallery", "evaluate", "export"])
def test_an_impossible_place_is_one_line(
    place: str, command: str, tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    model, images, recipe = write_tiny_model(tmp_path / "model.onnx"), shapes / "images", tmp_path / "tiny.yaml"
    out = PLACES[place]
    arguments = {
        "explore": ["explore", recipe, "--data", shapes, "--out", out],
        "train": ["train", recipe, "--data", shapes, "--out", out],
        "cluster": ["cluster", model, images, "--out", out],
        "gallery": ["predict", model, images, "--gallery", out],
        "evaluate": ["evaluate", model, "--data", shapes, "--split", "all", "--out", out],
        "export": ["export", model, images, "--format", "onnx-int8", "--out", out],
    }[command]
    before = sorted(tmp_path.rglob("*"))
    assert call(*arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("polyhead: ")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "mine"
