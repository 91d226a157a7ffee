#!/bin/bash
# Builds a stand-in for a Raspberry Pi OS 12 in FOLDER: Debian bookworm with Python 3.11 for ARCHITECTURE, in qemu's user mode, and
# FOLDER/venv with the wheel, installed by that Python's own pip as docs/install.md says. No root, chroot or binfmt is needed: python3 is
# a script of this machine that runs the Arm program, so that FOLDER/venv/bin/fmnist-edge runs like any other command.
# All but the wheel itself is built once, and kept until one of the files that say how changes.
# usage: build.sh armhf|arm64 FOLDER WHEEL
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
repository=$(cd "$(dirname "$0")/../../.." && pwd)
wheel=$(realpath "$3")
mkdir -p "$2"
cd "$2"
here=$(pwd -P)
system=$here/root
if [ "$1" = armhf ]; then
  # the page's lines; what apt is to install, mmdebstrap does
  lines=$(sed -n '/^<!-- 32 bits, /,/^```$/{/^[a-z]/p}' "$repository/docs/install.md")
  qemu=qemu-arm-static cpu=cortex-a7 packages=$(sed -n 's/^sudo apt install //p' <<<"$lines")
  lines=$(grep -v '^sudo ' <<<"$lines")
else
  qemu=qemu-aarch64-static cpu=cortex-a72 packages=python3-venv
  lines="python3 -m venv venv && venv/bin/pip install ${wheel##*/}"
fi

key=$(cat "$repository/tests/machines/arm/build.sh" "$repository/pyproject.toml" - <<<"$here $lines" | sha256sum)
if [ "$key" = "$(cat built 2>/dev/null)" ]; then
  venv/bin/pip install --quiet --no-deps --force-reinstall "$wheel"
  exit
fi
echo "building Debian for $1: 60 MB to download, two minutes" >&2
rm -rf -- *
# without its security archive, whose mirrors are out of step more often; as tar, so that all files are ours, whoever we are
mkdir root
mmdebstrap --quiet --variant=extract --skip=check/qemu --architectures="$1" \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --setup-hook='sed -i /security/d "$1/etc/apt/sources.list"' \
  --include="libc-bin libstdc++6 $packages" bookworm - 2>log | tar -x -C root --exclude './dev/*' || { tail log >&2; exit 1; }

rm root/usr/bin/python3
cat >root/usr/bin/python3 <<SCRIPT
#!/bin/sh
unset PYTHONPATH
QEMU_CPU=$cpu exec $qemu -L $system -0 "\$0" $system/usr/bin/python3.11 "\$@"
SCRIPT
chmod +x root/usr/bin/python3

if [ "$1" = armhf ]; then
  # what the packages' own scripts do
  ln -s blas/libblas.so.3 lapack/liblapack.so.3 root/usr/lib/arm-linux-gnueabihf/
  # pip reads in the venv's python3 whether that is a program for armhf: qemu looks into root/ first
  mkdir -p venv/bin "root$here/venv/bin"
  ln root/usr/bin/python3.11 "root$here/venv/bin/python3"
else
  # the processor of a Pi 4: with this machine's, ai-edge-litert 2.3.0 crashes
  mkdir -p root/proc root/sys/devices/system/cpu
  echo 0 | tee root/sys/devices/system/cpu/{possible,present} >/dev/null
  printf '%s\t: %s\n' processor 0 Features 'fp asimd evtstrm crc32 cpuid' 'CPU implementer' 0x41 'CPU architecture' 8 \
    'CPU variant' 0x0 'CPU part' 0xd08 'CPU revision' 3 >root/proc/cpuinfo
fi

cp "$wheel" .
PATH=$system/usr/bin:$PATH bash -euc "$lines" >log 2>&1 || { tail log >&2; exit 1; }
echo "$key" >built
