"""The wheel as it is installed on a device: in clean environments, one per runtime, away from the checkout."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_edge import Classifier
from support.commands import MODELS, ROOT, python_m, run
from support.docs import blocks_of
from train.dataset import Dataset

pytestmark = pytest.mark.wheel

UV = Path(sys.executable).with_name("uv")
NO_RUNTIME = ("numpy", "pillow", "typer<0.29")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    result = python_m("pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    assert result.returncode == 0, result.stderr
    (path,) = folder.glob("fmnist_edge-*.whl")
    return path


@pytest.fixture(scope="session")
def tiles(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """A folder with the 10,000 test images as PNG, named by their numbers."""
    folder = tmp_path_factory.mktemp("tiles")
    for number, tile in enumerate(dataset.test_images):
        Image.fromarray(tile).save(folder / f"{number:05}.png", compress_level=1)
    return folder


def install(folder: Path, *packages: str | Path, python: str = sys.executable) -> Path:
    """A new environment with the packages. Returns its fmnist-edge."""
    for command in (
        [UV, "venv", "--quiet", "--python", python, folder],
        [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *packages],
    ):
        result = run(*command)
        assert result.returncode == 0, result.stderr
    return folder / "bin" / "fmnist-edge"


@pytest.fixture(scope="session")
def litert(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("litert"), wheel)


@pytest.fixture(scope="session")
def onnx(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("onnx"), f"{wheel}[onnx]")


@pytest.fixture(scope="session")
def tflite_runtime(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_bare(
        tmp_path_factory.mktemp("tflite-runtime"), wheel, "numpy<2", "tflite-runtime==2.14.0", python=python_311()
    )


@pytest.fixture(scope="session")
def numpy_2_beside_tflite_runtime(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_bare(tmp_path_factory.mktemp("numpy-2"), wheel, "numpy>=2", "tflite-runtime==2.14.0", python=python_311())


@pytest.fixture(scope="session")
def no_runtime(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_bare(tmp_path_factory.mktemp("no-runtime"), wheel)


def install_bare(folder: Path, wheel: Path, *packages: str, python: str = sys.executable) -> Path:
    """As ``install``, without the runtime that the wheel asks for."""
    command = install(folder, *NO_RUNTIME, *packages, python=python)
    run(UV, "pip", "install", "--no-deps", "--python", command.with_name("python"), wheel)
    return command


def python_311() -> str:
    found = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if not found:
        pytest.skip("tflite-runtime 2.14.0 needs Python 3.11, which is not on this machine")
    return found


def class_ids(result: subprocess.CompletedProcess[str]) -> list[int]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line)["class_id"] for line in result.stdout.splitlines()]


def test_the_wheel_holds_the_package_the_model_and_the_golden_set_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} == {"fmnist_edge"}
    assert {"fmnist_edge/models/fmnist-int8.tflite", "fmnist_edge/models/golden.npz", "fmnist_edge/py.typed"} <= set(names)
    page = "fmnist_edge/page/static"
    assert {f"{page}/index.html", f"{page}/page.css", f"{page}/app.js", f"{page}/icon.svg"} <= set(names)


def test_without_the_model_the_wheel_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        model = archive.getinfo("fmnist_edge/models/fmnist-int8.tflite").compress_size

    assert wheel.stat().st_size - model < 400_000


def test_the_wheel_is_as_a_wheel_should_be(wheel: Path, tmp_path: Path) -> None:
    tools = install(tmp_path / "tools", "check-wheel-contents", "twine").parent

    for check in ([tools / "twine", "check", "--strict"], [tools / "check-wheel-contents"]):
        result = run(*check, wheel)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_each_device_finds_wheels_of_all_that_ours_needs(machine: str, python: str, wheel: Path) -> None:
    platform = ["--python-platform", f"{machine}-manylinux_2_28", "--python-version", python]

    result = run(
        UV,
        "pip",
        "compile",
        "--quiet",
        "--no-python-downloads",  # for wheels of another Python this one will do
        "--only-binary",
        ":all:",
        *platform,
        "-",
        input=f"fmnist-edge[camera,onnx] @ {wheel.as_uri()}",
    )

    assert result.returncode == 0, result.stderr
    assert {"ai-edge-litert", "numpy", "pillow", "typer", "av"} <= set(re.findall(r"^([a-z-]+)==", result.stdout, re.MULTILINE))


def test_the_wheel_alone_scores_what_the_manifest_says(litert: Path, tiles: Path, dataset: Dataset, tmp_path: Path) -> None:
    result = run(litert, "classify", "--json", "--top-k", "1", tiles, cwd=tmp_path)

    accuracy = float((np.array(class_ids(result)) == dataset.test_labels).mean())
    manifest = json.loads((MODELS / "manifest.json").read_text())
    assert accuracy == manifest["files"]["fmnist-int8.tflite"]["accuracy"]


def test_what_the_pages_say_of_a_pi_works_as_it_stands_there(wheel: Path, tmp_path: Path) -> None:
    install, classify = (blocks_of(ROOT / "docs" / page)[0] for page in ("install.md", "classify.md"))
    on_a_pi, program = (
        next(block for block in blocks_of(ROOT / "README.md") if begin in block.text)
        for begin in ("venv fmnist", "import Classifier")
    )
    commands = install.text + classify.text
    shutil.copy(wheel, tmp_path)
    with zipfile.ZipFile(tmp_path / "shoes.zip", "w") as archive:
        archive.write(ROOT / "docs" / "shoe.png", "shoe.png")
    for picture in ("shoe.png", "shirt.jpg", "photos/left.jpg", "photos/more/right.png"):
        (tmp_path / picture).parent.mkdir(parents=True, exist_ok=True)
        Image.open(ROOT / "docs" / "shoe.png").save(tmp_path / picture)

    typed = run("sh", "-ec", commands, cwd=tmp_path)
    written = run(tmp_path / "fmnist" / "bin" / "python", "-c", program.text, cwd=ROOT)

    assert set(on_a_pi.commands) <= set(install.commands)
    assert typed.returncode == 0, typed.stderr
    assert [typed.stdout.count(name) for name in ("left.jpg", "right.png")] == [4, 1], typed.stdout
    assert "problem" not in typed.stdout
    assert written.stdout.startswith("Sneaker "), written.stderr


def test_the_wheel_brings_no_tensorflow(litert: Path) -> None:
    result = run(UV, "pip", "list", "--python", litert.with_name("python"), "--format", "json")

    installed = {package["name"] for package in json.loads(result.stdout)}
    assert {"ai-edge-litert", "numpy", "pillow", "typer"} <= installed
    assert not {"tensorflow", "keras", "onnx", "onnxruntime", "pydantic"} & installed


def test_ours_is_small_where_it_is_installed(litert: Path) -> None:
    ours = [path for folder in litert.parents[1].glob("lib/*/site-packages/fmnist_edge*") for path in folder.rglob("*")]

    assert 500_000 < sum(path.stat().st_size for path in ours) < 2_000_000


def test_without_onnxruntime_an_onnx_model_says_what_to_install(litert: Path) -> None:
    result = run(litert, "classify", "--model", MODELS / "fmnist-int8.onnx", "docs/shoe.png")

    assert result.returncode == 3
    assert "pip install onnxruntime" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("model", ["fmnist-float.onnx", "fmnist-int8.onnx"])
def test_onnxruntime_says_what_litert_says(model: str, onnx: Path, tiles: Path, dataset: Dataset, tmp_path: Path) -> None:
    expected = Classifier(MODELS / model.replace(".onnx", ".tflite")).classify(dataset.test_images[:500])

    result = run(onnx, "classify", "--json", "--model", MODELS / model, *sorted(tiles.iterdir())[:500], cwd=tmp_path)

    assert class_ids(result) == [prediction.class_id for prediction in expected]


def test_tflite_runtime_says_what_litert_says(
    tflite_runtime: Path, tiles: Path, classifier: Classifier, dataset: Dataset, tmp_path: Path
) -> None:
    result = run(tflite_runtime, "classify", "--json", tiles, cwd=tmp_path)

    # its kernels round one hidden value in 3,000 to the neighbouring step, which decides where two classes are equally probable
    expected = [prediction.class_id for prediction in classifier.classify(dataset.test_images)]
    assert (np.array(class_ids(result)) == expected).mean() >= 0.999


def test_numpy_2_beside_tflite_runtime_is_named_as_the_cause(numpy_2_beside_tflite_runtime: Path) -> None:
    result = run(numpy_2_beside_tflite_runtime, "classify", "--model", MODELS / "fmnist-float.tflite", "docs/shoe.png")

    assert result.returncode == 3
    assert "tflite-runtime 2.14.0 does not work with numpy 2" in result.stderr
    assert "pip install 'numpy<2'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_doctor_names_numpy_2_as_the_cause_of_numpy_alone(numpy_2_beside_tflite_runtime: Path) -> None:
    result = run(numpy_2_beside_tflite_runtime, "doctor")

    assert result.returncode == 0
    assert "\nok       model " in result.stdout
    assert "\nnote     runtime      numpy 2." in result.stdout
    assert "tflite-runtime 2.14.0 does not work with numpy 2" in result.stdout
    assert "pip install 'numpy<2'" in result.stdout


def test_without_a_runtime_the_wheel_says_what_litert_says(
    no_runtime: Path, tiles: Path, classifier: Classifier, dataset: Dataset, tmp_path: Path
) -> None:
    result = run(no_runtime, "classify", "--json", *sorted(tiles.iterdir())[:500], cwd=tmp_path)

    assert class_ids(result) == [prediction.class_id for prediction in classifier.classify(dataset.test_images[:500])]


def test_without_a_runtime_a_float_model_says_what_to_install(no_runtime: Path) -> None:
    result = run(no_runtime, "classify", "--model", MODELS / "fmnist-float.tflite", "docs/shoe.png")

    assert result.returncode == 3
    assert result.stderr.endswith("no TFLite runtime works here; pip install ai-edge-litert\n")
    assert len(result.stderr.splitlines()) == 1


def test_without_a_runtime_info_still_reads_each_file(no_runtime: Path) -> None:
    for model in sorted(MODELS.glob("fmnist-*")):
        result = run(no_runtime, "info", "--model", model)

        assert (result.returncode, result.stderr) == (0, "")
        assert "recipe                 standard\n" in result.stdout


@pytest.mark.parametrize(("environment", "runtime"), [("litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime 2.14.0")])
def test_the_wheel_verifies_itself_and_the_doctor_finds_no_problem(
    environment: str, runtime: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    command = request.getfixturevalue(environment)

    verified, examined = run(command, "verify", cwd=tmp_path), run(command, "doctor", cwd=tmp_path)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert f"runtime   {runtime}" in verified.stdout
    assert (examined.returncode, examined.stderr) == (0, "")
    assert "\nok       verify " in examined.stdout


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_the_wheel_verifies_itself_and_sees_a_film_with_each_python(version: str, wheel: Path, tmp_path: Path) -> None:
    python = run(UV, "python", "find", "--no-python-downloads", version).stdout.strip()
    if not python:
        pytest.skip(f"Python {version} is not on this machine")

    command = install(tmp_path / "venv", f"{wheel}[camera]", python=python)
    verified = run(command, "verify", cwd=tmp_path)
    seen = run(command, "camera", "--source", ROOT / "docs" / "clothes.mp4", "--fast", "--json", cwd=tmp_path)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert seen.returncode == 0, seen.stderr
    assert "Sneaker" in seen.stdout


@pytest.mark.parametrize("model", ["fmnist-float.onnx", "fmnist-int8.onnx"])
def test_onnxruntime_computes_what_it_computed_at_the_export(model: str, onnx: Path, tmp_path: Path) -> None:
    result = run(onnx, "verify", "--model", MODELS / model, cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert "runtime   onnxruntime 1." in result.stdout
