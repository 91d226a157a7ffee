"""The page's routes and their handlers. An error is answered as {"error": "one line"}."""

import io
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fmnist_edge.classify.output import Style, to_record
from fmnist_edge.contract import CLASSES
from fmnist_edge.device.board import health
from fmnist_edge.errors import InputError, first_line
from fmnist_edge.page.connections import STREAM
from fmnist_edge.page.hub import BOUNDARY, Hub
from fmnist_edge.page.live import Live
from fmnist_edge.page.metrics import Metrics
from fmnist_edge.page.reader import OPENING, Busy, Reader, Refused
from fmnist_edge.page.teaching import Teaching
from fmnist_edge.page.uploads import Uploads, read_small, read_uploads

RETRY_AFTER = "1"
"""Seconds."""

MAX_JSON = 2000
"""The largest JSON request, in bytes."""

JSON_SECONDS = 10.0
"""How long a JSON request may take to arrive."""

STATUS_SECONDS = 10.0
"""How long the device's status is cached: finding it out costs a Pi as much as a few pictures."""

STATIC = Path(__file__).with_name("static")
OPENAPI = Path(__file__).with_name("openapi.json")

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}

PLAIN = Style(1, False, CLASSES, "")
"""For the record of a picture that can't be read: it has nothing to style."""

Handler = Callable[[Request], Awaitable[Response]]


@dataclass
class Page:
    """The handlers and what they share.

    hub and live are None without a camera. tell is called with each line meant for the person who runs the page.
    """

    reader: Reader
    teaching: Teaching
    metrics: Metrics
    tell: Callable[[str], None]
    hub: Hub | None = None
    live: Live | None = None
    uploads: Uploads = field(default_factory=Uploads)
    _status: tuple[float, dict[str, Any]] = (-float("inf"), {})
    _temperature: tuple[float, float | None] = (-float("inf"), None)

    def application(self) -> Starlette:
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/live.mjpg", self.live_picture),
            ("GET", "/api/answers", self.answers),
            ("POST", "/api/classify", self.classify),
            ("GET", "/api/status", self.status),
            ("POST", "/api/verify", self.verify),
            ("POST", "/api/scene", self.scene),
            ("POST", "/api/roi", self.roi),
            ("GET", "/api/teach", self.overview),
            ("POST", "/api/teach", self.keep),
            ("GET", "/api/teach.zip", self.archive),
            ("POST", "/api/teach/undo", self.undo),
            ("GET", "/api/teach/{id}.jpg", self.waiting_picture),
            ("POST", "/api/teach/{id}", self.teach),
            ("POST", "/api/freeze", self.freeze),
            ("GET", "/metrics", self.metrics_text),
            ("GET", "/healthz", self.healthz),
        ]
        files = static_files()
        application = Starlette(
            routes=[
                *(Route(path, self._answered(handler), methods=[method]) for method, path, handler in routes),
                *(Route(path, answer, methods=["GET"]) for path, answer in files.items()),
            ],
            exception_handlers={HTTPException: as_json},  # type: ignore[dict-item]
        )
        application.router.redirect_slashes = False
        return application

    def _answered(self, handler: Handler) -> Handler:
        """The handler, with its exceptions turned into error replies."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Refused as refused:
                return error(refused.status, str(refused))
            except Busy:
                busy = error(503, "too many requests are waiting; try again in a second")
                busy.headers["Retry-After"] = RETRY_AFTER
                return busy
            except Exception as problem:
                self.tell(f"{request.method} {request.scope['path']}: {type(problem).__name__}: {first_line(problem)}")
                return error(500, "something went wrong; see the page's output")

        return answer

    # the camera

    async def live_picture(self, request: Request) -> Response:
        hub, _ = self._camera()
        return Stream(hub, hub.pictures(), f"multipart/x-mixed-replace; boundary={BOUNDARY}")

    async def answers(self, request: Request) -> Response:
        hub, _ = self._camera()
        return Stream(hub, hub.answers(), "text/event-stream")

    async def scene(self, request: Request) -> Response:
        _, live = self._camera()
        live.learn()
        return Json({"ok": True})

    async def roi(self, request: Request) -> Response:
        _, live = self._camera()
        part = read_part((await read_json(request)).get("roi"))
        live.look_at(part)
        return Json({"ok": True, "roi": part})

    def _camera(self) -> tuple[Hub, Live]:
        if self.hub is None or self.live is None:
            raise Refused(404, "there is no camera; start the page with --source")
        return self.hub, self.live

    # uploads

    async def classify(self, request: Request) -> Response:
        explain = request.query_params.get("explain", "0") not in ("0", "")
        began = time.monotonic()
        with self.uploads.hold() as held:
            uploads, is_form = await read_uploads(request, held)
            records: list[dict[str, Any]] = []
            for name, content in uploads:
                job = {"job": "classify", "name": name, "explain": explain}
                try:
                    record, _ = await self.reader.ask(job, content)
                    self.metrics.count_picture(record["label"], time.monotonic() - began)
                except Refused as refused:
                    if not is_form:
                        raise
                    record = to_record(name, InputError(str(refused)), 0.0, PLAIN)
                records.append(record)
        return Json(records if is_form else records[0])

    # labelling

    async def overview(self, request: Request) -> Response:
        return Json(await run_in_threadpool(self.teaching.overview))

    async def keep(self, request: Request) -> Response:
        with self.uploads.hold() as held:
            uploads, _ = await read_uploads(request, held)
            if len(uploads) != 1:
                raise Refused(400, "send one picture at a time")
            return await self._keep(uploads[0].content)

    async def freeze(self, request: Request) -> Response:
        seen = self._camera()[0].latest
        if seen is None:
            raise Refused(409, "the camera has no picture at the moment")
        return await self._keep(await run_in_threadpool(to_png, seen.picture))

    async def _keep(self, content: bytes) -> Response:
        answer, kept = await self.reader.ask({"job": "keep"}, content)
        picture_id = await run_in_threadpool(self.teaching.keep, kept, answer["suffix"], answer)
        return Json({"id": picture_id})

    async def waiting_picture(self, request: Request) -> Response:
        content, kind = await run_in_threadpool(self.teaching.picture, request.path_params["id"])
        return Response(content, media_type=kind)

    async def teach(self, request: Request) -> Response:
        wanted = await read_json(request)
        class_id = wanted.get("class_id", -1)
        if class_id is not None and not (type(class_id) is int and 0 <= class_id <= 9):
            raise Refused(400, 'send {"class_id": N}, with N from 0 to 9, or null for none of these')
        return Json({"undo": await run_in_threadpool(self.teaching.teach, request.path_params["id"], class_id)})

    async def undo(self, request: Request) -> Response:
        token = (await read_json(request)).get("undo")
        if not isinstance(token, str):
            raise Refused(400, 'send {"undo": TOKEN}, with the token that the labelling returned')
        return Json({"id": await run_in_threadpool(self.teaching.undo, token)})

    async def archive(self, request: Request) -> Response:
        disposition = {"Content-Disposition": 'attachment; filename="fmnist-edge-photos.zip"'}
        return StreamingResponse(self.teaching.archive(self.tell), media_type="application/zip", headers=disposition)

    # the device

    async def status(self, request: Request) -> Response:
        now = time.monotonic()
        if now - self._status[0] > STATUS_SECONDS:
            try:
                self._status = now, (await self.reader.ask({"job": "status"}, limit=OPENING))[0]
            except Busy:
                if not self._status[1]:
                    raise
        live, metrics = self.live, self.metrics
        return Json(
            {
                **self._status[1],
                "source": live and live.name,
                "label": live and live.label,
                "frames": metrics.frames,
                "fps": round(live.fps, 1) if live else 0.0,
                "dropped": live.dropped if live else 0,
                "reconnects": metrics.reconnects,
                "uptime_s": round(now - metrics.began),
            }
        )

    async def verify(self, request: Request) -> Response:
        verdict, _ = await self.reader.ask({"job": "verify"}, limit=OPENING)
        return Json(verdict)

    async def metrics_text(self, request: Request) -> Response:
        now = time.monotonic()
        if now - self._temperature[0] > STATUS_SECONDS:
            self._temperature = now, (await run_in_threadpool(health))["temperature_c"]
        live = self.live
        text = self.metrics.text(live.dropped if live else 0, self.hub.viewers if self.hub else 0, self._temperature[1])
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthz(self, request: Request) -> Response:
        if not self.reader.alive:
            self.reader.revive()
            raise Refused(503, "the process that reads pictures is not running")
        if self.live is not None and not self.live.classifies:
            raise Refused(503, "the camera gives no answers")
        return Json({"ok": True})


class Json(JSONResponse):
    """ASCII, like the output of ``classify --json``: Starlette can't encode file names that are not valid UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class Stream(StreamingResponse):
    """A response without an end. Its client counts as a viewer while connected."""

    def __init__(self, hub: Hub, content: AsyncGenerator[bytes, None], kind: str) -> None:
        super().__init__(content, media_type=kind)
        self._viewer, self._content = hub.viewer(), content
        self._viewer.__enter__()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(media_type=self.media_type)(scope, receive, send)
            else:
                scope[STREAM] = True
                await super().__call__(scope, receive, send)
        finally:
            self._viewer.__exit__(None, None, None)
            await self._content.aclose()


