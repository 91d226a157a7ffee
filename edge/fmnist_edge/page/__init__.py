"""The page for browsers and its API for programs: a web server that runs beside the camera's loop."""
