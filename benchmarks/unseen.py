"""What keeps category and colour apart where a combination was never seen: views, tried on frozen features.

Folders `COLOR_CATEGORY` of images (`fashionnet`'s). Each combination that is given is held out in turn; logistic
regressions learn category and colour from the vectors of a frozen MobileNetV2 and others like them, and what counts is
how often both are right on the images held out. The weights are those that `weights: imagenet` finds.
"""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polyhead.recipe.network import Backbone
from polyhead.training import choose_backend

SIZE = 96
HELD_OUT = ["blue_jeans", "black_jeans", "red_dress", "blue_dress", "red_shirt", "blue_shirt"]
LUMA = np.array([0.2989, 0.587, 0.114], np.float32)
PATCHES = 8  # a side
FAR = 40  # from the border's colour: what is no background
Images = NDArray[np.float32]  # (n, height, width, 3), 0 to 255
Vectors = NDArray[np.float32]  # (n, width)


def read_images(folder: Path) -> tuple[Images, NDArray[Any]]:
    """The images, and (n, 2) their colour and category."""
    files = sorted(folder.glob("*_*/*"))
    images = [np.asarray(Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)) for file in files]
    return np.stack(images).astype(np.float32), np.array([file.parent.name.split("_") for file in files])


def make_gray(images: Images, rng: np.random.Generator | None = None) -> Images:
    """In grey; with `rng` of mixed channels, half of them negatives."""
    parts = np.tile(LUMA, (len(images), 1)) if rng is None else rng.dirichlet([1, 1, 1], len(images))
    gray = np.einsum("nhwc,nc->nhw", images, parts.astype(np.float32))
    if rng is not None:
        gray = np.where(rng.random((len(images), 1, 1)) < 0.5, 255 - gray, gray)
    return np.asarray(gray[..., np.newaxis].repeat(3, axis=-1), np.float32)


def shuffle_patches(images: Images, rng: np.random.Generator) -> Images:
    """Each image's patches in an order of their own."""
    side, count = SIZE // PATCHES, len(images)
    parts = images.reshape(count, PATCHES, side, PATCHES, side, 3).swapaxes(2, 3).reshape(count, -1, side, side, 3)
    parts = np.stack([part[rng.permutation(PATCHES**2)] for part in parts])
    parts = parts.reshape(count, PATCHES, PATCHES, side, side, 3).swapaxes(2, 3)
    return parts.reshape(images.shape)


def recolor(images: Images, donors: NDArray[np.intp]) -> Images:
    """Each garment with the mean and the deviation of its donor's colours (Reinhard and others 2001)."""
    border = np.concatenate([images[:, :4].reshape(len(images), -1, 3), images[:, -4:].reshape(len(images), -1, 3)], 1)
    garment = ((images - np.median(border, axis=1)[:, np.newaxis, np.newaxis]) ** 2).sum(axis=-1) > FAR**2
    garment[garment.sum(axis=(1, 2)) < 50] = True
    colors = np.stack([np.asarray(Image.fromarray(image.astype(np.uint8)).convert("YCbCr")) for image in images])
    pixels = [color[where].astype(np.float32) for color, where in zip(colors, garment, strict=True)]
    means, deviations = ([f(part, axis=0) + more for part in pixels] for f, more in ((np.mean, 0), (np.std, 2)))
    found = colors.copy()
    for at, to in enumerate(donors):
        moved = (pixels[at] - means[at]) / deviations[at] * deviations[to] + means[to]
        found[at][garment[at]] = np.clip(moved, 0, 255).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(each, "YCbCr").convert("RGB")) for each in found]).astype(np.float32)


def remove(vectors: Vectors, labels: NDArray[Any], rows: NDArray[np.bool_], times: int = 4) -> Vectors:
    """Without the directions that tell labels, found several times over (Ravfogel and others 2020)."""
    vectors = StandardScaler().fit(vectors[rows]).transform(vectors)
    for _ in range(times):
        axes, _ = np.linalg.qr(learn(vectors[rows], labels[rows])[-1].coef_.T)
        vectors = vectors - (vectors @ axes) @ axes.T
    return vectors


