"""What Prometheus reads: each number under its name, with its type, and times in buckets that add up."""

import time

import pytest

from fmnist_edge.page.metrics import Metrics

ALL = """\
# HELP fmnist_edge_answers_total Answers by label, for camera frames and uploaded pictures.
# TYPE fmnist_edge_answers_total counter
fmnist_edge_answers_total{source="camera",label="Bag"} 2
fmnist_edge_answers_total{source="camera",label="Shirt"} 1
fmnist_edge_answers_total{source="upload",label="Bag"} 2
# HELP fmnist_edge_frame_age_seconds Age of a frame when its answer was ready.
# TYPE fmnist_edge_frame_age_seconds histogram
fmnist_edge_frame_age_seconds_bucket{le="0.01"} 1
fmnist_edge_frame_age_seconds_bucket{le="0.025"} 1
fmnist_edge_frame_age_seconds_bucket{le="0.05"} 2
fmnist_edge_frame_age_seconds_bucket{le="0.1"} 2
fmnist_edge_frame_age_seconds_bucket{le="0.25"} 2
fmnist_edge_frame_age_seconds_bucket{le="0.5"} 2
fmnist_edge_frame_age_seconds_bucket{le="1.0"} 2
fmnist_edge_frame_age_seconds_bucket{le="2.5"} 2
fmnist_edge_frame_age_seconds_bucket{le="5.0"} 2
fmnist_edge_frame_age_seconds_bucket{le="10.0"} 2
fmnist_edge_frame_age_seconds_bucket{le="+Inf"} 3
fmnist_edge_frame_age_seconds_sum 11.040000
fmnist_edge_frame_age_seconds_count 3
# HELP fmnist_edge_request_seconds Time from an upload to its answer.
# TYPE fmnist_edge_request_seconds histogram
fmnist_edge_request_seconds_bucket{le="0.01"} 0
fmnist_edge_request_seconds_bucket{le="0.025"} 0
fmnist_edge_request_seconds_bucket{le="0.05"} 0
fmnist_edge_request_seconds_bucket{le="0.1"} 0
fmnist_edge_request_seconds_bucket{le="0.25"} 2
fmnist_edge_request_seconds_bucket{le="0.5"} 2
fmnist_edge_request_seconds_bucket{le="1.0"} 2
fmnist_edge_request_seconds_bucket{le="2.5"} 2
fmnist_edge_request_seconds_bucket{le="5.0"} 2
fmnist_edge_request_seconds_bucket{le="10.0"} 2
fmnist_edge_request_seconds_bucket{le="+Inf"} 2
fmnist_edge_request_seconds_sum 0.400000
fmnist_edge_request_seconds_count 2
# HELP fmnist_edge_frames_total Frames that were processed.
# TYPE fmnist_edge_frames_total counter
fmnist_edge_frames_total 7
# HELP fmnist_edge_reconnects_total How often a lost camera was opened again.
# TYPE fmnist_edge_reconnects_total counter
fmnist_edge_reconnects_total 0
# HELP fmnist_edge_dropped_frames Frames skipped since the camera was opened.
# TYPE fmnist_edge_dropped_frames gauge
fmnist_edge_dropped_frames 5
# HELP fmnist_edge_replies_total HTTP replies by status.
# TYPE fmnist_edge_replies_total counter
fmnist_edge_replies_total{status="200"} 2
fmnist_edge_replies_total{status="401"} 1
# HELP fmnist_edge_viewers Open streams of pictures and answers.
# TYPE fmnist_edge_viewers gauge
fmnist_edge_viewers 3
# HELP fmnist_edge_uptime_seconds Time since the page was started.
# TYPE fmnist_edge_uptime_seconds gauge
fmnist_edge_uptime_seconds 90
"""


def test_everything_that_was_counted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    metrics = Metrics()
    for label, age in (("Bag", 0.01), ("Shirt", 0.03), ("Bag", 11)):
        metrics.count_answer(label, age)
    for _ in range(2):
        metrics.count_picture("Bag", 0.2)
    for status in (200, 401, 200):
        metrics.count_reply(status)
    metrics.frames = 7
    now += 90

    assert metrics.text(5, 3, None) == ALL
    assert metrics.text(5, 3, 48.3) == ALL + (
        "# HELP fmnist_edge_temperature_celsius Temperature of the processor.\n"
        "# TYPE fmnist_edge_temperature_celsius gauge\n"
        "fmnist_edge_temperature_celsius 48.3\n"
    )
