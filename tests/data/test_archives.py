"""A zip or tar file of a folder is read like the folder; one that is made to do harm is one line."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from drawn_labels import ROWS, TASKS, draw, recipe, write_csv
from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.sources.archives import unpack_archive
from polyhead.data.table import Table, read_table
from polyhead.errors import PolyheadError
from polyhead.prediction.gather import gather_files
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe

CSV = {"kind": "csv", "file": "labels.csv"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("POLYHEAD_CACHE", str(folder))
    return folder


def make_folder(folder: Path) -> Path:
    folder.mkdir()
    draw(folder)
    write_csv(folder / "labels.csv")
    return folder


def pack_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
        archive.writestr("notes.exe", "not wanted")
    return folder.with_suffix(".zip")


def pack_tar(folder: Path) -> Path:
    file = folder.with_suffix(".tar.gz")
    with tarfile.open(file, "w:gz") as archive:
        archive.add(folder, ".")
    return file


def labels(table: Table) -> list[list[str]]:
    return table.frame[["path", *TASKS]].to_numpy().tolist()


@pytest.mark.parametrize("pack", [pack_zip, pack_tar])
def test_an_archive_is_read_like_its_folder(tmp_path: Path, cache: Path, pack: Callable[[Path], Path]) -> None:
    folder = make_folder(tmp_path / "set")
    wanted = read_table(recipe("csv", CSV), folder, SILENT)
    archive = pack(folder)
    table = read_table(recipe("csv", CSV), archive, SILENT)
    assert labels(table) == labels(wanted)
    assert len(table.frame) == len(ROWS)
    assert all((table.root / path).is_file() for path in table.frame["path"])
    assert table.root.is_relative_to(cache)
    assert not list(table.root.rglob("*.exe"))
    text = propose_recipe(archive, tmp_path)
    assert f"  path: {archive.name}\n" in text
    assert set(check_recipe(YAML(typ="safe", pure=True).load(text), "proposal").tasks) >= {"color", "length"}
    assert len(gather_files([archive]).paths) == len(ROWS)


def test_labels_in_names_of_folders_of_a_zip(tmp_path: Path) -> None:
    for number, row in enumerate(ROWS):
        draw_one = tmp_path / "set" / row["color"] / f"{number}.png"
        draw_one.parent.mkdir(parents=True, exist_ok=True)
        draw_one.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([number]))
    archive = pack_zip(tmp_path / "set")
    read = check_recipe(YAML(typ="safe", pure=True).load(propose_recipe(archive)), "proposal")
    assert read.data.source.model_dump() == {"kind": "folders", "pattern": "{color}"}
    table = read_table(read, Path(str(read.data.path)), SILENT)
    assert table.frame["color"].value_counts().to_dict() == {"red": 20, "blue": 20}


def outside(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../outside.png", "x")


def outside_of_tar(file: Path) -> None:
    with tarfile.open(file, "w") as archive:
        archive.addfile(tarfile.TarInfo("/etc/outside.png"), io.BytesIO())


def bomb(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1000))
        archive.filelist[0].file_size = 2**40


def encrypted(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", "x")
        archive.filelist[0].flag_bits |= 1
    content = bytearray(file.read_bytes())
    content[6] |= 1  # in the file's own header, too
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("a.zip", outside, "a file in it is called '../outside.png', which leads elsewhere"),
        ("a.tar", outside_of_tar, "a file in it is called '/etc/outside.png', which leads elsewhere"),
        ("a.zip", bomb, "unpacks to more than 1,0"),
        ("a.zip", encrypted, "is encrypted, password required"),
        ("a.zip", lambda file: file.write_bytes(b"no zip"), "cannot be unpacked: File is not a zip file"),
        ("a.tgz", lambda file: file.write_bytes(b"no tar"), "cannot be read as a tar file"),
    ],
)
def test_a_hostile_archive_is_one_line(
    tmp_path: Path, cache: Path, name: str, make: Callable[[Path], None], told: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(PolyheadError) as caught:
        unpack_archive(tmp_path / name)
    assert told in str(caught.value)
    assert not [path for path in cache.rglob("*.png") if path.stat().st_size]
    assert not list(tmp_path.parent.glob("outside.png"))


def test_links_are_not_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    assert [path.name for path in unpack_archive(tmp_path / "a.tar").iterdir()] == ["a.png"]
