"""Files are written whole or not at all, and nothing but regular files is read or replaced."""

import os
import threading
from pathlib import Path

import pytest

from polyhead.errors import LONGEST, PolyheadError, show_text
from polyhead.files import open_regular, write_beside, write_text


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "first")

    def fail() -> None:
        with write_beside(target) as beside:
            beside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    target = tmp_path / "a.weights.h5"
    names = []
    for _ in range(2):
        with write_beside(target) as beside:
            names.append(beside.name)
            beside.write_text("x")
    assert names == [".part-a.weights.h5"] * 2


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("far/file.txt")
    (tmp_path / "far").mkdir()
    write_text(tmp_path / "link", "through")
    assert (tmp_path / "far/file.txt").read_text() == "through"
    assert (tmp_path / "link").is_symlink()


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    write_text(Path(os.devnull), "gone")
    assert Path(os.devnull).is_char_device()
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join()
    assert found == ["through"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", [".", "", "folder", "no/such/folder/a.txt", "x" * 300, "nul\0.txt"])
def test_what_cannot_be_written_is_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = Path(os.path.join(tmp_path, name))
    with pytest.raises(PolyheadError) as caught:
        write_text(path, "text")
    assert str(caught.value).startswith(show_text(str(path))[:300])
    assert sorted(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_name_as_long_as_can_be_is_written(tmp_path: Path) -> None:
    write_text(tmp_path / ("é" * 125 + ".txt"), "long")
    assert [path.name for path in tmp_path.iterdir()] == ["é" * 125 + ".txt"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match=r"is not a regular file|directory"):
            open_regular(path)
    with pytest.raises(OSError, match="null"):
        open_regular(Path("nul\0"))


def test_a_message_is_one_short_line_whatever_it_quotes() -> None:
    hostile = "a\nb\x1b[2J\r\u2028\u202e\udcff" + "x" * 100_000
    told = str(PolyheadError(f"{hostile}: rename it"))
    assert told.startswith(r"a\nb\x1b[2J\r\u2028\u202e\udcff")
    assert told.endswith(": rename it")
    assert len(told) == LONGEST
    assert told.encode()
    assert show_text("Zoë's \u202f 写真\u200d.jpg") == "Zoë's \u202f 写真\u200d.jpg"
