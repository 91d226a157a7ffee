#!/bin/sh
# Prints the Debian packages that qemu's user mode needs and that are not here.
for tool in mmdebstrap:mmdebstrap qemu-aarch64-static:qemu-user-static qemu-arm-static:qemu-user-static; do
  command -v "${tool%:*}" >/dev/null || echo "${tool#*:}"
done | sort -u | tr '\n' ' '
