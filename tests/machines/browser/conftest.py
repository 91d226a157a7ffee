"""A browser, a camera, and the page that shows it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from support.commands import ROOT
from support.film_camera import GARMENTS, FilmCamera
from support.pages import started

PATIENCE = 60_000
"""Milliseconds for what is to happen on a machine that has other things to do."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def barriers() -> Callable[[Page], list[str]]:
    """What axe finds in a page that leaves somebody out."""
    axe = (ROOT / os.environ["AXE"] / "node_modules" / "axe-core" / "axe.min.js").read_text()

    def find(page: Page) -> list[str]:
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        assert len(found["passes"]) > 10
        return [f"{problem['id']}: {node['html']}" for problem in found["violations"] for node in problem["nodes"]]

    return find


@pytest.fixture(scope="session")
def camera() -> Iterator[FilmCamera]:
    with FilmCamera() as camera:
        yield camera


@pytest.fixture(scope="session")
def address(camera: FilmCamera, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the page that shows the camera. The model is named as it stands in the checkout, not with a path of this machine."""
    model = Path("models", "fmnist-int8.tflite")
    with started(tmp_path_factory.mktemp("page"), "--source", camera.source, "--model", model) as (ask, _):
        yield f"http://127.0.0.1:{ask.port}"


@pytest.fixture
def page(browser: Browser, address: str, camera: FilmCamera) -> Iterator[Page]:
    """That nobody has been to yet. What it can't load or run is a failure."""
    camera.part = GARMENTS["Trouser"]
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[object] = []
    page.on("pageerror", lambda error: errors.append(error))
    yield page
    context.close()
    assert errors == []
