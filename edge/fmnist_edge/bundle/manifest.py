"""The manifest.json beside a model: which files belong to one export, by their SHA-256."""

import os
from pathlib import Path

from fmnist_edge.bundle.untrusted import MAX_MANIFEST_BYTES, configured_keys, parse, read
from fmnist_edge.checksum import sha256
from fmnist_edge.errors import ModelError, SignatureError

FORMAT = 1
"""The format of the manifest, the golden set and parity.json; raised when an old reader would misread a new file."""


def read_manifest(path: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its name, that a manifest.json beside a model lists; none if there is none.

    Raises ModelError if it is damaged, SignatureError if a key is configured that did not sign it.
    """
    manifest, keys = path.with_name("manifest.json"), configured_keys()
    if not os.path.lexists(manifest):
        return {}
    try:
        text = read(manifest, MAX_MANIFEST_BYTES)
        listing = parse(text.decode())
        files = {**listing["files"], **listing.get("proof", {})}
        listed = {name: file["sha256"] for name, file in files.items() if isinstance(file, dict) and "sha256" in file}
    except (KeyError, TypeError):  # valid JSON, but not a manifest
        return {}
    except (ModelError, ValueError):
        raise ModelError("the manifest.json beside it is damaged; copy or export both again") from None
    if keys:
        from fmnist_edge.bundle.signature import check  # slow to import, and a device without a key needs none of it

        check(manifest, text, keys)
    return listed


def is_listed(path: Path, content: bytes, listed: dict[str, str]) -> bool:
    """Whether the manifest lists a file.

    Raises ModelError if it is listed with another SHA-256, SignatureError if it is not listed and a key is configured.
    """
    if path.name not in listed:
        if keys := configured_keys():
            raise SignatureError(
                f"no manifest.json beside it lists it, and {keys} asks for a signed one; copy all from one export"
            )
        return False
    if listed[path.name] != sha256(content).hexdigest():
        raise ModelError("it is not the file that the manifest.json beside it lists; copy or export both again")
    return True
