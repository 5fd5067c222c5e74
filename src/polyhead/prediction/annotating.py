"""Answers drawn on their images."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from polyhead.data.images.decode import describe_error, read_upright
from polyhead.data.threads import count_cores, map_ordered
from polyhead.errors import PolyheadError
from polyhead.files import write_beside
from polyhead.model.records import Record, tell_answer
from polyhead.progress import Progress

SURE, UNSURE, BACKGROUND = (60, 255, 90), (255, 200, 40), (0, 0, 0, 180)
SMALLEST_TEXT = 14  # pixels; smaller text is not legible
LINES = 20  # of text that fit along the smaller side of a picture
ENLARGED = 320  # pixels: smaller pictures are enlarged to about this longer side
LINE_LETTERS = 26  # that fit in a line, at least

Line = tuple[str, tuple[int, int, int]]


def draw_answers(picture: Image.Image, record: Record) -> Image.Image:
    """An RGB picture with a line of text for each task, such as `category: dress (89.04%)`; amber if it is unsure.
    Above them, where the image is unlike those that the model was trained on, `unfamiliar`.

    The lines are at the top left, outlined, on a dark, translucent box. Small pictures are enlarged by a whole number;
    if the lines need even more room, the picture is extended in black to the right and below.
    """
    times = max(1, ENLARGED // max(picture.size))
    picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.LANCZOS)
    size = max(SMALLEST_TEXT, min(picture.size) // LINES)
    font, step, margin = ImageFont.load_default(size), round(size * 1.3), size // 3
    lines = _wrap(record, font, max(picture.width, LINE_LETTERS * size // 2) - 2 * margin)
    across = round(max(font.getlength(text) for text, _ in lines)) + 2 * margin
    down = len(lines) * step + 2 * margin
    canvas = Image.new("RGB", (max(picture.width, across), max(picture.height, down)))
    canvas.paste(picture)
    box = Image.new("RGBA", (across, down), BACKGROUND)
    canvas.paste(box, (0, 0), box)
    pen = ImageDraw.Draw(canvas)
    for row, (text, color) in enumerate(lines):
        pen.text((margin, margin + row * step), text, color, font, stroke_width=max(1, size // 14), stroke_fill="black")
    return canvas


def annotate_images(records: Iterable[Record], root: Path, out: Path, progress: Progress) -> Iterator[Record]:
    """Pass records of files on, and write each image with its answers to `out`, at its path relative to `root`.

    The file keeps its format. Images that cannot be read are left out, and those that cannot be drawn on are
    reported; one that is given several times is drawn on once.

    Raises:
        PolyheadError: `out` cannot be written to.
    """
    drawn: set[str] = set()

    def choose_target(record: Record) -> tuple[Record, Path | None]:
        path = os.path.abspath(str(record.image))
        if record.error is not None or path in drawn:
            return record, None
        drawn.add(path)
        return record, out / os.path.relpath(path, root)

    def write(job: tuple[Record, Path | None]) -> Record:
        record, target = job
        if target:
            try:
                _write(record, target)
            except PolyheadError:
                raise
            except Exception as error:  # of the format, such as too wide for it; Pillow's writers raise nearly any type
                progress.say(f"{record.image}: cannot be drawn on: {describe_error(error)}")
        return record

    return map_ordered(write, map(choose_target, records), count_cores())


def _write(record: Record, target: Path) -> None:
    picture, form = read_upright(Path(str(record.image)))
    content = _encode(draw_answers(picture, record), "JPEG" if form == "MPO" else form)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with write_beside(target) as beside:
            beside.write_bytes(content)
    except OSError as error:
        raise PolyheadError(f"{target}: cannot be written: {error.strerror}") from None


def _encode(picture: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    if form == "HEIF":
        from pillow_heif import from_pillow  # installed, since the image was read with it

        from_pillow(picture).save(file, quality=90)
    else:
        picture.save(file, form, quality=90)
    return file.getvalue()


def _wrap(record: Record, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> Sequence[Line]:
    """The lines of the answers, broken between words at `width` pixels."""
    lines: list[Line] = [("unfamiliar", UNSURE)] if record.unfamiliar else []
    for name, answer in record.answers.items():
        color = UNSURE if answer.unsure else SURE
        line = ""
        for word in f"{name}: {tell_answer(answer)}".split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append((line, color))
                longer = f"  {word}"
            line = longer
        lines.append((line, color))
    return lines
