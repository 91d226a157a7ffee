#!/bin/sh
# Prints the Debian packages of the servers that the camera is tried with and that are not here.
for package in ffmpeg motion vlc-bin vlc-plugin-access-extra vlc-plugin-base; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
done
