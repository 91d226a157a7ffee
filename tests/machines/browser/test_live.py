"""Live: what the camera sees arrives in the browser, and goes on arriving."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from support.film_camera import GARMENTS, GROUND, FilmCamera
from support.pages import started

pytestmark = pytest.mark.slow

SOON = 1000
"""Milliseconds in which a garment's label has to appear."""

LEARNING = 1500
"""Milliseconds in which the empty scene is learned for sure."""


@pytest.fixture
def live(page: Page) -> Page:
    """That shows a trouser."""
    page.goto("/#live")
    expect(page.locator("#live .name")).to_have_text("Trouser")
    return page


def test_each_garment_is_named_within_a_second_of_its_start(live: Page, camera: FilmCamera) -> None:
    camera.part = GROUND
    camera.wait_for(GROUND.start)
    camera.part = range(len(camera.frames))

    for label, frames in GARMENTS.items():
        camera.wait_for(frames.start)
        expect(live.locator("#live .name")).to_have_text(re.compile(rf"{label}\??"), timeout=SOON)


def test_the_outline_is_drawn_into_the_picture_and_the_tile_is_beside_it(live: Page) -> None:
    pink = live.evaluate("""() => {
        const canvas = document.getElementById("frame")
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
        let count = 0
        for (let at = 0; at < data.length; at += 4) count += data[at] > data[at + 1] + 60 && data[at + 2] > data[at + 1] + 30
        return count
    }""")

    assert 100 < pink < 4000  # the line alone, of 76,800 pixels
    expect(live.locator("#live .tile img")).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    expect(live.locator("#live .first")).to_have_text(re.compile(r"Trouser>?0\.\d\d"))
    expect(live.locator(".figures")).to_have_text(re.compile(r"\d+ fps\d+ ms old[\d,]+ dropped"))


def test_a_camera_that_is_lost_is_named_until_it_is_back(page: Page, camera: FilmCamera) -> None:
    page.clock.install()
    page.goto("/#live")
    expect(page.locator("#live .name")).to_have_text("Trouser")

    camera.unplug()
    expect(page.locator("#live-notice")).to_contain_text("lost")
    page.clock.fast_forward(60_000)  # the page's own connections are as silent as if the device had gone
    page.wait_for_timeout(500)
    expect(page.locator("#live-notice")).to_contain_text("lost")

    camera.plug_in()
    expect(page.locator("#live-notice")).to_be_hidden()
    camera.part = GARMENTS["T-shirt/top"]
    expect(page.locator("#live .name")).to_have_text("T-shirt/top")


def test_a_page_whose_device_restarts_goes_on_by_itself(page: Page, camera: FilmCamera, tmp_path: Path) -> None:
    with started(tmp_path, "--source", camera.source) as (ask, _):
        page.goto(f"http://127.0.0.1:{ask.port}/#live")
        expect(page.locator("#live .name")).to_have_text("Trouser")
    expect(page.locator("#live-notice")).to_contain_text("The device does not answer. Trying again in")

    with started(tmp_path, "--source", camera.source, "--port", ask.port):
        expect(page.locator("#live-notice")).to_be_hidden()
        camera.part = GARMENTS["T-shirt/top"]
        expect(page.locator("#live .name")).to_have_text("T-shirt/top")


def test_without_a_camera_it_says_so_and_where_to_go_on(page: Page, tmp_path: Path) -> None:
    with started(tmp_path, "--source", "none") as (ask, _):
        page.goto(f"http://127.0.0.1:{ask.port}/")
        expect(page.get_by_role("heading", name="There is no camera")).to_be_visible()

        page.get_by_role("link", name="try a picture").click()
        expect(page.get_by_role("button", name="Choose pictures")).to_be_visible()


