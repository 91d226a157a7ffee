"""What `import fmnist_edge` gives: what is public, the version, nothing on stderr."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import fmnist_edge
from support.commands import ROOT, main_of, run


def test_what_is_public_can_be_seen_and_had() -> None:
    assert dir(fmnist_edge) == sorted([*fmnist_edge.__all__, "__version__"])
    for name in dir(fmnist_edge):
        assert getattr(fmnist_edge, name)


def test_the_version_is_the_distributions() -> None:
    assert fmnist_edge.__version__ == version("fmnist-edge")


def test_what_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fmnist_edge' has no attribute 'clasify'"):
        fmnist_edge.clasify  # noqa: B018 - it is the reading that fails


def test_the_package_runs_as_the_command() -> None:
    result = main_of("fmnist_edge", "classify", "docs/shoe.png")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Sneaker")


@pytest.mark.slow
def test_a_plain_script_gets_its_own_output_and_nothing_else() -> None:
    script = "from fmnist_edge import Classifier; print(Classifier().classify('docs/shoe.png')[0].label)"

    result = run(sys.executable, "-c", script)

    assert (result.stdout, result.stderr) == ("Sneaker\n", "")


@pytest.mark.slow
def test_who_asks_for_neither_gets_neither_numpy_nor_the_metadata() -> None:
    script = "import fmnist_edge, sys; dir(fmnist_edge); print({'numpy', 'PIL', 'importlib.metadata'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT).stdout == "set()\n"
