"""Decode what a cache lacks, and keep it there."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from polyhead.data.images.decode import decode
from polyhead.data.images.jpeg import is_fast
from polyhead.data.images.read import Digests, decode_files, digest_all
from polyhead.data.images.settings import FAST, PILLOW, ImageSettings
from polyhead.data.images.store import Store, Writer
from polyhead.progress import Progress


@dataclass(frozen=True)
class Filling:
    """The files that are wanted."""

    paths: Sequence[Path]
    settings: ImageSettings
    progress: Progress

    def check(self) -> Digests:
        """Decode every content once, keep no pixels, and tell what is wrong."""
        found = Digests([None] * len(self.paths))
        self._decode("Checking images", range(len(self.paths)), found, FAST)
        return found

    def fill(self) -> tuple[Digests, Store]:
        """Keep what is missing; returns what was found, and the store that now has it.

        Files are digested first where some of them may be kept already, or the disk may be too full; else they are
        read once, and decoded at once.

        Raises:
            PolyheadError: the cache cannot be written, or its disk is too full.
        """
        stores = {version: self.settings.open_store(version) for version in (FAST, PILLOW)}
        if not any(store.has_rows() for store in stores.values()):
            own = FAST if is_fast() else PILLOW
            if stores[own].has_room(len(self.paths)) and (found := self._fill_empty(own)):
                return found, stores[own]
        found = digest_all(self.paths, self.progress)
        missing = {version: found.find_missing(set(store.list_digests())) for version, store in stores.items()}
        # What was kept before is read, and added to, by the library that resized it; of none, the fast one is.
        usable = [version for version in stores if version == PILLOW or is_fast() or not missing[version]]
        version = min(usable, key=lambda version: len(missing[version]))
        if missing[version]:
            self._add_missing(found, version)
        return found, stores[version]

    def _fill_empty(self, version: int) -> Digests | None:
        """Decode all; None if there are rows by now, which another run has added."""
        store = self.settings.open_store(version)
        with store.shard(self.settings.shard).fill(self.progress) as writer:
            if store.has_rows():
                return None
            found = Digests([None] * len(self.paths))
            self._decode("Decoding images", range(len(self.paths)), found, version, writer)
            return found

    def _add_missing(self, found: Digests, version: int) -> None:
        store = self.settings.open_store(version)
        with store.shard(self.settings.shard).fill(self.progress) as writer:
            # Again: another run may have added rows before this one got the lock.
            if missing := found.find_missing(set(store.list_digests())):
                store.check_room(len(missing))
                self._decode("Decoding images", missing, found, version, writer)

    def _decode(
        self, words: str, indices: Sequence[int], found: Digests, version: int, writer: Writer | None = None
    ) -> None:
        """Decode the files at these indices, note what came of them, and keep their pixels."""
        advance = self.progress.track(words, len(indices))
        settings = self.settings
        decoder = partial(decode, size=settings.size, resize=settings.resize, fast=version == FAST)
        paths = [self.paths[index] for index in indices]
        at = iter(indices)
        with closing(decode_files(paths, decoder, settings.size, keep=writer is not None)) as chunks:
            for chunk in chunks:
                if writer and chunk.digests:
                    writer.append(chunk.digests, chunk.pixels)
                for result, index in zip(chunk.results, at, strict=False):  # in this order: `at` must lose none
                    found.note(index, result)
                found.reasons |= chunk.reasons
                advance(len(chunk.results))
