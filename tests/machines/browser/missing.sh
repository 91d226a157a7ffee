#!/bin/sh
# Prints the Debian packages that the browser's tests need and that are not here.
for tool in chromium npm; do
  command -v "$tool" >/dev/null || printf '%s ' "$tool"
done
