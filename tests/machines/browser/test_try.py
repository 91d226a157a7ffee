"""Try: pictures that are dropped, pasted and chosen, and the table that several make."""

import base64
import csv
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from support.commands import ROOT, fmnist_edge
from support.film_camera import GARMENTS, FilmCamera, named

pytestmark = pytest.mark.slow

BRING = """([kind, files]) => {
    const transfer = new DataTransfer()
    for (const [name, type, content] of files) {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))
        transfer.items.add(new File([bytes], name, { type }))
    }
    const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
        : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true })
    document.body.dispatchEvent(event)
}"""
"""Drops or pastes files, as the browser tells the page of it."""


@pytest.fixture
def trial(page: Page) -> Page:
    page.goto("/#try")
    return page


@pytest.fixture
def pictures(camera: FilmCamera, tmp_path: Path) -> list[Path]:
    """A picture per garment, named for it."""
    paths = []
    for label, frames in GARMENTS.items():
        paths.append(tmp_path / f"{label.replace('/', '-')}.jpg")
        paths[-1].write_bytes(camera.frames[frames[20]])
    return paths


def comparable(table: str) -> list[dict[str, str | float]]:
    """The rows but for the time that each took; numbers as such."""
    rows = list(csv.DictReader(io.StringIO(table)))
    return [{name: to_number(field) for name, field in row.items() if name != "milliseconds"} for row in rows]


def to_number(field: str) -> str | float:
    return float(field) if re.match(r"\d", field) else field


def bring(page: Page, kind: str, *paths: Path) -> None:
    page.evaluate(BRING, [kind, [[path.name, "image/jpeg", base64.b64encode(path.read_bytes()).decode()] for path in paths]])


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted_and_explained(kind: str, trial: Page, pictures: list[Path]) -> None:
    bring(trial, kind, pictures[2])

    expect(trial.locator("#try .name")).to_have_text("Trouser")
    expect(trial.locator("#try .first")).to_have_text(re.compile(r"Trouser>?0\.\d\d"))
    expect(trial.locator("#try .tile img")).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    expect(trial.locator("#announcer")).to_have_text("Trouser.jpg: Trouser")
    assert trial.locator("#photo img").evaluate("image => image.naturalWidth") == 320


def test_the_outline_lies_on_the_garment(trial: Page, pictures: list[Path]) -> None:
    trial.set_input_files("#files", pictures[2])

    photo, outline = (trial.locator(place).bounding_box() for place in ("#photo img", "#photo .outline"))

    assert photo
    assert outline
    # the trouser is 75 of 320 pixels wide, a little left of the middle, and 196 of 240 high
    assert 0.15 < outline["width"] / photo["width"] < 0.4
    assert 0.7 < outline["height"] / photo["height"] < 0.95
    assert abs(outline["x"] + outline["width"] / 2 - photo["x"] - photo["width"] / 2) < 0.1 * photo["width"]


def test_a_picture_that_is_pasted_anywhere_is_tried(page: Page, pictures: list[Path]) -> None:
    page.goto("/#device")

    bring(page, "paste", pictures[0])

    expect(page.locator("#try .name")).to_have_text(named("Sneaker"))
    expect(page.get_by_role("link", name="Try")).to_have_attribute("aria-current", "page")


def test_a_picture_is_chosen_with_the_button(trial: Page) -> None:
    with trial.expect_file_chooser() as chooser:
        trial.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(ROOT / "docs" / "shoe.png")

    expect(trial.locator("#try .name")).to_have_text(named("Sneaker"))


def test_several_pictures_give_the_table_that_classify_gives(trial: Page, pictures: list[Path], tmp_path: Path) -> None:
    trial.set_input_files("#files", pictures)
    expect(trial.locator("#rows tr")).to_have_count(4)

    with trial.expect_download() as download:
        trial.get_by_role("button", name="Save as CSV").click()

    text = download.value.path().read_text(encoding="utf-8-sig")
    expected = fmnist_edge("classify", "--format", "csv", "--all", *(path.name for path in pictures), cwd=tmp_path).stdout
    assert comparable(text) == comparable(expected)


def test_a_picture_of_the_table_is_shown_again(trial: Page, pictures: list[Path]) -> None:
    trial.set_input_files("#files", pictures)
    expect(trial.locator("#rows tr")).to_have_count(4)

    trial.get_by_role("button", name="Bag.jpg").click()

    expect(trial.locator("#try .name")).to_have_text(named("Bag"))


