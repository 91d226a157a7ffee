"""Trains the Keras model, on the host. Export imports its data set, and so what is set here."""

import os

# The user's own Keras may be set to another backend or to float16, in the environment or in a keras.json in KERAS_HOME: what is
# trained and exported here is TensorFlow's, in float32. Without a home, Keras neither reads nor writes that file.
os.environ |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": os.devnull}
for limit in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
    os.environ.pop(limit, None)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters is raised as well
