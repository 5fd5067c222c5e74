"""The commands that use a model."""

import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polyhead.cli.arguments import Force, Model, images_argument, path_option, read_new_file
from polyhead.cli.printing import format_comparison
from polyhead.cli.terminal import Screen
from polyhead.errors import PolyheadError, show_text

if TYPE_CHECKING:
    from polyhead.model.records import Record

commands = typer.Typer()

METHOD_HELP = "kmeans, agglomerative, spectral, birch, dbscan, optics, hdbscan; may be repeated: several are compared."


@commands.command()
def predict(
    model: Model,
    images: Annotated[
        list[str] | None,
        images_argument("Images; folders, patterns or label files of images."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per image.")] = False,
    csv: Annotated[
        Path | None,
        path_option("--csv", "Write a CSV file; resumes an interrupted one.", "FILE", read_new_file),
    ] = None,
    parquet: Annotated[Path | None, path_option("--parquet", "Write a Parquet file.", "FILE", read_new_file)] = None,
    annotate: Annotated[
        Path | None,
        path_option("--annotate", "Write each image with its answers drawn on it.", "DIR"),
    ] = None,
    engine: Annotated[
        Literal["threads", "ray"], typer.Option("--engine", help="Run in threads on this machine or on a Ray cluster.")
    ] = "threads",
    answers: Annotated[
        Path | None,
        path_option("--answers", "Answer FashionAI's question file instead of images.", "QUESTION.csv"),
    ] = None,
    gallery: Annotated[
        Path | None,
        path_option("--gallery", "Write a page to browse images and answers.", "DIR"),
    ] = None,
) -> None:
    """Predict the answers for images.

    Exits with 1 if some images could not be answered.
    """
    if answers:
        if images or as_json or parquet or annotate or gallery:
            raise PolyheadError("predict: --answers can only be combined with --csv, and takes no images")
        failed = _answer_questions(model, answers, csv)
    elif not images or as_json + bool(csv) + bool(parquet) + bool(gallery) > 1:
        raise PolyheadError(
            "predict: give images, folders, patterns or label files; and one of --json, --csv, --parquet, --gallery"
        )
    elif gallery:
        if annotate or engine != "threads":
            raise PolyheadError("predict: --gallery cannot be combined with --annotate or --engine")
        failed = _write_gallery(model, images, gallery)
    else:
        from polyhead.prediction.predict import PredictionJob

        with Screen() as screen:
            job = PredictionJob(model, images, annotate=annotate, engine=engine, progress=screen)
            if csv:
                failed = job.to_csv(csv)
            elif parquet:
                failed = job.to_parquet(parquet)
            else:
                failed = _print_records(job.records(), as_json, screen)
    if failed:
        print(f"polyhead: {failed} of the images could not be answered", file=sys.stderr)
        raise typer.Exit(1)


def _write_gallery(model: Path, images: list[str], gallery: Path) -> int:
    from polyhead.clustering.cluster import predict_to_gallery

    with Screen() as screen:
        page, failed = predict_to_gallery(model, images, gallery, progress=screen)
    print(page)
    return failed


def _answer_questions(model: Path, question: Path, csv: Path | None) -> int:
    from polyhead.prediction.predict import answer_questions, answer_questions_to_csv

    failed = 0
    with Screen() as screen:
        if csv:
            return answer_questions_to_csv(model, question, csv, progress=screen)
        for row, answered in answer_questions(model, question, progress=screen):
            failed += not answered
            sys.stdout.buffer.write(row)
    return failed


def _print_records(records: "Iterator[Record]", as_json: bool, screen: Screen) -> int:
    from polyhead.model.records import tell_record, write_json

    if not as_json and sys.stdout.isatty():
        return screen.show_records(records)
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal may be unable to show some letters
        sys.stdout.reconfigure(errors="backslashreplace")
    failed = 0
    for record in records:
        failed += record.error is not None
        print(write_json(record) if as_json else tell_record(record))
    return failed


@commands.command()
def export(
    model: Model,
    kind: Annotated[
        Literal["litert", "saved_model", "openvino", "onnx-int8"], typer.Option("--format", help="The format to write.")
    ],
    images: Annotated[
        list[str] | None,
        images_argument("Images to compare on, instead of the run's."),
    ] = None,
    data: Annotated[
        Path | None,
        path_option("--data", "The labelled images of the run, if they were moved."),
    ] = None,
    out: Annotated[
        Path | None,
        path_option("--out", "Where to write it; default: beside the model."),
    ] = None,
    force: Force = False,
) -> None:
    """Export a model for another runtime.

    Its answers are compared with the original's.
    """
    from polyhead.runs.export import export as write_other

    with Screen() as screen:
        found: Any = write_other(model, kind, images or (), data=data, out=out, force=force, progress=screen)
    for name, task in found["tasks"].items():
        print(f"{show_text(name)}: {format_comparison(task)}")
    over = f"{found['images']:,} images"
    print(f"outputs differ by at most {found['difference']:.1e} of an output's largest value, over {over}")
    print(f"{found['path']}  {found['bytes'] / 1e6:.2f} MB (the model: {found['original_bytes'] / 1e6:.2f} MB)")


@commands.command()
def serve(
    model: Model,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; 0.0.0.0 admits other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 picks a free one.")] = 8000,
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A host name that browsers may use; may be repeated."),
    ] = None,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="The largest request, in bytes.")] = 20_000_000,
    max_pixels: Annotated[int, typer.Option("--max-pixels", min=1, help="The largest image, in pixels.")] = 50_000_000,
    max_images: Annotated[int, typer.Option("--max-images", min=1, help="The most images in a request.")] = 32,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds for a request to arrive, and for its answer.")
    ] = 30.0,
    queue: Annotated[int, typer.Option("--queue", min=1, help="The most requests at once; others get a 503.")] = 64,
) -> None:
    """Serve a model over HTTP.

    It has a page to drop images on.
    """
    from polyhead.server.limits import Limits
    from polyhead.server.serve import serve as serve_model

    limits = Limits(max_bytes, max_pixels, max_images, timeout, queue)
    with Screen() as screen:
        serve_model(model, host=host, port=port, allow_hosts=allow_hosts or (), limits=limits, progress=screen)


