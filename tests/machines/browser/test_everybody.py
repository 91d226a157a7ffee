"""For everybody: a phone's width, the keyboard alone, a screen reader, the dark, little motion. And the pictures in docs/."""

import io
import os
from collections.abc import Callable, Iterator
from math import inf

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from fmnist_edge.contract import CLASSES
from support.commands import ROOT
from support.film_camera import GARMENTS, FilmCamera

pytestmark = pytest.mark.slow

VIEWS = ("live", "try", "teach", "device")

FRESH, ATTEMPTS = 60, 20
"""Milliseconds that a frame is old where the machine has nothing else to do, and how often that is waited for."""

DESK, PHONE = {"width": 1100, "height": 760}, {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def full(browser: Browser, address: str, camera: FilmCamera, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Each view has something to show. It was asked for nothing elsewhere, and nothing was refused."""
    context = browser.new_context(base_url=address)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    for number, label in enumerate([*GARMENTS, *GARMENTS]):
        frame = camera.frames[GARMENTS[label][10 + number]]
        kept = page.request.post("/api/teach", data=frame, headers={"Content-Type": "image/jpeg"}).json()
        if number < len(GARMENTS):
            page.request.post(f"/api/teach/{kept['id']}", data={"class_id": CLASSES.index(label)})
    page.goto("/#live")
    camera.part = GARMENTS["T-shirt/top"]
    expect(page.locator("#live .name")).to_have_text("T-shirt/top")
    folder = tmp_path_factory.mktemp("pictures")
    pictures = [folder / f"IMG_20261126_07153{number}.jpg" for number in range(2)]  # as phones call them
    for picture, label in zip(pictures, ("Bag", "Trouser"), strict=True):
        picture.write_bytes(camera.frames[GARMENTS[label][20]])
    page.get_by_role("link", name="Try").click()
    page.set_input_files("#files", pictures)
    expect(page.locator("#rows tr")).to_have_count(2)
    page.get_by_role("link", name="Device").click()
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#verdict")).to_contain_text("Yes, it does.")
    expect(page.locator("#status")).to_contain_text("http://")
    yield page
    context.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert said == []


def go(page: Page, view: str) -> None:
    """To a view that has something to show by then."""
    page.get_by_role("link", name=view.capitalize(), exact=True).click()
    expect(
        page.locator({"live": "#live .first", "try": "#try .first", "teach": "#queue img", "device": "#model dd"}[view]).first
    ).to_be_visible()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_mend(scheme: str, size: dict[str, int], full: Page, barriers: Callable[[Page], list[str]]) -> None:
    full.emulate_media(color_scheme=scheme)
    full.set_viewport_size(size)

    for view in VIEWS:
        go(full, view)
        assert barriers(full) == []
    go(full, "live")
    full.get_by_role("button", name="Look at a part").click()
    assert barriers(full) == []
    full.keyboard.press("Escape")


def test_nothing_is_cut_off_on_a_phone_and_a_finger_finds_each_button(full: Page) -> None:
    full.set_viewport_size(PHONE)

    for view in VIEWS:
        go(full, view)
        assert full.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        # WCAG 2.2, 2.5.8: target size
        # in one step: between two, what was visible may have gone
        heights = full.locator(f"#{view} button, nav a").evaluate_all(
            "all => all.filter((one) => one.checkVisibility()).map((one) => one.offsetHeight)"
        )
        assert min(heights) >= 24
    go(full, "try")
    for row in full.locator("#rows tr").all():
        assert (row.bounding_box() or {"height": inf})["height"] < 60  # a line each, however long the name


def test_a_phone_has_a_button_for_its_own_camera(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, viewport=PHONE, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto("/#try")

    with page.expect_file_chooser():
        page.get_by_role("button", name="Take a photo").click()

    expect(page.locator("#capture")).to_have_attribute("capture", "environment")
    context.close()


def test_the_keyboard_alone_reaches_everything(full: Page) -> None:
    for view in VIEWS:
        go(full, "try" if view != "try" else "live")
        full.get_by_role("link", name=view.capitalize(), exact=True).press("Enter")
        expect(full.locator(f"#{view}")).to_be_focused()
        buttons = full.locator(f"#{view} button:visible:enabled").evaluate_all(
            "all => all.map((one) => one.id || one.textContent)"
        )
        reached = []
        for _ in range(40):
            full.keyboard.press("Tab")
            reached.append(full.evaluate("document.activeElement.id || document.activeElement.textContent"))
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


def test_pictures_of_the_views_are_small_enough_for_docs(full: Page, camera: FilmCamera) -> None:
    full.emulate_media(color_scheme="light", reduced_motion="reduce")
    full.set_viewport_size(DESK)
    camera.part = GARMENTS["Trouser"]

    for view in VIEWS:
        go(full, view)
        if view == "live":
            expect(full.locator("#live .name")).to_have_text("Trouser")
        path = ROOT / os.environ["SCREENSHOTS"] / f"page-{view}.png"
        Image.open(io.BytesIO(picture_of(full, view))).convert("RGB").quantize(128).save(path, optimize=True)
        assert path.stat().st_size < 80_000


def picture_of(page: Page, view: str) -> bytes:
    """Of Live, if it comes soon, at a moment at which nothing else keeps the machine busy: it is the page that is to be seen."""
    for _ in range(ATTEMPTS):
        before, picture, after = age(page), page.screenshot(full_page=True), age(page)
        if view != "live" or max(before, after) < FRESH:
            break
    return picture


def age(page: Page) -> int:
    """Milliseconds, as the page says it."""
    return int((page.locator("#age").text_content() or "").split()[0])  # also while another view is shown
