"""What the page answers is what its OpenAPI description says, and what the commands say."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.page.app import OPENAPI
from support.commands import MODELS, ROOT, fmnist_edge
from support.pages import SHOE, Asker, Reply, multipart, served, started, wait_for
from support.schemas import differences

pytestmark = pytest.mark.slow

DOCUMENT: dict[str, Any] = json.loads(OPENAPI.read_text())


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """A page with a camera: a film of clothes, over and over."""
    arguments = ("--source", "docs/clothes.mp4", "--model", MODELS / "fmnist-int8.tflite")
    with started(tmp_path_factory.mktemp("page"), *arguments) as (page, _):
        assert wait_for(lambda: page.get("/healthz").status == 200)
        yield page


def as_described(answer: Reply, path: str, method: str) -> Any:
    """The answer's JSON, which is as described for this status."""
    described = DOCUMENT["paths"][path][method]["responses"]
    assert str(answer.status) in described, f"{method} {path}: {answer.status} {answer.body[:200]!r}"
    content = described[str(answer.status)].get("content", {})
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in content
    if kind != "application/json":
        return None
    assert list(differences(answer.json, content[kind]["schema"], DOCUMENT)) == []
    return answer.json


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A coat-like thing on a bright ground."""
    pixels = np.full((300, 400, 3), 220, np.uint8)
    pixels[60:260, 140:260] = (30, 40, 90)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg")
    return file.getvalue()


def test_every_path_is_described_and_every_description_has_a_path(tmp_path: Path) -> None:
    with served(tmp_path) as (_, running):
        routes = [(route.path, set(route.methods) - {"HEAD"}) for route in running.page.application().routes]  # type: ignore[attr-defined]
    served_paths = {(path, method.lower()) for path, methods in routes for method in methods if not path.startswith("/static/")}

    described = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert described - {("/login", "post")} == served_paths - {("/", "get"), ("/openapi.json", "get")}


def test_a_picture_is_answered_as_described(ask: Asker, photo: bytes) -> None:
    plain = as_described(ask.post("/api/classify?name=a", photo, Content_Type="image/jpeg"), "/api/classify", "post")
    explained = as_described(ask.post("/api/classify?explain=1", photo), "/api/classify", "post")

    assert plain["path"] == "a"
    assert explained.keys() - plain.keys() == {"width", "height", "outline", "tile"}
    assert (explained["width"], explained["height"]) == (400, 300)
    x, y = np.array(explained["outline"]).T
    assert abs(np.array([x.min(), x.max(), y.min(), y.max()]) - (140, 260, 60, 260)).max() <= 8


def test_a_turned_photo_is_explained_as_it_is_seen(ask: Asker, photo: bytes) -> None:
    image = Image.open(io.BytesIO(photo))
    exif = image.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "jpeg", exif=exif)

    explained = ask.post("/api/classify?explain=1", file.getvalue()).json

    assert (explained["width"], explained["height"]) == (300, 400)


def test_several_pictures_are_answered_as_described(ask: Asker, photo: bytes) -> None:
    body, kind = multipart(("shoe.png", SHOE), ("none", b"none"), ("photo.jpg", photo))

    records = as_described(ask.post("/api/classify?explain=1", body, Content_Type=kind), "/api/classify", "post")

    assert [record["path"] for record in records] == ["shoe.png", "none", "photo.jpg"]
    assert [record.get("outline", 0) is None for record in records] == [True, False, False]


def test_a_record_is_that_of_the_command(ask: Asker, tmp_path: Path, photo: bytes) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo)
    for path in (ROOT / "docs" / "shoe.png", tmp_path / "photo.jpg"):
        printed = fmnist_edge("classify", "--json", "--all", "--model", MODELS / "fmnist-int8.tflite", path)

        expected = json.loads(printed.stdout)
        answered = ask.post(f"/api/classify?name={path}", path.read_bytes()).json

        assert answered.keys() == expected.keys()
        assert {**answered, "milliseconds": 0} == {**expected, "milliseconds": 0}


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "image/png", 400),
        (b"text", "text/html", 415),
        (b"text", "image/png", 415),
        (SHOE[:100], "image/png", 422),
        (b"x", "multipart/form-data", 400),
    ],
)
def test_errors_are_answered_as_described(ask: Asker, content: bytes, kind: str, status: int) -> None:
    answer = ask.post("/api/classify", content, Content_Type=kind)

    assert answer.status == status
    as_described(answer, "/api/classify", "post")


def test_status_and_verdict_are_answered_as_described(ask: Asker) -> None:
    status = as_described(ask.get("/api/status"), "/api/status", "get")
    verdict = as_described(ask.post("/api/verify"), "/api/verify", "post")

    assert status["source"].startswith("docs/clothes.mp4, ")
    assert status["device"]["verified"] is True
    assert status["model"]["classes"]
    assert verdict["ok"] is True


def test_a_model_whose_path_is_no_utf_8_is_told_too(tmp_path: Path) -> None:
    model = tmp_path / os.fsdecode(b"mod\xe8le.tflite")
    shutil.copy(MODELS / "fmnist-int8.tflite", model)

    with served(tmp_path, model=model) as (page, _):
        status = as_described(page.get("/api/status"), "/api/status", "get")

    assert os.fsencode(status["device"]["model"]) == os.fsencode(model)


def test_teaching_is_answered_as_described(ask: Asker, photo: bytes) -> None:
    kept = as_described(ask.post("/api/teach", photo, Content_Type="image/jpeg"), "/api/teach", "post")["id"]
    frozen = as_described(ask.post("/api/freeze"), "/api/freeze", "post")["id"]
    as_described(ask.get(f"/api/teach/{kept}.jpg"), "/api/teach/{id}.jpg", "get")
    undo = as_described(ask.post(f"/api/teach/{kept}", {"class_id": 4}), "/api/teach/{id}", "post")
    overview = as_described(ask.get("/api/teach"), "/api/teach", "get")
    archive = ask.get("/api/teach.zip")
    as_described(archive, "/api/teach.zip", "get")
    as_described(ask.post("/api/teach/undo", undo), "/api/teach/undo", "post")
    as_described(ask.post("/api/teach/undo", undo), "/api/teach/undo", "post")
    as_described(ask.post(f"/api/teach/{kept}", {"class_id": None}), "/api/teach/{id}", "post")
    as_described(ask.post("/api/teach/nothing", {"class_id": 4}), "/api/teach/{id}", "post")

    assert frozen in [row["id"] for row in overview["waiting"]]
    assert {row["class_id"]: row["count"] for row in overview["classes"]}[4] == 1
    assert zipfile.ZipFile(io.BytesIO(archive.body)).namelist() == [f"coat/{kept}.jpg"]


def test_a_kept_picture_says_nothing_of_where_it_was_taken(ask: Asker, photo: bytes) -> None:
    image = Image.open(io.BytesIO(photo))
    exif = image.getexif()
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 0.0)
    exif[0x010F] = "secret maker"
    file = io.BytesIO()
    image.save(file, "jpeg", exif=exif)

    kept = ask.post("/api/teach", file.getvalue()).json["id"]

    assert b"secret maker" in file.getvalue()
    content = ask.get(f"/api/teach/{kept}.jpg").body
    assert b"Exif" not in content
    assert Image.open(io.BytesIO(content)).size == (400, 300)


@pytest.mark.parametrize("part", [[0.25, 0.25, 0.5, 0.5], None])
def test_a_part_is_answered_as_described(ask: Asker, part: list[float] | None) -> None:
    assert as_described(ask.post("/api/roi", {"roi": part}), "/api/roi", "post")["roi"] == part


@pytest.mark.parametrize(
    "part", [[0, 0, 0, 1], [0.5, 0, 0.6, 1], [-0.1, 0, 1, 1], [0, 0, 1], "all", [0, 0, "1", 1], [True, 0, 1, 1]]
)
def test_a_part_that_is_none_is_refused(ask: Asker, part: Any) -> None:
    answer = ask.post("/api/roi", {"roi": part})

    assert answer.status == 400
    as_described(answer, "/api/roi", "post")


def test_answers_come_as_described(ask: Asker) -> None:
    with ask.raw(b"GET /api/answers HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        received = b""
        while received.count(b"event: answer") < 4:
            received += connection.recv(65536)
    assert b"content-type: text/event-stream" in received
    for line in received.split(b"\n")[:-6]:
        if line.startswith(b"data: "):
            answer = json.loads(line[6:])
            assert list(differences(answer, DOCUMENT["components"]["schemas"]["Answer"], DOCUMENT)) == []


def test_the_live_picture_is_a_row_of_jpegs(ask: Asker) -> None:
    with ask.raw(b"GET /live.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        received = b""
        while received.count(b"--frame") < 4:
            received += connection.recv(65536)
    start = received.index(b"\xff\xd8\xff")
    assert b"content-type: multipart/x-mixed-replace; boundary=frame" in received
    assert Image.open(io.BytesIO(received[start : received.index(b"\r\n--frame", start)])).size == (320, 240)


def test_metrics_are_in_prometheus_own_format(ask: Asker) -> None:
    ask.post("/api/classify", SHOE)
    answer = ask.get("/metrics")
    as_described(answer, "/metrics", "get")
    kinds: dict[str, str] = {}
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            kinds[line.split()[2]] = line.split()[3]
        elif not line.startswith("# HELP "):
            name, value = line.rsplit(" ", 1)
            family = name.partition("{")[0]
            assert family in kinds or family.rpartition("_")[0] in kinds
            assert float(value) >= 0
    assert {"fmnist_edge_answers_total", "fmnist_edge_request_seconds", "fmnist_edge_reconnects_total"} <= kinds.keys()


def test_the_rest_is_answered_as_described(ask: Asker) -> None:
    as_described(ask.get("/healthz"), "/healthz", "get")
    as_described(ask.post("/api/scene"), "/api/scene", "post")
    assert ask.get("/openapi.json").json == DOCUMENT
    assert set(ask.get("/nothing").json) == {"error"}
