"""The teacher of a recipe: a small convolutional network, too slow for the device, whose probabilities the MLP learns to give.

Distillation (Hinton, Vinyals, Dean 2015, arXiv:1503.02531): of a picture, the teacher says more than its label does, "mostly a
shirt, a bit of a coat". It is trained by the recipe itself, on the same tiles.
"""

import keras
import tensorflow as tf
from keras import layers

from fmnist_edge.runtime import CLASSES, INPUT, OUTPUT
from fmnist_edge.tile import TILE_SIZE


def build_teacher() -> keras.Sequential:
    """float32 (N, 28, 28) in [0, 1] to probabilities, float32 (N, 10). The first layer halves the image, to save time."""
    # or else each worker would have means and variances of its own
    synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return keras.Sequential(
        [
            keras.Input((TILE_SIZE, TILE_SIZE), name=INPUT),
            layers.Reshape((TILE_SIZE, TILE_SIZE, 1)),
            layers.Conv2D(32, 5, strides=2, padding="same", activation="relu", kernel_initializer="he_normal"),
            layers.Conv2D(64, 3, padding="same", use_bias=False),
            layers.MaxPooling2D(),
            layers.BatchNormalization(momentum=0.9, synchronized=synchronized),
            layers.ReLU(),
            layers.Conv2D(96, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, synchronized=synchronized),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(len(CLASSES), activation="softmax", name=OUTPUT),
        ],
        name="teacher",
    )
