"""DecodedImages are decoded once, whatever happens meanwhile: kills, full disks, other runs, files that change."""

import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyhead.data.images.cache import (
    DecodedImages,
    ImageSettings,
    cache_root,
    clear_caches,
    list_caches,
    open_images,
)
from polyhead.data.images.decode import decode
from polyhead.data.images.jpeg import is_fast
from polyhead.data.images.read import digest_all, digest_bytes
from polyhead.data.images.settings import FAST, PILLOW
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT

HEIGHT, WIDTH = 5, 6
ROW = HEIGHT * WIDTH * 3
ENTRY = 16
VERSION = FAST if is_fast() else PILLOW
FOLDER = f"{HEIGHT}x{WIDTH}-stretch-v{VERSION}"
PORTION = 16  # images that are decoded and kept in one step


class Recorder:
    """Writes down what is told of the work, and calls back at every step of the decoding."""

    def __init__(self, when_decoding: Callable[[int], None] = lambda _: None) -> None:
        self.work: list[tuple[str, int]] = []
        self.when_decoding = when_decoding

    def track(self, words: str, total: int) -> Callable[[int], None]:
        self.work.append((words, total))
        if words != "Decoding images":
            return lambda _: None
        self.when_decoding(0)
        return self.when_decoding

    def say(self, words: str) -> None:
        self.work.append((words, 0))

    def count_decoded(self) -> int:
        return sum(total for words, total in self.work if words == "Decoding images")


def draw(folder: Path, count: int, first: int = 0) -> list[Path]:
    """Draw images that are all different, larger than the rows of the cache."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, start=first):
        noise = np.random.default_rng(number).integers(0, 256, (9, 8, 3), np.uint8)
        Image.fromarray(noise).save(path)
    return paths


def settings(root: Path | str) -> ImageSettings:
    return ImageSettings((HEIGHT, WIDTH), "stretch", str(root))


def assert_right(images: DecodedImages, paths: list[Path]) -> None:
    expected = np.stack([decode(path, (HEIGHT, WIDTH), "stretch") for path in paths])
    np.testing.assert_array_equal(images.read(np.arange(len(paths))), expected)


def test_a_second_opening_decodes_nothing(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 5)
    first, second = Recorder(), Recorder()
    open_images(paths, settings(tmp_path), first)
    images = open_images(paths, settings(tmp_path), second)
    assert first.work == [("Decoding images", 5)]
    assert second.work == [("Reading image files", 5)]
    assert_right(images, paths)


def test_only_what_is_missing_is_decoded(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 7)
    open_images(paths[2:5], settings(tmp_path))
    recorder = Recorder()
    images = open_images(paths, settings(tmp_path), recorder)
    assert recorder.count_decoded() == 7 - 3
    assert_right(images, paths)


def test_threads_decode_many_images_in_the_same_way_and_order(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 5 * PORTION + 3)
    paths[70].write_text("no image")
    images = open_images(paths, settings(tmp_path))
    assert list(images.failures) == [70]
    kept = [index for index in range(len(paths)) if index != 70]
    expected = np.stack([decode(paths[index], (HEIGHT, WIDTH), "stretch") for index in kept])
    np.testing.assert_array_equal(images.read(np.array(kept)), expected)
    assert (tmp_path / FOLDER / "pixels.u8").read_bytes() == expected.tobytes()


def test_images_are_read_in_the_order_asked_for_as_a_copy(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 4)
    images = open_images(paths, settings(tmp_path))
    batch = images.read(np.array([3, 0, 3]))
    assert (str(batch.dtype), batch.shape, len(images)) == ("uint8", (3, HEIGHT, WIDTH, 3), 4)
    np.testing.assert_array_equal(batch, [decode(paths[index], (HEIGHT, WIDTH), "stretch") for index in (3, 0, 3)])
    batch[:] = 0
    assert_right(images, paths)


def test_no_images_at_all_can_be_opened(tmp_path: Path) -> None:
    images = open_images([], settings(tmp_path))
    assert (len(images), images.read(np.array([], int)).shape) == (0, (0, HEIGHT, WIDTH, 3))


@pytest.mark.parametrize("cache", ["on", "off"])
def test_what_cannot_be_read_is_told_by_position_and_reason(tmp_path: Path, cache: str) -> None:
    paths = draw(tmp_path / "data", 5)
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    paths[2].unlink()
    paths[4].write_text("no image")
    images = open_images(paths, settings("off" if cache == "off" else tmp_path))
    assert list(images.failures) == [1, 2, 4]
    assert images.failures[1].startswith("truncated: ")
    assert images.failures[2] == "No such file or directory"
    assert images.failures[4] == "not an image in a format that is read here"
    assert [known is None for known in images.digests] == [False, False, True, False, False]
    with pytest.raises(ValueError, match="image 4 cannot be read: not an image"):
        images.read(np.array([0, 4]))
    expected = [decode(paths[index], (HEIGHT, WIDTH), "stretch") for index in (3, 0)]
    np.testing.assert_array_equal(images.read(np.array([3, 0])), expected)


def test_identical_files_share_a_row_and_a_digest(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 2)
    copy = Path(shutil.copy(paths[0], tmp_path / "data" / "copy.png"))
    images = open_images([*paths, copy], settings(tmp_path))
    assert images.digests == [digest_bytes(path.read_bytes()) for path in (paths[0], paths[1], paths[0])]
    assert list_caches(tmp_path)[0].images == 2
    assert_right(images, [*paths, copy])


def test_changed_content_under_the_same_name_is_decoded_again(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 2)
    open_images(paths, settings(tmp_path))
    Image.new("RGB", (9, 9), "red").save(paths[1])
    recorder = Recorder()
    images = open_images(paths, settings(tmp_path), recorder)
    assert recorder.count_decoded() == 1
    assert images.read(np.array([1]))[0, 0, 0].tolist() == [255, 0, 0]


def test_a_file_that_changes_meanwhile_never_gives_pixels_under_another_content(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 2)
    open_images(paths[:1], settings(tmp_path))  # files are digested first where some are kept
    recorder = Recorder(lambda done: None if done else Image.new("RGB", (9, 9), "red").save(paths[1]))
    images = open_images(paths, settings(tmp_path), recorder)
    assert images.digests[1] == digest_bytes(paths[1].read_bytes())
    assert images.read(np.array([1]))[0, 0, 0].tolist() == [255, 0, 0]
    assert list_caches(tmp_path)[0].images == 2


def test_each_way_of_resizing_has_its_own_rows(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 2)
    for resize in ("stretch", "fit"):
        images = open_images(paths, ImageSettings((4, 8), resize, str(tmp_path)))
        np.testing.assert_array_equal(images.read(np.array([1]))[0], decode(paths[1], (4, 8), resize))
    assert [entry.name for entry in list_caches(tmp_path)] == [f"4x8-fit-v{VERSION}", f"4x8-stretch-v{VERSION}"]


OPEN = """
import os, signal, sys
from pathlib import Path
from polyhead.data.images.cache import ImageSettings
from polyhead.data.images.cache import open_images

