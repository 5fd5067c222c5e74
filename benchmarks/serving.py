"""`polyhead serve` against the predictor that it stands on: one image at a time, 32 clients at once, memory.

    python benchmarks/serving.py MODEL IMAGES

The client of the second comparison is a process on the same cores. Its own processor time is no part of the server's
work, so the ratio is given twice: as the clock has it, and with the client's time, spread over all cores, taken off.
Processor time per image stands beside it: other work on the machine moves the clock, and that hardly.
"""

import argparse
import asyncio
import http.client
import itertools
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyhead.data.images.decode import decode, find_images
from polyhead.model.predictor import Predictor

CLIENTS = 32
ROUNDS = 5
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def served(model: str) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and its process."""
    command = [sys.executable, "-m", "polyhead", "serve", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        found = re.search(r":(\d+)/", server.stderr.readline())
        assert found
        try:
            yield int(found[1]), server.pid
        finally:
            server.terminate()


def processor_seconds(process: int) -> float:
    """What a process has used so far, in seconds of one core."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(process: int) -> float:
    """Resident memory, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def time_one(predictor: Predictor, port: int, images: list[bytes]) -> None:
    """One image at a time, over a connection that is kept, against decoding it and one call of ONNX Runtime."""
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def over_http(image: bytes) -> None:
        connection.request("POST", "/predict", image)
        connection.getresponse().read()

    def bare(image: bytes) -> None:
        predictor.run(decode(image, predictor.card.image.size, predictor.card.image.resize)[None])

    seconds: dict[str, list[float]] = {"over HTTP": [], "decode and run": []}
    for turn in range(ROUNDS + 1):
        for name, call in (("over HTTP", over_http), ("decode and run", bare)):
            for image in images[:100]:
                begun = time.perf_counter()
                call(image)
                if turn:
                    seconds[name].append(time.perf_counter() - begun)
    # Beside the median the fastest tenth, which other work on the machine disturbs least.
    for words, place in (("median", 49), ("fastest tenth", 9)):
        over, alone = (1000 * statistics.quantiles(found, n=100)[place] for found in seconds.values())
        print(f"one image, {words}: over HTTP {over:.2f} ms, decode and run {alone:.2f} ms, ratio {over / alone:.2f}")


async def send_all(port: int, images: list[bytes], count: int, clients: int) -> list[float]:
    """`count` requests over `clients` connections, each as soon as the one before is answered; their seconds."""
    left, seconds = iter(range(count)), []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            image = images[number % len(images)]
            begun = time.perf_counter()
            writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(image) + image)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = re.search(rb"content-length: (\d+)", head)
            assert length
            await reader.readexactly(int(length[1]))
            seconds.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return seconds


def time_many(model: str, port: int, server: int, folder: Path) -> None:
    """32 clients in one process of their own against `Predictor.predict` over the same images."""
    images = load(folder)
    predictor = Predictor(model)
    rates: dict[str, list[float]] = {"served": [], "served, client off": [], "predictor": []}
    costs: dict[str, list[float]] = {"served": [], "predictor": []}
    tails = []
    for turn in range(ROUNDS + 1):
        used = processor_seconds(server)
        command = [sys.executable, __file__, model, str(folder), "--client", str(port)]
        wall, own, tail = map(float, subprocess.check_output(command, text=True).split())
        used = processor_seconds(server) - used
        begun, before = time.perf_counter(), time.process_time()
        for record in predictor.predict(images):
            assert not record["error"]
        alone, spent = time.perf_counter() - begun, time.process_time() - before
        if turn:
            count = len(images)
            rates["served"].append(count / wall)
            rates["served, client off"].append(count / (wall - own / (os.cpu_count() or 1)))
            rates["predictor"].append(count / alone)
            costs["served"].append(1000 * used / count)
            costs["predictor"].append(1000 * spent / count)
            tails.append(tail)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        print(f"{CLIENTS} clients: {name} {rate:.0f} images/s, ratio {rate / medians['predictor']:.2f}")
    cost = {name: statistics.median(found) for name, found in costs.items()}
    print(f"processor time: served {cost['served']:.2f} ms an image, predictor {cost['predictor']:.2f} ms")
    print(f"p99 {statistics.median(tails):.0f} ms")


def be_client(port: int, images: list[bytes]) -> None:
    """Send each image once; print seconds by the clock, seconds of processor, and the 99th percentile in ms."""
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    seconds = asyncio.run(send_all(port, images, len(images), CLIENTS))
    wall, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    own = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    print(wall, own, 1000 * statistics.quantiles(seconds, n=100)[98])


def watch_memory(port: int, server: int, images: list[bytes]) -> None:
    """Resident memory of the server over 20,000 requests."""
    found = [f"{resident(server):.0f}"]
    for _ in range(10):
        asyncio.run(send_all(port, images, 2000, 8))
        found.append(f"{resident(server):.0f}")
    print(f"memory in MB, before and after every 2,000 of 20,000 requests: {' '.join(found)}")


def load(folder: Path) -> list[bytes]:
    """1,000 image files; those there are, again and again."""
    files = [path.read_bytes() for path in itertools.islice(find_images(folder), 1000)]
    return list(itertools.islice(itertools.cycle(files), 1000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("images", type=Path)
    parser.add_argument("--client", type=int)
    options = parser.parse_args()
    if options.client:
        be_client(options.client, load(options.images))
        return
    with served(options.model) as (port, server):
        images = load(options.images)
        time_one(Predictor(options.model), port, images)
        time_many(options.model, port, server, options.images)
        watch_memory(port, server, images)


if __name__ == "__main__":
    main()
