"""The size of `pip install polyhead`: megabytes of site-packages in a fresh environment, which then predicts an image.

    python benchmarks/install.py [COMMIT | EXTRA,...]...

Each argument is installed into an environment of its own: a commit of this repository, or the working tree with some
extras. Without any: the commit before prediction was all that the base install brings, and the working tree without
extras.
"""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEFORE = "71d3203"
FIXTURE = ROOT / "tests/before/before.zip"
IMAGE = "images/images/001.png"


def main() -> None:
    extras = _list_extras()
    for wanted in sys.argv[1:] or [BEFORE, ""]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if set(wanted.split(",")) <= {*extras, ""}:
                title = f"polyhead[{wanted}]" if wanted else "polyhead"
                _measure(title, folder, _build(ROOT, folder), wanted)
            else:
                _extract(wanted, folder / "source")
                _measure(f"polyhead at {wanted}", folder, _build(folder / "source", folder), "")


def _list_extras() -> set[str]:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        return set(tomllib.load(file)["project"]["optional-dependencies"])


def _extract(commit: str, target: Path) -> None:
    """Write a commit's files into a folder."""
    archive = target.with_suffix(".zip")
    subprocess.run(["git", "-C", ROOT, "archive", "--format=zip", "-o", archive, commit], check=True)
    with zipfile.ZipFile(archive) as files:
        files.extractall(target)


def _build(source: Path, folder: Path) -> Path:
    """The wheel of a source tree."""
    _pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", folder / "wheels", source)
    return next((folder / "wheels").glob("*.whl"))


def _measure(title: str, folder: Path, wheel: Path, extras: str) -> None:
    """Install a wheel into a new environment, and predict with a model file there."""
    venv.create(folder / "env", with_pip=True)
    python = folder / "env/bin/python"
    packages = next((folder / "env/lib").glob("python*/site-packages"))
    empty = _megabytes(packages)
    _pip(python, "install", f"{wheel}[{extras}]" if extras else wheel)
    print(f"{title}: {_megabytes(packages):.0f} MB in site-packages ({empty:.0f} MB of it pip)")
    with zipfile.ZipFile(FIXTURE) as files:
        files.extractall(folder / "work")
    done = subprocess.run(
        [python, "-m", "polyhead", "predict", "run", IMAGE],
        cwd=folder / "work",
        capture_output=True,
        text=True,
        check=False,
    )
    print((done.stdout or done.stderr).strip())


def _pip(python: Path, command: str, *arguments: str | Path) -> None:
    subprocess.run([python, "-m", "pip", command, "--quiet", *arguments], check=True)


def _megabytes(folder: Path) -> float:
    """What the files in a folder take on disk, compiled modules included, in megabytes of a million bytes."""
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*")) / 1e6


if __name__ == "__main__":
    main()
