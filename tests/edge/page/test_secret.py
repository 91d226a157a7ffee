"""The token that opens the page: made once, on the disk before it has its name, for its user alone, and hardly ever shown."""

import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fmnist_edge.errors import FmnistEdgeError
from fmnist_edge.page.secret import NAME, TOKEN, VARIABLE, Secret, announce, find_secret, make_secret, state_folder
from support.terminals import stdout_on_a_terminal

GOOD = "correct-horse_battery~1."


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the token is kept."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "var" / "state"))
    return tmp_path / "var" / "state"


def complaint(act: Callable[[], object]) -> str:
    with pytest.raises(FmnistEdgeError) as caught:
        act()
    return str(caught.value)


@pytest.mark.parametrize("broken_off", [True, False])
def test_a_token_is_made_where_none_is_and_after_a_power_cut(folder: Path, broken_off: bool) -> None:
    if broken_off:
        folder.mkdir(parents=True)
        (folder / NAME).touch()

    first, path, made = find_secret()
    second, _, made_again = find_secret()

    assert (made, made_again) == (True, False)
    assert first.token == second.token
    assert TOKEN.fullmatch(first.token)
    assert len(first.token) >= 22  # 128 bits
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [path] == [folder / "page-token"]


def test_no_two_tokens_are_the_same(folder: Path) -> None:
    folder.mkdir(parents=True)
    made = [make_secret(folder / str(number)) for number in range(3)]

    assert made == [True] * 3
    assert len({(folder / str(number)).read_text() for number in range(3)}) == 3


def test_a_token_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def noting(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            steps.append(name)
            if name == "link":  # which can't lead from one disk to another
                assert Path(arguments[0]).parent == folder
            return act(*arguments)

        return noted

    for name in ("fsync", "link"):
        monkeypatch.setattr(os, name, noting(name, getattr(os, name)))

    find_secret()

    assert steps == ["fsync", "link", "fsync"]


def test_of_two_pages_that_begin_at_once_the_second_takes_the_firsts_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def be_second(part: str, path: Path) -> None:
        path.write_text(GOOD)
        raise FileExistsError

    monkeypatch.setattr(os, "link", be_second)

    secret, path, made = find_secret()

    assert (secret.token, made) == (GOOD, False)
    assert list(folder.iterdir()) == [path]


def test_a_token_that_others_could_read_is_closed_to_them(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_text(f"{GOOD}\n")
    (folder / NAME).chmod(0o644)

    secret, path, made = find_secret()

    assert (secret.token, made) == (GOOD, False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_of_somebody_elses_choice_comes_by_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, GOOD)

    secret, place, made = find_secret()

    assert (secret.token, str(place), made) == (GOOD, "$FMNIST_EDGE_PAGE_TOKEN", False)
    assert not folder.exists()


@pytest.mark.parametrize(
    "token", ["x" * 15, "with a space in its middle", "tükisch-und-lang-genug", "sixteen-and-more&x=1", "x" * 16 + "\n"]
)
def test_a_token_that_could_be_guessed_or_stands_in_no_link_is_refused(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, token)

    assert complaint(find_secret) == (
        "$FMNIST_EDGE_PAGE_TOKEN: a token needs at least 16 characters, only letters, digits and -._~; remove it to get a new one"
    )


def test_sixteen_characters_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "x" * 16)

    assert find_secret()[0].token == "x" * 16


def test_a_token_that_can_not_be_kept_or_read_is_named_with_its_place(folder: Path) -> None:
    folder.parent.mkdir()
    folder.touch()
    assert complaint(find_secret) == f"{folder}/page-token: the page's token can't be saved there (File exists)"

    folder.unlink()
    (folder / NAME).mkdir(parents=True)
    assert complaint(find_secret) == f"{folder}/page-token: the page's token can't be read (Is a directory)"

    (folder / NAME).rmdir()
    (folder / NAME).write_bytes(b"\xff" * 20)
    assert complaint(find_secret).startswith(f"{folder}/page-token: the page's token can't be read ('utf-8' codec")

    (folder / NAME).write_text("short")
    assert complaint(find_secret).startswith(f"{folder}/page-token: a token needs at least 16 characters")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/x", "XDG_STATE_HOME": "/xdg", "HOME": "/home/me"}, "/var/lib/x"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/fmnist-edge"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "", "HOME": "/home/me"}, "/home/me/.local/state/fmnist-edge"),
    ],
)
def test_the_token_is_kept_where_the_service_or_the_user_keeps_things(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert state_folder() == Path(expected)


def test_a_token_opens_and_its_cookie_is_another_secret() -> None:
    secret = Secret(GOOD)

    assert secret.opens(GOOD)
    assert secret.is_cookie(secret.cookie)
    assert not any(secret.opens(token) for token in ("", GOOD[:-1], GOOD + "x", GOOD.upper(), secret.cookie, "\udcff"))
    assert not any(secret.is_cookie(cookie) for cookie in ("", GOOD, secret.cookie[:-1], Secret(GOOD + "x").cookie, "\udcff"))
    # a browser is known after a restart, and after an update
    assert secret.cookie == "34f66ccd8cf60667bb8f388bb344b72023535b13a1b4f294720e091e3ba87f1e"


def test_the_link_with_the_token_is_shown_once_and_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    secret, path, link = Secret(GOOD), Path("state/page-token"), "http://pi.local:8642/"

    announce(link, None, None, False)
    announce(link, secret, path, True)  # to a journal
    assert capsys.readouterr().out == f"{link}\n{link}?token=...  (the token is in state/page-token)\n"

    with stdout_on_a_terminal() as terminal:
        announce(link, secret, path, False)
        again = terminal.read()
        announce(link, secret, path, True)
        first = terminal.read()
    assert again == f"{link}?token=...  (the token is in state/page-token)\n"
    assert first.endswith(
        f"\n{link}?token={GOOD}\n"
        "This link opens the page on other devices. It is shown once; the token stays in state/page-token\n"
    )
    assert 10 < first.count("\n") < 24  # a code for a phone's camera


class Stdout(io.TextIOWrapper):
    """Which keeps what is not flushed."""


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("secret", [Secret(GOOD), None])
def test_the_link_is_not_held_back_where_others_wait_for_it(
    made: bool, secret: Secret | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    stdout = Stdout(written, "utf-8")
    monkeypatch.setattr(type(stdout), "isatty", lambda self: made)
    monkeypatch.setattr(sys, "stdout", stdout)

    announce("http://pi.local:8642/", secret, Path("page-token"), made)

    assert b"http://pi.local:8642/" in written.getvalue()
