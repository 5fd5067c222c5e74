"""Read labels and fetch their images: those that are at addresses are fetched once, several at a time, and kept."""

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from polyhead.data.images.kept import keep_image, kept_root
from polyhead.data.sources.addresses import AddressError, is_address, read_address
from polyhead.data.sources.reading import read_rows
from polyhead.data.sources.rows import Rows
from polyhead.files import write_text
from polyhead.progress import SILENT, Progress
from polyhead.recipe.schema import Recipe

AT_ONCE = 16
TRIES = 3
PATIENT = 20  # failures of a host without one image, after which it is asked no more
FOLDER = "addresses"  # among the kept files: a file for each address, which holds the name of its image


def read_and_fetch(recipe: Recipe, data: Path, groups: Sequence[str] = (), progress: Progress = SILENT) -> Rows:
    """What `read_rows` gives, with the images that are at addresses as files.

    Those that are not there yet are fetched, from the hosts and buckets in `data.source.fetch` alone; what cannot be
    had is rejected with the reason, and tried again the next time.

    Raises:
        PolyheadError: see `read_rows`.
    """
    rows = read_rows(recipe, data, groups)
    addresses = [path for path in rows.paths if is_address(path)]
    if not addresses:
        return rows
    found, reasons = _fetch_all(addresses, getattr(recipe.data.source, "fetch", None) or (), progress)
    paths = [found.get(path, path) for path in rows.paths]
    seen: set[str] = set()
    kept = []
    rejected = list(rows.rejected)
    for row, path in enumerate(paths):
        reason = reasons.get(path) or ("a row before this one is of the same image" if path in seen else "")
        seen.add(path)
        if reason:
            rejected.append((rows.paths[row], reason))
        else:
            kept.append(row)
    there = {rows.paths[row] for row in kept}
    known = [mistake for mistake in rows.mistakes if mistake.path in there]
    mistakes = [mistake._replace(path=found.get(mistake.path, mistake.path)) for mistake in known]
    cells = rows.cells.iloc[kept].reset_index(drop=True)
    return replace(rows, paths=[paths[row] for row in kept], cells=cells, rejected=rejected, mistakes=mistakes)


def _fetch_all(
    addresses: Sequence[str], allowed: Sequence[str], progress: Progress
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The file of each image that could be had, and the reason for each of the others, by their addresses."""
    found = {address: path for address in addresses if (path := _find_kept(address))}
    reasons: dict[str, str] = {}
    left = [address for address in dict.fromkeys(addresses) if address not in found]
    if not left:
        return found, reasons
    advance = progress.track("Fetching images", len(left))
    fetcher = _Fetcher(allowed)
    executor = ThreadPoolExecutor(AT_ONCE)
    try:
        futures = {executor.submit(fetcher.fetch, address): address for address in left}
        for future in as_completed(futures):
            path, reason = future.result()
            (found if path else reasons)[futures[future]] = path or reason
            advance(1)
    finally:
        executor.shutdown(cancel_futures=True)
    return found, reasons


class _Fetcher:
    """Fetches images and keeps them; asks no more where a host has given none."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = allowed
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._good: set[str] = set()

    def fetch(self, address: str) -> tuple[str, str]:
        """The image's file, or the reason why there is none."""
        host = address.split("/")[2]
        if self._failures[host] >= PATIENT and host not in self._good:
            return "", f"its host gave no image {PATIENT} times, and was asked no more"
        try:
            content = self._read(address)
            path = keep_image(content, unquote(urlsplit(address).path))
        except (AddressError, ValueError) as error:
            with self._lock:
                self._failures[host] += 1
            return "", str(error)
        with self._lock:
            self._good.add(host)
        note = _note(address)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_text(note, path.name)
        return path.as_posix(), ""

    def _read(self, address: str) -> bytes:
        for left in range(TRIES - 1, 0, -1):
            try:
                return read_address(address, self._allowed)
            except AddressError as error:
                if not error.again or not left:
                    raise
        return read_address(address, self._allowed)


def _note(address: str) -> Path:
    digest = hashlib.blake2b(address.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return kept_root() / FOLDER / digest[:2] / digest


def _find_kept(address: str) -> str:
    """The file of an image that was fetched before; blank if there is none."""
    try:
        name = _note(address).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    file = kept_root() / name[:2] / Path(name).name
    return file.as_posix() if file.is_file() else ""