def learn(vectors: Vectors, labels: NDArray[Any], strength: float = 0.01) -> Any:
    """A logistic regression; of more `strength`, less regularised."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(vectors, labels)


class Trial:
    """All combinations held out in turn; a fifth of the others is never learnt from either."""

    def __init__(self, labels: NDArray[Any], held_out: Sequence[str]) -> None:
        self.labels, self.seen = labels, np.random.default_rng(0).random(len(labels)) >= 0.2
        names = np.array(["_".join(pair) for pair in labels])
        self.held = {name: names == name for name in held_out}

    def print(self, name: str, color: Any, category: Any) -> None:
        """A row of the table; what to learn from is vectors, or a function that gives them and labels for some rows."""
        found = []
        for held in self.held.values():
            rows = self.seen & ~held
            right = [self._answer(views, rows, at) == self.labels[:, at] for at, views in enumerate((color, category))]
            found.append([np.mean([part[held] for part in (right[0] & right[1], *right)], axis=1)])
        both, colors, categories = np.concatenate(found).T
        cells = " | ".join(f"{value:.2f}" for value in both)
        print(f"| {name} | {both.mean():.3f} | {colors.mean():.3f} | {categories.mean():.3f} | {cells} |", flush=True)

    def _answer(self, views: Any, rows: NDArray[np.bool_], at: int) -> NDArray[Any]:
        if isinstance(views, np.ndarray):
            views = (views, 0.01)
        if isinstance(views, tuple):
            vectors, strength = views
            return np.asarray(learn(vectors[rows], self.labels[rows, at], strength).predict(vectors))
        vectors, labels, shown = views(rows)
        return np.asarray(learn(vectors, labels).predict(shown))


def main() -> None:
    """Try all views and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=float, default=0.35, help="of MobileNetV2")
    parser.add_argument("--held-out", nargs="+", default=HELD_OUT)
    options = parser.parse_args()
    choose_backend()
    import keras

    from polyhead.training.backbones import build_backbone
    from polyhead.training.color_histogram import ColorHistogram

    images, labels = read_images(options.folder)
    backbone = build_backbone(Backbone(name="MobileNetV2", width=options.width), (SIZE, SIZE), pretrained=True)
    inner = backbone.layers[-1]
    pool = keras.layers.GlobalAveragePooling2D()
    early = inner.get_layer("block_1_project_BN").output
    whole = keras.Model(inner.input, [pool(inner.output), pool(early), keras.ops.std(early, axis=(1, 2))])

    def see(view: Images) -> list[Vectors]:
        found = whole.predict(view / 127.5 - 1, batch_size=64, verbose=0)
        return [np.asarray(part) for part in found]

    rng = np.random.default_rng(1)
    color, *shallow = see(images)
    gray, changed = see(make_gray(images))[0], [see(make_gray(images, rng))[0] for _ in range(2)]
    shuffled = see(shuffle_patches(images, rng))[0]
    donors = rng.permutation(len(images))
    painted = see(recolor(images, donors))[0]
    histogram = np.asarray(ColorHistogram()(images))
    trial = Trial(labels, options.held_out)

    def with_painted(at: int) -> Any:
        owner = donors if at == 0 else np.arange(len(images))

        def give(rows: NDArray[np.bool_]) -> Any:
            known = rows & rows[donors]
            targets = np.concatenate([labels[rows, at], labels[owner][known, at]])
            return np.concatenate([color[rows], painted[known]]), targets, color

        return give

    def with_tones(rows: NDArray[np.bool_]) -> Any:
        parts = [gray, *changed]
        return np.concatenate([part[rows] for part in parts]), np.tile(labels[rows, 1], len(parts)), gray

    def without(at: int) -> Any:
        def give(rows: NDArray[np.bool_]) -> Any:
            left = remove(color, labels[:, 1 - at], rows)
            return left[rows], labels[rows, at], left

        return give

    print(f"| color from, category from | both | color | category | {' | '.join(trial.held)} |")
    print("|---" * (4 + len(trial.held)) + "|")
    trial.print("RGB, RGB", color, color)
    trial.print("RGB, RGB, each without what tells the other", without(0), without(1))
    trial.print("RGB, RGB, also with another image's palette", with_painted(0), with_painted(1))
    trial.print("RGB, grey", color, gray)
    trial.print("RGB also with another image's palette, grey", with_painted(0), gray)
    trial.print("shuffled patches, grey", shuffled, gray)
    trial.print("an early map's means and deviations, grey", (np.concatenate(shallow, axis=1), 1.0), gray)
    trial.print("histogram, grey", histogram, gray)
    trial.print("histogram, grey of many tones", histogram, with_tones)


if __name__ == "__main__":
    main()
