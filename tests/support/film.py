"""Films of garments at known times, for the tests of the camera."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps

from train.dataset import Dataset

SIZE = (320, 240)
GARMENT = 196
FPS = 30

GOOD = {0: 88, 1: 2, 2: 1, 3: 13, 4: 109, 5: 11, 6: 7, 7: 9, 8: 18, 9: 39}
"""By class, the number of a test image that the model is sure of, and right, when it is seen as in ``scene``."""


def scene(dataset: Dataset, class_id: int | None, ground: int = 200) -> Image.Image:
    """A test image's garment, dark on a light ground; None: the bare ground."""
    picture = Image.new("L", SIZE, ground)
    if class_id is not None:
        tile = Image.fromarray(dataset.test_images[GOOD[class_id]]).resize((GARMENT, GARMENT), Image.Resampling.BICUBIC)
        place = ((SIZE[0] - GARMENT) // 2, (SIZE[1] - GARMENT) // 2)
        picture.paste(ImageOps.invert(tile), place, tile.point(lambda value: 255 * (value > 20)))
    return picture.convert("RGB")


def write_film(path: Path, scenes: list[tuple[Image.Image, float]], noise: float = 3, codec: str = "mpeg4") -> Path:
    """Shows pictures one after the other, each for its number of seconds. noise: of the camera, its standard deviation."""
    width, height = scenes[0][0].size
    noises = noise * np.random.default_rng(0).standard_normal((8, height, width, 3), np.float32)
    with av.open(path, "w") as container:
        stream: Any = container.add_stream(codec, FPS)
        stream.width, stream.height = width, height
        stream.pix_fmt, stream.bit_rate = "yuvj420p" if codec == "mjpeg" else "yuv420p", 8_000_000
        for picture, seconds in scenes:
            clean = np.asarray(picture, np.float32)
            for number in range(round(seconds * FPS)):
                noisy = (clean + noises[number % 8]).clip(0, 255)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy.astype(np.uint8), format="rgb24")))
        container.mux(stream.encode())
    return path
