"""The user's own settings of Keras change nothing here."""

import json
import sys
from pathlib import Path

import pytest

from support.commands import run

SHOW = """
from keras import backend, config
print(backend.backend(), config.floatx(), config.image_data_format(), config.epsilon(), config.max_epochs())
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["train.__main__", "export.__main__", "train.fit"])
def test_keras_is_what_is_needed_whatever_the_user_has_set(module: str, tmp_path: Path) -> None:
    own = {"backend": "torch", "floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1}
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(own))
    environment = {"HOME": str(tmp_path), "KERAS_HOME": str(tmp_path / ".keras"), "KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1"}

    result = run(sys.executable, "-c", f"import {module}{SHOW}", environment=environment)

    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["tensorflow", "float32", "channels_last", "1e-07", "None"]
    assert json.loads((tmp_path / ".keras" / "keras.json").read_text()) == own
