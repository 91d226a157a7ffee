"""Times and weighs the artifacts and the command (`python -m bench`), and writes what was measured into the README and docs/."""
