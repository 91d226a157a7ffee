"""From a camera's frames to a steady answer, shown, saved and reported."""
