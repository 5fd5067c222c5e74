"""Several processes that train one network, over `jax.distributed`: the first one leads, the others follow.

The leader reads the labels, plans, exports, evaluates and writes every file. A follower waits for its orders, and takes
part in each training that the leader begins: it opens the leader's run folder, reads its own share of each batch's
images, and takes the same steps. What only the leader can know (its clock) it tells the others.
"""

import atexit
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError, require

Engine = Literal["process", "slurm"]
ADDRESS, COUNT, INDEX = (f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))
HEARTBEAT = 30  # seconds without a sign of life after which a process counts as lost
WAIT = 60_000  # milliseconds that a follower waits at a time
LATE = re.compile("DEADLINE_EXCEEDED|timed out", re.I)
# What the libraries below say when the other end of a connection is gone: Gloo, NCCL, gRPC.
LOST = re.compile(r"gloo|nccl|connection (reset|refused|closed)|socket closed|coordination|UNAVAILABLE|peer", re.I)


@dataclass
class Group:
    """This process among those that train together: its index from 0, how many there are, the messages so far."""

    index: int = 0
    count: int = 1
    devices: int = 1  # of each process
    messages: int = 0


GROUP = Group()  # a process is in one group at most, as JAX has it


@dataclass(frozen=True)
class Order:
    """What the leader tells its followers: to take part in the training of a run, or that there is no more to do.

    Attributes:
        run: the run's folder; empty at the end.
        data: where its data is.
        failed: whether an error has ended the leader's work.
    """

    run: str = ""
    data: str | None = None
    failed: bool = False


def leads() -> bool:
    """Whether this process trains alone, or leads the others."""
    return GROUP.index == 0


def join_processes(engine: Engine) -> None:
    """Join the other processes, where this one has been started as one of several; before anything uses JAX.

    With `process` the environment says so, by Keras's variables: KERAS_DISTRIBUTION_NUM_PROCESSES, ..._PROCESS_ID from
    0, and ..._JOB_ADDRESSES, host:port of process 0. With `slurm` JAX asks SLURM. It waits for all to be there.

    Raises:
        PolyheadError: the variables are wrong or incomplete, another backend than JAX is asked for, or SLURM has
            started one process only.
    """
    if GROUP.count > 1 or (engine == "process" and COUNT not in os.environ):
        return
    if os.environ.setdefault("KERAS_BACKEND", "jax") != "jax":
        raise PolyheadError(f"KERAS_BACKEND: several processes need jax; got {os.environ['KERAS_BACKEND']!r}")
    require("training with several processes", "jax")
    place = _read_place() if engine == "process" else {"cluster_detection_method": "slurm"}
    if place.get("num_processes") == 1:
        return
    import jax

    try:
        jax.distributed.initialize(**place, heartbeat_timeout_seconds=HEARTBEAT)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PolyheadError(f"joining the other processes failed: {reason}") from None
    GROUP.index, GROUP.count, GROUP.devices = jax.process_index(), jax.process_count(), jax.local_device_count()
    if GROUP.count == 1 and engine == "slurm":
        raise PolyheadError("engine: SLURM has started one process; start several with `srun -n`")
    if GROUP.devices * GROUP.count != jax.device_count():
        raise PolyheadError(
            f"{GROUP.count} processes have {jax.device_count()} devices in all, of which this one has {GROUP.devices}; "
            "each needs the same number"
        )


def _read_place() -> dict[str, Any]:
    """This process's place, as the environment tells it, for `jax.distributed.initialize`."""
    found = {}
    for name in (COUNT, INDEX):
        text = os.environ.get(name, "")
        if not text.isdecimal():
            raise PolyheadError(f"{name}: expected a whole number; got {text!r}")
        found[name] = int(text)
    address = os.environ.get(ADDRESS, "").split(",")[0].strip()
    if not re.fullmatch(r".+:\d+", address):
        raise PolyheadError(f"{ADDRESS}: expected host:port of process 0; got {address!r}")
    if not found[INDEX] < found[COUNT]:
        raise PolyheadError(f"{INDEX}: expected 0 to {found[COUNT] - 1}, below {COUNT}; got {found[INDEX]}")
    place = {"coordinator_address": address, "num_processes": found[COUNT], "process_id": found[INDEX]}
    return place | {"cluster_detection_method": "deactivate"}


