"""What is shown of a camera's address: for any password in any place, nothing of it."""

import re
import string
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from fmnist_edge.address import heard, mask_addresses, parse, safe_name, scrub
from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.errors import UsageError
from support.commands import fmnist_edge

PASSWORDS = st.text(string.ascii_letters + string.digits + "/#?@:&=;_%+ $'\"\\[]{}\t\né€😀", min_size=5, max_size=12)
PLACES = (
    "rtsp://admin:{}@camera.local:554/live",
    "http://admin:{}@192.168.1.10/video?channel=1",
    "https://{}@camera.local/snap.jpg",
    "rtsp://192.168.1.10:554/user=admin&password={}&channel=1&stream=0.sdp",
    "rtsp://192.168.1.10:554/user=admin_password={}_channel=1_stream=0.sdp",
    "rtsp://camera.local/user=admin;pwd={};channel=1",
    "http://camera.local/cgi-bin/snap?user=admin&pass={}",
    "http://camera.local/token={}/video",
    "http://admin:a{}@camera.local/snap?key=b{}",
    "rtsps://camera.local:322/api_key={}?quality=1",
    "rtps://admin:{}@camera.local/live",
    "rtsp:/admin:{}@camera.local/live",
    "http//admin:{}@camera.local/live",
    "admin:{}@camera.local",
)
SAFE = "".join(PLACES) + "*" * 20 + "there is no such file, and an address begins as in rtsp://HOST/ or http://HOST/"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("rtsp://admin:geheim@camera.local:554/live?x=1#a", "rtsp://camera.local:554/live"),
        ("rtsp://admin:p@ss@camera.local/live", "rtsp://camera.local/live"),
        ("rtsp://camera/user=admin&password=geheim&channel=1", "rtsp://camera/user=admin&password=***"),
        ("rtsp://camera/user=admin_password=ge_heim_channel=1", "rtsp://camera/user=admin_password=***"),
        ("rtsp://1.2.3.4:554/user=admin&password=p@ss&channel=1", "rtsp://1.2.3.4:554/user=admin&password=***"),
        ("rtsp://camera/user=admin&password=p@ss&channel=1", "rtsp://camera/user=admin&password=***"),
        ("HTTP://[fe80::1%eth0]:80/video", "http://[fe80::1%eth0]:80/video"),
        ("rtsp://admin:pa/ss@camera.local/live", "rtsp://***"),
        ("rtsp://admin:pa/ss://@camera.local/live", "rtsp://***"),
        ("http://192.168.1.5:80/a@b", "http://192.168.1.5:80/***"),
        ("http://[fe80::1]:80/a@b", "http://[fe80::1]:80/***"),
        ("film:2.mp4", "film:2.mp4"),
        ("frames/monkey=%04d.png", "frames/monkey=%04d.png"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_a_name_is_what_is_safe_of_an_address(source: str, name: str) -> None:
    assert safe_name(source) == name


@pytest.mark.parametrize(
    "word", ["pass", "PASSWD", "password", "pwd", "pw", "psw", "token", "api_key", "Secret", "auth", "auth%3D"]
)
def test_what_a_password_is_called_in_a_path_is_known(word: str) -> None:
    begin = f"rtsp://camera/user=me&{word}{'' if word.endswith('%3D') else '='}"

    assert safe_name(f"{begin}geheim") == f"{begin}***"


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:pa/ss@camera.local/live",
        "http://admin:se#1@camera.local/live",
        "http://admin:se?1@camera.local/live",
        "rtsp://admin:12/34@camera.local/live",
        "rtsp://admin:/12@camera.local/live",
        "rtsp://admin:12/my_password=x@camera.local/live",
        "rtsp://admin:p@s/s@camera.local/live",
        "http://admin:se\\1/@camera.local",
        "http://tok/en@camera.local",
        "http:///live",
        "http://camera:port/live",
    ],
)
def test_a_password_that_would_split_the_address_is_refused_with_the_cure(source: str) -> None:
    with pytest.raises(UsageError, match="write / # \\? in a password as %2F %23 %3F") as refused:
        cameras(source, FeedOptions())

    assert str(refused.value).startswith(f"{source.partition('://')[0]}://***: ")


def test_what_is_written_with_percent_signs_is_taken_apart_rightly() -> None:
    address = parse("rtsp://admin:pa%2Fss%40@camera.local:8554/live?x=1")

    assert address == ("rtsp", "admin", "pa%2Fss%40", "camera.local", "8554", "/live?x=1")
    assert parse("rtsp://admin:a:b@camera/")[1:3] == ("admin", "a:b")


def test_what_is_no_address_is_told_how_one_begins() -> None:
    with pytest.raises(UsageError, match=r"^an address begins as in rtsp://HOST/ or http://HOST/$"):
        parse("camera.local/live")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PASSWORDS, st.sampled_from(PLACES))
