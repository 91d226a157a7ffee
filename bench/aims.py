"""What the figures of `make bench` are to be: each beside its aim. "x": times what it takes to do no more than one must."""

from typing import Any

from export.table import align

AIMS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("cold start, x a bare script's time", ("device", "start", "seconds_ratio"), 1.25),
    ("its memory, x", ("device", "start", "mb_ratio"), 1.2),
    ("tile of a photo, ms of processor time, at any size", ("device", "tile", "ms"), 6),
    ("JPEG of 12 megapixels, x decoding it", ("device", "tile", "ratio"), 1.2),
    ("10,000 PNG tiles, x opening and decoding them", ("bulk", "tiles", "ratio"), 1.4),
    ("1,000 photos, x the time with --jobs 1", ("bulk", "jobs", "ratio"), 0.55),
    ("camera's frame that changes, x decoding it", ("camera", "load", "ratio"), 8),
    ("camera's frame in which nothing changes, x", ("camera", "still", "ratio"), 8),
    ("numpy alone, x ai-edge-litert, for 10,000 tiles", ("numpy_to_litert", "1024"), 5),
)
"""Of what is measured at several sizes, the largest figure counts."""


def describe_aims(result: dict[str, Any]) -> str:
    rows = [("", "measured", "at most", "")]
    for what, path, aim in AIMS:
        figure: Any = result
        for name in path:
            figure = figure[name]
        largest = max(figure.values()) if isinstance(figure, dict) else figure
        rows.append((what, f"{largest:.2f}", f"{aim:g}", "" if largest <= aim else "missed"))
    return align(rows)
