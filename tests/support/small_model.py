"""A Keras model that takes a second to train and a few to export; it may take the square root of the pixel inside its graph."""

from pathlib import Path
from typing import Any

import numpy as np

from fmnist_edge.contract import to_pixels
from train.dataset import Dataset


def make_model(root: bool) -> Any:
    import keras
    from keras import layers

    image = keras.Input((28, 28), name="image")
    values = layers.Flatten(name="flatten")(image)
    if root:
        values = keras.ops.sqrt(values)
    values = layers.Dense(128, activation="relu", name="hidden")(values)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="probabilities")(values), name="fmnist")


def train_small_model(path: Path, dataset: Dataset) -> None:
    """One with a square root."""
    import keras

    keras.utils.set_random_seed(0)
    model = make_model(root=True)
    model.compile(keras.optimizers.AdamW(weight_decay=0.1), keras.losses.CategoricalCrossentropy(label_smoothing=0.05))
    model.fit(to_pixels(dataset.train_images), np.eye(10)[dataset.train_labels], batch_size=256, epochs=3, verbose=0)
    model.save(path)
