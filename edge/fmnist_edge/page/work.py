"""The reader's process: opens and classifies pictures, prepares them for saving, and reports the device's state."""

import base64
import io
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image

from fmnist_edge.bundle.golden import to_lines, verify
from fmnist_edge.classifier import Classifier
from fmnist_edge.classify.output import Style, to_record
from fmnist_edge.contract import LANGUAGES, NOTHING_STANDS_OUT, Tile
from fmnist_edge.device.status import examine
from fmnist_edge.errors import FmnistEdgeError, InputError
from fmnist_edge.page.outline import trace
from fmnist_edge.page.reader import Answer, Refused
from fmnist_edge.pictures.decode import TooLargeError, decode
from fmnist_edge.pictures.kinds import format_of
from fmnist_edge.pictures.orientation import orientation_of, turn
from fmnist_edge.pictures.segment import Mask
from fmnist_edge.pictures.tile import View, look_closely
from fmnist_edge.pictures.upright import has_transparency, plain
from fmnist_edge.runtimes.isolated import limit_resources

MAX_PIXELS = 24_000_000
"""The most pixels to decode of one picture. A JPEG of 200 million takes 3, because it is decoded at a smaller scale."""

KEPT_EDGE = 1024
"""The longest edge of a saved picture, in pixels: several times what the classifier uses."""

JPEG_QUALITY = 92

NICENESS = 10
"""The camera's loop comes first."""


def serve(model: str | None, min_confidence: float | None, language: str) -> None:
    """Answers requests until the page closes the pipe."""
    requests, replies = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # keeps what a runtime prints out of the replies
    limit_resources()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the page, not by itself
    with suppress(OSError):
        os.nice(NICENESS)

    def reply(head: dict[str, Any], body: bytes = b"") -> None:
        replies.send_bytes(json.dumps(head).encode())
        replies.send_bytes(body)

    try:
        work = Work(Classifier(model, min_confidence), language)
    except FmnistEdgeError as error:
        reply({"error": str(error), "exit_status": error.exit_status})
        return
    reply({})
    with suppress(EOFError, OSError):
        while True:
            request, content = json.loads(requests.recv_bytes()), requests.recv_bytes()
            reply(*work.answer(request, content))


class Work:
    """The classifier and its jobs. language: of the labels."""

    def __init__(self, classifier: Classifier, language: str) -> None:
        self._classifier = classifier
        self._style = Style(3, True, LANGUAGES[language], NOTHING_STANDS_OUT[language])
        self._jobs: dict[str, Callable[..., Answer]] = {
            "classify": self.classify,
            "keep": self.keep,
            "verify": self.verify,
            "status": self.status,
        }

    def answer(self, request: dict[str, Any], content: bytes) -> Answer:
        """Runs a job. request: the job's name and its other arguments. If it fails, the answer has ``error``."""
        arguments = dict(request)
        try:
            return self._jobs[arguments.pop("job")](content, **arguments)
        except Refused as error:
            return {"status": error.status, "error": str(error)}, b""
        except MemoryError:
            return {"status": 413, "error": "the picture needs more memory than is allowed"}, b""
        except FmnistEdgeError as error:
            return {"status": 500, "error": str(error)}, b""

    def classify(self, content: bytes, name: str, explain: bool) -> Answer:
        """The record that ``classify --json --all`` prints. explain adds the garment's outline and the tile."""
        began = time.perf_counter()
        image, view, mask = read(content)
        record = self._record(name, view, began)
        if explain:
            width, height = turn(image, orientation_of(image)).size
            outline = None
            if mask is not None and view.garment_found:
                across, down = width / mask.shape[1], height / mask.shape[0]
                outline = [[round((x + 0.5) * across), round((y + 0.5) * down)] for x, y in trace(mask)]
            record |= {"width": width, "height": height, "outline": outline, "tile": png_url(view.tile)}
        return record, b""

    def keep(self, content: bytes) -> Answer:
        """The picture as it is saved (upright, small, without metadata), its record, and its suffix."""
        began = time.perf_counter()
        image, view, _ = read(content)
        record = self._record("", view, began)
        kept = plain(turn(image, orientation_of(image)))
        kept.thumbnail((KEPT_EDGE, KEPT_EDGE), Image.Resampling.LANCZOS)
        kept.info.clear()
        file = io.BytesIO()
        if view.kind == "tile" or has_transparency(kept):
            kept.save(file, "png")
            return {**record, "suffix": ".png"}, file.getvalue()
        kept.convert("RGB").save(file, "jpeg", quality=JPEG_QUALITY)
        return {**record, "suffix": ".jpg"}, file.getvalue()

    def _record(self, name: str, view: View, began: float) -> dict[str, Any]:
        (prediction,) = self._classifier.predict([view])
        milliseconds = 1000 * (time.perf_counter() - began)
        return to_record(name, prediction, milliseconds, self._style)

    def verify(self, content: bytes) -> Answer:
        try:
            verdict = verify(self._classifier.model.path)
        except FmnistEdgeError as error:
            return {"ok": False, "lines": [str(error)]}, b""
        return {"ok": verdict.holds, "lines": to_lines(verdict)}, b""

    def status(self, content: bytes) -> Answer:
        path: Path = self._classifier.model.path
        return {"model": self._classifier.model.description, "device": examine(path)}, b""


def read(content: bytes) -> tuple[Image.Image, View, Mask | None]:
    """The picture, the view of it that the model gets, and the garment's mask. Raises Refused."""
    try:
        if not content:
            raise Refused(400, "the request is empty; send the bytes of a picture's file")
        image = decode(io.BytesIO(content), MAX_PIXELS)
        return image, *look_closely(image, "auto")
    except TooLargeError:
        raise Refused(413, f"larger than {MAX_PIXELS // 10**6} million pixels; make it smaller first") from None
    except InputError as error:
        raise Refused(422 if format_of(content[:16]) else 415, str(error)) from None


def png_url(tile: Tile) -> str:
    """The tile as a PNG in a data URL."""
    file = io.BytesIO()
    Image.fromarray(tile).save(file, "png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
