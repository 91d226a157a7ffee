"""More than one machine: TensorFlow's MultiWorkerMirroredStrategy, if TF_CONFIG names the workers.

All workers draw the same images. Each trains on its share of every batch, and the gradients are added up, so all have the same
weights. Each writes its own model and checkpoint.
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
    """Another worker can't be reached, or is gone."""


def join(patience: float = 300) -> tf.distribute.Strategy:
    """The strategy to train under, once all workers are ready; without TF_CONFIG, the one that does nothing.

    Call it before any other use of TensorFlow. patience: how many seconds later the last worker may start.
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
        # TensorFlow 2.21 would wait for an hour, ignore Ctrl-C, and not say for whom: so start it when all ports are open
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
                    raise WorkerError(f"worker {address} can't be reached after {patience:.0f} s ({error})") from None
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
        # the one useful line of TensorFlow's long message
        reason = error.message.rpartition("aborted by: ")[2].partition("\n")[0].rstrip(":")
        raise WorkerError(f"another worker is gone ({reason}); start all of them again, with --resume") from None


def from_first(content: bytes) -> bytes:
    """The first worker's argument, on every worker. All workers must call this."""
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return content
    # one more byte, because TensorFlow 2.21 crashes where nobody gives anything; int32, because it can't gather uint8
    given = content + b"." if strategy.extended.should_checkpoint else b""
    numbers = strategy.gather(tf.constant(np.frombuffer(given, np.uint8).astype(np.int32)), axis=0)
    return bytes(numbers.numpy().astype(np.uint8))[:-1]


def agree(settings: str) -> None:
    """Raises UsageError on a worker whose settings differ from the first worker's."""
    if from_first(settings.encode()) != settings.encode():
        raise UsageError("the first worker has other settings; start all of them with the same options")