def test_a_picture_that_ends_without_an_error_is_asked_for_again_after_a_pause_that_grows(page: Page, camera: FilmCamera) -> None:
    asked: list[str] = []
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(camera.picture) + camera.picture

    def end_after_one(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(content_type="multipart/x-mixed-replace; boundary=frame", body=part)

    page.route("**/live.mjpg", end_after_one)
    page.goto("/#live")

    for seconds in (1, 2, 4):
        expect(page.locator("#live-notice")).to_contain_text(f"Trying again in {seconds} s.")
    assert len(asked) <= 5  # after half a second, one, two and four


def test_nothing_is_sent_to_a_page_that_shows_something_else(live: Page) -> None:
    ended: list[str] = []
    live.on("requestfailed", lambda request: ended.append(request.url.rpartition("/")[2].partition("?")[0]))

    live.get_by_role("link", name="Try").click()

    expect(live.locator("#try")).to_be_visible()
    live.wait_for_timeout(500)
    assert sorted(ended) == ["answers", "live.mjpg"]


def test_a_pause_stops_the_picture_and_the_answers(live: Page, camera: FilmCamera) -> None:
    live.get_by_role("button", name="Pause").click()
    camera.part = GARMENTS["T-shirt/top"]
    live.wait_for_timeout(SOON)
    expect(live.locator("#live .name")).to_have_text("Trouser")

    live.get_by_role("button", name="Resume").click()

    expect(live.locator("#live .name")).to_have_text("T-shirt/top")


def test_a_screen_reader_hears_a_label_once_and_the_next_when_it_changes(live: Page, camera: FilmCamera) -> None:
    live.evaluate("""() => {
        window.heard = []
        const place = document.getElementById("announcer")
        const changed = () => window.heard.push(place.textContent)
        new MutationObserver(changed).observe(place, { childList: true, characterData: true, subtree: true })
    }""")
    live.wait_for_timeout(2000)
    camera.part = GARMENTS["T-shirt/top"]
    expect(live.locator("#announcer")).to_have_text("T-shirt/top")

    heard = live.evaluate("window.heard")
    assert heard[-1] == "T-shirt/top"
    assert len(heard) <= 3


def test_the_empty_scene_is_learned_and_nothing_is_there(live: Page, camera: FilmCamera) -> None:
    camera.part = GROUND
    camera.wait_for(GROUND.start)
    live.get_by_role("button", name="Nothing is there now").click()
    expect(live.locator("#live .name")).to_have_text("nothing there")
    live.wait_for_timeout(LEARNING)

    camera.part = GARMENTS["Trouser"]
    expect(live.locator("#live .name")).to_have_text("Trouser")


def expect_corner(page: Page, low: int, high: int) -> None:
    """How bright the picture's upper left corner is; where only another part is looked at it is paler."""
    end = time.monotonic() + 60
    bright = "() => document.getElementById('frame').getContext('2d').getImageData(2, 2, 1, 1).data[0]"
    while not low < page.evaluate(bright) < high:
        assert time.monotonic() < end, page.evaluate(bright)
        page.wait_for_timeout(50)


def test_a_part_is_drawn_with_the_mouse_and_given_up_again(live: Page) -> None:
    expect_corner(live, 180, 215)
    picture = live.locator("#picture").bounding_box()
    assert picture
    live.mouse.move(picture["x"] + 0.3 * picture["width"], picture["y"] + 0.1 * picture["height"])
    live.mouse.down()
    live.mouse.move(picture["x"] + 0.7 * picture["width"], picture["y"] + 0.9 * picture["height"], steps=5)
    live.mouse.up()
    expect_corner(live, 220, 250)
    expect(live.locator("#live .name")).to_have_text("Trouser")

    live.get_by_role("button", name="Look at everything").click()
    expect_corner(live, 180, 215)


def test_a_part_is_chosen_with_the_keyboard_alone(live: Page) -> None:
    live.get_by_role("button", name="Look at a part").press("Enter")
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowLeft"):
        live.keyboard.press(key)
    with live.expect_request("**/api/roi") as asked:
        live.keyboard.press("Enter")
    assert asked.value.post_data_json == {"roi": pytest.approx([0.27, 0.27, 0.48, 0.5])}
    expect_corner(live, 220, 250)

    live.get_by_role("button", name="Look at everything").press("Enter")
    expect_corner(live, 180, 215)


def test_a_part_that_was_begun_is_left_with_escape(live: Page) -> None:
    live.get_by_role("button", name="Look at a part").press("Enter")
    expect(live.locator("#part")).to_be_focused()

    live.keyboard.press("Escape")

    expect(live.locator("#part")).to_be_hidden()
    expect(live.get_by_role("button", name="Look at a part")).to_be_focused()
