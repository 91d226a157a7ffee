"""How many processes are worth starting, and how much memory there is."""

import os

import pytest

from fmnist_edge.processes import available_megabytes, room_for, worthwhile


@pytest.mark.parametrize(
    ("cores", "megabytes", "processes"),
    [(1, 8000, 1), (2, 8000, 2), (4, 8000, 4), (64, 8000, 4), (4, 600, 2), (4, 100, 1), (4, None, 4)],
)
def test_there_are_as_many_as_cores_at_most_four_and_fewer_where_memory_is_short(
    cores: int, megabytes: int | None, processes: int
) -> None:
    assert room_for(cores, megabytes) == processes


def test_cores_that_this_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3})

    assert worthwhile() == 1


def test_the_memory_is_what_programs_can_still_get() -> None:
    megabytes = available_megabytes()

    assert megabytes is not None
    assert 0 < megabytes * 2**20 < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
