"""docs/clothes.mp4 as a camera on the network shows it: from its beginning, or a part of it over and over."""

import io
import re
import threading
from typing import Any

import av

from support.camera_server import CameraServer
from support.commands import ROOT

FPS = 25

GROUND = range(5, 35)
GARMENTS = {
    "Sneaker": range(38, 88),
    "Bag": range(113, 163),
    "Trouser": range(163, 213),
    "T-shirt/top": range(213, 263),
}
"""Which frames show what; the others show the ground alone."""


def named(label: str) -> re.Pattern[str]:
    """A label as the page shows it: with a question mark where the model is unsure. It is of bags, of which it knows no photo."""
    return re.compile(rf"^{label}\??$")


class FilmCamera(CameraServer):
    """Shows the frames of ``part``, over and over. Use it with ``with``."""

    def __init__(self) -> None:
        with av.open(ROOT / "docs" / "clothes.mp4") as film:
            self.frames = [to_jpeg(frame) for frame in film.decode(video=0)]
        self.part, self.number = GROUND, GROUND.start
        self._moved, self._ended = threading.Condition(), threading.Event()
        super().__init__(self.frames[0], FPS)
        self._player = threading.Thread(target=self._play)
        self._player.start()

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._player.join()
        super().__exit__(*exc)

    def wait_for(self, number: int) -> None:
        """Until that frame is shown."""
        with self._moved:
            assert self._moved.wait_for(lambda: self.number == number, timeout=30)

    def _play(self) -> None:
        while not self._ended.wait(1 / FPS):
            with self._moved:
                self.number = self.number + 1 if self.number + 1 in self.part else self.part.start
                self.picture = self.frames[self.number]
                self._moved.notify_all()


def to_jpeg(frame: Any) -> bytes:
    content = io.BytesIO()
    frame.to_image().save(content, "jpeg", quality=90)
    return content.getvalue()
