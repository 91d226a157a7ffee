"""The README shows what a run wrote."""

import doctest
import json
import re
import sys

import pytest

import fmnist_edge
from support.commands import FMNIST_EDGE, ROOT, python_m, run


@pytest.mark.slow
def test_the_readme_is_up_to_date_with_the_models() -> None:
    result = python_m("bench.readme", "--check")

    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_ten_lines_with_a_bare_interpreter_say_what_the_command_says() -> None:
    (lines,) = re.findall(r"```python\n(import numpy.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

    result = run(sys.executable, "-c", lines)

    class_id, confidence = result.stdout.split()
    expected = json.loads(run(FMNIST_EDGE, "classify", "--json", "docs/shoe.png").stdout)
    assert len(list(filter(None, lines.splitlines()))) == 10
    assert int(class_id) == expected["class_id"]
    assert float(confidence) == pytest.approx(expected["confidence"], abs=1e-6)


def test_the_example_in_the_packages_docstring_is_true() -> None:
    assert doctest.testmod(fmnist_edge).attempted == 2
    assert doctest.testmod(fmnist_edge).failed == 0
