"""Counters and histograms since the start, in Prometheus' text format 0.0.4."""

import threading
import time
from bisect import bisect_left
from collections import Counter

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms' buckets, in seconds."""


class Histogram:
    """Durations in seconds, counted per bucket."""

    def __init__(self) -> None:
        self._counts, self._sum = [0] * (len(BUCKETS) + 1), 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str) -> list[str]:
        lines, total = [], 0
        for bound, count in zip((*BUCKETS, "+Inf"), self._counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self._sum:.6f}", f"{name}_count {total}"]


class Metrics:
    """All of the page's metrics. Several threads count in them."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.frames = self.reconnects = 0
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._replies: Counter[int] = Counter()
        self._ages, self._latencies = Histogram(), Histogram()

    def count_answer(self, label: str, age: float) -> None:
        """Counts an answer about a camera frame. age: seconds from the frame to its answer."""
        with self._lock:
            self._answers["camera", label] += 1
            self._ages.add(age)

    def count_picture(self, label: str, seconds: float) -> None:
        """Counts an answer about an uploaded picture. seconds: from the request to the answer."""
        with self._lock:
            self._answers["upload", label] += 1
            self._latencies.add(seconds)

    def count_reply(self, status: int) -> None:
        with self._lock:
            self._replies[status] += 1

    def text(self, dropped: int, viewers: int, temperature: float | None) -> str:
        with self._lock:
            lines = [
                *family("answers_total", "counter", "Answers by label, for camera frames and uploaded pictures."),
                *(
                    f'fmnist_edge_answers_total{{source="{source}",label="{label}"}} {count}'
                    for (source, label), count in sorted(self._answers.items())
                ),
                *family("frame_age_seconds", "histogram", "Age of a frame when its answer was ready."),
                *self._ages.lines("fmnist_edge_frame_age_seconds"),
                *family("request_seconds", "histogram", "Time from an upload to its answer."),
                *self._latencies.lines("fmnist_edge_request_seconds"),
                *family("frames_total", "counter", "Frames that were processed."),
                f"fmnist_edge_frames_total {self.frames}",
                *family("reconnects_total", "counter", "How often a lost camera was opened again."),
                f"fmnist_edge_reconnects_total {self.reconnects}",
                *family("dropped_frames", "gauge", "Frames skipped since the camera was opened."),
                f"fmnist_edge_dropped_frames {dropped}",
                *family("replies_total", "counter", "HTTP replies by status."),
                *(f'fmnist_edge_replies_total{{status="{status}"}} {n}' for status, n in sorted(self._replies.items())),
                *family("viewers", "gauge", "Open streams of pictures and answers."),
                f"fmnist_edge_viewers {viewers}",
                *family("uptime_seconds", "gauge", "Time since the page was started."),
                f"fmnist_edge_uptime_seconds {time.monotonic() - self.began:.0f}",
            ]
        if temperature is not None:
            lines += family("temperature_celsius", "gauge", "Temperature of the processor.")
            lines.append(f"fmnist_edge_temperature_celsius {temperature}")
        return "\n".join(lines) + "\n"


def family(name: str, kind: str, help: str) -> list[str]:
    return [f"# HELP fmnist_edge_{name} {help}", f"# TYPE fmnist_edge_{name} {kind}"]
