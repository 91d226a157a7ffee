"""The README and docs/ show what runs wrote."""

import doctest

import pytest

import fmnist_edge
from support.commands import python_m


@pytest.mark.slow
def test_the_pages_are_up_to_date_with_the_models_and_the_code() -> None:
    result = python_m("bench.readme", "--check")

    assert result.returncode == 0, result.stderr


def test_the_example_in_the_packages_docstring_is_true() -> None:
    assert doctest.testmod(fmnist_edge).attempted == 2
    assert doctest.testmod(fmnist_edge).failed == 0
