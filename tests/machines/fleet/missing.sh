#!/bin/sh
# Prints the Debian packages that the tests' Pis are made of and that are not here.
for package in dbus iproute2 libnss-systemd openssh-client openssh-server sudo systemd; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
done
