"""Looks at frames before the model does: is nothing there, has anything moved, is the picture black or frozen?

Frames are compared as small gray pictures whose pixels are means of a hundred of the frame's, which takes a camera's noise away.
Brightness is evened out first, so that clouds and a camera's exposure do not count.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fmnist_edge.pictures.segment import PLAUSIBLE_AREA

Gray = NDArray[np.float32]
"""A small picture: (HEIGHT, WIDTH), 0 to 255."""

WIDTH, HEIGHT, SAMPLES = 32, 24, 10

VISIBLE = 5.0
"""Least difference of a pixel's gray that counts, as in ``segment.VISIBLE``: no garment could be cut out of less."""

NOISE = 6.0
"""Times the median of what a pixel did while the empty scene was learned: four standard deviations, if that was noise."""

GARMENT, MOVED = PLAUSIBLE_AREA[0], PLAUSIBLE_AREA[0] / 3
"""Share of the pixels that differ: where there is the smallest garment that could be cut out; where a third of it moves."""

EXPOSURE = 2.0
"""Times that brightness may change, one stop: more is not the light but a thing that fills the picture."""

BLACK = 16.0
"""No pixel of a black picture is brighter: the black level of video (ITU-R BT.601), which some cameras leave in."""

LEARNING = 1.0
"""Seconds that the empty scene is learned from, and that a picture is black before that is reported: some cameras start black."""

SETTLING = 0.5
"""Seconds that every frame is looked at after something moved: by then the answer is steady."""

LOOKS = 10.0
"""Frames a second that are looked at while nothing moves: a new garment waits for at most a tenth of a second."""

FADING = 10.0
"""Seconds in which half of the empty scene is replaced by what it looks like now: shadows wander."""

FROZEN = 10.0
"""Seconds without a changing pixel: longer than most streams' key frames are apart, and a working sensor has noise."""


class Sight(NamedTuple):
    """nothing: whether the scene is empty. worth_a_result: whether something has changed, or a result is due. pause: seconds
    until the next frame is due.

    samples: some of the frame's pixels. If they are the same, so is the frame, as often happens in compressed streams.
    """

    nothing: bool
    worth_a_result: bool
    pause: float
    samples: bytes


class Scene:
    """What was seen before, which each frame is compared with. idle_fps: results a second while nothing moves."""

    def __init__(self, idle_fps: float) -> None:
        self._idle = 1 / idle_fps
        self._empty: EmptyScene | None = None
        self._reference: Gray | None = None
        self._gray: Gray = np.zeros((HEIGHT, WIDTH), np.float32)
        self._moved_at = self._result_at = self._bright_at = self._alive_at = 0.0
        self._nothing, self._samples = False, b""
        self.fault: str | None = None
        """What is wrong with the picture."""

    def learn(self) -> None:
        """Learns the empty scene from the next second."""
        self._empty = EmptyScene()

    def look(self, frame: Image.Image, now: float) -> Sight:
        """frame: mode RGB or L, any size; now: seconds since the first."""
        samples = frame.resize((SAMPLES * WIDTH, SAMPLES * HEIGHT), Image.Resampling.NEAREST)
        pixels = samples.tobytes()
        if pixels != self._samples:
            self._samples, self._alive_at = pixels, now
            self._gray = np.asarray(samples.resize((WIDTH, HEIGHT), Image.Resampling.BOX).convert("L"), np.float32)
        gray = self._gray
        black = bool(gray.max() < BLACK)
        nothing = black or (self._empty is not None and self._empty.is_like(gray, now))
        if self._reference is None or nothing != self._nothing or difference(gray, self._reference) > MOVED:
            self._reference, self._nothing, self._moved_at = gray, nothing, now
        moving = now - self._moved_at < SETTLING
        worth_a_result = moving or now - self._result_at >= self._idle
        if worth_a_result:
            self._result_at = now
        self._find_fault(black, now)
        return Sight(nothing, worth_a_result, 0 if moving else min(1 / LOOKS, self._idle), pixels)

    def _find_fault(self, black: bool, now: float) -> None:
        if not black:
            self._bright_at = now
        dark, still = now - self._bright_at >= LEARNING, now - self._alive_at >= FROZEN
        self.fault = "black" if dark else "frozen" if still else None


class EmptyScene:
    """The scene without a garment: learned in a second, and updated by later frames that look like it."""

    def __init__(self) -> None:
        self._lesson: list[Gray] = []
        self._began = self._at = 0.0
        self._scene: Gray = np.zeros((HEIGHT, WIDTH), np.float32)
        self._tolerance: Gray | None = None

    def is_like(self, gray: Gray, now: float) -> bool:
        """Whether a frame shows only the empty scene. While that is learned, every frame does."""
        since, self._at = now - self._at, now
        if self._tolerance is None:
            self._learn(gray, now)
            return True
        alike = difference(gray, self._scene, self._tolerance) < GARMENT
        if alike:
            self._scene += np.float32(1 - 0.5 ** (since / FADING)) * (gray - self._scene)
        return alike

    def _learn(self, gray: Gray, now: float) -> None:
        self._began = self._began if self._lesson else now
        self._lesson.append(gray)
        if now - self._began >= LEARNING:
            # medians: while a camera finds its exposure, some frames are unlike the others
            self._scene = np.median(self._lesson, axis=0)
            deviations = [abs(frame - evened(self._scene, frame)) for frame in self._lesson]
            self._tolerance = VISIBLE + NOISE * np.median(deviations, axis=0)
            self._lesson.clear()


def evened(reference: Gray, gray: Gray) -> Gray:
    """The reference as bright as a frame is.

    The median of the ratios is that of the ground. Where a thing covers half of the picture it is not, but then all differs.
    """
    # np.median and np.clip take several times as long for so few numbers
    ratios = np.sort((gray + 1) / (reference + 1), axis=None)
    median = (ratios[(ratios.size - 1) // 2] + ratios[ratios.size // 2]) / 2
    gain = min(max(median, 1 / EXPOSURE), EXPOSURE)
    return np.asarray(np.minimum(gain * reference, 255), np.float32)


def difference(gray: Gray, reference: Gray, tolerance: Gray | float = VISIBLE) -> float:
    """The share of a frame's pixels that differ from the reference, brightness aside."""
    return float((abs(gray - evened(reference, gray)) > tolerance).mean())
