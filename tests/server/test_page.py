"""The page, in headless Chromium."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from browser import CHROMIUM, Browser
from drawn_model import MARKS, TASKS, write_model
from polyhead.model.file import read_model_card, write_card
from polyhead.tasks.conformal import LabelPromise, LabelsPromise, NumberPromise
from served_page import serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: the page is not tested"),
]
ANSWERED = "document.querySelectorAll('article').length === {} && !document.querySelector('.waiting')"


def paint(path: Path, color: str) -> Path:
    Image.new("RGB", (60, 40), color).save(path)
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    with serve(write_model(folder / "model.onnx"), paint(folder / "blue.jpg", "blue")) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Browser:
    browser.open(address)
    browser.wait("document.querySelector('#name').textContent === 'drawn'")
    return browser


def give(page: Browser, way: str, *files: Path) -> None:
    """Drop or paste files."""
    contents = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    event = {
        "drop": "new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})",
        "paste": "new ClipboardEvent('paste', {clipboardData: data, bubbles: true})",
    }[way]
    page.run(f"""(() => {{
        const data = new DataTransfer();
        for (const [name, text] of {contents})
            data.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt())], name));
        document.querySelector("#drop").dispatchEvent({event});
    }})()""")


def texts(page: Browser, selector: str) -> list[str]:
    found: list[str] = page.run(f"[...document.querySelectorAll({selector!r})].map((found) => found.innerText.trim())")
    return found


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_images_are_answered_however_they_come(page: Browser, tmp_path: Path, way: str) -> None:
    files = [paint(tmp_path / "red.png", "red"), paint(tmp_path / "lime.png", "lime")]
    if way == "choose":
        page.choose("#files", *files)
    else:
        give(page, way, *files)
    page.wait(ANSWERED.format(2))
    assert texts(page, "article .name") == ["red.png", "lime.png"]
    assert texts(page, "[aria-label=color] .answer") == ["red", "green"]
    assert texts(page, "[aria-label=light] .answer") == ["33.3%", "33.3%"]
    assert texts(page, "[aria-label=light] .faint")[0] == "On test images, the mean error is 1.5 %."
    bars = texts(page, "article:first-child [aria-label=color] .bars li")
    assert [bar.split() for bar in bars] == [["red", ">", "99.9%"], ["green", "<", "0.1%"], ["blue", "<", "0.1%"]]


def test_the_last_answer_is_told_to_those_who_cannot_see_it(page: Browser, tmp_path: Path) -> None:
    page.choose("#files", paint(tmp_path / "red.png", "red"))
    page.wait(ANSWERED.format(1))
    assert page.run("document.querySelector('#status').getAttribute('aria-live')") == "polite"
    assert "red.png: color: red, > 99.9%; marks: dark" in texts(page, "#status")[0]


def test_what_is_unsure_is_shown_as_unsure(page: Browser, tmp_path: Path) -> None:
    page.choose("#files", paint(tmp_path / "grey.png", "#808080"))
    page.wait(ANSWERED.format(1))
    assert texts(page, "[aria-label=color] .chip") == ["unsure"]
    assert texts(page, "[aria-label=marks] .chip") == []


def test_an_answer_that_a_rule_changed_says_what_it_would_be_and_why(browser: Browser, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx")
    ruled = {"rules": ["bright excludes red", "never 1 excludes never 2"], "obey_rules": True}
    write_card(model, read_model_card(model).model_copy(update=ruled))
    with serve(model) as address:
        browser.open(address)
        browser.choose("#files", paint(tmp_path / "pink.png", "#ff4141"))
        browser.wait(ANSWERED.format(1))
        said = [texts(browser, f"[aria-label={task}] .small:not(.faint)") for task in ("color", "marks")]
    assert said == [[], ["Changed by a rule: without “bright excludes red” it would be bright."]]


def test_what_an_answer_promises_is_said(browser: Browser, tmp_path: Path) -> None:
    found = {
        "color": LabelPromise(coverage=0.9, calibrated_on=50, at_least=0.2),
        "marks": LabelsPromise(coverage=0.995, calibrated_on=500, at_least=dict.fromkeys(MARKS, 0.1)),
        "light": NumberPromise(coverage=0.9, calibrated_on=50, factor=5),
    }
    tasks = {name: task.refitted(promise=found[name]) for name, task in TASKS.items()}
    with serve(write_model(tmp_path / "model.onnx", tasks)) as address:
        browser.open(address)
        browser.choose("#files", paint(tmp_path / "red.png", "red"), paint(tmp_path / "grey.png", "#808080"))
        browser.wait(ANSWERED.format(2))
        said = [texts(browser, f"[aria-label={task}] .small:not(.faint)") for task in found]
    often = "Such an answer holds the truth in 90 of 100 cases or more."
    assert said[0] == [f"Narrowed down to red alone. {often}", f"Narrowed down to one of red, green, blue. {often}"]
    assert said[1][1].startswith(
        "Not sure of bright, dark. For each label, such an answer holds the truth in 995 of 1,000"
    )
    assert said[2] == ["In 90 of 100 cases or more: 28.3 to 38.3 %.", "In 90 of 100 cases or more: 45.2 to 55.2 %."]


def test_many_labels_are_shown_on_request(page: Browser, tmp_path: Path) -> None:
    page.choose("#files", paint(tmp_path / "white.png", "white"))
    page.wait(ANSWERED.format(1))
    shown = "[aria-label=marks] .bars li:not([hidden])"
    assert len(texts(page, shown)) == 8
    assert texts(page, "[aria-label=marks] .predicted")[0].split()[0] == "bright"
    page.run("document.querySelector('[aria-label=marks] .more').click()")
    assert len(texts(page, shown)) == len(MARKS)


def test_a_broken_file_is_told_beside_whole_ones(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not an image")
    give(page, "drop", paint(tmp_path / "red.png", "red"), tmp_path / "broken.png")
    page.wait(ANSWERED.format(2))
    assert texts(page, "article:first-child .answer")[0] == "red"
    assert texts(page, "article:last-child .problem")[0].startswith("broken.png: not an image")
    assert texts(page, "article:last-child .picture") == ["no preview"]


def test_a_heat_map_lies_over_the_image_until_it_is_pressed_again(page: Browser, tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 60))
    image.paste((255, 0, 0), (0, 0, 30, 60))
    image.save(tmp_path / "left.png")
    page.choose("#files", tmp_path / "left.png")
    page.wait(ANSWERED.format(1))
    button = "document.querySelector('[aria-label=\"Heat map of color\"]')"
    page.run(f"{button}.click()")
    page.wait("document.querySelector('canvas')")
    assert page.run(f"{button}.getAttribute('aria-pressed')") == "true"
    said = texts(page, "figcaption p")[0]
    assert said.startswith(
        "Orange areas support “red”, blue areas contradict it. With the strongest area covered, it falls"
    )
    left, right = (
        page.run(f"[...document.querySelector('canvas').getContext('2d').getImageData({across}, 240, 1, 1).data]")
        for across in (120, 400)
    )
    assert left[0] > left[2]  # orange
    assert right[0] < right[2]  # blue: with the mean colour, which is a red, in place of black it is redder
    image_box, heat_box = (
        page.run(f"JSON.stringify(document.querySelector('.picture {tag}').getBoundingClientRect())")
        for tag in ("img", "canvas")
    )
    assert image_box == heat_box
    label = "document.querySelector('[aria-label=\"Heat map of green\"]')"
    page.run(f"{label}.click()")
    page.wait("document.querySelector('figcaption p')?.textContent.includes('“green”')")
    assert page.run(f"{button}.getAttribute('aria-pressed')") == "false"
    assert page.run(f"{label}.getAttribute('aria-pressed')") == "true"
    page.run(f"{label}.click()")
    assert page.run("document.querySelector('canvas')") is None
    assert page.run(f"{label}.getAttribute('aria-pressed')") == "false"


def test_a_heat_map_where_no_part_decides_says_so(page: Browser, tmp_path: Path) -> None:
    page.choose("#files", paint(tmp_path / "red.png", "red"))  # of one colour: covered by its mean, it stays as it is
    page.wait(ANSWERED.format(1))
    page.run("document.querySelector('[aria-label=\"Heat map of color\"]').click()")
    page.wait("document.querySelector('figcaption p')")
    assert texts(page, "figcaption p")[0].startswith("No part of the image decides “red”: it stays at > 99.9%")
    assert page.run("document.querySelectorAll('canvas, .scale').length") == 0


def test_examples_of_the_run_can_be_tried_by_keyboard_alone(page: Browser) -> None:
    page.wait("document.querySelector('#examples button')")
    for _ in range(20):
        page.press("Tab")
        if page.run("document.activeElement.getAttribute('aria-label')") == "Try example 1":
            break
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter")
    page.wait(ANSWERED.format(1))
    assert texts(page, "[aria-label=color] .answer") == ["blue"]
    for _ in range(20):
        page.press("Tab")
        if page.run("document.activeElement.getAttribute('aria-label')") == "Heat map of color":
            break
    page.press(" ")
    page.wait("document.querySelector('canvas') || document.querySelector('figcaption p')")
    page.run("document.querySelector('article h2 button').focus()")
    page.press("Enter")
    assert texts(page, "article") == []
    assert page.run("document.activeElement.id") == "choose"


def test_the_page_fits_a_phone_and_follows_the_systems_colours(browser: Browser, address: str, tmp_path: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.tell("Emulation.setEmulatedMedia", features=[feature])
        browser.open(address, 360, 740)
        browser.choose("#files", paint(tmp_path / "a_very_long_name_without_any_space_in_it_at_all.png", "red"))
        browser.wait(ANSWERED.format(1))
        assert browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        grounds.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    browser.tell("Emulation.setEmulatedMedia", features=[])
    assert grounds == ["rgb(245, 246, 248)", "rgb(14, 17, 20)"]


def test_the_page_runs_nothing_that_a_name_brings_in(page: Browser, tmp_path: Path) -> None:
    page.run("window.broken = 0")
    page.choose("#files", paint(tmp_path / "<img src=x onerror=window.broken=1>.png", "red"))
    page.wait(ANSWERED.format(1))
    assert texts(page, "article .name") == ["<img src=x onerror=window.broken=1>.png"]
    assert page.run("window.broken") == 0
    load = "const image = new Image(); image.onerror = () => done('kept out'); image.src = 'http://127.0.0.1:9/x.png'"
    assert page.run(f"new Promise((done) => {{ {load} }})") == "kept out"


def test_an_image_is_read_by_page_and_server_alike_when_it_lies_on_its_side(page: Browser, tmp_path: Path) -> None:
    image, file = Image.new("RGB", (60, 40), "red"), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(file, "JPEG", exif=exif)
    (tmp_path / "turned.jpg").write_bytes(file.getvalue())
    page.choose("#files", tmp_path / "turned.jpg")
    page.wait(ANSWERED.format(1))
    page.wait("document.querySelector('.picture').style.getPropertyValue('--ratio')")
    assert float(page.run("document.querySelector('.picture').style.getPropertyValue('--ratio')")) == pytest.approx(
        2 / 3
    )
