"""For everybody: a phone's width, the keyboard alone, a screen reader, the dark, little motion. And the pictures in docs/."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from support.commands import ROOT
from support.film_camera import GARMENTS, FilmCamera
from support.pages import Server

pytestmark = pytest.mark.slow

AXE = ROOT / "build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"

VIEWS = ("live", "try", "teach", "device")

PHONE = {"width": 320, "height": 640}


def fill(page: Page, camera: FilmCamera, folder: Path) -> None:
    """Each view has something to show."""
    page.goto("/#live")
    camera.part = GARMENTS["T-shirt/top"]
    expect(page.locator("#live .name")).to_have_text("T-shirt/top")
    page.get_by_role("button", name="Keep to teach").click()
    expect(page.locator("#done")).to_be_visible()
    pictures = [folder / f"{name}.jpg" for name in ("left", "right")]
    for picture, label in zip(pictures, ("Bag", "Trouser"), strict=True):
        picture.write_bytes(camera.frames[GARMENTS[label][20]])
    page.get_by_role("link", name="Try").click()
    page.set_input_files("#files", pictures)
    expect(page.locator("#rows tr")).to_have_count(2)
    page.get_by_role("link", name="Device").click()
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#verdict")).to_contain_text("Yes, it does.")
    expect(page.locator("#status")).to_contain_text("http://")


def go(page: Page, view: str) -> None:
    page.get_by_role("link", name=view.capitalize(), exact=True).click()
    expect(page.locator(f"#{view}")).to_be_visible()
    expect(page.locator("#done")).to_be_hidden()
    page.wait_for_timeout(300)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_mend(scheme: str, page: Page, camera: FilmCamera, tmp_path: Path) -> None:
    page.emulate_media(color_scheme=scheme)
    fill(page, camera, tmp_path)
    page.evaluate(AXE.read_text())

    for view in VIEWS:
        go(page, view)
        found = page.evaluate("axe.run()")
        assert [(problem["id"], [node["html"] for node in problem["nodes"]]) for problem in found["violations"]] == []
        assert len(found["passes"]) > 20


def test_nothing_is_cut_off_on_a_phone(browser: Browser, server: Server, camera: FilmCamera, tmp_path: Path) -> None:
    context = browser.new_context(base_url=server.address, viewport=PHONE, is_mobile=True, has_touch=True)
    page = context.new_page()
    fill(page, camera, tmp_path)

    for view in VIEWS:
        go(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        # a finger needs 24 pixels, at least (WCAG 2.2, target size)
        sizes = page.locator(f"#{view} button:visible, nav a").evaluate_all("all => all.map((one) => one.offsetHeight)")
        assert min(sizes) >= 24
    expect(page.locator("#photograph")).to_have_count(1)
    go(page, "try")
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    context.close()


def test_the_keyboard_alone_reaches_everything(page: Page, camera: FilmCamera, tmp_path: Path) -> None:
    fill(page, camera, tmp_path)

    for view in VIEWS:
        page.get_by_role("link", name=view.capitalize(), exact=True).press("Enter")
        expect(page.locator(f"#{view}")).to_be_focused()
        reached = []
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        buttons = page.locator(f"#{view} button:visible:enabled").evaluate_all(
            "all => all.map((one) => one.id || one.textContent)"
        )
        assert set(buttons) <= set(reached)


def test_what_has_the_focus_can_be_seen(page: Page) -> None:
    page.goto("/#try")
    page.keyboard.press("Tab")

    expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()
    expect(page.get_by_role("button", name="Choose pictures")).to_have_css("outline-style", "solid")


@pytest.mark.parametrize(("motion", "seconds"), [("no-preference", "0.15s"), ("reduce", "0s")])
def test_who_wants_little_motion_gets_little(motion: str, seconds: str, page: Page) -> None:
    page.emulate_media(reduced_motion=motion)
    page.goto("/#live")

    expect(page.locator("#live .fill").first).to_have_css("transition-duration", seconds)


def test_nothing_is_loaded_from_elsewhere_or_refused(page: Page, server: Server, camera: FilmCamera, tmp_path: Path) -> None:
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))

    fill(page, camera, tmp_path)

    assert [url for url in asked if not url.startswith((server.address, "data:", "blob:"))] == []
    assert said == []


def test_the_views_as_docs_shows_them(page: Page, camera: FilmCamera, tmp_path: Path) -> None:
    """Writes docs/page-*.png where FMNIST_SCREENSHOTS says so, as `make page-test` does."""
    fill(page, camera, tmp_path)
    folder = Path(os.environ.get("FMNIST_SCREENSHOTS", tmp_path))
    for view in VIEWS:
        go(page, view)
        page.screenshot(path=folder / f"page-{view}.png")
        assert (folder / f"page-{view}.png").stat().st_size < 150_000
