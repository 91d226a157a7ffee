#!/bin/sh
# Prints the Debian packages that the emulated Pi needs and that are not here.
PATH=$PATH:/usr/sbin:/sbin
for tool in mmdebstrap:mmdebstrap qemu-system-aarch64:qemu-system-arm ssh-keygen:openssh-client mke2fs:e2fsprogs modprobe:kmod cpio:cpio xz:xz-utils; do
  command -v "${tool%:*}" >/dev/null || printf '%s ' "${tool#*:}"
done
