"""A short run of tests/fuzz.py; `make fuzz` is the long one."""

import sys
from pathlib import Path

import pytest
from conftest import run

FUZZ = Path(__file__).with_name("fuzz.py")


@pytest.mark.parametrize(("kind", "cases"), [("pictures", 500), ("models", 200)])
def test_hostile_files_end_in_a_result_or_an_error_of_ours(kind: str, cases: int) -> None:
    result = run(sys.executable, FUZZ, kind, "--cases", str(cases))

    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{kind}: {cases} cases in " in result.stdout
    assert result.stderr == ""
