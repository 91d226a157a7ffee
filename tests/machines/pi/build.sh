#!/bin/bash
# Builds an emulated 64-bit Raspberry-Pi-class machine in FOLDER: Debian trixie for arm64 with Python 3.13, the wheel with its
# dependencies in the venv /opt/venv, a V4L2 camera (the kernel's vivid driver, which shows at video0 what is written to video1),
# and a libcamera camera (its virtual pipeline, which shows the JPEG files in /share/camera) with picamera2 as apt installs it.
# It boots in two ways: with nothing but what runs the tests' commands, in seconds; or, to be deployed to, with systemd, udev and an
# ssh server, where the user pi may use sudo.
# All but the wheel itself is built once, and kept until this script or what the wheel asks for changes.
# usage: build.sh FOLDER WHEEL UV [16k]      leaves kernel, initrd.gz and disk.ext4 in FOLDER; 16k: memory in pages of 16 KB
set -euo pipefail
umask 022
PATH=$PATH:/usr/sbin:/sbin
wheel=$(realpath "$2") uv=$(realpath "$3") pages=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
key=$(cat "$here"/build.sh "$here"/picamera2_shims.py "$here"/../../../pyproject.toml | sha256sum)
mkdir -p "$1"
cd "$1"
site=root/opt/venv/lib/python3.13/site-packages
arm() { "$uv" pip install --quiet --python-version 3.13 --python-platform aarch64-manylinux_2_28 --only-binary :all: --target "$@"; }

if [ "$key" != "$(cat built 2>/dev/null)" ]; then
  echo "building the emulated Pi: about 200 MB to download, a minute" >&2
  rm -rf -- *
  mkdir -p root initrd/{modules,proc,sys,dev,mnt}
  # as a tar archive, so that all files are ours, whoever we are
  mmdebstrap --quiet --variant=extract --skip=check/qemu --architectures=arm64 \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --include=libc-bin,libstdc++6,python3,python3-libcamera,python3-prctl,coreutils,curl,dash,kmod,v4l-utils,busybox-static,"linux-image-arm64${pages:+-$pages}" \
    --include=base-files,base-passwd,bash,grep,gzip,libpam-modules,mount,openssh-server,sed,sudo,systemd,tar,udev,util-linux \
    trixie - 2>mmdebstrap.log | tar -x --no-same-owner -C root --exclude './dev/*' || { tail mmdebstrap.log >&2; exit 1; }

  # what `python3 -m venv /opt/venv` makes
  mkdir -p root/opt/venv/bin "$site"
  ln -s /usr/bin/python3 root/opt/venv/bin/python
  printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.13\n' >root/opt/venv/pyvenv.cfg
  arm "$site" "$wheel[camera,page]"

  # picamera2 stands among the system's packages; it imports pidng, which is for raw pictures, and pykms, for a screen
  system=root/usr/lib/python3/dist-packages
  arm "$system" --no-deps picamera2 simplejpeg videodev2 piexif jsonschema libarchive-c tqdm attrs jsonschema-specifications referencing rpds-py
  mkdir -p "$system/pidng" root/usr/share/libcamera/pipeline/virtual
  : >"$system/pidng/__init__.py"
  echo 'class PICAM2DNG: pass' >"$system/pidng/core.py"
  printf 'class Camera: pass\ndef __getattr__(name): return None\n' >"$system/pidng/camdefs.py"
  echo 'import sys, unittest.mock; sys.modules["pykms"] = unittest.mock.MagicMock()' >"$system/pykms.py"
  cp "$here/picamera2_shims.py" "$system/"
  echo 'import picamera2_shims' >>"$system/picamera2/__init__.py"
  cat >root/usr/share/libcamera/pipeline/virtual/virtual.yaml <<'YAML'
%YAML 1.1
---
"Virtual0":
  supported_formats: [{width: 640, height: 480, frame_rates: [30, 30]}]
  frames: {path: "/share/camera/"}
  location: "CameraLocationBack"
  model: "Virtual Video Device"
...
YAML

  # an initial ramdisk that loads the drivers, then switches to the disk
  version=$(ls root/usr/lib/modules)
  cp "root/boot/vmlinuz-$version" kernel
  depmod -b root "$version"
  cp root/usr/bin/busybox initrd/
  for module in virtio_pci virtio_blk virtio_console virtio_net 9pnet_virtio 9p ext4 vivid; do
    modprobe -d "$PWD/root" -S "$version" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | awk '!seen[$0]++' | while read -r file; do
    name=$(basename "${file%.ko.xz}")
    xz -dc "$file" >"initrd/modules/$name.ko"
    case $name in vivid) options='n_devs=1 node_types=0x101 num_inputs=2 input_types=0x3 num_outputs=1 output_types=0x1' ;; *) options= ;; esac
    echo "/busybox insmod /modules/$name.ko $options"
  done >initrd/load
  cat >initrd/init <<'INIT'
