"""What has happened since the start, in numbers, as Prometheus reads them (its text format 0.0.4)."""

import threading
import time
from bisect import bisect_left
from collections import Counter

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


class Histogram:
    """Seconds, counted by how many they are."""

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
    """Counted in several threads."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.frames = self.reconnects = 0
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._replies: Counter[int] = Counter()
        self._ages, self._latencies = Histogram(), Histogram()

    def count_answer(self, label: str, age: float) -> None:
        """Of the camera. age: the frame's in seconds when its answer was there."""
        with self._lock:
            self._answers["camera", label] += 1
            self._ages.add(age)

    def count_picture(self, label: str, seconds: float) -> None:
        """Of a picture that was sent, and how long who sent it waited for its answer."""
        with self._lock:
            self._answers["upload", label] += 1
            self._latencies.add(seconds)

    def count_reply(self, status: int) -> None:
        with self._lock:
            self._replies[status] += 1

    def text(self, dropped: int, viewers: int, temperature: float | None) -> str:
        with self._lock:
            lines = [
                *family("answers_total", "counter", "Answers by label, of the camera's frames and of pictures that were sent."),
                *(
                    f'fmnist_edge_answers_total{{source="{source}",label="{label}"}} {count}'
                    for (source, label), count in sorted(self._answers.items())
                ),
                *family("frame_age_seconds", "histogram", "How old a frame was when its answer was there."),
                *self._ages.lines("fmnist_edge_frame_age_seconds"),
                *family("request_seconds", "histogram", "How long a picture that was sent waited for its answer."),
                *self._latencies.lines("fmnist_edge_request_seconds"),
                *family("frames_total", "counter", "Frames that were looked at."),
                f"fmnist_edge_frames_total {self.frames}",
                *family("reconnects_total", "counter", "How often the camera came back."),
                f"fmnist_edge_reconnects_total {self.reconnects}",
                *family("dropped_frames", "gauge", "Frames of the camera, since it was opened, that were never looked at."),
                f"fmnist_edge_dropped_frames {dropped}",
                *family("replies_total", "counter", "HTTP replies by status."),
                *(f'fmnist_edge_replies_total{{status="{status}"}} {n}' for status, n in sorted(self._replies.items())),
                *family("viewers", "gauge", "Who looks at the live picture or the answers."),
                f"fmnist_edge_viewers {viewers}",
                *family("uptime_seconds", "gauge", "Since the page was started."),
                f"fmnist_edge_uptime_seconds {time.monotonic() - self.began:.0f}",
            ]
        if temperature is not None:
            lines += family("temperature_celsius", "gauge", "Of the processor.")
            lines.append(f"fmnist_edge_temperature_celsius {temperature}")
        return "\n".join(lines) + "\n"


def family(name: str, kind: str, help: str) -> list[str]:
    return [f"# HELP fmnist_edge_{name} {help}", f"# TYPE fmnist_edge_{name} {kind}"]
