"""More than one machine: TensorFlow's MultiWorkerMirroredStrategy, if TF_CONFIG names the workers.

All draw the same images. Each trains on its share of every batch and adds its gradients to the others': so all have the same
weights, and each writes its own model and checkpoint.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from fmnist_edge.errors import FmnistEdgeError, UsageError

EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'


class WorkerError(FmnistEdgeError):
    """The other workers are not there, or no longer."""


def join(patience: float = 300) -> tf.distribute.Strategy:
    """The strategy to train under, once all workers are there; without TF_CONFIG, the one that does nothing.

    To be called before anything else of TensorFlow. patience: seconds from this worker's start to the last one's.
    """
    if "TF_CONFIG" not in os.environ:
        return tf.distribute.get_strategy()
    try:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        cluster = resolver.cluster_spec()
        own = cluster.task_address(resolver.task_type, resolver.task_id)
        ports = {address: int(address.rpartition(":")[2]) for job in cluster.jobs for address in cluster.job_tasks(job)}
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"TF_CONFIG can't be used ({error}); it should look like {EXAMPLE}") from None
    others = {address: port for address, port in ports.items() if address != own}
    print(f"train: this is worker {own}; waiting for {' and '.join(others) or 'no other'}", file=sys.stderr)
    try:
        # TensorFlow 2.21 would wait for an hour, deaf to Ctrl-C, and not say for whom: it starts when all have opened their ports
        with socket.create_server(("", ports[own])):
            wait_for(others, patience)
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (OSError, OverflowError, tf.errors.OpError) as error:
        raise WorkerError(f"{own} can't be this worker's address ({error})") from None


def wait_for(ports: dict[str, int], patience: float) -> None:
    """Raises WorkerError for an address that can't be reached in time."""
    end = time.monotonic() + patience
    for address, port in ports.items():
        while True:
            try:
                socket.create_connection((address.rpartition(":")[0], port), timeout=5).close()
                break
            except (OSError, OverflowError) as error:
                if time.monotonic() > end:
                    raise WorkerError(f"worker {address} is not there after {patience:.0f} s ({error})") from None
                time.sleep(0.2)


@contextmanager
def together(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """The strategy's scope. Raises WorkerError if another worker dies: at once, or 10 s after its machine fell silent."""
    try:
        with strategy.scope():
            yield
    except tf.errors.OpError as error:
        if strategy.num_replicas_in_sync == 1:
            raise
        # the line that matters of TensorFlow's page
        reason = error.message.rpartition("aborted by: ")[2].partition("\n")[0].rstrip(":")
        raise WorkerError(f"another worker is gone ({reason}); start all of them again, with --resume") from None


def from_first(content: bytes) -> bytes:
    """What the first worker calls this with; all must call it."""
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return content
    # one more byte, because TensorFlow 2.21 crashes where nobody gives anything; int32, because it can't gather uint8
    given = content + b"." if strategy.extended.should_checkpoint else b""
    numbers = strategy.gather(tf.constant(np.frombuffer(given, np.uint8).astype(np.int32)), axis=0)
    return bytes(numbers.numpy().astype(np.uint8))[:-1]


def agree(settings: str) -> None:
    """Raises UsageError on a worker that was told something else than the first one."""
    if from_first(settings.encode()) != settings.encode():
        raise UsageError("the first worker has other settings; start all of them with the same options")