@commands.command()
def cluster(
    model: Model,
    images: Annotated[
        list[str],
        images_argument("Images; folders, patterns or label files of images."),
    ],
    out: Annotated[
        Path,
        path_option("--out", "The folder for the page, clusters.csv and clusters.json."),
    ],
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--task", metavar="TASK[=LABEL,...]", help="A task, or some of its labels; repeatable; default: all."
        ),
    ] = None,
    on: Annotated[str, typer.Option(metavar="WHAT", help="probabilities, answers or features.")] = "probabilities",
    methods: Annotated[list[str] | None, typer.Option("--method", metavar="NAME", help=METHOD_HELP)] = None,
    k: Annotated[
        str | None, typer.Option("--k", metavar="N|FROM..TO", help="The number of groups, or a range; default: 2..20.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weight", metavar="rare|common|NAME=X", help="Weight rare or common answers, a task, a label."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="[METHOD.]PARAMETER=VALUE", help="A parameter of a method; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The random seed.")] = 0,
    force: Force = False,
) -> None:
    """Group images by their answers.

    Writes a page that shows what each group contains.
    """
    from polyhead.clustering import cluster as clustering
    from polyhead.clustering.grouping import Grouping, read_settings

    given = read_settings(settings or ())
    grouping = Grouping(tasks or (), on, methods or (), k, weights or (), given, seed)
    with Screen() as screen:
        found: Any = clustering.cluster(model, images, out, grouping, force=force, progress=screen)
    if found["comparison"]:
        print(found["comparison"]["why"])
    for group in found["groups"]:
        number = "noise" if group["noise"] else f"{group['group']:5}"
        print(f"{number}  {group['images']:6,} images  {show_text(group['name'])}")
    print(f"page  {out / 'index.html'}")
