"""`polyhead cluster` and galleries, the whole way: a model file and images in, a page that opens from disk out."""

import base64
import csv
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from sklearn.metrics import adjusted_rand_score

import polyhead
from conftest import call
from pages import Page
from polyhead.model.file import Card, write_card
from polyhead.recipe.schema import ImageRecipe
from polyhead.tasks import Categorical, FittedCategorical, MultiLabel, Regression

HUES = {"red": (210, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 220), "yellow": (220, 210, 30)}


def make_model(path: Path) -> Path:
    """A model that answers what the mean of an image's pixels says: its strongest primary, which of them it has, and
    its level; its features are the three means."""
    card = Card(
        version="0",
        name="means",
        note="Drawn images only.",
        image=ImageRecipe(size=(16, 16)),
        tasks={
            "primary": Categorical(fitted=FittedCategorical(classes=["r", "g", "b"], unsure_below=0.9)),
            "has": MultiLabel(labels=["red", "green", "blue"]),
            "level": Regression(unit="steps"),
        },
        recipe={},
        rows={"train": 1},
        parameters=0,
        fingerprint="0" * 16,
    )
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "area"], ["features"], keepdims=0),
        helper.make_node("Mul", ["features", "gain"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["primary"], axis=1),
        helper.make_node("Sub", ["features", "middle"], ["above"]),
        helper.make_node("Mul", ["above", "gain"], ["scaled"]),
        helper.make_node("Sigmoid", ["scaled"], ["has"]),
        helper.make_node("ReduceMean", ["features", "channels"], ["level"], keepdims=1),
    ]
    constants = [
        helper.make_tensor("area", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("channels", TensorProto.INT64, [1], [1]),
        helper.make_tensor("gain", TensorProto.FLOAT, [], [0.05]),
        helper.make_tensor("middle", TensorProto.FLOAT, [], [120.0]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 16, 16, 3])
    widths = {"primary": 3, "has": 3, "level": 1, "features": 3}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in widths.items()]
    graph = helper.make_graph(nodes, "means", [images], outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    write_card(path, card)
    return path


def draw_images(folder: Path, count: int) -> list[str]:
    """Noisy images in four hues, the first of them with a name that is HTML; which hue each has, by their order."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    hues = [str(hue) for hue in rng.choice(list(HUES), count, p=[0.4, 0.3, 0.2, 0.1])]
    for number, hue in enumerate(hues):
        pixels = rng.normal(HUES[hue], 30, (20, 20, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    (folder / "000.png").rename(folder / "000 <b>&'\".png")
    return hues


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model.onnx` and 90 images in `images`."""
    folder = tmp_path_factory.mktemp("image_set")
    make_model(folder / "model.onnx")
    draw_images(folder / "images", 90)
    return folder


@pytest.fixture(scope="module")
def hues(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return draw_images(tmp_path_factory.mktemp("again") / "images", 90)


@pytest.fixture(scope="module")
def out(place: Path) -> Path:
    """The page of a comparison."""
    assert call("cluster", place / "model.onnx", place / "images", "--out", place / "out", "--k", "2..8") == 0
    return place / "out"


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page(out / "index.html")


@pytest.fixture(scope="module")
def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "clusters.json").read_text(encoding="utf-8"))
    return found