class Teller:
    def track(self, words, total):
        print(words, total, flush=True)
        return self.kill if words == "Decoding images" and sys.argv[3] == "kill" else lambda done: None
    def kill(self, done):
        os.kill(os.getpid(), signal.SIGKILL)
    def say(self, words):
        print(words, flush=True)

paths = sorted(Path(sys.argv[1]).iterdir(), key=lambda path: int(path.stem))
images = open_images(paths, ImageSettings((5, 6), "stretch", sys.argv[2]), Teller())
print("opened", len(images), len(images.failures), flush=True)
"""


def start_other_run(data: Path, root: Path, output: int, do: str = "open") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OPEN, str(data), str(root), do]
    return subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, text=True)


def test_a_run_killed_while_it_fills_the_cache_leaves_a_shorter_valid_one(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", PORTION + 36)
    with start_other_run(tmp_path / "data", tmp_path, subprocess.DEVNULL, do="kill") as killed:
        assert killed.wait() == -signal.SIGKILL
    assert list_caches(tmp_path)[0].images == PORTION
    recorder = Recorder()
    images = open_images(paths, settings(tmp_path), recorder)
    assert recorder.count_decoded() == 36
    assert_right(images, paths)


@pytest.mark.parametrize("pixel_bytes", [1, ROW, 2 * ROW + 7])
@pytest.mark.parametrize("index_bytes", [0, 1, ENTRY - 1])
def test_leftovers_of_a_stopped_writer_are_cut_off(tmp_path: Path, pixel_bytes: int, index_bytes: int) -> None:
    paths = draw(tmp_path / "data", 4)
    open_images(paths[:2], settings(tmp_path))
    folder = tmp_path / FOLDER
    for name, count in (("pixels.u8", pixel_bytes), ("index", index_bytes)):
        with open(folder / name, "ab") as file:
            file.write(b"\7" * count)
    recorder = Recorder()
    images = open_images(paths, settings(tmp_path), recorder)
    assert recorder.count_decoded() == 2
    assert_right(images, paths)
    assert list_caches(tmp_path)[0].bytes == 4 * (ROW + ENTRY)


def test_rows_without_pixels_do_not_count(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 3)
    open_images(paths, settings(tmp_path))
    with open(tmp_path / FOLDER / "pixels.u8", "r+b") as file:
        file.truncate(2 * ROW - 1)
    recorder = Recorder()
    images = open_images(paths, settings(tmp_path), recorder)
    assert recorder.count_decoded() == 2
    assert_right(images, paths)


def test_a_disk_without_room_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = draw(tmp_path / "data", 3)
    total = 3 * (ROW + ENTRY)
    full = shutil.disk_usage(tmp_path)._replace(free=total - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    recorder = Recorder()
    with pytest.raises(PolyheadError, match=FOLDER + r": .* needs .* `image\.cache` .*, or clear it \(`cache`\)"):
        open_images(paths, settings(tmp_path), recorder)
    assert recorder.count_decoded() == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full._replace(free=total))
    assert_right(open_images(paths, settings(tmp_path)), paths)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writes beyond `size` bytes of a file fail half-way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, ROW, 5 * ROW + 7])
def test_a_disk_that_fills_up_meanwhile_is_one_error_and_costs_no_row(tmp_path: Path, room: int) -> None:
    paths = draw(tmp_path / "data", 30)
    open_images(paths[:10], settings(tmp_path))
    with largest_file(10 * ROW + room), pytest.raises(PolyheadError, match=FOLDER + r": .* `image\.cache`"):
        open_images(paths, settings(tmp_path))
    entry = list_caches(tmp_path)[0]
    assert (entry.images, entry.bytes) == (10, 10 * (ROW + ENTRY))
    recorder = Recorder()
    assert_right(open_images(paths, settings(tmp_path), recorder), paths)
    assert recorder.count_decoded() == 20


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 1)
    (tmp_path / "file").touch()
    with pytest.raises(PolyheadError, match=r"file.*: the image cache cannot be written .*`image\.cache`"):
        open_images(paths, settings(tmp_path / "file"))


def test_a_second_run_waits_for_the_first_and_decodes_nothing(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 5)
    others: list[subprocess.Popen[str]] = []
    told: list[str] = []

    def start_another(done: int) -> None:
        if done == 0:  # the lock is held, nothing is decoded yet: the other run comes as far as waiting
            others.append(start_other_run(tmp_path / "data", tmp_path, subprocess.PIPE))
            assert others[0].stdout is not None
            told.append(others[0].stdout.readline())

    images = open_images(paths, settings(tmp_path), Recorder(start_another))
    rest, _ = others[0].communicate()
    assert told[0].startswith("Another run is filling the image cache in ")
    assert rest == "Reading image files 5\nopened 5 0\n"
    assert list_caches(tmp_path)[0].images == 5
    assert_right(images, paths)


def test_without_a_cache_the_same_pixels_come_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYHEAD_CACHE", str(tmp_path / "root"))
    paths = draw(tmp_path / "data", 6)
    recorder = Recorder()
    images = open_images(paths, settings("off"), recorder)
    assert recorder.work == [("Checking images", 6)]
    assert images.digests == open_images(paths, settings(tmp_path)).digests
    assert_right(images, paths)
    assert not (tmp_path / "root").exists()


def test_without_a_cache_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 2)
    images = open_images(paths, settings("off"))
    paths[1].unlink()
    with pytest.raises(PolyheadError, match=r"1\.png: the image can no longer be read: No such file"):
        images.read(np.array([0, 1]))


def test_digests_tell_files_apart_by_content_alone(tmp_path: Path) -> None:
    contents = {"a": b"same", "b": b"same", "c": b"other"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = digest_all([tmp_path / name for name in ("a", "b", "c", "none")], SILENT)
    digests, failures = found.of, found.list_failures()
    assert digests[0] == digests[1] != digests[2]
    assert digests[3] is None
    assert failures == {3: "No such file or directory"}
    assert [len(known) for known in digests if known] == [32] * 3


def test_caches_lie_where_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYHEAD_CACHE", raising=False)
    assert cache_root().name == "polyhead"
    monkeypatch.setenv("POLYHEAD_CACHE", str(tmp_path / "there"))
    assert cache_root("auto") == tmp_path / "there"
    assert cache_root(str(tmp_path / "here")) == tmp_path / "here"


def test_caches_are_listed_and_cleared_and_nothing_else(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 3)
    images = open_images(paths, settings(tmp_path))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "4x4-stretch-v1").touch()  # a file, not a folder
    size = 3 * (ROW + ENTRY)
    entries = [(entry.name, entry.images, entry.bytes, entry.settings) for entry in list_caches(tmp_path)]
    assert entries == [(FOLDER, 3, size, settings(tmp_path))]
    assert clear_caches(tmp_path) == size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4x4-stretch-v1", "data", "notes.txt"]
    assert_right(images, paths)  # what is open stays readable
    assert (list_caches(tmp_path), clear_caches(tmp_path), list_caches(tmp_path / "none")) == ([], 0, [])


def test_a_cache_that_is_being_filled_is_not_cleared(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 2)
    refusals: list[str] = []

    def clear(_: int) -> None:
        with pytest.raises(PolyheadError) as refusal:
            clear_caches(tmp_path)
        refusals.append(str(refusal.value))

    assert_right(open_images(paths, settings(tmp_path), Recorder(clear)), paths)
    assert len(refusals) == 2  # when the decoding began, and when it was done
    assert all(f"{FOLDER}: a run is filling this cache" in words for words in refusals)


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEG files, which the two decoders resize with other roundings."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        noise = np.random.default_rng(number).integers(0, 256, (30, 50, 3), np.uint8)
        Image.fromarray(noise).save(path, quality=90)
    return paths


def test_a_cache_of_pillow_alone_goes_on_being_used_and_is_added_to_by_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = photographs(tmp_path / "data", 6)
    with monkeypatch.context() as without:
        without.setattr("polyhead.data.images.fill.is_fast", lambda: False)
        without.setattr("polyhead.data.images.decode.is_fast", lambda: False)
        before = open_images(paths[:4], settings(tmp_path)).read(np.arange(4))
    recorder = Recorder()
    images = open_images(paths, settings(tmp_path), recorder)
    assert recorder.count_decoded() == 2
    np.testing.assert_array_equal(images.read(np.arange(4)), before)
    expected = [decode(path, (HEIGHT, WIDTH), "stretch", fast=False) for path in paths]
    np.testing.assert_array_equal(images.read(np.arange(6)), expected)
    assert [entry.name for entry in list_caches(tmp_path)] == ["5x6-stretch-v1"]


def test_builders_of_one_cache_fill_a_shard_each_and_read_all(tmp_path: Path) -> None:
    paths = draw(tmp_path / "data", 9)
    shares = [paths[:4], paths[4:8]]
    during: list[int] = []

    def build_the_other(done: int) -> None:  # while the first one holds its shard
        if not done:
            during.append(len(open_images(shares[1], replace(settings(tmp_path), shard="1"))))

    open_images(shares[0], replace(settings(tmp_path), shard="0"), Recorder(build_the_other))
    recorder = Recorder()
    images = open_images(paths, settings(tmp_path), recorder)
    assert (during, recorder.count_decoded()) == ([4], 1)
    assert_right(images, paths)
    np.testing.assert_array_equal(images.read(np.array([8, 0, 5])), [images.read(np.array([i]))[0] for i in (8, 0, 5)])
    entry = list_caches(tmp_path)[0]
    assert (entry.images, entry.bytes) == (9, 9 * (ROW + ENTRY))
    assert clear_caches(tmp_path) == 9 * (ROW + ENTRY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("shard", ["a/b", "..\n", "x" * 41])
def test_a_shard_is_named_by_a_word(shard: str) -> None:
    with pytest.raises(ValueError, match="shard: expected at most 40 letters"):
        ImageSettings((4, 4), shard=shard)
