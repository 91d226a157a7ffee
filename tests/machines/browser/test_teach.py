"""Teach: what the model got wrong is told it, and learned from."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from support.film_camera import GARMENTS, FilmCamera, named
from support.pages import started
from train.dataset import Dataset

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

WAITING = 4


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page with photos of its own."""
    with started(tmp_path_factory.mktemp("school"), "--source", "none") as (ask, _):
        yield f"http://127.0.0.1:{ask.port}"


@pytest.fixture
def teach(browser: Browser, school: str, camera: FilmCamera) -> Iterator[Page]:
    """With four pictures that wait."""
    context = browser.new_context(base_url=school)
    page = context.new_page()
    page.goto("/#teach")
    expect(page.locator("#counts li")).to_have_count(11)
    for label in list(GARMENTS)[page.locator("#queue button").count() :]:
        picture = camera.frames[GARMENTS[label][20]]
        assert page.request.post("/api/teach", data=picture, headers={"Content-Type": "image/jpeg"}).ok
    page.reload()
    expect(page.locator("#queue button")).to_have_count(WAITING)
    yield page
    context.close()


def expect_count(page: Page, label: str, count: int) -> None:
    expect(page.locator("#counts li").filter(has_text=label).locator(".number")).to_have_text(str(count))


def test_what_is_put_off_comes_again_and_one_of_the_queue_comes_at_once(teach: Page) -> None:
    first = teach.locator("#waiting").get_attribute("src") or ""

    teach.keyboard.press("l")
    expect(teach.locator("#waiting")).not_to_have_attribute("src", first)

    teach.locator("#queue button").nth(0).click()
    expect(teach.locator("#waiting")).to_have_attribute("src", first)


def test_keys_are_left_alone_in_other_views_and_with_modifiers(teach: Page) -> None:
    teach.keyboard.press("Control+7")
    teach.get_by_role("link", name="Device").click()
    teach.keyboard.press("7")
    teach.get_by_role("link", name="Teach").click()

    expect(teach.locator("#queue button")).to_have_count(WAITING)


def test_two_quick_keys_label_one_picture_and_one_that_somebody_moved_is_not_undone_forever(teach: Page) -> None:
    with teach.expect_response(lambda response: response.request.method == "POST") as labelled:
        teach.evaluate(
            "for (const key of '78') document.getElementById('teach').dispatchEvent(new KeyboardEvent('keydown', { key }))"
        )
    expect(teach.locator("#done")).to_have_text("Kept as Sneaker. 3 pictures left.")
    expect_count(teach, "Bag", 0)
    expect(teach.locator("#trouble")).to_be_hidden()

    assert teach.request.post("/api/teach/undo", data=labelled.value.json()).ok
    teach.get_by_role("button", name="Undo “Sneaker”").click()

    expect(teach.locator("#trouble")).to_contain_text("There is nothing to undo")
    expect(teach.locator("#undo")).to_be_disabled()


def test_a_choice_can_be_undone_after_the_page_was_loaded_again(teach: Page) -> None:
    teach.locator("#choices").get_by_role("button", name="Coat").click()
    expect_count(teach, "Coat", 1)

    teach.reload()
    teach.get_by_role("button", name="Undo “Coat”").click()

    expect_count(teach, "Coat", 0)
    expect(teach.locator("#queue button")).to_have_count(WAITING)


def test_where_no_picture_waits_one_that_another_phone_keeps_comes_by_itself(
    page: Page, camera: FilmCamera, tmp_path: Path
) -> None:
    with started(tmp_path, "--source", "none") as (ask, _):
        page.goto(f"http://127.0.0.1:{ask.port}/#teach")
        expect(page.get_by_role("heading", name="No pictures are waiting")).to_be_visible()

        ask.post("/api/teach", camera.frames[GARMENTS["Bag"][20]], Content_Type="image/jpeg")

        expect(page.locator("#guess")).to_have_text(named("The model says Bag"))


def test_a_frozen_picture_and_one_that_was_tried_wait_to_be_taught(page: Page, camera: FilmCamera, tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(camera.frames[GARMENTS["Bag"][10]])
    page.goto("/#live")
    expect(page.locator("#live .name")).to_have_text("Trouser")
    page.get_by_role("button", name="Keep to teach").click()
    expect(page.locator("#done")).to_have_text("Kept. It is waiting in Teach.")
    page.get_by_role("link", name="Try").click()
    page.set_input_files("#files", tmp_path / "mine.jpg")
    expect(page.locator("#try .name")).to_have_text(named("Bag"))
    page.get_by_role("button", name="Keep to teach").click()
    expect(page.locator("#done")).to_have_text("Kept. It is waiting in Teach.")

    page.get_by_role("link", name="Teach").click()

    expect(page.locator("#guess")).to_have_text(named("The model says Bag"))
    page.locator("#queue button").nth(1).click()
    expect(page.locator("#guess")).to_have_text("The model says Trouser")


def test_three_are_taught_one_is_undone_and_the_rest_is_learned_from(teach: Page, dataset: Dataset, tmp_path: Path) -> None:
    teach.keyboard.press("7")
    expect(teach.locator("#done")).to_have_text("Kept as Sneaker. 3 pictures left.")
    teach.locator("#choices").get_by_role("button", name="Bag").click()
    expect(teach.locator("#done")).to_have_text("Kept as Bag. 2 pictures left.")
    teach.keyboard.press("n")
    expect(teach.locator("#done")).to_have_text("Kept as none of these. One picture left.")
    for label in ("Sneaker", "Bag", "None of these"):
        expect_count(teach, label, 1)

    teach.get_by_role("button", name="Undo “none of these”").click()
    expect(teach.locator("#queue button")).to_have_count(2)
    expect_count(teach, "None of these", 0)

    with teach.expect_download() as download:
        teach.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path / "photos")
    expect_to_learn_from(tmp_path / "photos", dataset)


def expect_to_learn_from(folder: Path, dataset: Dataset) -> None:
    """As `python -m train --photos` does, with a recipe that is done in seconds."""
    from train.fit import fit
    from train.photos import read_photos
    from train.recipes import RECIPES

    photos = read_photos(folder)
    assert sorted(int(classes.argmax()) for classes in photos.accepted) == [7, 8]

    recipe = replace(RECIPES["standard"], taught=False, hidden=(8,), epochs=1)
    _, holdout = fit(recipe, dataset.train_images[:500], dataset.train_labels[:500], photos=photos)
    assert holdout.said_of_photos.shape == (2, 10)
