"""The gallery as a workbench, in headless Chromium: labels are marked by keyboard, kept, and saved as a file."""

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from browser import CHROMIUM, Browser
from polyhead.model.familiarity import Familiarity
from polyhead.report.gallery.gallery import Gallery, write_gallery
from polyhead.tasks import Array, Binary, Categorical, MultiLabel, Ordinal, Regression, Task
from polyhead.tasks.agreement import Agreement
from polyhead.tasks.conformal import LabelPromise, LabelsPromise, NumberPromise
from polyhead.tasks.rules import resolve_rules

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
HOSTILE = '</script><b>&amp; "x", `y`'
NAMES = [
    *("a/red.jpg", "a/<img src=x onerror=alert(1)>,.jpg", "b/3.jpg", "b/4.jpg", "b/5.jpg", "b/6.jpg"),
    *("b/7.jpg", "b/8.jpg"),
]
LABELS = {
    "color": ["red", "blue", "light blue", HOSTILE, "red", "", "", "blue"],
    "kind": ["shirt", "shirt", "dress", "shirt", "dress", "", "shirt", "dress"],
    "sold": ["yes", "no", "yes", "no", "yes", "", "no", "yes"],
    "marks": ["dot", f"dot|{HOSTILE}", "none", "?dot", "dot", "", "", "none"],
    "price": ["1", "2", "3", "4", "5", "", "7", "8.5"],
    "size": ["S", "M", "L", "S", "M", "", "L", "S"],
}
TASKS: dict[str, Task] = {
    "color": Categorical(),
    "kind": Categorical(classes=["dress", "shirt"]),
    "sold": Binary(labels=["no", "yes"]),
    "marks": MultiLabel(labels=["dot", HOSTILE]),
    "price": Regression(unit="euro"),
    "size": Ordinal(levels=["S", "M", "L"]),
}


def draw_pixels(rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    return np.repeat(rows.astype(np.uint8) * 30, 24 * 16 * 3).reshape(-1, 24, 16, 3)


def answer(task: Task, labels: list[str]) -> Array:
    """Right outputs, the first answer of each task excepted; where there is no label, the first one."""
    targets = np.nan_to_num(task.encode(labels))
    if task.numeric:
        return np.asarray(targets + np.eye(len(labels), 1))
    outputs = targets if task.width == 1 or task.several else np.eye(task.width)[targets[:, 0].astype(int)]
    outputs = 0.1 + 0.8 * outputs
    outputs[0] = outputs[0, ::-1] if task.width > 1 else 1 - outputs[0]
    return np.asarray(outputs if task.width == 1 or task.several else outputs / outputs.sum(axis=1, keepdims=True))


def make_gallery(**changes: Any) -> Gallery:
    tasks = {name: task.fit(name, LABELS[name]) for name, task in TASKS.items()}
    outputs = {name: answer(task, LABELS[name]) for name, task in tasks.items()}
    return Gallery("Garments", NAMES, tasks, outputs, draw_pixels, **({"truth": pd.DataFrame(LABELS)} | changes))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Browser:
    browser.open(write_gallery(tmp_path / "index.html", make_gallery()).as_uri())
    browser.wait("globalThis.gallery")
    browser.run("localStorage.clear(), gallery.marks.load(), gallery.marks.tell()")
    return browser


def look(page: Browser, query: str, task: str) -> None:
    """Show what a query finds, and open the first image."""
    page.run(f"gallery.workbench.task = gallery.imageSet.tasks.find(({{name}}) => name === {task!r}), 0")
    page.run(f"gallery.show({query!r}), gallery.open(0), 0")


def press(page: Browser, keys: str) -> None:
    for key in keys:
        page.press({"⏎": "Enter", "⎋": "Escape"}.get(key, key))


def saved(page: Browser) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(page.run("gallery.marks.csv"))))


