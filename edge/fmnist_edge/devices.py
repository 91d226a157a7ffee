"""Which cameras there are."""

import re

from fmnist_edge.feed import Camera, FeedOptions


def cameras(source: str, options: FeedOptions) -> list[Camera]:
    """What is to be tried for a source, in order; the first that works is taken."""
    from fmnist_edge import video

    if source == "test":
        return [video.test_source(options)]
    if source.isdecimal():
        source = f"/dev/video{source}"
    if re.match(r"[a-z]+://", source):
        return [video.stream(source, options)]
    if video.is_device(source):
        return [video.device(source, options)]
    if re.search(r"%\d*d", source):
        return [video.sequence(source, options)]
    return [video.file(source)]