@contextmanager
def lead(run: str | os.PathLike[str]) -> Iterator[None]:
    """Do the work of the leader; the followers are told when it is over, however it ends.

    Raises:
        PolyheadError: another process was lost meanwhile.
    """
    if GROUP.count == 1:
        yield
        return
    try:
        yield
    except BaseException as error:
        _tell(asdict(Order(failed=True)))
        _leave_at_end(error)
        if isinstance(error, PolyheadError) or not LOST.search(str(error)):
            raise
        reason = " ".join(str(error).split())[:160]
        raise PolyheadError(
            f"another process of the {GROUP.count} was lost ({reason}); start all again: `resume {os.fspath(run)}`"
        ) from None
    _tell(asdict(Order()))


def _leave_at_end(error: BaseException) -> None:
    """Let this process end at once when it ends: JAX would wait for those that are lost or stuck, and then abort."""
    code = error.exit_code if isinstance(error, PolyheadError) else 130 if isinstance(error, KeyboardInterrupt) else 1

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(leave)


def order_training(run: Path, data: str | None) -> None:
    """Have the followers take part in the training of a run, which is ready for it and whose data is there."""
    if GROUP.count > 1:
        _tell(asdict(Order(str(run.resolve()), data)))


def next_training() -> Order | None:
    """In a follower: the next run to train, as soon as there is one; None at the end.

    Raises:
        PolyheadError: the leader has failed.
    """
    order = Order(**_hear())
    if order.failed:
        raise PolyheadError("process 0 has ended with an error; see what it says")
    return order if order.run else None


@contextmanager
def follow() -> Iterator[None]:
    """Do the work of a follower.

    Raises:
        PolyheadError: another process was lost meanwhile.
    """
    try:
        yield
    except BaseException as error:
        _leave_at_end(error)
        if isinstance(error, PolyheadError) or not LOST.search(str(error)):
            raise
        raise PolyheadError(f"another process of the {GROUP.count} was lost; start all again") from None


def share(value: dict[str, Any]) -> dict[str, Any]:
    """The leader's value, in every process: a follower waits for it, and its own is left aside."""
    if GROUP.count == 1:
        return value
    if leads():
        _tell(value)
        return value
    return _hear()


def wait_for_all(name: str) -> None:
    """Go on when every process has come this far."""
    if GROUP.count > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def _tell(value: dict[str, Any]) -> None:
    GROUP.messages += 1
    _board().key_value_set(f"polyhead/{GROUP.messages}", json.dumps(value))


def _hear() -> dict[str, Any]:
    """The leader's next message, however long it takes; where the leader is lost, JAX ends this process."""
    GROUP.messages += 1
    while True:
        try:
            found: dict[str, Any] = json.loads(_board().blocking_key_value_get(f"polyhead/{GROUP.messages}", WAIT))
            return found
        except Exception as error:  # JAX's own, by its words
            if not LATE.search(str(error)):
                raise


def _board() -> Any:
    """What all processes can read: the key-value store of JAX's coordinator (which Orbax uses as well)."""
    from jax._src.distributed import global_state

    return global_state.client


def share_rows(rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.uint8] | None]:
    """The rows of a batch that this process reads, and a mark that says by its shape how many of all are filled up.

    Every process takes as many, in the batch's order, so the last rows may have to be filled up with the first one; of
    the whole, in order, the first ones are then the batch. Alone, all of them, and no mark.
    """
    if GROUP.count == 1:
        return rows, None
    part = -(-len(rows) // (GROUP.count * GROUP.devices)) * GROUP.devices
    missing = part * GROUP.count - len(rows)
    filled = np.concatenate([rows, np.repeat(rows[:1], missing)])
    own = filled[GROUP.index * part : (GROUP.index + 1) * part]
    return own, np.zeros((GROUP.devices, missing + 1), np.uint8)
