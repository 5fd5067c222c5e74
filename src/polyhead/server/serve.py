"""Serve a model file over HTTP."""

from collections.abc import Iterable
from pathlib import Path

from polyhead.errors import show_text
from polyhead.folders import restore_replaced
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT, Progress
from polyhead.run_folder import RunFolder
from polyhead.server.app import create_app
from polyhead.server.browsers import name_hosts
from polyhead.server.limits import Limits
from polyhead.server.listening import listen

EXAMPLES = 8  # images that the served page offers to try


def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_hosts: Iterable[str] = (),
    limits: Limits | None = None,
    progress: Progress = SILENT,
) -> None:
    """Answer for images over HTTP, with a page, until SIGTERM or Ctrl-C.

    Args:
        model: a run folder, some of whose test images the page then offers to try; or a model file.
        host: where to listen; the default is this machine alone.
        port: 0 takes one that is free.
        allow_hosts: other names that it answers to than where it listens, localhost and addresses; `*` for any.
        limits: what a request may ask for; the defaults of `Limits`, if absent.

    Raises:
        PolyheadError: the model cannot be opened, the address cannot be had, or a limit or a name is none.
    """
    limits = limits or Limits()
    hosts = name_hosts(host, allow_hosts)
    restore_replaced(Path(model), progress)
    predictor = Predictor(model)
    examples = RunFolder(Path(model)).find_examples(EXAMPLES) if Path(model).is_dir() else []
    app = create_app(predictor, limits, examples, hosts)
    name = show_text(predictor.card.name)
    listen(app, (host, port), limits, lambda url: progress.say(f"{name} answers at {url}"))
