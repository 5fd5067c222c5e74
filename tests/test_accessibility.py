"""Every page holds to WCAG AA, as far as axe-core can tell, light and dark, on a screen and on a phone; in headless
Chromium. What axe-core cannot tell, such as whether words make sense, a person has to look at."""

import json
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from browser import CHROMIUM, Browser
from conftest import TINY_RECIPE, call, draw_shapes
from polyhead.report.search import SearchPage, TrialRow, write_page_of_search
from served_page import serve

try:
    AXE = str(distribution("axe-playwright-python").locate_file("axe_playwright_python/axe.min.js"))
except PackageNotFoundError:
    AXE = ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: the pages are not looked at"),
    pytest.mark.skipif(not AXE, reason="axe-playwright-python is not installed, which holds axe-core"),
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
HOW = {"runOnly": RULES, "resultTypes": ["violations"], "preload": False}
FIND = f"""axe.run(%s, {json.dumps(HOW)}).then(({{violations}}) => violations.map(
    ({{id, nodes}}) => [id, nodes.length, nodes[0].html.slice(0, 200), nodes[0].failureSummary]))"""
PAGES = ("report", "gallery", "explore", "audit", "suspects", "clusters", "select", "monitor", "tune")
ASKED = "document.querySelectorAll('article').length === 2 && !document.querySelector('.waiting')"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each page, made from drawn shapes and one small run; the run's labels have some mistakes, and rules to break."""
    place = tmp_path_factory.mktemp("pages")
    os.environ["POLYHEAD_CACHE"] = str(place / "cache")
    images = draw_shapes(place / "shapes", 160).parent
    labels = (images / "labels.csv").read_text(encoding="utf-8").replace("005.png,red", "005.png,blue")
    (images / "labels.csv").write_text(labels.replace("008.png,green", "008.png,red"), encoding="utf-8")
    (place / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    run, recipe = place / "run", place / "tiny.yaml"
    ruled = ["--set", "rules=[dot excludes bar]", "--set", "obey_rules=true", "--set", "groups=[color]"]
    assert call("train", recipe, "--data", images, "--out", run, "--set", "training.epochs=2", *ruled) == 0
    assert call("explore", recipe, "--data", images, "--out", place / "explore") == 0
    assert call("audit", run, "--out", place / "audit") == 0
    assert call("cluster", run, images / "images", "--out", place / "clusters", "--k", "3") == 0
    assert call("select", run, images / "images", "--n", "20", "--gallery", place / "select") == 0
    assert call("monitor", run, images / "images", "--out", place / "monitor") == 0
    search_page(place / "tune")
    files = {
        name: place / name / "index.html" for name in ("explore", "audit", "clusters", "select", "monitor", "tune")
    }
    files |= {"suspects": place / "audit/suspects.html"}
    return files | {"report": run / "report/index.html", "gallery": run / "report/gallery.html"}


def search_page(folder: Path) -> None:
    trials = [
        TrialRow(
            trial=number,
            state=state,
            score=0.5 + number / 10 if state == "complete" else None,
            epochs=3,
            seconds=12.5,
            values={"learning rate": 10.0**-number, "dropout": number / 10},
            scores={0: 0.3, 1: 0.4 + number / 20},
            why="",
        )
        for number, state in enumerate(("complete", "complete", "pruned", "complete", "complete", "failed"), 1)
    ]
    changes = [("training.learning_rate", "0.001", "0.0003")]
    write_page_of_search(folder, SearchPage("tiny: search", 5, trials, changes, {"learning rate": 0.8, "dropout": 0.2}))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def views(browser: Browser, url: str) -> Iterator[tuple[str, int]]:
    """Open the page light and dark, wide and narrow, with axe-core in it."""
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            browser.open("about:blank")  # so that no colour is on its way from the scheme before
            browser.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.open(url, width=width)
            browser.run(Path(AXE).read_text(encoding="utf-8") + ";0")
            yield scheme, width


def find_faults(browser: Browser, width: int, part: str = "document") -> list[Any]:
    """What axe-core finds of a part as it is shown, with everything unfolded; and a page wider than its screen."""
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    wide: int = browser.run("document.documentElement.scrollWidth")
    found: list[Any] = browser.run(FIND % part)
    return [*found, *([f"{wide} pixels wide"] if wide > width else [])]


@pytest.mark.parametrize("name", PAGES)
def test_axe_core_finds_nothing(name: str, browser: Browser, pages: dict[str, Path]) -> None:
    faults = []
    for scheme, width in views(browser, pages[name].as_uri()):
        tabbed = browser.run("document.documentElement.classList.contains('tabs')")
        tabs = browser.run("[...document.querySelectorAll('nav li a')].map((link) => link.hash)") if tabbed else [""]
        for number, tab in enumerate(tabs):
            part = "'main'" if number else "document"  # what is around the tabs stays the same
            if tab:
                browser.run(f"location.hash = {json.dumps(tab)}, new Promise((done) => setTimeout(done, 30))")
            faults += [(scheme, width, tab, fault) for fault in find_faults(browser, width, part)]
        if browser.run("Boolean(globalThis.gallery)"):
            browser.run("gallery.open(0), 0")
            faults += [(scheme, width, "an image", fault) for fault in find_faults(browser, width)]
    assert not faults, "\n".join(map(str, faults))


def test_axe_core_finds_nothing_on_the_served_page(browser: Browser, pages: dict[str, Path]) -> None:
    run, faults = pages["report"].parents[1], []
    images = sorted((pages["explore"].parents[1] / "shapes/images").glob("*.png"))
    with serve(run / "model.onnx", images[0]) as address:
        for scheme, width in views(browser, address):
            browser.wait("document.querySelector('#name').textContent === 'tiny'")
            faults += [(scheme, width, "empty", fault) for fault in find_faults(browser, width)]
            browser.choose("#files", *images[1:3])
            browser.wait(ASKED)
            browser.run("document.querySelector('[aria-label^=\"Heat map of\"]').click()")
            browser.wait("document.querySelector('figcaption p')")
            faults += [(scheme, width, "answers", fault) for fault in find_faults(browser, width)]
    assert not faults, "\n".join(map(str, faults))
