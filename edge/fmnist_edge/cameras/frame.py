"""A single frame of a video, a stream or a camera."""

import time

from PIL import Image

from fmnist_edge.address import safe_name
from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.cameras.feed import EndOfFeed, Feed
from fmnist_edge.errors import FmnistEdgeError, InputError

WARM_UP = 1.0
"""Seconds after which a camera's frame is taken: many begin dark."""


def next_frame(source: str, certificate: str | None = None) -> Image.Image:
    """The first of a video, the newest of a camera or stream. Raises InputError, whose message does not repeat the source."""
    options = FeedOptions(certificate=certificate, retry=False)
    try:
        with Feed(cameras(source, options), options, lambda message: None) as feed:
            frame, end = None, time.monotonic() + (WARM_UP if feed.live else 0)
            while frame is None or time.monotonic() < end:
                frame = feed.next(0.1) or frame
            return frame.image
    except EndOfFeed:
        raise InputError("no frame of it can be decoded") from None
    except FmnistEdgeError as error:
        raise InputError(str(error).removeprefix(f"{safe_name(source)}: ")) from None
