"""What a camera is asked for where nothing else is said, and how often a lost one is tried again."""

from itertools import islice

from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.feed import growing


def test_pauses_between_attempts_double_and_stop_growing_at_half_a_minute() -> None:
    pauses = growing(*FeedOptions().pauses)

    assert list(islice(pauses, 10)) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_by_default_a_camera_is_asked_for_640x480_and_counts_as_lost_after_five_seconds() -> None:
    options = FeedOptions()

    assert (options.size, options.fps, options.certificate) == ((640, 480), None, None)
    assert (options.fast, options.retry, options.patience) == (False, True, 5)