@needs_browser
@pytest.mark.parametrize(
    ("task", "query", "keys", "expected"),
    [
        ("kind", "", "r", {"image": NAMES[0], "task": "kind", "verdict": "right", "label": "shirt"}),
        ("kind", "", "w", {"image": NAMES[0], "task": "kind", "verdict": "wrong", "label": ""}),
        ("kind", "", "u", {"image": NAMES[0], "task": "kind", "verdict": "unknown", "label": ""}),
        ("kind", "", "1", {"image": NAMES[0], "task": "kind", "verdict": "wrong", "label": "dress"}),
        ("kind", "", "2", {"image": NAMES[0], "task": "kind", "verdict": "right", "label": "shirt"}),
        ("kind", "kind unlabelled", "r", {"image": NAMES[5], "task": "kind", "verdict": "right", "label": "dress"}),
        ("kind", "", "/dre⏎", {"image": NAMES[0], "task": "kind", "verdict": "wrong", "label": "dress"}),
        ("color", "", "/pink⏎", {"image": NAMES[0], "task": "color", "verdict": "wrong", "label": "pink"}),
        ("sold", "", "1", {"image": NAMES[0], "task": "sold", "verdict": "wrong", "label": "no"}),
        ("marks", "", "2", {"image": NAMES[0], "task": "marks", "verdict": "wrong", "label": f"dot|{HOSTILE}"}),
        ("marks", "", "1", {"image": NAMES[0], "task": "marks", "verdict": "wrong", "label": "?dot"}),
        ("marks", "", "11", {"image": NAMES[0], "task": "marks", "verdict": "wrong", "label": "none"}),
        ("marks", "", "111", {"image": NAMES[0], "task": "marks", "verdict": "right", "label": "dot"}),
        ("price", "", "/2.5⏎", {"image": NAMES[0], "task": "price", "verdict": "wrong", "label": "2.5"}),
        ("price", "price unlabelled", "r", {"image": NAMES[5], "task": "price", "verdict": "right", "label": "0"}),
        ("size", "", "3", {"image": NAMES[0], "task": "size", "verdict": "wrong", "label": "L"}),
        ("size", "onerror", "r", {"image": NAMES[1], "task": "size", "verdict": "right", "label": "M"}),
    ],
)
def test_labels_of_every_kind_are_marked_by_keys(
    page: Browser, task: str, query: str, keys: str, expected: dict[str, str]
) -> None:
    look(page, query, task)
    press(page, keys)
    assert saved(page) == [expected]


@needs_browser
def test_one_after_the_other_is_marked_and_a_mark_taken_back(page: Browser) -> None:
    look(page, "", "kind")
    press(page, "rwpxttrt")
    assert [(row["image"], row["task"], row["verdict"]) for row in saved(page)] == [
        (NAMES[0], "kind", "right"),
        (NAMES[1], "marks", "right"),
    ]
    assert page.run("document.querySelector('[data-part=saved]').textContent") == "2 marked, 2 not saved."


def find_download(folder: Path) -> Path:
    end, file = time.monotonic() + 20, folder / "corrections.csv"
    while not (file.is_file() and file.stat().st_size):  # Chromium keeps the name with an empty file first
        assert time.monotonic() < end, "nothing was saved"
    return file


@needs_browser
def test_nothing_is_lost_on_reload_and_the_file_is_whole(page: Browser, tmp_path: Path) -> None:
    page.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    look(page, "", "kind")
    press(page, "rr")
    page.open(page.run("location.href"))
    page.wait("globalThis.gallery?.workbench")
    assert page.run("document.querySelector('[data-part=saved]').textContent") == "2 marked, 2 not saved."
    look(page, "kind unmarked", "kind")
    press(page, "us")
    assert page.run("document.querySelector('[data-part=saved]').textContent") == "3 marked, 0 not saved."
    page.wait("gallery.marks.count === 3")
    written = find_download(tmp_path).read_text(encoding="utf-8")
    assert [row["label"] for row in csv.DictReader(io.StringIO(written))] == ["shirt", "shirt", ""]
    look(page, "", "kind")
    press(page, "x")
    assert page.run("gallery.marks.unsaved") == 1  # the file has a mark that was taken back


