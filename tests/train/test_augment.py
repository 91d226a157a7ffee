"""What an epoch shows, and what it asks for. Each tile says which one it is: so a shown one is known, moved or mirrored."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from fmnist_edge.contract import CLASSES, PHOTO_MARK, Probabilities, Tiles
from train.augment import (
    COPIES,
    FOLDS,
    MOST_SHOWN,
    PHOTO_COPIES,
    Examples,
    Lessons,
    Wanted,
    are_shoes,
    choose_folds,
    move,
    shares,
    smooth,
)
from train.cutting import NO_PHOTOS, PhotoTiles
from train.recipes import Recipe

IMAGES, HELD_OUT = 1200, 200
SHOWN = IMAGES - HELD_OUT
PHOTOS = 30
RECIPE = Recipe("", epochs=10, shift=0.6, flip=0.3, photo_share=0.8, calm_share=0.5)
PLAIN = Recipe("", epochs=10)
IMAGE, DISTURBED, PHOTO = 251, 252, 253
SHOES = [CLASSES.index(name) for name in ("Sandal", "Sneaker", "Ankle boot")]
OTHERS = [class_id for class_id in range(10) if class_id not in SHOES]


class Shown(NamedTuple):
    """Which tile it is, of which kind, and how it is shown: how many pixels lower, further to the right, and whether mirrored."""

    kind: int
    number: int
    lower: int
    right: int
    mirrored: bool


def marked(kind: int, count: int) -> Tiles:
    """Tiles that say which they are, in three pixels of a row."""
    tiles, numbers = np.zeros((count, 28, 28), np.uint8), np.arange(count)
    tiles[:, 12, 4], tiles[:, 12, 6], tiles[:, 12, 8] = kind, 1 + numbers // 200, 1 + numbers % 200
    return tiles


def read(tile: np.ndarray) -> Shown:
    tile = np.where(np.arange(784).reshape(28, 28), tile, 0)  # without its mark
    row, column = np.unravel_index(tile.argmax(), tile.shape)
    mirrored = bool(column > 14)
    high, low = (int(tile[row, column + (-step if mirrored else step)]) for step in (2, 4))
    right = (23 if mirrored else 4) - int(column)
    return Shown(int(tile.max()), 200 * (high - 1) + low - 1, int(row) - 12, right if mirrored else -right, mirrored)


def examples() -> Examples:
    return Examples(marked(IMAGE, IMAGES), (np.arange(IMAGES) % 10).astype(np.uint8))


def photos_of(contributors: np.ndarray) -> PhotoTiles:
    """One of each class after the other, but every tenth shows what there is no class for."""
    accepted = np.eye(10, dtype=bool)[np.arange(len(contributors)) % 10]
    accepted[9::10] = False
    return PhotoTiles(marked(PHOTO, len(contributors)), accepted, contributors, np.full(len(contributors), "photo"))


def lessons_of(recipe: Recipe, photos: PhotoTiles = NO_PHOTOS, seed: int = 0, answers: Probabilities | None = None) -> Lessons:
    """The lessons, with copies that say which they are in place of disturbed ones, which it takes TensorFlow to make."""
    lessons = Lessons(replace(recipe, photo_share=0), examples(), seed)
    lessons.recipe, lessons.photos, lessons.folds = recipe, photos, choose_folds(photos.contributors)
    lessons.chosen = np.full(len(photos), True)
    lessons.disturbed = marked(DISTURBED, COPIES * IMAGES).reshape(COPIES, IMAGES, 28, 28)
    lessons.photo_copies = marked(PHOTO, len(photos) * PHOTO_COPIES).reshape(-1, PHOTO_COPIES, 28, 28)
    lessons.wanted = lessons.choose_wanted(answers)
    return lessons


def coded(*shape: int, kind: int) -> Probabilities:
    """No probabilities, but a code for each tile: its kind and number."""
    codes = np.zeros((*shape, 10), np.float32)
    codes[..., 0], codes[..., 1] = kind, np.arange(np.prod(shape)).reshape(shape)
    return codes


def show(lessons: Lessons, epoch: int, fold: int | None) -> dict[int, list[Shown]]:
    """What an epoch shows, by kind."""
    tiles, _, _ = lessons.draw(epoch, fold)
    read_tiles = [read(tile) for tile in tiles]
    return {kind: [shown for shown in read_tiles if shown.kind == kind] for kind in (IMAGE, DISTURBED, PHOTO)}


CONTRIBUTORS = np.arange(PHOTOS) // 3


def coded_lessons(seed: int = 0) -> Lessons:
    """Lessons that ask for codes, and not for probabilities."""
    lessons = lessons_of(RECIPE, photos_of(CONTRIBUTORS), seed)
    lessons.wanted = Wanted(coded(2, IMAGES, kind=IMAGE), coded(PHOTOS, kind=PHOTO))
    return lessons


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return coded_lessons()


def test_an_epoch_shows_each_image_once_and_the_others_by_their_shares(lessons: Lessons) -> None:
    shown = show(lessons, 1, None)

    assert {one.number for one in shown[IMAGE]} == set(range(IMAGES))
    assert [len(shown[kind]) for kind in (IMAGE, DISTURBED, PHOTO)] == [IMAGES + 192, 408, 360]
    assert lessons.size(None) == sum(map(len, shown.values()))


def test_what_is_held_out_is_not_shown_and_all_else_is(lessons: Lessons) -> None:
    shown = show(lessons, 1, 2)

    assert {one.number for one in shown[IMAGE]} == set(range(SHOWN))
    assert [len(shown[kind]) for kind in (IMAGE, DISTURBED, PHOTO)] == [SHOWN + 160, 352, 288]
    assert lessons.size(2) == sum(map(len, shown.values()))


@pytest.mark.parametrize("epoch", [1, 10])
def test_no_disturbed_copy_of_an_image_that_is_held_out_is_learned_from(epoch: int, lessons: Lessons) -> None:
    disturbed = [one.number % IMAGES for one in show(lessons, epoch, 0)[DISTURBED]]

    assert max(disturbed) < SHOWN
    assert len(set(disturbed)) == len(disturbed)  # and none is shown twice


@pytest.mark.parametrize("fold", range(FOLDS))
def test_no_photo_by_a_contributor_who_is_held_out_is_learned_from(fold: int, lessons: Lessons) -> None:
    held_out = set(CONTRIBUTORS[lessons.folds == fold])

    shown = {int(CONTRIBUTORS[one.number // PHOTO_COPIES]) for epoch in range(1, 4) for one in show(lessons, epoch, fold)[PHOTO]}

    assert len(held_out) == 2
    assert shown.isdisjoint(held_out)
    assert lessons.to_learn(fold).sum() == 24


def test_photos_by_all_contributors_are_learned_from_in_the_end(lessons: Lessons) -> None:
    shown = {one.number // PHOTO_COPIES for epoch in range(1, 4) for one in show(lessons, epoch, None)[PHOTO]}

    assert shown == set(range(PHOTOS))


def test_photos_that_were_not_chosen_are_never_shown() -> None:
    lessons = lessons_of(RECIPE, photos_of(CONTRIBUTORS))
    lessons.chosen = np.arange(PHOTOS) % 2 == 0

    shown = {one.number // PHOTO_COPIES for epoch in range(1, 4) for one in show(lessons, epoch, None)[PHOTO]}

    assert shown == set(range(0, PHOTOS, 2))


def test_all_copies_are_shown(lessons: Lessons) -> None:
    shown = [show(lessons, epoch, None) for epoch in range(1, 4)]

    assert {one.number // IMAGES for epoch in shown for one in epoch[DISTURBED]} == set(range(COPIES))
    assert {one.number % PHOTO_COPIES for epoch in shown for one in epoch[PHOTO]} == set(range(PHOTO_COPIES))


def test_what_is_wanted_is_wanted_of_its_tile(lessons: Lessons) -> None:
    """Of a disturbed copy, what is wanted of the image that it was made of; of a photo's copies, the same of all."""
    for fold in (None, 1):
        tiles, wanted, _ = lessons.draw(1, fold)
        for tile, row in zip(tiles, wanted.astype(int), strict=True):
            shown = read(tile)
            expected = {
                IMAGE: (IMAGE, shown.number + IMAGES * shown.mirrored),
                DISTURBED: (IMAGE, shown.number % IMAGES),
                PHOTO: (PHOTO, shown.number // PHOTO_COPIES),
            }
            assert tuple(row[:2]) == expected[shown.kind]


def test_any_of_several_classes_will_do_for_photos_alone_and_not_where_none_is_right(lessons: Lessons) -> None:
    tiles, _, flags = lessons.draw(1, None)

    shown = [read(tile) for tile in tiles]
    assert flags.tolist() == [one.kind == PHOTO and one.number // PHOTO_COPIES % 10 != 9 for one in shown]


def test_shoes_are_never_mirrored_and_everything_else_is(lessons: Lessons) -> None:
    """Fashion-MNIST's shoes all point to the left."""
    images = [one for epoch in range(1, 6) for one in show(lessons, epoch, None)[IMAGE]]
    shown, mirrored = (Counter(one.number % 10 for one in images if one.mirrored in kept) for kept in ((True, False), (True,)))

    assert sorted(mirrored) == OTHERS
    for class_id in OTHERS:
        assert 0.25 < mirrored[class_id] / shown[class_id] < 0.35


def test_six_of_ten_images_are_moved_by_a_pixel_each_way_as_often(lessons: Lessons) -> None:
    images = [one for epoch in range(1, 6) for one in show(lessons, epoch, None)[IMAGE]]
    ways = Counter((one.lower, one.right) for one in images)

    assert sorted(ways) == [(-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)]
    for way, count in ways.items():
        wanted = 0.15 if any(way) else 0.4
        assert count / len(images) == pytest.approx(wanted, abs=0.02)


def test_images_alone_are_moved_and_mirrored(lessons: Lessons) -> None:
    shown = show(lessons, 1, None)

    assert {one[2:] for kind in (DISTURBED, PHOTO) for one in shown[kind]} == {(0, 0, False)}


@pytest.mark.parametrize(("fold", "count"), [(None, 192), (0, 160)])
def test_some_images_are_shown_marked_as_photos_beside_those_that_are_not(fold: int | None, count: int, lessons: Lessons) -> None:
    """So what Fashion-MNIST tells of bags counts for photos, too, of which none shows one."""
    tiles, _, _ = lessons.draw(1, fold)

    images = [(read(tile).number, tile[0, 0] == PHOTO_MARK) for tile in tiles if read(tile).kind == IMAGE]
    plain, marked = (sorted(number for number, is_marked in images if is_marked == wanted) for wanted in (False, True))
    assert plain == list(range(SHOWN if fold == 0 else IMAGES))
    assert len(set(marked)) == len(marked) == count
    assert set(marked) <= set(plain)


def test_a_recipe_that_asks_for_nothing_shows_the_images_as_they_are() -> None:
    lessons = lessons_of(PLAIN)

    shown = show(lessons, 1, None)

    assert sorted(shown[IMAGE]) == [Shown(IMAGE, number, 0, 0, False) for number in range(IMAGES)]
    assert lessons.size(None) == sum(map(len, shown.values())) == IMAGES
    assert lessons.size(0) == SHOWN


@pytest.mark.parametrize(("epoch", "calm"), [(1, False), (5, False), (6, True), (10, True)])
def test_in_its_last_part_a_training_shows_tiles_more_as_they_are(epoch: int, calm: bool, lessons: Lessons) -> None:
    shown = show(lessons, epoch, None)
    often, images = 1 / 3 if calm else 1, shown[IMAGE]

    assert len(shown[DISTURBED]) == 408
    assert np.mean([bool(one.lower or one.right) for one in images]) == pytest.approx(0.6 * often, abs=0.06)
    assert np.mean([one.mirrored for one in images]) == pytest.approx(0.7 * 0.3 * often, abs=0.05)


def test_without_a_calm_part_the_last_epoch_is_like_the_first() -> None:
    images = show(lessons_of(replace(RECIPE, calm_share=0)), 10, None)[IMAGE]

    assert np.mean([bool(one.lower or one.right) for one in images]) == pytest.approx(0.6, abs=0.06)


def test_an_epochs_order_is_random(lessons: Lessons) -> None:
    first, second = ([read(tile) for tile in lessons.draw(epoch, None)[0]] for epoch in (1, 2))
    kinds = np.array([one.kind for one in first])

    assert [one.number for one in first if one.kind == IMAGE] != [one.number for one in second if one.kind == IMAGE]
    for kind in (IMAGE, DISTURBED, PHOTO):
        assert 0.4 < np.flatnonzero(kinds == kind).mean() / len(kinds) < 0.6


def test_an_epoch_is_the_same_whatever_was_drawn_before_and_unlike_any_other(lessons: Lessons) -> None:
    """A training that was killed goes on as if it had not been."""
    drawn = [lessons.draw(epoch, None) for epoch in (1, 2, 2)]
    fresh, other_seed = (coded_lessons(seed).draw(2, None) for seed in (0, 1))

    for again in (drawn[2], fresh):
        assert all((one == other).all() for one, other in zip(drawn[1], again, strict=True))
    assert (drawn[0][0] != drawn[1][0]).any()
    assert (other_seed[0] != drawn[1][0]).any()


@pytest.mark.parametrize(("photos", "shown_photos"), [(0, 0), (1, MOST_SHOWN), (5, 60), (63, 756), (64, 768), (99, 768)])
def test_where_photos_are_few_disturbed_images_stand_for_them(photos: int, shown_photos: int) -> None:
    lessons = lessons_of(RECIPE, photos_of(np.arange(photos)))

    shown = show(lessons, 1, None)

    assert [len(shown[kind]) for kind in (PHOTO, DISTURBED)] == [shown_photos, 768 - shown_photos]
    assert lessons.size(None) == IMAGES + 960 == sum(map(len, shown.values()))


def test_photos_that_are_all_by_one_contributor_teach_nothing_while_they_are_held_out() -> None:
    lessons = lessons_of(RECIPE, photos_of(np.full(PHOTOS, 7)))
    (fold,) = set(lessons.folds)

    assert show(lessons, 1, int(fold))[PHOTO] == []
    assert len(show(lessons, 1, int(fold))[DISTURBED]) == 640
    assert lessons.size(int(fold)) == SHOWN + 800


def test_a_recipe_without_a_share_for_photos_leaves_them_alone() -> None:
    lessons = Lessons(PLAIN, examples(), 0, photos_of(CONTRIBUTORS))

    assert len(lessons.photos) == len(lessons.photo_copies) == len(lessons.folds) == 0


def test_one_image_in_six_is_held_out_the_last_ones() -> None:
    images, held_out = examples(), Lessons(PLAIN, examples(), 0).held_out

    assert held_out.tolist() == [False] * SHOWN + [True] * HELD_OUT
    assert (images[held_out].tiles == images.tiles[SHOWN:]).all()
    assert images[held_out].labels.tolist() == images.labels[SHOWN:].tolist()


def certain(class_id: int) -> Probabilities:
    """What a teacher says who gives one answer to everything."""
    return np.tile(np.eye(10, dtype=np.float32)[class_id], (2, IMAGES, 1))


@pytest.mark.parametrize("recipe", [replace(RECIPE, label_smoothing=0.1), replace(PLAIN, label_smoothing=0.1, taught=False)])
def test_without_a_teacher_labels_are_asked_for(recipe: Recipe) -> None:
    lessons = Lessons(replace(recipe, photo_share=0), examples(), 0, answers=None if recipe.taught else certain(5))

    for asked in lessons.wanted.of_images:
        np.testing.assert_array_equal(asked, smooth(lessons.images.labels, 0.1))


@pytest.mark.parametrize("answers", [None, certain(5)])
def test_of_a_photo_any_right_class_is_wanted_and_of_other_things_all_equally(answers: Probabilities | None) -> None:
    photos = photos_of(CONTRIBUTORS)
    photos.accepted[0, [3, 4]] = True

    wanted = lessons_of(RECIPE, photos, answers=answers).wanted.of_photos

    assert wanted[:3].tolist() == [[1, 0, 0, 1, 1, 0, 0, 0, 0, 0], [0, 1, *[0] * 8], [0, 0, 1, *[0] * 7]]
    np.testing.assert_allclose(wanted[9], np.full(10, 0.1))


def test_a_label_has_its_share_beside_what_the_teacher_says_of_the_image_as_it_is_and_mirrored() -> None:
    answers = np.stack([certain(5)[0], certain(6)[0]])

    lessons = Lessons(replace(PLAIN, taught=True, teachers_share=0.8), examples(), 0, answers=answers)

    for asked, said in zip(lessons.wanted.of_images, answers, strict=True):
        np.testing.assert_allclose(asked, 0.2 * np.eye(10)[lessons.images.labels] + 0.8 * said, atol=1e-6)


def test_shoes_are_photos_for_which_some_shoe_is_right_and_nothing_else() -> None:
    accepted = np.zeros((4, 10), bool)
    accepted[0, 5] = accepted[1, SHOES] = accepted[2, [6, 9]] = True

    assert are_shoes(accepted).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        (0, {"Pants": 100, "Polo": 25, "sandal": 75, "Hat": 50}),
        (0.5, {"Pants": 10, "Polo": 5, "sandal": 15, "Hat": 10}),
        (1, {"Pants": 1, "Polo": 1, "sandal": 3, "Hat": 2}),
    ],
)
def test_rare_kinds_are_shown_more_evenly_and_shoes_and_other_things_still_more_often(
    balance: float, expected: dict[str, float]
) -> None:
    many = np.array(["Pants"] * 100 + ["Polo"] * 25 + ["sandal"] * 25 + ["Hat"] * 25)

    shown = shares(many, balance)

    assert shown.sum() == pytest.approx(1)
    for kind, weight in expected.items():
        assert shown[many == kind].sum() == pytest.approx(weight / sum(expected.values()))
        assert len(set(shown[many == kind])) == 1


