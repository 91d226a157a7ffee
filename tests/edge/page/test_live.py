"""The camera's loop beside the page, with sources that do not last."""

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from fmnist_edge.classifier import Classifier
from fmnist_edge.errors import SourceError
from fmnist_edge.page import live as live_module
from fmnist_edge.page.hub import Hub
from fmnist_edge.page.live import Live, Service, Source
from fmnist_edge.page.metrics import Metrics
from support.commands import MODELS
from support.film import write_film
from support.pages import SOURCE

OPENINGS = 4


def test_a_source_that_opens_and_breaks_at_once_is_told_once_and_its_attempts_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_module, "PAUSES", (0.01, 0.02))
    film = write_film(tmp_path / "film.mp4", [(Image.new("RGB", (160, 120), "red"), 1.0)])
    signals: Any = SimpleNamespace(ending=None, requested=False)
    faults: list[int] = []

    class Watched(Hub):
        def broadcast(self, event: str, data: dict[str, Any]) -> None:
            super().broadcast(event, data)
            if event == "fault":
                faults.append(data["attempt"])

    def break_at_once() -> None:
        if live.name is not None:
            if len(faults) == OPENINGS - 1:
                signals.ending = signal.SIGTERM
            raise SourceError("it breaks")

    systemd = Service(False, lambda: True)
    live = Live(Source(str(film), SOURCE.feed, SOURCE.options), "en", Watched(pytest.fail), Metrics(), systemd, break_at_once)
    live.run(Classifier(MODELS / "fmnist-int8.tflite"), None, signals)

    assert faults == [1, 2, 3, 4]
    assert capfd.readouterr().err.count("it breaks; continuing without a camera, and trying again") == 1
