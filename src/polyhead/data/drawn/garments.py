"""One garment, drawn from nothing: how a dress, a shirt, a skirt, a pair of jeans and a coat look.

Knows shapes and colours; no files, no data set (that is `synthetic.py`). All measures are centimetres.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Rgb = tuple[int, int, int]
Points = NDArray[np.float64]
Corners = Sequence[tuple[float, float]]

FRAME = 120.0  # width and height of what a picture shows

SIZES = {"S": 0.70, "M": 0.87, "L": 1.07, "XL": 1.31}  # width, as a multiple of the category's own
DETAILS = ("buttons", "pocket", "belt", "badge")
# Hue, saturation and value, each from - to; a hue below 0 goes on at 1.
COLORS = {
    "red": ((-0.03, 0.015), (0.75, 0.95), (0.65, 0.90)),
    "yellow": ((0.125, 0.155), (0.70, 0.95), (0.85, 0.98)),
    "green": ((0.30, 0.41), (0.55, 0.85), (0.45, 0.70)),
    "blue": ((0.57, 0.64), (0.65, 0.90), (0.55, 0.85)),
    "black": ((0.0, 1.0), (0.0, 0.15), (0.10, 0.20)),
}


@dataclass(frozen=True)
class Cut:
    """How a category looks: points (x, y), x in half widths from the middle, y in lengths from the top."""

    body: Corners  # the right half, from top to bottom; the left half mirrors it
    sleeve: Corners  # the right one; empty where there is none
    half_width: float
    lengths: tuple[float, float]  # from - to
    belt: float  # y of the belt's middle
    buttons: tuple[float, float]  # y of the first and of the last button
    patch: tuple[float, float]  # middle of the pocket; the badge is its mirror image
    seams: Sequence[Corners] = ()  # lines that are always there


CUTS = {
    "dress": Cut(
        body=((0, 0.15), (0.32, 0), (0.62, 0), (0.74, 0.2), (0.6, 0.42), (1.24, 1), (0, 1.04)),
        sleeve=(),
        half_width=27,
        lengths=(72, 104),
        belt=0.42,
        buttons=(0.18, 0.72),
        patch=(0.5, 0.62),
    ),
    "shirt": Cut(
        body=((0, 0.1), (0.4, 0), (0.85, 0.04), (0.88, 0.35), (0.84, 1), (0, 1)),
        sleeve=((0.7, 0.01), (1.05, 0.08), (1.55, 0.4), (1.18, 0.54), (0.7, 0.34)),
        half_width=24,
        lengths=(52, 84),
        belt=0.84,
        buttons=(0.17, 0.75),
        patch=(0.44, 0.42),
    ),
    "skirt": Cut(
        body=((0, 0), (0.6, 0), (0.66, 0.1), (1.25, 1), (0, 1.06)),
        sleeve=(),
        half_width=27,
        lengths=(44, 84),
        belt=0.07,
        buttons=(0.22, 0.85),
        patch=(0.45, 0.48),
    ),
    "jeans": Cut(
        body=((0, 0), (0.74, 0), (0.86, 0.22), (0.84, 1), (0.26, 1), (0.06, 0.4), (0, 0.38)),
        sleeve=(),
        half_width=26,
        lengths=(76, 106),
        belt=0.04,
        buttons=(0.11, 0.31),
        patch=(0.46, 0.3),
        seams=(((-0.78, 0.08), (0.78, 0.08)), ((0, 0.08), (0, 0.38))),
    ),
    "coat": Cut(
        body=((0, 0.16), (0.34, 0), (0.82, 0.03), (0.84, 0.35), (1, 1), (0, 1)),
        sleeve=((0.66, 0.01), (1, 0.06), (1.5, 0.68), (1.14, 0.76), (0.66, 0.3)),
        half_width=25,
        lengths=(70, 104),
        belt=0.5,
        buttons=(0.24, 0.86),
        patch=(0.46, 0.68),
        seams=(((-0.32, 0.02), (0, 0.22), (0, 0.99)), ((0.32, 0.02), (0, 0.22))),
    ),
}


@dataclass(frozen=True)
class Garment:
    """All that a picture is asked about."""

    category: str  # of CUTS
    color: str  # of COLORS
    striped: bool
    details: tuple[str, ...]  # any of DETAILS
    length: float
    size: str  # of SIZES


def pick_color(name: str, rng: Generator) -> Rgb:
    """A shade that everyone would call by this name."""
    hue, saturation, value = (rng.uniform(*limits) for limits in COLORS[name])
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


def round_corners(corners: Points) -> Points:
    """The closed outline with its corners cut off twice (Chaikin 1974), (n, 2) -> (4n, 2)."""
    for _ in range(2):
        following = np.roll(corners, -1, axis=0)
        cuts = [0.88 * corners + 0.12 * following, 0.12 * corners + 0.88 * following]
        corners = np.stack(cuts, axis=1).reshape(-1, 2)
    return corners


class Tailor:
    """Hangs one garment on a square canvas. The origin of all points is the middle of the garment's top."""

    def __init__(self, canvas: Image.Image, garment: Garment, rng: Generator) -> None:
        self.canvas, self.garment = canvas, garment
        self.pen = ImageDraw.Draw(canvas)
        self.cut = CUTS[garment.category]
        self.half_width = self.cut.half_width * SIZES[garment.size] * rng.uniform(0.975, 1.025)
        self.pixels_per_cm = canvas.width / FRAME
        self.angle = np.deg2rad(rng.uniform(-14, 14))
        self.side = rng.choice((-1.0, 1.0))
        width = self.half_width * max(x for x, _ in (*self.cut.body, *self.cut.sleeve))
        room = (FRAME - np.array([2 * width, garment.length])) / 2 - 4
        self.middle = FRAME / 2 + rng.uniform((-0.8, -0.6), (0.8, 0.9)) * room.clip(0)
        self.cloth = pick_color(garment.color, rng)
        red, green, blue = self.cloth
        self.pale = 0.3 * red + 0.6 * green + 0.1 * blue > 150
        self.accent: Rgb = (70, 45, 25) if self.pale else (242, 236, 222)
        self.seam: Rgb = (round(0.55 * red), round(0.55 * green), round(0.55 * blue))

    def draw(self) -> None:
        """The hanger, the cloth with its stripes, then every detail."""
        body = self.scale(self.cut.body)
        parts = [round_corners(np.concatenate([body, body[::-1] * (-1, 1)]))]
        if self.cut.sleeve:
            sleeve = round_corners(self.scale(self.cut.sleeve))
            parts = [sleeve, sleeve * (-1, 1), *parts]
        self.draw_hanger()
        self.draw_shadow(parts)
        for part in parts:
            self.draw_cloth(part)
        for seam in self.cut.seams:
            self.draw_line(self.scale(seam), self.seam, 1.0)
        draw = {
            "buttons": self.draw_buttons,
            "pocket": self.draw_pocket,
            "belt": self.draw_belt,
            "badge": self.draw_badge,
        }
        for detail in self.garment.details:
            draw[detail]()

    def scale(self, points: Corners) -> Points:
        """Points of a cut -> points in cm."""
        return np.asarray(points) * (self.half_width, self.garment.length)

    def place(self, points: Corners | Points) -> list[tuple[float, float]]:
        """Points in cm -> pixels of the canvas, turned about the garment's middle."""
        x, y = np.asarray(points, float).T
        y = y - self.garment.length / 2
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turned = np.stack([cos * x - sin * y, sin * x + cos * y], axis=1) + self.middle
        return [(across, down) for across, down in (turned * self.pixels_per_cm).tolist()]

    def draw_line(self, points: Corners | Points, color: Rgb, width: float) -> None:
        self.pen.line(self.place(points), color, max(1, round(width * self.pixels_per_cm)), joint="curve")

    def draw_hanger(self) -> None:
        """A wooden hanger, for every garment the same, 30 cm wide, its hook above the garment's top."""
        wood, wire = (150, 105, 65), (120, 120, 125)
        hook = [(0, -1), (0, -6), (2.5, -8), (2, -11), (-1, -12), (-3, -10)]
        self.draw_line(hook, wire, 1.1)
        self.draw_line([(-15, 4), (0, -1), (15, 4)], wood, 2.4)

    def draw_shadow(self, parts: Sequence[Points]) -> None:
        """What the garment takes from the light of the wall, below and beside it."""
        shift = np.array((1.5, 2.0))
        mask = Image.new("L", self.canvas.size)
        pen = ImageDraw.Draw(mask)
        for part in parts:
            pen.polygon(self.place(part + shift), 70)
        self.canvas.paste((60, 50, 60), mask=mask)

    def draw_cloth(self, part: Points) -> None:
        outline = self.place(part)
        self.pen.polygon(outline, self.cloth)
        if self.garment.striped:
            self.draw_stripes(outline)
        self.draw_line(np.concatenate([part, part[:1]]), self.seam, 1.0)

    def draw_stripes(self, outline: list[tuple[float, float]]) -> None:
        """Bands across the garment, 4 cm of 10, clipped to the outline (pixels)."""
        mask = Image.new("L", self.canvas.size)
        ImageDraw.Draw(mask).polygon(outline, 255)
        bands = self.canvas.copy()
        pen = ImageDraw.Draw(bands)
        for down in np.arange(3.0, self.garment.length + 8, 10.0):
            pen.polygon(self.place([(-70, down), (70, down), (70, down + 4), (-70, down + 4)]), self.accent)
        self.canvas.paste(bands, mask=mask)

    def draw_buttons(self) -> None:
        """Four of them on a facing without stripes."""
        first, last = (down * self.garment.length for down in self.cut.buttons)
        facing = [(-4, first - 5), (4, first - 5), (4, last + 5), (-4, last + 5)]
        self.pen.polygon(self.place(facing), self.cloth)
        for down in np.linspace(first, last, 4):
            self.draw_disc((0.0, down), 2.8, self.accent)

    def draw_disc(self, middle: tuple[float, float], radius: float, color: Rgb) -> None:
        turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
        self.pen.polygon(self.place(circle * radius + middle), color)

    def draw_pocket(self) -> None:
        """A patch pocket, its rim stitched on."""
        x, y = self.patch(self.side)
        corners = [(x - 7, y - 8), (x + 7, y - 8), (x + 7, y + 5), (x, y + 9), (x - 7, y + 5)]
        self.pen.polygon(self.place(corners), self.cloth)
        self.draw_line([*corners, corners[0]], self.accent, 1.8)

    def draw_badge(self) -> None:
        """A five-pointed star on a round patch."""
        turns = np.arange(10) * np.pi / 5
        radii = np.where(np.arange(10) % 2, 3.4, 8.0)
        star = np.stack([np.sin(turns) * radii, -np.cos(turns) * radii], axis=1)
        middle = self.patch(-self.side)
        self.draw_disc(middle, 8.6, self.cloth)
        self.pen.polygon(self.place(star + middle), self.accent)

    def patch(self, side: float) -> tuple[float, float]:
        """Where a pocket or a badge sits, cm."""
        across, down = self.cut.patch
        return side * across * self.half_width, down * self.garment.length

    def draw_belt(self) -> None:
        """A leather belt with a buckle, as wide as the body is at this height."""
        y = self.cut.belt * self.garment.length
        across, down = zip(*(corner for corner in self.cut.body if corner[0] > 0), strict=True)
        reach = self.half_width * float(np.interp(self.cut.belt, down, across))
        leather = (105, 60, 30) if self.pale else (196, 140, 80)
        band = [(-reach, y - 3.5), (reach, y - 3.5), (reach, y + 3.5), (-reach, y + 3.5)]
        self.pen.polygon(self.place(band), leather)
        self.draw_line([*band, band[0]], self.seam, 0.8)
        buckle = [(-3.5, y - 4), (3.5, y - 4), (3.5, y + 4), (-3.5, y + 4)]
        self.pen.polygon(self.place(buckle), (235, 215, 130), self.seam)
