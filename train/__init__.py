"""Trains the Keras model, on the host. Importing this package sets Keras up, for the export too."""

import os

# The environment, or a keras.json in KERAS_HOME, may set the user's Keras to another backend or to float16. Training and export
# here use TensorFlow and float32. Without a home, Keras neither reads nor writes that file.
os.environ |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": os.devnull}
for limit in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
    os.environ.pop(limit, None)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow raises what matters
