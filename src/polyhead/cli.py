"""The command line: arguments in, one call of `workflow` each. The only file that prints or exits.

Data goes to stdout, words and progress to stderr. A user's mistake is one line and exit code 2. Every command imports
what it needs, so that `--help` and `recipes` answer at once.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from polyhead.errors import PolyheadError

app = typer.Typer(
    name="polyhead",
    help="One image in, every answer out: train one network with many outputs, judge it honestly, ship one ONNX file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A built-in recipe, or a file.")]
Data = Annotated[Path | None, typer.Option("--data", help="The folder (or CSV) of the data; the recipe's, if absent.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Another seed than the recipe's.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Model = Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a model.onnx.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Source = Annotated[str, typer.Argument(metavar="DIR_OR_CSV|RECIPE", help="Data, or a built-in recipe.")]
Split = Annotated[str, typer.Option("--split", help="train, valid, test, unseen; or all, for every image of --data.")]
METHOD_HELP = "kmeans, agglomerative, spectral, birch, dbscan, optics, hdbscan; several are compared."
Judgement = Annotated[Path | None, typer.Option("--out", help="Where to put evaluation.json and the report.")]


class Screen:
    """Progress on stderr: bars where a person watches, lines always."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.bars = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    def __enter__(self) -> "Screen":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """A bar, which takes the place of the one before."""
        for old in list(self.bars.task_ids):
            self.bars.remove_task(old)
        task = self.bars.add_task(words, total=total)
        return lambda done: self.bars.advance(task, done)

    def say(self, words: str) -> None:
        """A line above the bar."""
        self.console.print(words, markup=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to put the data and the run.")] = Path("demo"),
    force: Force = False,
) -> None:
    """Draw a data set of garments, train on it, judge, report: the whole way in under two minutes."""
    from polyhead import workflow

    with Screen() as screen:
        run = workflow.demo(out, force=force, progress=screen)
    _tell_run(run)


@app.command()
def recipes(
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
) -> None:
    """List the recipes inside."""
    if schema:
        from polyhead.recipe import Recipe

        print(json.dumps(Recipe.model_json_schema(), indent=2))
        return
    from polyhead.recipes import built_in_names, read_description

    names = built_in_names()
    for name in names:
        print(f"{name.ljust(max(map(len, names)))}  {read_description(name)}")


@app.command()
def init(
    source: Annotated[str, typer.Argument(metavar="DIR_OR_CSV|RECIPE", help="Data, or a built-in recipe.")],
) -> None:
    """Look at data and print a recipe that trains on it, or print a built-in recipe to edit."""
    from polyhead import workflow

    print(workflow.propose(source), end="")


@app.command()
def explore(
    recipe: RecipeName,
    out: Annotated[Path, typer.Option("--out", help="Where to put the page.")],
    data: Data = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Show the data set: samples, distributions, missing labels, repeats, unreadable files."""
    from polyhead import workflow

    with Screen() as screen:
        page = workflow.explore(recipe, out, data=data, overrides=settings or (), force=force, progress=screen)
    print(page)


@app.command()
def train(
    recipe: RecipeName,
    out: Annotated[Path, typer.Option("--out", help="The run folder to make.")],
    data: Data = None,
    settings: Settings = None,
    seed: Seed = None,
    force: Force = False,
) -> None:
    """Train, export, judge on the test images, and write the report."""
    from polyhead import workflow

    with _resumable(out), Screen() as screen:
        run = workflow.train(recipe, out, data=data, overrides=settings or (), seed=seed, force=force, progress=screen)
    _tell_run(run)


@app.command()
def resume(run: Run, data: Data = None) -> None:
    """Go on with a run that was stopped, wherever it was."""
    from polyhead import workflow

    with _resumable(run), Screen() as screen:
        workflow.resume(run, data=data, progress=screen)
    _tell_run(run)


@app.command()
def evaluate(
    model: Model,
    data: Data = None,
    split: Annotated[
        str, typer.Option("--split", help="train, valid, test, unseen; or all, for every image.")
    ] = "test",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to put evaluation.json, predictions.csv, report/.")
    ] = None,
    force: Force = False,
) -> None:
    """Judge a model file on labelled images."""
    from polyhead import workflow

    with Screen() as screen:
        found = workflow.evaluate(model, data=data, split=split, out=out, force=force, progress=screen)
    _tell_evaluation(found)