@needs_browser
def test_other_labels_are_another_gallery(browser: Browser, page: Browser, tmp_path: Path) -> None:
    look(page, "", "kind")
    press(page, "r")
    (tmp_path / "moved").mkdir()
    browser.open(write_gallery(tmp_path / "moved/index.html", make_gallery()).as_uri())
    browser.wait("globalThis.gallery")
    assert browser.run("gallery.marks.count") == 1
    (tmp_path / "corrected").mkdir()
    corrected = pd.DataFrame(LABELS | {"kind": ["dress"] * len(NAMES)})
    browser.open(write_gallery(tmp_path / "corrected/index.html", make_gallery(truth=corrected)).as_uri())
    browser.wait("globalThis.gallery")
    assert browser.run("gallery.marks.count") == 0


@needs_browser
def test_a_list_of_suspects_and_corrections_are_read_again(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "suspects.csv").write_text(f"image,task,label\n{NAMES[4]},kind,x\n{NAMES[2]},kind,x\nno.jpg,kind,x\n")
    page.choose("[data-part=read]", tmp_path / "suspects.csv")
    page.wait("document.querySelector('[data-part=told]').textContent")
    assert page.run("document.querySelector('[data-part=told]').textContent") == (
        "2 suspects read; 1 rows are about other images or tasks."
    )
    assert page.run("gallery.show('kind suspect, by kind suspicion'), gallery.shown") == [4, 2]
    written = 'image,task,verdict,label\n"a/<img src=x onerror=alert(1)>,.jpg",color,wrong,"a ""b"", c"\n'
    (tmp_path / "corrections.csv").write_text(written, newline="")
    page.choose("[data-part=read]", tmp_path / "corrections.csv")
    page.wait("gallery.marks.count")
    assert page.run("gallery.marks.csv") == written
    assert page.run("gallery.marks.unsaved") == 0


@needs_browser
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("red shirt", [0]),  # by its label, though the answer is wrong
        ("shirt light blue", []),
        ("light blue dress", [2]),
        ("dress li", [2]),
        ("b/7", [6]),
        ("color unlabelled", [5, 6]),
        ("price labelled, by price error", [0, 1, 2, 3, 4, 6, 7]),
    ],
)
def test_words_find_what_a_person_means(page: Browser, query: str, expected: list[int]) -> None:
    assert page.run(f"gallery.show({query!r}), gallery.shown") == expected


@needs_browser
def test_an_empty_result_says_so(page: Browser) -> None:
    page.run("gallery.show('zebra, kind dress')")
    assert page.run("document.querySelector('[data-part=nothing]').innerText") == (
        "No image matches “zebra” in a label or the file name, and kind dress."
    )


@needs_browser
def test_names_and_labels_stay_text(page: Browser) -> None:
    look(page, "onerror", "marks")
    assert page.run("document.querySelectorAll('#gallery b, #gallery img').length") == 0
    assert HOSTILE in page.run("document.querySelector('.panel').textContent")


@needs_browser
def test_an_image_shows_what_its_answers_promise(browser: Browser, tmp_path: Path) -> None:
    gallery = make_gallery()
    promises = {
        "color": LabelPromise(coverage=0.9, calibrated_on=50, at_least=0.02),
        "marks": LabelsPromise(coverage=0.9, calibrated_on=50, at_least={"dot": 0.05, HOSTILE: 0.5}),
        "price": NumberPromise(coverage=0.9, calibrated_on=50, factor=2),
        "kind": LabelPromise(coverage=0.9, calibrated_on=50, at_least=0.99),
    }
    promised = {name: gallery.tasks[name].refitted(promise=promise) for name, promise in promises.items()}
    gallery = replace(gallery, tasks={**gallery.tasks, **promised})
    browser.open(write_gallery(tmp_path / "index.html", gallery).as_uri())
    browser.wait("globalThis.gallery")
    browser.run("gallery.show(''), gallery.open(1), 0")
    browser.wait("document.querySelectorAll('.answers p').length === 3")
    notes = browser.run("[...document.querySelectorAll('.answers p')].map((note) => note.textContent)")
    assert [note.replace("\xa0", " ") for note in notes] == [
        f"one of {HOSTILE}, blue, light blue, red (holds in 90.0 % of cases or more)",
        "not sure of dot (holds in 90.0 % of cases or more)",
        "0 to 4 euro (holds in 90.0 % of cases or more)",
    ]


