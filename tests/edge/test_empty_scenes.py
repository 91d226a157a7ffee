"""What is said of photos that show no garment: a hundred drawn ones, apart from the other answers, as they take seconds."""

from fmnist_edge import Classifier
from fmnist_edge.errors import BlankError
from train.scenes import a_hundred_empty_scenes


def test_at_most_one_empty_scene_in_twenty_is_named_without_a_doubt(classifier: Classifier) -> None:
    predictions, blank = {}, []
    for name, scene in a_hundred_empty_scenes():
        try:
            (predictions[name],) = classifier.classify(scene)
        except BlankError:
            blank.append(name)

    assert len(predictions) + len(blank) == 100
    assert all(name.startswith(("black-", "white-", "wall-")) for name in blank)
    assert len([name for name, prediction in predictions.items() if not prediction.unsure]) <= 5
    # a window does stand out from its wall
    assert {name for name, prediction in predictions.items() if prediction.garment_found} <= {f"window-{n}" for n in range(5)}
