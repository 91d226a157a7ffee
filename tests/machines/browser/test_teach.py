"""Teach: what the model got wrong is told it, and learned from."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from support.film_camera import GARMENTS, FilmCamera
from support.pages import serving
from train.dataset import Dataset

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


@pytest.fixture
def teach(browser: Browser, camera: FilmCamera, tmp_path: Path) -> Iterator[Page]:
    """With four pictures that wait: each garment of the film, as it was frozen."""
    with serving("--source", camera.source, "--photos", tmp_path / "photos") as server:
        context = browser.new_context(base_url=server.address, accept_downloads=True)
        page = context.new_page()
        page.goto("/#live")
        for label, frames in GARMENTS.items():
            camera.part = frames
            expect(page.locator("#live .name")).to_have_text(label)
            page.get_by_role("button", name="Keep to teach").click()
            expect(page.locator("#done")).to_have_text("Kept. It waits in Teach.")
            page.reload()
        page.get_by_role("link", name="Teach").click()
        expect(page.locator("#queue button")).to_have_count(4)
        yield page
        context.close()


def count_of(page: Page, label: str) -> str:
    return page.locator("#counts li").filter(has_text=label).locator(".number").inner_text()


def test_three_are_taught_one_is_undone_and_the_rest_is_learned_from(teach: Page, dataset: Dataset, tmp_path: Path) -> None:
    teach.keyboard.press("7")
    expect(teach.locator("#announcer")).to_have_text("Kept as Sneaker. 3 pictures left.")
    teach.locator("#choices").get_by_role("button", name="Bag").click()
    expect(teach.locator("#announcer")).to_have_text("Kept as Bag. 2 pictures left.")
    teach.keyboard.press("n")
    expect(teach.locator("#announcer")).to_have_text("Kept as none of these. One picture left.")
    assert [count_of(teach, label) for label in ("Sneaker", "Bag", "None of these")] == ["1", "1", "1"]

    teach.get_by_role("button", name="Undo “none of these”").click()
    expect(teach.locator("#queue button")).to_have_count(2)
    assert count_of(teach, "None of these") == "0"

    with teach.expect_download() as download:
        teach.get_by_role("link", name="Download all").click()
    learn_from(download.value.path(), tmp_path / "unpacked", dataset)


def learn_from(archive: Path, folder: Path, dataset: Dataset) -> None:
    """As `python -m train --photos` does, with a recipe that is done in seconds."""
    from train.fit import fit
    from train.photos import read_photos
    from train.recipes import RECIPES

    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    photos = read_photos(folder)
    assert sorted(int(classes.argmax()) for classes in photos.accepted) == [7, 8]

    recipe = replace(RECIPES["standard"], teacher=None, hidden=(8,), epochs=1)
    model, _ = fit(recipe, dataset.train_images[:500], dataset.train_labels[:500], photos=photos)
    assert model.count_params() > 0


def test_what_is_put_off_comes_again_and_one_of_the_queue_comes_at_once(teach: Page) -> None:
    first = teach.locator("#waiting").get_attribute("src")

    teach.keyboard.press("l")
    second = teach.locator("#waiting").get_attribute("src")
    teach.locator("#queue button").nth(0).click()

    assert second != first
    expect(teach.locator("#waiting")).to_have_attribute("src", first or "")


def test_a_picture_that_was_tried_waits_to_be_taught(page: Page, camera: FilmCamera, tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(camera.frames[GARMENTS["Bag"][10]])
    page.goto("/#try")
    page.set_input_files("#files", tmp_path / "mine.jpg")
    expect(page.locator("#try .name")).to_have_text("Bag")

    page.get_by_role("button", name="Keep to teach").click()
    page.get_by_role("link", name="Teach").click()

    expect(page.locator("#guess")).to_contain_text("The model says Bag")


def test_keys_are_left_alone_in_other_views_and_with_modifiers(teach: Page) -> None:
    teach.keyboard.press("Control+7")
    teach.get_by_role("link", name="Device").click()
    teach.keyboard.press("7")
    teach.get_by_role("link", name="Teach").click()

    expect(teach.locator("#queue button")).to_have_count(4)
