"""The token, as somebody meets it who comes with a phone."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from fmnist_edge.contract import CLASSES
from support.commands import ROOT
from support.film_camera import named
from support.pages import started
from train.photos import find_photos

pytestmark = pytest.mark.slow


class Guarded(NamedTuple):
    address: str
    token: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A page for others than this machine's users."""
    folder = tmp_path_factory.mktemp("guarded")
    with started(folder, "--source", "none", "--host", "0.0.0.0") as (ask, _):
        yield Guarded(f"http://127.0.0.1:{ask.port}/", (folder / "state" / "fmnist-edge" / "page-token").read_text().strip())


@pytest.fixture
def stranger(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_who_has_the_link_is_in_and_stays_in(guarded: Guarded, stranger: Page) -> None:
    stranger.goto(f"{guarded.address}?token={guarded.token}")
    expect(stranger.get_by_role("link", name="Teach")).to_be_visible()
    assert guarded.token not in stranger.url

    (cookie,) = stranger.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert guarded.token not in cookie["value"]

    stranger.goto(guarded.address)
    expect(stranger.get_by_role("link", name="Teach")).to_be_visible()


def test_who_has_the_token_alone_types_it(guarded: Guarded, stranger: Page, barriers: Callable[[Page], list[str]]) -> None:
    stranger.goto(guarded.address)
    assert barriers(stranger) == []
    stranger.get_by_label("Token").fill("not the token")
    stranger.get_by_role("button").click()
    expect(stranger.get_by_role("alert")).to_have_text("the token is wrong")

    stranger.get_by_label("Token").fill(guarded.token)
    stranger.get_by_label("Token").press("Enter")

    expect(stranger.get_by_role("link", name="Teach")).to_be_visible()


def test_a_stranger_on_a_phone_classifies_a_shoe_corrects_the_answer_and_has_a_zip(
    guarded: Guarded, browser: Browser, tmp_path: Path
) -> None:
    """One command, one link."""
    context = browser.new_context(viewport={"width": 390, "height": 664}, is_mobile=True, has_touch=True)
    phone = context.new_page()
    phone.goto(f"{guarded.address}?token={guarded.token}")
    phone.get_by_role("link", name="Try", exact=True).tap()
    with phone.expect_file_chooser() as chooser:
        phone.get_by_role("button", name="Take a photo").tap()
    chooser.value.set_files(ROOT / "docs" / "shoe.png")
    expect(phone.locator("#try .name")).to_have_text(named("Sneaker"))
    phone.get_by_role("button", name="Keep to teach").tap()
    expect(phone.locator("#done")).to_have_text("Kept. It is waiting in Teach.")

    phone.get_by_role("link", name="Teach", exact=True).tap()
    phone.get_by_role("button", name="Ankle boot").tap()
    expect(phone.locator("#done")).to_have_text("Kept as Ankle boot. No more pictures are waiting.")
    with phone.expect_download() as download:
        phone.get_by_role("link", name="Download all").tap()

    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    assert [classes for _, classes in find_photos(tmp_path)] == [{CLASSES.index("Ankle boot")}]
    context.close()


def test_a_page_that_is_known_no_longer_asks_for_the_token_again(guarded: Guarded, stranger: Page) -> None:
    stranger.goto(f"{guarded.address}?token={guarded.token}#try")
    stranger.context.clear_cookies()

    stranger.get_by_role("link", name="Device").click()

    expect(stranger.get_by_label("Token")).to_be_visible()