@example("pa/ss", PLACES[0])
@example("12/34", PLACES[0])
@example("se#cr?t", PLACES[0])
@example("a@1.2.3.4/", PLACES[0])
@example("ge&heim_;x", PLACES[3])
@example("to/ken", PLACES[2])
@example("00;0%", PLACES[3])
def test_no_output_holds_a_password_wherever_it_stands(password: str, place: str) -> None:
    assume(password not in SAFE)
    for written in {password, quote(password, safe="")}:
        source = place.replace("{}", written)
        # as libraries quote what they were given, whole or in part
        said = [
            source,
            repr(source),
            f"can't open {source.partition('://')[2]}",
            f"can't open '{quote(source, safe=':/?&=@#;')}'",
        ]

        outputs = [
            safe_name(source),
            outcome(source),
            mask_addresses(f"unexpected argument ({source})") if "://" in source else "",
        ]
        outputs += [scrub(text, source) for text in said]

        assert not [output for output in outputs if password in output or written in output]


def outcome(source: str) -> str:
    """The camera's name, and what it makes of a library's words; or why there is none."""
    try:
        (camera,) = cameras(source, FeedOptions())
    except UsageError as error:
        return str(error)
    return f"{camera.name} {camera.explain(ValueError(f'no way to open {source!r}'))}"


def test_the_words_of_others_stay_but_for_the_secret() -> None:
    source = "http://admin:geheim%21@camera.local/snap?user=admin&pwd=s3cret"

    assert scrub("Connection to camera.local refused", source) == "Connection to camera.local refused"
    assert re.search("no way for [*]+, nor [*]+ [(]geheim[)]", scrub("no way for geheim!, nor s3cret (geheim)", source))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("rtsp://admin:ge@heim@cam/live", "password ge@heim refused"),
        ("rtsp://admin:ge:heim@cam/live", "password ge:heim refused"),
        ("rtsp://admin:ge:heim@cam/live", "password heim refused"),
        ("rtsp://admin:ge\\heim@cam/live", "password ge\\\\heim refused"),
        ("rtsp://admin:abc@cam/live", "password abc refused"),
        ("rtsp://admin:geheim@cam/live", "password GEHEIM refused"),
        ("rtsp://admin:ge:heim", "no port ge:heim refused"),  # the host was forgotten
        ("rtsp://cam/user=admin&PASSWORD=geheim", "geheim refused"),
        ("rtsp://cam/password=a://geheim", "a://geheim refused"),
        ("rtsp://cam/password=ge+hé", "ge+h%C3%A9 refused"),
        ("http://admin:ge%21heim@cam/", "ge!heim refused"),
        ("rtsp://admin:ge$heim@cam/live", "ge%24heim refused"),
        ("rtsp://admin:ge%heim@cam/live", "ge%25heim refused"),
        ("rtsp://admin:ge\udce9heim@cam/live", "ge%E9heim refused"),  # a byte that is no UTF-8
        ("http://cam/token=geheim/video", "geheim refused"),
    ],
)
def test_a_password_that_is_quoted_alone_is_hidden_as_a_whole(source: str, said: str) -> None:
    assert re.fullmatch(r"(password |no port )?[*]+ refused", scrub(said, source))


def test_an_address_that_is_quoted_is_hidden_however_its_scheme_is_written() -> None:
    assert mask_addresses("unexpected argument (RTSP://admin:geheim@cam/live") == "unexpected argument (rtsp://cam/live"


def test_what_was_heard_is_one_line_and_never_none() -> None:
    source = "rtsp://admin:geheim@cam/live"

    assert heard(ValueError(f" no way to {source}\nTraceback"), source) == "no way to ***"
    assert heard(ValueError(""), source) == heard(ValueError(" "), "/dev/video0") == "ValueError"
    assert heard("Not Found", source) == "Not Found"


@pytest.mark.parametrize(
    "arguments",
    [
        ("camera", "rtsp://admin:geheim@camera.local/live"),
        ("camera", "--source", "rtsp://admin:ge/heim@camera.local/geheim"),
        ("camera", "--source", "rtps://admin:geheim@camera.local/live"),
        ("camera", "--source", "rtsp:/admin:geheim@camera.local/live"),
        ("rtsp://admin:geheim@camera.local/live",),
        ("classify", "rtsp://admin:geheim@camera.local/live"),
    ],
)
def test_the_command_quotes_no_password_of_a_slip(arguments: tuple[str, ...]) -> None:
    result = fmnist_edge(*arguments)

    assert result.returncode in (1, 2)
    assert "geheim" not in result.stdout + result.stderr
    assert "***" in result.stderr or "rtsp://camera.local/live" in result.stderr or "rtps:// is unknown" in result.stderr
