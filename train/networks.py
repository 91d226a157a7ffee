"""The networks: the MLP, what is folded into its weights after training, and the networks that teach it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from fmnist_edge.contract import CLASSES, INPUT, OUTPUT, TILE_SIZE, Probabilities, Tiles, photo_answer, ten_views, to_pixels
from train.recipes import Recipe

HALF = "mixed_bfloat16"


@dataclass(frozen=True, eq=False)
class Scale:
    """The scaling of a network's input during training: of pixels / 255, or of their square roots.

    The mean is subtracted, and the result divided by the deviation. Both: float32 (28, 28).
    """

    sqrt_input: bool
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def __call__(self, pixels: Any) -> Any:
        """pixels: an array or a tensor, float32 (N, 28, 28) in [0, 1]."""
        return ((keras.ops.sqrt(pixels) if self.sqrt_input else pixels) - self.mean) / self.deviation


def choose_scale(recipe: Recipe, tiles: Tiles) -> Scale:
    """The scale for ``Recipe.scaling``. The 0.1 keeps pixels that hardly vary from dominating."""
    mean, deviation = np.zeros(TILE_SIZE**2), np.full(TILE_SIZE**2, 1 / 255 if recipe.scaling == "none" else 1.0)
    if recipe.scaling == "standardize":
        # counts how often each value occurs: this needs no copy of all tiles as floats
        values = (np.arange(256) / 255) ** (0.5 if recipe.sqrt_input else 1)
        shares = np.stack([np.bincount(pixels, minlength=256) for pixels in tiles.reshape(len(tiles), -1).T]) / len(tiles)
        mean = shares @ values
        deviation = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0)) + 0.1
    return Scale(recipe.sqrt_input, *(array.reshape(TILE_SIZE, TILE_SIZE).astype(np.float32) for array in (mean, deviation)))


def build(hidden: tuple[int, ...], name: str = "fmnist", sqrt_input: bool = False) -> keras.Model:
    """The MLP: float32 (N, 28, 28) in [0, 1] to probabilities, float32 (N, 10). sqrt_input: it begins with a square root.

    The layers are named because Keras would continue the numbers of earlier networks.
    """
    image = keras.Input((TILE_SIZE, TILE_SIZE), name=INPUT)
    values = layers.Flatten(name="flatten")(image)
    values = keras.ops.sqrt(values) if sqrt_input else values
    for i, units in enumerate(hidden):
        values = layers.Dense(units, activation="relu", name=f"dense_{i}" if i else "dense")(values)
    return keras.Model(image, layers.Dense(len(CLASSES), activation="softmax", name=OUTPUT)(values), name=name)


def for_pixels(model: keras.Model, hidden: tuple[int, ...], scale: Scale) -> keras.Model:
    """The trained MLP for plain pixels / 255: in the first layer, W' = W / deviation, b' = b - (mean / deviation) W."""
    kernel, bias, *rest = model.get_weights()
    kernel = kernel.astype(np.float64) / scale.deviation.reshape(-1, 1)
    whole = build(hidden, model.name, scale.sqrt_input)
    whole.set_weights([kernel, bias - scale.mean.reshape(-1) @ kernel, *rest])
    return whole


def fold_temperature(model: keras.Model, temperature: float) -> None:
    """Divides the last layer's weights by the temperature. The classes stay the same; only the confidence changes."""
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / temperature, bias / temperature])


def build_teacher(name: str) -> keras.Model:
    """A convolutional network, too slow for the device, whose probabilities the MLP learns to reproduce (train/teacher.py).

    float32 (N, 28, 28) to probabilities, float32 (N, 10). The first layer halves the image, and convolutions count in bfloat16,
    to save time.
    """

    def convolve(values: keras.KerasTensor, filters: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
        convolution = layers.Conv2D(filters, size, strides, "same", use_bias=False, dtype=HALF, kernel_initializer="he_normal")
        return layers.ReLU(dtype=HALF)(layers.BatchNormalization(momentum=0.9, dtype=HALF)(convolution(values)))

    image = keras.Input((TILE_SIZE, TILE_SIZE), name=INPUT)
    values = convolve(layers.Reshape((TILE_SIZE, TILE_SIZE, 1))(image), 48, 5, 2)
    values = layers.MaxPooling2D(dtype=HALF)(convolve(values, 96))
    values = convolve(values, 160)
    values = layers.Add(dtype=HALF)([values, convolve(values, 160)])
    values = layers.Dropout(0.4)(layers.Flatten()(values))
    return keras.Model(image, layers.Dense(len(CLASSES), activation="softmax", name=OUTPUT)(values), name=name)


def predict(model: keras.Model, tiles: Tiles, scale: Scale | None = None) -> Probabilities:
    """Probabilities, float32 (N, 10), of tiles. scale: of the training, unless it is folded into the model already."""
    parts = map(to_pixels, np.array_split(tiles, -(-len(tiles) // 1000)))
    return np.concatenate([model(scale(pixels) if scale else pixels, training=False).numpy() for pixels in parts])


def predict_photos(model: keras.Model, tiles: Tiles, marked: bool, temperature: float = 1, odds: float = 1) -> Probabilities:
    """The same of photos' tiles, each seen in ten views, as the device does.

    marked: as ``ten_views`` has it. temperature, odds: as ``photo_answer`` has them.
    """
    views = ten_views(tiles, marked).reshape(-1, TILE_SIZE, TILE_SIZE)
    return photo_answer(predict(model, views).reshape(-1, 10, len(CLASSES)), temperature, odds)
