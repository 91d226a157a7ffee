"""Each figure of `make bench` stands beside what it is to be."""

from bench.aims import AIMS, describe_aims


def result_of(figure: float) -> dict[str, object]:
    """Where every figure is this one."""
    start = {"seconds_ratio": figure, "mb_ratio": figure}
    return {
        "device": {"start": start, "tile": {"ms": {"1": 0.0, "12": figure}, "ratio": figure}},
        "bulk": {"tiles": {"ratio": figure}, "jobs": {"ratio": figure}},
        "camera": {"load": {"ratio": figure}, "still": {"ratio": figure}},
        "numpy_to_litert": {"1": 100.0, "1024": figure},
    }


def test_what_is_within_its_aim_is_shown_and_what_is_not_is_marked() -> None:
    table = describe_aims(result_of(1.3)).splitlines()

    assert len(table) == 2 + len(AIMS)
    assert [line.split("|")[1].strip() for line in table if "missed" in line] == [
        "cold start, x a bare script's time",
        "its memory, x",
        "JPEG of 12 megapixels, x decoding it",
        "1,000 photos, x the time with --jobs 1",
    ]
    assert [cell.strip() for cell in table[2].split("|")[1:-1]] == [
        "cold start, x a bare script's time",
        "1.30",
        "1.25",
        "missed",
    ]


def test_a_figure_that_is_its_aim_is_not_missed() -> None:
    assert "missed" not in describe_aims(result_of(0.55))
