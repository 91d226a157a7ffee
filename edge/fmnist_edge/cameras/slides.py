"""Pictures as frames, one after the other: those of a folder, an archive, a numbered sequence."""

import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from itertools import chain

from PIL import Image

from fmnist_edge.cameras.camera import Camera, FeedOptions, Shot
from fmnist_edge.errors import InputError, SourceError
from fmnist_edge.pictures.decode import as_input_error
from fmnist_edge.pictures.orientation import orientation_of, turn
from fmnist_edge.pictures.upright import flatten, plain

FPS, SEQUENCE_FPS = 1.0, 30.0
"""Pictures a second by default: slow enough to read each answer; for numbered pictures, as in a film."""

Slide = tuple[str, Callable[[], Image.Image]]
"""A picture's name, and what opens it, which raises InputError."""


class Slides(Camera):
    """Pictures that can't be read are named, and the others shown. If none can be read, that is an error of the source."""

    live, paced = False, True

    def __init__(self, source: str, slides: Iterable[Slide], options: FeedOptions, unrelated: bool = True) -> None:
        super().__init__(source, options)
        self._slides, self.unrelated = slides, unrelated

    def shots(self) -> Generator[Shot, None, None]:
        fps = self.options.fps or FPS
        slides, seen = iter(self._slides), list[Slide]()
        self.form = f"{self._size(slides, seen)} at {fps:g}"
        began = time.monotonic()
        for number, slide in enumerate(chain(seen, slides)):
            now, seconds = time.monotonic(), number / fps
            due = now if self.options.fast else max(began + seconds, now)
            if self.interrupted.wait(due - now):
                return
            yield Shot(due, seconds, partial(develop, slide))

    def _size(self, slides: Iterable[Slide], seen: list[Slide]) -> str:
        """The size of the first picture that can be read; ``seen`` gets it, and those before it."""
        problem = "there are no pictures in it"
        for slide in slides:
            seen.append(slide)
            try:
                return "{}x{}".format(*develop(slide).size)
            except InputError as error:
                problem = problem if len(seen) > 1 else str(error).removeprefix(f"{self.name}: ")
        others = f"; nor can {len(seen) - 1} others be read" if len(seen) > 1 else ""
        raise SourceError(problem + others)


def develop(slide: Slide) -> Image.Image:
    """RGB, as it is meant to be seen. Raises InputError, which names the picture."""
    name, opened = slide
    try:
        image = opened()
        return flatten(plain(turn(image, orientation_of(image))))[0]
    except Exception as error:
        raise InputError(f"{name}: {as_input_error(error)}") from None
