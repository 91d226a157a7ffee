"""May this model be trusted? What it says of itself, the manifest, the signature, the golden set."""