def static_files() -> dict[str, Handler]:
    """Handlers by path. The files are read once, here: no request can name a file."""
    files = {f"/static/{path.name}": path for path in STATIC.iterdir() if path.suffix in TYPES}
    files |= {"/": STATIC / "index.html", "/openapi.json": OPENAPI}
    return {path: static_file(file) for path, file in files.items() if file.exists()}


def static_file(path: Path) -> Handler:
    content = path.read_bytes()
    headers = {"ETag": f'"{sha256(content).hexdigest()[:16]}"', "Cache-Control": "no-cache"}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=TYPES[path.suffix], headers=headers)

    return answer


async def read_json(request: Request) -> dict[str, Any]:
    """A small JSON object. Raises Refused."""
    content = await read_small(request, "request", JSON_SECONDS, MAX_JSON, f"the request is longer than {MAX_JSON} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(400, "send a JSON object")
    return found


def read_part(part: Any) -> tuple[float, float, float, float] | None:
    """A part of the picture: left, top, width, height, each from 0 to 1. None is the whole picture. Raises Refused."""
    if part is None:
        return None
    # -2 to 2 keeps out integers too large for a float, and NaN
    numbers = (
        isinstance(part, list) and len(part) == 4 and all(type(value) in (int, float) and -2 <= value <= 2 for value in part)
    )
    x, y, width, height = map(float, part) if numbers else (0.0, 0.0, 0.0, 0.0)
    if not (0 <= x < 1 and 0 <= y < 1 and 0 < width <= 1.0001 - x and 0 < height <= 1.0001 - y):
        raise Refused(400, 'send {"roi": [left, top, width, height]}, each from 0 to 1, or null for the whole picture')
    return x, y, width, height


def to_png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "png", compress_level=1)
    return file.getvalue()


def error(status: int, message: str) -> JSONResponse:
    return Json({"error": message}, status)


async def as_json(request: Request, problem: HTTPException) -> Response:
    """Starlette's own errors, 404 and 405."""
    return Json({"error": problem.detail.lower()}, problem.status_code, problem.headers)
