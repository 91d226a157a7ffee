"""The table of figures: a loss has a minus, and each column its unit."""

from export.table import align, delta, make_table

FILE = {"bytes": 1_234_567, "accuracy": 0.9012, "top1_agreement": 0.9987, "ties": 1}
MANIFEST = {
    "reference": {"file": "fmnist.keras", "bytes": 3_999_600, "accuracy": 0.9025},
    "files": {
        "a.onnx": {**FILE, "dtype": "float32", "accuracy_difference": 0, "max_dp": 1.234e-6},
        "b.tflite": {**FILE, "dtype": "int8", "accuracy_difference": -0.0213, "max_dp": 0.05678, "ties": 2},
    },
    "versions": {"tf2onnx": "1.2.3"},
    "witness": {
        **FILE,
        "accuracy_difference": 0.0104,
        "max_dp": 0.04321,
        "same_class": 9_999,
        "outputs": 100_000,
        "differing_outputs": 1_234,
        "max_difference": 3 / 256,
    },
}


def test_a_row_for_keras_for_each_file_and_for_the_second_witness() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in make_table(MANIFEST).splitlines()[:6]]

    assert rows[0] == ["file", "KB", "accuracy", "difference", "agreement", "largest Δp"]
    assert rows[2:] == [
        ["fmnist.keras", "4000", "90.25%", "-", "-", "-"],
        ["a.onnx", "1235", "90.12%", "+0.00", "99.87%", "1e-06"],
        ["b.tflite", "1235", "90.12%", "-2.13", "99.87%", "0.057"],
        ["fmnist-int8.tflite, by tf2onnx", "-", "90.12%", "+1.04", "99.87%", "0.043"],
    ]


def test_below_it_stand_the_limits_and_how_many_ties_are_left_out() -> None:
    page = make_table(MANIFEST)

    assert (
        "Limits: float32 0.00 points, 100.0%, Δp 1e-05; int8 0.10 points (0.25 if chance explains it), 99.5%, Δp 0.06.\n" in page
    )
    assert "on which Keras has two best classes: 2 of the test images." in page


def test_what_the_second_witness_says_of_the_int8_files_is_counted() -> None:
    page = " ".join(make_table(MANIFEST).split())

    assert "The last line is tf2onnx 1.2.3's own conversion" in page
    assert (
        "On 9,999 images it names the class that fmnist-int8.onnx names; 1,234 of 100,000 outputs differ, by 3/256 at most "
        "(limits: all images, 0.1%, 4/256)." in page
    )


def test_columns_line_up() -> None:
    assert align([("a", "bb"), ("ccc", "d")]) == "| a   | bb |\n|-----|----|\n| ccc | d  |"


def test_int8_differs_by_steps() -> None:
    assert [delta(2 / 256, "int8"), delta(0, "int8"), delta(1.26e-6, "float32")] == ["2/256", "0", "1e-06"]
