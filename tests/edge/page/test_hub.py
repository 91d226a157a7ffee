"""What the camera sees, for viewers."""

import asyncio
import time

from PIL import Image

from fmnist_edge.cameras.feed import Frame
from fmnist_edge.live.watch import Seen
from fmnist_edge.page.hub import Hub
from fmnist_edge.pictures.tile import look_closely
from support.pages import OPTIONS

PICTURE = Image.new("RGB", (80, 60), (200, 200, 200))


def seen(number: int) -> Seen:
    return Seen(Frame(PICTURE, number, time.monotonic(), number / 10), PICTURE, OPTIONS, *look_closely(PICTURE, "photo"), True)


def test_a_frame_that_can_not_be_shown_is_told_once_and_the_next_is_shown() -> None:
    told: list[str] = []

    async def look() -> bytes:
        hub = Hub(told.append)
        hub.start(asyncio.get_running_loop())
        with hub.viewer():
            number = 0
            async for event in hub.answers():
                if b"event: answer" in event:
                    hub.stop()
                    return event
                for _ in range(3):
                    number += 1
                    hub.offer(seen(number), {"frame": object()})
                    await asyncio.sleep(0.2)
                hub.offer(seen(number + 1), {"frame": "good"})
        return b""

    assert b'"frame": "good"' in asyncio.run(asyncio.wait_for(look(), 20))
    assert len(told) == 1
    assert told[0].startswith("a frame can't be shown: TypeError: ")
