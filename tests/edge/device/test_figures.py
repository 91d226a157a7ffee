"""The figures of `fmnist-edge bench`: how calls are counted and what is made of their times."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist_edge.device import bench
from fmnist_edge.device.bench import report, time_calls, time_steps


class Clock:
    """Time that passes only in calls: so many milliseconds in each."""

    def __init__(self, durations: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.durations, self.calls = 5.0, durations, 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "perf_counter_ns", lambda: round(self.now * 1e9))

    def __call__(self) -> None:
        self.now += self.durations[self.calls % len(self.durations)] / 1000
        self.calls += 1


def test_a_step_is_repeated_for_about_as_long_as_wanted_after_a_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([100] + [10] * 1000, monkeypatch)

    times = time_calls(clock, seconds=2)

    assert clock.calls == pytest.approx(201, abs=1)
    assert (times["p50_ms"], times["p99_ms"]) == (pytest.approx(10), pytest.approx(10))  # the first does not count


@pytest.mark.parametrize(("milliseconds", "calls"), [(5000, 11), (0.001, 20_001)])
def test_however_slow_or_fast_it_is_ten_to_twenty_thousand_calls_count(
    milliseconds: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock([milliseconds], monkeypatch)

    time_calls(clock, seconds=1)

    assert clock.calls == calls


def test_times_are_quantiles_in_milliseconds_and_the_rate_counts_images(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = list(range(1, 102))
    clock = Clock([50, *durations], monkeypatch)
    monkeypatch.setattr(bench, "CALLS", (101, 101))

    times = time_calls(clock, seconds=0, images=64)

    assert list(times) == ["p50_ms", "p90_ms", "p99_ms", "images_per_second"]
    np.testing.assert_allclose(list(times.values())[:3], np.quantile(durations, (0.5, 0.9, 0.99)), atol=1e-5)
    assert times["images_per_second"] == pytest.approx(64 * 1000 / np.mean(durations))


def result(**changes: Any) -> dict[str, Any]:
    times = {"p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0, "images_per_second": 950.0}
    return {
        **{"model": "m.tflite", "runtime": "litert 2", "python": "3.13.1", "machine": "Pi", "cores": 4, "photo": None},
        **{"import_ms": 12.34, "load_ms": 5.67, "peak_memory_mb": 61.4, "steps": {"decode": times}, "batch": 64},
        "threads": {"1": times, "2": times},
        "before": {"temperature_c": 48.25, "throttled": []},
        "after": {"temperature_c": 61.0, "throttled": ["throttled now", "under-voltage earlier"]},
        **changes,
    }


def test_the_table_says_what_was_measured_with_its_units() -> None:
    assert report(result()).splitlines() == [
        "m.tflite in litert 2, Python 3.13.1, Pi, 4 cores",
        "photo: a drawn JPEG of 12 megapixels",
        "",
        "                        p50 ms    p90 ms    p99 ms  images/s",
        "decode                   1.000     2.000     3.000       950",
        "64 tiles, 1 thread       1.000     2.000     3.000       950",
        "64 tiles, 2 threads      1.000     2.000     3.000       950",
        "",
        "runtime imported       12.3 ms",
        "model opened           5.7 ms",
        "peak memory            61 MB",
        "temperature            48.2 °C before, 61.0 °C after",
        "throttled              no before, throttled now, under-voltage earlier after",
    ]


def test_what_a_device_does_not_tell_has_no_line() -> None:
    unknown = {"temperature_c": None, "throttled": None}

    lines = report(result(before=unknown, after=unknown, photo="shoe.jpg")).splitlines()

    assert lines[1] == "photo: shoe.jpg"
    assert lines[-1].startswith("peak memory")


class Counting:
    """A classifier that notes how many tiles its runtime gets at once, and which files it is given."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(session=SimpleNamespace(probabilities=lambda tiles: self.tiles.append(len(tiles))))
        self.photo_mark = True
        self.tiles: list[int] = []
        self.files: list[Path] = []

    def classify(self, path: Path) -> None:
        self.files.append(path)


@pytest.mark.parametrize(("size", "views"), [((300, 200), 10), ((28, 28), 1)])
def test_each_step_is_what_a_picture_takes(
    size: tuple[int, int], views: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo is answered by ten views of it, a tile by itself."""
    monkeypatch.setattr(bench, "CALLS", (1, 1))
    image = Image.new("L", size)
    image.putpixel((14, 14), 200)
    image.save(tmp_path / "a.png")
    counting, told = Counting(), []

    steps = time_steps(counting, tmp_path / "a.png", 0, told.append)  # type: ignore[arg-type]

    assert list(steps) == told == ["decode", "tile", "invoke", "file to prediction"]
    assert counting.tiles == [views, views]
    assert counting.files == [tmp_path / "a.png"] * 2


def test_one_thread_and_more_are_tried_with_as_many_tiles_as_are_classified_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "CALLS", (1, 1))
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    threads, opened = [], bench.open_model

    def note(path: Path, count: int = 1) -> Any:
        threads.append(count)
        return opened(path, count)

    monkeypatch.setattr(bench, "open_model", note)

    found = bench.measure(None, tmp_path / "a.png", 3, 0, lambda step: None)

    assert threads[-3:] == [1, 2, 3]
    assert list(found["threads"]) == ["1", "2", "3"]
    assert (found["batch"], found["photo"]) == (64, str(tmp_path / "a.png"))