def test_a_file_that_is_no_picture_is_named_and_the_others_are_tried(trial: Page, pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")

    trial.set_input_files("#files", [tmp_path / "notes.jpg", pictures[1]])

    expect(trial.locator("#rows tr").nth(0)).to_contain_text("ot a PNG, JPEG")
    expect(trial.locator("#rows tr").nth(1)).to_contain_text("Bag")


def test_a_file_s_name_is_text_whatever_is_in_it(trial: Page, pictures: list[Path], tmp_path: Path) -> None:
    """In the page, and in a spreadsheet."""
    page_name, formula = "<img src=x onerror=alert(1)>.jpg", '=HYPERLINK("http:__example.org","x").jpg'
    for name in (page_name, formula):
        (tmp_path / name).write_bytes(pictures[0].read_bytes())

    trial.set_input_files("#files", [tmp_path / page_name, tmp_path / formula])
    expect(trial.locator("#rows button").nth(0)).to_have_text(page_name)
    expect(trial.locator("#rows button").nth(1)).to_have_text(formula)
    with trial.expect_download() as download:
        trial.get_by_role("button", name="Save as CSV").click()

    rows = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert [row[0] for row in rows[1:]] == [page_name, f"'{formula}"]


def test_a_photo_that_was_taken_sideways_stands_upright_and_so_does_its_outline(
    trial: Page, pictures: list[Path], tmp_path: Path
) -> None:
    with Image.open(pictures[2]) as upright:
        exif = upright.getexif()
        exif[0x0112] = 6
        upright.rotate(90, expand=True).save(tmp_path / "sideways.jpg", exif=exif)

    trial.set_input_files("#files", tmp_path / "sideways.jpg")

    expect(trial.locator("#try .name")).to_have_text("Trouser")
    photo, outline = (trial.locator(place).bounding_box() for place in ("#photo img", "#photo .outline"))
    assert photo
    assert outline
    assert photo["width"] > photo["height"]
    assert outline["width"] < outline["height"]


def test_a_scan_that_is_too_large_and_a_kind_of_picture_that_the_device_does_not_know_are_made_fit_by_the_browser(
    trial: Page, pictures: list[Path], tmp_path: Path
) -> None:
    with Image.open(pictures[2]) as small:
        small.convert("L").resize((5760, 4320)).save(tmp_path / "scan.png", compress_level=1)  # 24.9 million pixels
    (tmp_path / "drawing.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="400"><rect width="300" height="400" fill="#ddd"/>'
        '<path d="M90 40H210L220 360H170L150 120L130 360H80Z" fill="#222"/></svg>'
    )

    trial.set_input_files("#files", [tmp_path / "scan.png", tmp_path / "drawing.svg"])

    expect(trial.locator("#rows tr").nth(0)).to_have_text(re.compile(r"scan.pngTrouser\??"))
    expect(trial.locator("#rows tr").nth(1)).to_have_text(re.compile(r"drawing.svgTrouser\??"))
    expect(trial.locator("#photo-name")).to_have_text("scan.png, as a JPEG that this browser made")


def test_a_picture_that_is_kept_is_kept_once(trial: Page, pictures: list[Path]) -> None:
    trial.set_input_files("#files", pictures[:2])
    expect(trial.locator("#rows tr")).to_have_count(2)

    trial.get_by_role("button", name="Keep to teach").click()

    expect(trial.get_by_role("button", name="Kept to teach")).to_be_disabled()
    trial.get_by_role("button", name="Bag.jpg").click()
    expect(trial.get_by_role("button", name="Keep to teach")).to_be_enabled()


def test_a_connection_that_is_lost_is_tried_again_and_told_meanwhile(trial: Page, pictures: list[Path]) -> None:
    lost = [True]
    trial.route("**/api/classify*", lambda route: route.abort() if lost and lost.pop() else route.continue_())

    trial.set_input_files("#files", pictures[1])

    expect(trial.locator("#working")).to_contain_text(
        "The device does not answer. Is it on, and in this network? Trying again in 1 s."
    )
    expect(trial.locator("#try .name")).to_have_text(named("Bag"))
    expect(trial.locator("#working")).to_be_hidden()


def test_a_file_that_has_gone_meanwhile_is_named(trial: Page, pictures: list[Path]) -> None:
    def answer(route: Route) -> None:
        pictures[1].unlink(missing_ok=True)
        route.continue_()

    trial.route("**/api/classify*", answer)

    trial.set_input_files("#files", pictures[:2])

    expect(trial.locator("#rows tr").nth(0)).to_contain_text("Sneaker")
    expect(trial.locator("#rows tr").nth(1)).to_contain_text("can no longer be read")


def test_a_device_that_is_busy_is_asked_again(trial: Page, pictures: list[Path]) -> None:
    busy = [True, True]
    trial.route(
        "**/api/classify*",
        lambda route: (
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": "busy"})
            if busy and busy.pop()
            else route.continue_()
        ),
    )

    trial.set_input_files("#files", pictures[1])

    expect(trial.locator("#try .name")).to_have_text(named("Bag"))
    assert busy == []
