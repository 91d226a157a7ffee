"""How often a lost camera is tried again."""

from itertools import islice

from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.feed import growing


def test_pauses_between_attempts_double_and_stop_growing_at_half_a_minute() -> None:
    pauses = growing(*FeedOptions().pauses)

    assert list(islice(pauses, 10)) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
