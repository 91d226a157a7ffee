"""What another process of ours would do, in a thread: that is quicker to start, and what it raises is seen."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def in_a_thread(serve: Callable[[], object]) -> Iterator[tuple[int, int]]:
    """Yields two descriptors, which the caller closes: where requests are written, and where replies are read.

    Raises what ``serve`` raises, at the end.
    """
    saved = [os.dup(number) for number in (0, 1)]
    (given, requests), (replies, wanted) = os.pipe(), os.pipe()
    for number, descriptor in enumerate((given, wanted)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            serve()
        except BaseException as error:
            raised.append(error)
        finally:
            os.dup2(saved[1], 1)  # then nothing holds the replies' end any longer

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield requests, replies
    finally:
        thread.join()
        for number, descriptor in enumerate(saved):
            os.dup2(descriptor, number)
            os.close(descriptor)
    if raised:
        raise raised[0]