#!/busybox sh
/busybox mount -t proc none /proc; /busybox mount -t sysfs none /sys; /busybox mount -t devtmpfs none /dev
. /load
/busybox mount -t ext4 /dev/vda /mnt
/busybox mount -t 9p -o trans=virtio,version=9p2000.L share /mnt/share
/busybox ip link set lo up
/busybox ifconfig eth0 10.0.2.15 2>/dev/null # if there is one
for folder in dev proc sys; do /busybox mount --move /$folder /mnt/$folder; done
exec /busybox switch_root /mnt ${FIRST:-/init} # of the kernel's command line
INIT
  chmod +x initrd/init
  (cd initrd && find . | cpio -o -H newc 2>/dev/null | gzip -1) >initrd.gz

  cat >root/init <<'INIT'
#!/usr/bin/sh
export PATH=/opt/venv/bin:/usr/sbin:/usr/bin LC_ALL=C.UTF-8 HOME=/root
for folder in /tmp /run; do busybox mount -t tmpfs none $folder; done
exec python3 /agent.py /dev/vport*
INIT
  # runs what comes as JSON lines through the virtio port
  cat >root/agent.py <<'AGENT'
import json, subprocess, sys

with open(sys.argv[1], "r+b", buffering=0) as requests, open(requests.fileno(), "wb", closefd=False) as answers:
    for request in requests:
        done = subprocess.run(json.loads(request), cwd="/share", capture_output=True, encoding="utf-8", errors="replace")
        answers.write(json.dumps([done.returncode, done.stdout, done.stderr]).encode() + b"\n")
        answers.flush()
AGENT
  chmod +x root/init

  # what the packages' scripts would have configured
  units=root/etc/systemd/system
  for file in passwd group; do cp "root/usr/share/base-passwd/$file.master" "root/etc/$file"; done
  printf '%s\n' 'sshd:x:100:65534::/run/sshd:/usr/sbin/nologin' 'pi:x:1000:1000::/home/pi:/bin/bash' >>root/etc/passwd
  echo 'pi:x:1000:' >>root/etc/group
  echo 'pi ALL=(ALL) NOPASSWD: ALL' >root/etc/sudoers.d/pi
  printf '%s required pam_permit.so\n' auth account password session | tee root/etc/pam.d/other >root/etc/pam.d/sudo
  echo 'Subsystem sftp internal-sftp' >root/etc/ssh/sshd_config # and without PAM
  chmod u+s root/usr/bin/sudo
  chmod 1777 root/var/tmp
  ssh-keygen -q -t ed25519 -N '' -f root/etc/ssh/ssh_host_ed25519_key
  echo "${key:0:32}" >root/etc/machine-id
  echo pi | tee root/etc/hostname | sed 's/^/127.0.0.1 localhost /' >root/etc/hosts
  : >root/etc/resolv.conf
  mkdir -p root/{home/pi,usr/local/sbin} "$units/multi-user.target.wants"
  ln -s /usr/lib/systemd/system/multi-user.target "$units/default.target"
  ln -s /usr/lib/systemd/system/ssh.service "$units/multi-user.target.wants/"
  ln -s ../agent.service "$units/multi-user.target.wants/"
  cat >"$units/agent.service" <<'UNIT'
[Service]
ExecStartPre=udevadm trigger --action=add --settle --subsystem-match=video4linux
ExecStart=sh -c 'exec python3 /agent.py /dev/vport*'
UNIT
  # the tests wait for the boot: it starts no more than they need
  find root/usr/lib/systemd/system/*.wants -type l | grep -vE 'journald|udevd|tmp.mount' | xargs rm
  rm -rf root/usr/lib/modules root/boot root/usr/share/{doc,locale,man}
  mkdir -p root/{proc,sys,run,share}
  echo "$key" >built
fi

arm "$site" --no-deps --reinstall "$wheel"
sed '1s,.*,#!/opt/venv/bin/python,' "$site/bin/fmnist-edge" >root/opt/venv/bin/fmnist-edge
chmod +x root/opt/venv/bin/fmnist-edge
rm -f disk.ext4
unshare --map-root-user mke2fs -q -d root -t ext4 disk.ext4 2G >/dev/null # all files are root's there, whoever we are
