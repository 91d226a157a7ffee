"""The README and docs/ show what runs wrote."""

import doctest

import pytest

import fmnist_edge
from bench.readme import at_least, at_most
from support.commands import python_m


@pytest.mark.slow
def test_the_pages_are_up_to_date_with_the_models_and_the_code() -> None:
    result = python_m("bench.readme", "--check")

    assert result.returncode == 0, result.stderr


def test_the_example_in_the_packages_docstring_is_true() -> None:
    assert doctest.testmod(fmnist_edge).attempted == 2
    assert doctest.testmod(fmnist_edge).failed == 0


@pytest.mark.parametrize(
    ("share", "said"), [(0.7962899, "79.6%"), (0.79999, "79.9%"), (0.8, "80.0%"), (0.57, "57.0%"), (1, "100.0%")]
)
def test_a_share_never_reads_better_than_it_is(share: float, said: str) -> None:
    assert at_least(share) == said


@pytest.mark.parametrize(("value", "step", "said"), [(0.0171, "0.001", "0.018"), (0.007, "0.001", "0.007"), (53.3, "1", "54")])
def test_a_cost_never_reads_less_than_it_is(value: float, step: str, said: str) -> None:
    assert at_most(value, step) == said