@app.command()
def predict(
    model: Model,
    images: Annotated[list[Path] | None, typer.Argument(metavar="IMAGE|DIR...", help="Images, or folders.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line an image.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead.")] = None,
    answers: Annotated[
        Path | None, typer.Option("--answers", metavar="QUESTION.csv", help="Answer FashionAI's question file instead.")
    ] = None,
    gallery: Annotated[
        Path | None, typer.Option("--gallery", metavar="DIR", help="Make a page to look through them instead.")
    ] = None,
) -> None:
    """Answer for images. Ends in 1 where some images could not be answered."""
    from polyhead import workflow

    if bool(images) == bool(answers) or (answers and as_json):
        raise PolyheadError("predict: give images or folders; or --answers with a question file, without --json")
    if gallery and (answers or as_json or csv):
        raise PolyheadError("predict: --gallery goes with images or folders alone, without --json, --csv or --answers")
    failed = 0
    with Screen() as screen:
        if answers and csv:
            failed = workflow.answer_questions_to_csv(model, answers, csv, progress=screen)
        elif answers:
            for row, answered in workflow.answer_questions(model, answers, progress=screen):
                failed += not answered
                sys.stdout.buffer.write(row)
        elif gallery:
            from polyhead.clustering import predict_to_gallery

            page, failed = predict_to_gallery(model, images or (), gallery, progress=screen)
            print(page)
        elif csv:
            failed = workflow.predict_to_csv(model, images or (), csv, progress=screen)
        else:
            for record in workflow.predict(model, images or (), progress=screen):
                failed += record["error"] is not None
                print(json.dumps(record, ensure_ascii=False) if as_json else _in_words(record))
    if failed:
        print(f"polyhead: {failed} of the images could not be answered", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def cluster(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|DIR...", help="Images, or folders.")],
    out: Annotated[Path, typer.Option("--out", help="Where to put the page, clusters.csv, clusters.json.")],
    task: Annotated[list[str] | None, typer.Option(metavar="TASK[=LABEL,...]", help="What to group by; all.")] = None,
    on: Annotated[str, typer.Option(metavar="WHAT", help="probabilities, answers or features.")] = "probabilities",
    method: Annotated[list[str] | None, typer.Option(metavar="NAME", help=METHOD_HELP)] = None,
    k: Annotated[str | None, typer.Option("--k", metavar="N|FROM..TO", help="How many groups; 2..20.")] = None,
    weight: Annotated[list[str] | None, typer.Option(metavar="rare|common|NAME=X", help="What counts more.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="[METHOD.]PARAMETER=VALUE", help="The method's parameters.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of whatever is random.")] = 0,
    force: Force = False,
) -> None:
    """Group images by the answers to them, and show what each group is."""
    from polyhead import clustering
    from polyhead.look.grouping import read_settings

    given = read_settings(settings or ())
    grouping = clustering.Grouping(task or (), on, method or (), k, weight or (), given, seed)
    with Screen() as screen:
        found = clustering.cluster(model, images, out, grouping, force=force, progress=screen)
    if found["comparison"]:
        print(found["comparison"]["why"])
    for group in found["groups"]:
        number = "noise" if group["noise"] else f"{group['group']:5}"
        print(f"{number}  {group['images']:6,} images  {group['name']}")
    print(f"page  {out / 'index.html'}")


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete them all.")] = False,
    path: Annotated[str, typer.Option("--path", help="Another cache folder than the user's own.")] = "auto",
) -> None:
    """Where decoded images are kept, and how much; or clear them."""
    from polyhead.data.cache import cache_root, clear_caches, list_caches

    root = cache_root(path)
    if clear:
        print(f"{clear_caches(root) / 1e6:.1f} MB freed in {root}")
        return
    entries = list_caches(root)
    for entry in entries:
        print(f"{entry.name}  {entry.images:,} images  {entry.bytes / 1e6:,.1f} MB")
    print(f"{sum(entry.bytes for entry in entries) / 1e6:,.1f} MB in {root}")


def _tell_run(run: Path) -> None:
    _tell_evaluation(json.loads((run / "evaluation.json").read_text(encoding="utf-8")))
    print(f"report  {run / 'report' / 'index.html'}")
    print(f"model   {run / 'model.onnx'}")


def _tell_evaluation(evaluation: dict[str, Any]) -> None:
    """The few figures that say most, each beside its baseline."""
    for split, found in evaluation.items():
        if split == "combinations":
            continue
        for name, task in found["tasks"].items():
            print(f"{split}  {name}: {_main_figures(task)}")
        joint = found["joint"]
        if joint["n"]:
            print(f"{split}  all correct: {joint['all_correct']:.3f} of {joint['n']} images")
    if "combinations" in evaluation:
        print("combinations  " + ", ".join(f"{key} {value:.3f}" for key, value in evaluation["combinations"].items()))


def _main_figures(task: dict[str, Any]) -> str:
    if not task["n"]:
        return "no labels"
    baseline = task["baseline"]
    words = [
        f"{name} {task[name]:.3f}" + (f" (baseline {baseline[name]:.3f})" if baseline.get(name) is not None else "")
        for name in ("accuracy", "macro_f1", "mae", "r2")
        if task.get(name) is not None
    ]
    return ", ".join(words)


def _in_words(record: dict[str, Any]) -> str:
    if record["error"]:
        return f"{record['image']}: {record['error']}"
    words = []
    for name, answer in record["answers"].items():
        text = answer["answer"]
        text = ", ".join(text) or "none" if isinstance(text, list) else text
        if "unit" in answer:
            text = f"{text:.4g} {answer['unit']}".strip()
        else:
            text += f" ({answer['probability']:.2%}{', unsure' if answer['unsure'] else ''})"
        words.append(f"{name}: {text}")
    return f"{record['image']}: " + ", ".join(words)


@contextmanager
def _resumable(run: Path) -> Iterator[None]:
    """Say how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        if (run / "recipe.yaml").exists():
            print(f"polyhead: stopped; to go on: polyhead resume {run}", file=sys.stderr)
        raise


def main() -> None:
    """Run the command line."""
    warnings.filterwarnings("ignore", module="PIL")  # of odd metadata in images that it reads all the same
    try:
        app()
    except PolyheadError as error:
        print(f"polyhead: {error}", file=sys.stderr)
        sys.exit(2)