@needs_browser
def test_images_unlike_the_training_images_are_found(browser: Browser, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    known = np.column_stack([rng.normal(size=(60, 2)) * 5, rng.normal(size=(60, 2)) * 0.1])
    gallery = make_gallery()
    outputs = {**gallery.outputs, "features": np.tile([4.0, 4, 0, 0], (8, 1)) + np.eye(8, 4, -4) * [0, 0, 0, 9]}
    familiarity = Familiarity.find(known, known)
    gallery = replace(gallery, outputs=outputs, familiarity=familiarity)
    browser.open(write_gallery(tmp_path / "index.html", gallery).as_uri())
    browser.wait("globalThis.gallery?.imageSet")
    assert browser.run("gallery.show('unfamiliar'), gallery.shown") == [7]
    assert browser.run("gallery.show('unfamiliar first'), gallery.shown[0]") == 7
    assert browser.run("gallery.show('familiar'), gallery.shown.length") == 7
    browser.run("gallery.show('unfamiliar'), gallery.open(0), 0")
    assert "unfamiliar" in browser.run("document.querySelector('.detail-about').innerText")


@needs_browser
def test_answers_that_a_rule_changed_are_found_and_say_what_they_would_be(browser: Browser, tmp_path: Path) -> None:
    gallery = make_gallery()
    rule = "dress excludes light blue"
    agreed = Agreement(resolve_rules([rule], gallery.tasks), gallery.tasks).apply(gallery.outputs)
    gallery = replace(gallery, outputs=agreed.outputs, agreed=agreed)
    browser.open(write_gallery(tmp_path / "index.html", gallery).as_uri())
    browser.wait("globalThis.gallery?.imageSet")
    found = browser.run("gallery.show('changed by a rule'), gallery.shown")
    changed = {name: np.flatnonzero(rows).tolist() for name, rows in agreed.changed.items()}
    assert found == sorted(set(changed["color"]) | set(changed["kind"])) != []
    for name, rows in changed.items():
        assert browser.run(f"gallery.show('{name} changed by a rule'), gallery.shown") == rows
    browser.run("gallery.show('changed by a rule'), gallery.open(0), 0")
    told = browser.run("[...document.querySelectorAll('.changed')].map((note) => note.textContent)")
    assert told == [
        f"{name}: {is_now}, changed by a rule: without “{rule}” it would be {was}."
        for name, rows in changed.items()
        if found[0] in rows
        for is_now, was in [
            (gallery.tasks[name].decode(values[name])[found[0]].label for values in (agreed.outputs, agreed.plain))
        ]
    ]
    assert told
    assert "changed by a rule" in browser.run("document.querySelector('[data-part=facets]').textContent")


@needs_browser
def test_a_page_whose_browser_keeps_nothing_says_so(browser: Browser, tmp_path: Path) -> None:
    page = write_gallery(tmp_path / "index.html", make_gallery())
    source = page.read_text(encoding="utf-8")
    refused = "<script>Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})</script>"
    page.write_text(source.replace("<head>", f"<head>{refused}"), encoding="utf-8")
    browser.open(page.as_uri())
    browser.wait("globalThis.gallery")
    assert "keeps nothing" in browser.run("document.querySelector('[data-part=saved]').textContent")


@needs_browser
def test_images_chosen_for_a_task_open_at_that_task(browser: Browser, tmp_path: Path) -> None:
    gallery = make_gallery(truth=None, chosen_for=["size", "color"] * 4)
    browser.open(write_gallery(tmp_path / "index.html", gallery).as_uri())
    browser.wait("globalThis.gallery")
    browser.run("localStorage.clear(), gallery.marks.load(), gallery.open(0), 0")
    press(browser, "rr")
    assert [(row["image"], row["task"]) for row in saved(browser)] == [(NAMES[0], "size"), (NAMES[1], "color")]
