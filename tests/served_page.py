"""A model's page, served to a browser on this machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from polyhead.model.predictor import Predictor
from polyhead.server.app import create_app


@contextmanager
def serve(model: Path, *examples: Path) -> Iterator[str]:
    """The address of a server of a model file, with example images."""
    app = create_app(Predictor(model), examples=examples)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:  # from here on who asks waits, and is not refused
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        serving.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        serving.join()