def test_photos_are_drawn_by_these_shares() -> None:
    photos = replace(photos_of(np.arange(100)), kinds=np.array(["rare"] * 10 + ["common"] * 90))
    lessons = lessons_of(replace(RECIPE, photo_share=1, photo_balance=1), photos)

    shown = [one.number // PHOTO_COPIES < 10 for one in show(lessons, 1, None)[PHOTO]]

    assert len(shown) == 0.8 * IMAGES
    assert np.mean(shown) == pytest.approx(0.5, abs=0.04)


def test_a_users_own_photos_are_drawn_as_often_as_their_weight_says() -> None:
    photos = replace(photos_of(np.repeat([0, -1], 50)), kinds=np.repeat(["Pants", "your Trouser"], 50))
    lessons = lessons_of(replace(RECIPE, photo_share=1, own_weight=4), photos)

    own = [one.number // PHOTO_COPIES >= 50 for one in show(lessons, 1, None)[PHOTO]]

    assert len(own) == 0.8 * IMAGES
    assert np.mean(own) == pytest.approx(0.8, abs=0.04)


def test_all_photos_by_one_contributor_are_held_out_together() -> None:
    contributors = np.random.default_rng(0).permutation(np.repeat([7, 3, -1, 9, 2, 8], [50, 20, 10, 10, 9, 1]))

    folds = choose_folds(contributors)

    assert all(len(np.unique(folds[contributors == one])) == 1 for one in np.unique(contributors))
    assert np.bincount(folds, minlength=FOLDS).tolist() == [50, 20, 10, 10, 10]


def test_labels_are_smoothed_over_all_classes() -> None:
    (row,) = smooth(np.array([3], np.uint8), 0.1)

    np.testing.assert_allclose(row, [0.01, 0.01, 0.01, 0.91, *[0.01] * 6], rtol=1e-5)
    assert row.dtype == np.float32
    assert smooth(np.array([3], np.uint8), 0).tolist() == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]]


def test_what_moves_out_of_a_tile_is_lost_and_background_moves_in() -> None:
    tile = np.arange(784).reshape(1, 28, 28).astype(np.uint8)

    lower, right = move(tile, 0, 1), move(tile, 1, 0)

    assert (lower[0, 1:] == tile[0, :-1]).all()
    assert not lower[0, 0].any()
    assert (right[0, :, 1:] == tile[0, :, :-1]).all()
    assert not right[0, :, 0].any()
