"""What a training needs to go on after it was killed: written after each epoch, removed when the model is complete."""

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from train.history import Epoch
from train.workers import agree, from_first


class Checkpoint:
    """One file beside the model to be. ``resume``: go on from what is there; else it is overwritten.

    settings: what the training was told; a checkpoint of other settings is not gone on from. Of several workers, each
    writes its own, but all go on from the first one's: where one dies, the others may be an epoch further.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], resume: bool) -> None:
        self.path, self.settings = path, json.dumps(settings, sort_keys=True)
        agree(self.settings)
        content = from_first(path.read_bytes() if resume and path.exists() else b"")
        self.state: dict[str, Any] = {}
        # nothing, or what is no checkpoint, is nothing to go on from
        with suppress(ValueError, EOFError, KeyError, zipfile.BadZipFile), np.load(io.BytesIO(content)) as file:
            if str(file["settings"]) == self.settings:
                self.state = dict(file)

    def restore(self, network: str, variables: Sequence[keras.Variable]) -> list[Epoch]:
        """Gives the variables the values of the last epoch of that network, and returns its epochs; none if there is nothing."""
        if f"{network}.epochs" not in self.state:
            return []
        for number, variable in enumerate(variables):
            variable.assign(self.state[f"{network}.{number}"])
        return [Epoch(**epoch) for epoch in json.loads(str(self.state[f"{network}.epochs"]))]

    def save(self, network: str, variables: Sequence[keras.Variable], history: Sequence[Epoch]) -> None:
        values = {f"{network}.{number}": variable.numpy() for number, variable in enumerate(variables)}
        epochs = json.dumps([asdict(epoch) for epoch in history])
        self.state |= {"settings": self.settings, f"{network}.epochs": epochs, **values}
        # a folder of its own, in case that workers share a disk; what they write is the same
        with tempfile.TemporaryDirectory(prefix=".train-", dir=self.path.parent) as scratch:
            part = Path(scratch) / self.path.name
            np.savez(part, **self.state)
            part.replace(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