def read_groups(folder: Path) -> list[str]:
    with (folder / "clusters.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"image", "group", "distance"}
    return [row["group"] for row in rows]


def read_script(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").partition("=")[2].rstrip(";\n"))
    return found


def test_drawn_groups_are_found_and_numbered_by_size(out: Path, hues: list[str], record: dict[str, Any]) -> None:
    groups = read_groups(out)
    assert adjusted_rand_score(hues, groups) >= 0.95
    sizes = [group["images"] for group in record["groups"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes == [groups.count(str(number)) for number in (1, 2, 3, 4)]


def test_each_group_is_named_by_what_sets_it_apart(record: dict[str, Any]) -> None:
    assert record["groups"][0]["name"].replace("\N{NO-BREAK SPACE}", " ").startswith("primary r 100 % (+")
    assert any("has" not in group["name"] and "green" in group["name"] for group in record["groups"])
    frequencies = record["groups"][0]["frequencies"]
    assert {(row["task"], row["label"]) for row in frequencies} >= {("primary", "r"), ("has", "red"), ("level", None)}


def test_the_record_says_what_was_tried_and_why_it_was_chosen(record: dict[str, Any]) -> None:
    tries = record["comparison"]["tries"]
    assert {found["method"] for found in tries} == {
        *("kmeans", "agglomerative", "spectral", "birch", "dbscan", "optics", "hdbscan")
    }
    assert len(tries) == 4 * 7 + 3
    assert "4 groups: silhouette" in record["comparison"]["why"]
    assert record["method"] == record["comparison"]["best"]["method"]
    assert {column["task"] for column in record["columns"]} == {"primary", "has", "level"}


def test_equal_runs_give_equal_groups(out: Path, place: Path, tmp_path: Path) -> None:
    found = polyhead.cluster(place / "model.onnx", [place / "images"], tmp_path / "again", polyhead.Grouping(k="2..8"))
    assert found == json.loads((out / "clusters.json").read_text(encoding="utf-8"))
    assert (tmp_path / "again/index.html").read_bytes() == (out / "index.html").read_bytes()


def test_the_page_loads_nothing_from_a_network(out: Path, page: Page) -> None:
    for address in page.values("src") + page.values("href"):
        assert address.startswith("#") or (out / address).is_file(), address
    assert not [name for name in out.rglob("*") if name.name.startswith(".part-")]
    places = page.values("id")
    assert len(places) == len(set(places))
    assert {address[1:] for address in page.values("href") if address.startswith("#")} <= set(places)


def test_file_names_stay_text(page: Page, out: Path) -> None:
    assert not [tag for tag, _ in page.tags if tag == "b"]
    assert "000 <b>&'\".png" in read_script(out / "gallery/data.js")["names"]


@pytest.mark.parametrize(
    "words",
    ["4 groups of 90 images", "Drawn images only.", "Most typical first", "Least typical first", "Eigenface"],
)
def test_the_page_says(page: Page, words: str) -> None:
    assert words in page.text


def test_the_typical_come_first_and_the_doubtful_are_named(record: dict[str, Any]) -> None:
    distances = {image["image"]: image["distance"] for image in record["images"]}
    for group in record["groups"]:
        far = [distances[name] for name in group["typical"]]
        assert far == sorted(far)
        fits = [doubtful["fit"] for doubtful in group["doubtful"]]
        assert fits == sorted(fits)


def test_the_gallery_holds_the_answers_by_group(out: Path, place: Path, record: dict[str, Any]) -> None:
    data = read_script(out / "gallery/data.js")
    of = np.frombuffer(base64.b64decode(data["groups"]["of"]), "<u2")
    assert of.tolist() == sorted(of.tolist())
    by_name = {Path(image["image"]).name: image["group"] for image in record["images"]}
    assert [by_name[name] for name in data["names"]] == of.tolist()
    primary, has, level = data["tasks"]
    answers = np.frombuffer(base64.b64decode(primary["answer"]), "<u2")
    found = polyhead.load_model(place / "model.onnx").predict([place / "images" / name for name in data["names"]])
    for row, record_of in enumerate(found):
        predicted = record_of["answers"]
        assert primary["labels"][answers[row]] == predicted["primary"]["answer"]
        bits = np.unpackbits(np.frombuffer(base64.b64decode(has["predicted"]), np.uint8)).reshape(90, -1)[row]
        assert [label for label, yes in zip(has["labels"], bits, strict=False) if yes] == predicted["has"]["answer"]
        numbers = np.frombuffer(base64.b64decode(level["numbers"]), "<f4")
        assert numbers[row] == pytest.approx(predicted["level"]["answer"])


def test_thumbnails_lie_in_sheets_and_neighbours_in_a_file_of_their_own(out: Path) -> None:
    data = read_script(out / "gallery/data.js")
    assert len(list((out / "gallery").glob("sheet-*.jpg"))) == 2  # 90 images, 64 a sheet
    with Image.open(out / "gallery/sheet-1.jpg") as sheet:
        assert sheet.size == (8 * data["sheets"]["width"], 4 * data["sheets"]["height"])  # 26 are four rows of eight
    near = read_script(out / "gallery/neighbours.js")
    images = np.frombuffer(base64.b64decode(near["images"]), "<u4").reshape(90, near["each"])
    assert not (images == np.arange(90)[:, None]).any()
    of = np.frombuffer(base64.b64decode(data["groups"]["of"]), "<u2")
    assert (of[images[:, 0]] == of).mean() > 0.9


def test_one_number_of_groups_is_not_compared(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["cluster", place / "model.onnx", place / "images", "--out", tmp_path / "out", "--k", "4"]
    assert call(*arguments, "--task", "has=red,green", "--weight", "rare", "--weight", "red=2", "--on", "answers") == 0
    printed = capsys.readouterr().out
    assert "    1  " in printed
    assert f"page  {tmp_path / 'out' / 'index.html'}" in printed
    record = json.loads((tmp_path / "out/clusters.json").read_text(encoding="utf-8"))
    assert record["comparison"] is None
    assert [(column["task"], column["label"]) for column in record["columns"]] == [("has", "red"), ("has", "green")]
    assert call(*arguments) == 2  # never replaced unasked
    assert call(*arguments, "--force") == 0


def test_the_feature_vector_groups_as_well(place: Path, hues: list[str], tmp_path: Path) -> None:
    grouping = polyhead.Grouping(on="features", k=4)
    polyhead.cluster(place / "model.onnx", [place / "images"], tmp_path / "out", grouping)
    assert adjusted_rand_score(hues, read_groups(tmp_path / "out")) >= 0.95


def test_noise_is_a_group_of_its_own(place: Path, tmp_path: Path) -> None:
    settings = {"eps": 0.12, "min_samples": 12}  # as many as there are of the rarest hue, or more
    grouping = polyhead.Grouping(methods=["dbscan"], settings=settings)
    found: Any = polyhead.cluster(place / "model.onnx", [place / "images"], tmp_path / "out", grouping)
    assert found["groups"][-1]["noise"]
    assert found["groups"][-1]["images"] == read_groups(tmp_path / "out").count("0") > 0
    assert "Noise" in Page(tmp_path / "out/index.html").text


def test_what_cannot_be_read_is_left_out_and_named(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "images", tmp_path / "images")
    (tmp_path / "images/050.png").write_bytes(b"not an image")
    assert call("cluster", place / "model.onnx", tmp_path / "images", "--out", tmp_path / "out", "--k", "3") == 0
    record = json.loads((tmp_path / "out/clusters.json").read_text(encoding="utf-8"))
    assert [Path(row["image"]).name for row in record["unreadable"]] == ["050.png"]
    assert len(record["images"]) == 89
    assert "1 image could not be read and is left out" in Page(tmp_path / "out/index.html").text


def test_names_that_are_no_text_are_shown_as_text(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "images", tmp_path / "images")
    odd, broken = (os.fsencode(tmp_path / "images") + name for name in (b"/\xff\x1b\n.png", b"/\xfe.png"))
    os.rename(tmp_path / "images/050.png", odd)
    os.rename(tmp_path / "images/051.png", broken)
    Path(os.fsdecode(broken)).write_bytes(b"broken")
    assert call("cluster", place / "model.onnx", tmp_path / "images", "--out", tmp_path / "out", "--k", "3") == 0
    record = json.loads((tmp_path / "out/clusters.json").read_text(encoding="utf-8"))
    shown = str(tmp_path / "images") + r"/\udcff\x1b\n.png"
    assert shown in [row["image"] for row in record["images"]]
    assert [row["image"] for row in record["unreadable"]] == [str(tmp_path / "images") + r"/\udcfe.png"]
    with (tmp_path / "out/clusters.csv").open(encoding="utf-8", newline="") as file:
        assert shown in [row["image"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{images} --k 91", "91 groups need at least as many images; there are 90"),
        ("{one} --k 2", "one image cannot be grouped"),
        ("{equal} --k 2", "all 3 images have the same answers"),
        ("{images} --task hue", "the model has no task 'hue'; it has primary, has, level"),
        ("{images} --k 4 --set epps=1", "kmeans: has no parameter 'epps'"),
        ("{images} --k 4 --set eps", "--set eps: expected PARAMETER=VALUE"),
        ("{images} --method dbscan --set eps=0.0001", "dbscan: found only noise"),
        ("{empty}", "there is no image in it"),
        ("{images}/none.png", "no such file or folder"),
        ("{broken}", "none of the 1 images can be read, such as"),
    ],
)
def test_a_users_mistake_is_one_line(
    arguments: str, message: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("empty", "equal", "one", "broken"):
        (tmp_path / name).mkdir()
    for number in range(3):
        shutil.copy(place / "images/001.png", tmp_path / f"equal/{number}.png")
    shutil.copy(place / "images/001.png", tmp_path / "one")
    (tmp_path / "broken/0.png").write_bytes(b"no image")
    places = {name: tmp_path / name for name in ("empty", "equal", "one", "broken")}
    given = arguments.format(images=place / "images", **places).split()
    assert call("cluster", place / "model.onnx", *given, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("polyhead: ")
    assert message in error
    assert not (tmp_path / "out").exists()


def test_predictions_have_a_gallery_too(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("predict", place / "model.onnx", place / "images", "--gallery", tmp_path / "look")
    assert call(*arguments) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "look/index.html")
    data = read_script(tmp_path / "look/gallery/data.js")
    assert data["names"] == sorted(data["names"])
    assert data["groups"] is None
    assert data["root"] == (place / "images").as_uri() + "/"
    assert "Answers of means" in Page(tmp_path / "look/index.html").text
    assert call(*arguments, "--json") == 2


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs a browser")
@pytest.mark.parametrize(
    ("query", "keeps"),
    [
        ("primary r", lambda a: a["primary"]["answer"] == "r"),
        ("primary r, primary g", lambda a: a["primary"]["answer"] in "rg"),
        ("not primary r, blue yes", lambda a: a["primary"]["answer"] != "r" and "blue" in a["has"]["answer"]),
        ("red no, green", lambda a: "red" not in a["has"]["answer"] and "green" in a["has"]["answer"]),
        ("level > 100", lambda a: a["level"]["answer"] > 100),
        ("unsure", lambda a: a["primary"]["unsure"]),
        ("sure, by primary rising", lambda a: not a["primary"]["unsure"]),
    ],
)
def test_the_gallery_shows_what_is_asked_for(query: str, keeps: Any, out: Path, place: Path) -> None:
    script = f'addEventListener("load", () => {{ gallery.show("{query}"); document.title = gallery.shown.join(); }});'
    source = (out / "index.html").read_text(encoding="utf-8")
    (out / "asked.html").write_text(source.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command = ["chromium", *flags, "--dump-dom", (out / "asked.html").as_uri()]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    title = dump.partition("<title>")[2].partition("</title>")[0]
    names = read_script(out / "gallery/data.js")["names"]
    found = polyhead.load_model(place / "model.onnx").predict([place / "images" / name for name in names])
    expected = [number for number, record in enumerate(found) if keeps(record["answers"])]
    assert sorted(map(int, title.split(","))) == expected
    (out / "asked.html").unlink()
