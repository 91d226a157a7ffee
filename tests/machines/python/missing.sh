#!/bin/sh
# Prints the Debian packages that `make python-test` needs and this system lacks.
command -v mmdebstrap >/dev/null || echo mmdebstrap
