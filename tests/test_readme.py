"""The README shows what a run wrote."""

import doctest

from conftest import python_m

import fmnist_edge


def test_the_readme_is_up_to_date_with_the_models() -> None:
    result = python_m("export.readme", "--check")

    assert result.returncode == 0, result.stderr


def test_the_example_in_the_packages_docstring_is_true() -> None:
    assert doctest.testmod(fmnist_edge).attempted == 2
    assert doctest.testmod(fmnist_edge).failed == 0
