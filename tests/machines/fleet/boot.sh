#!/bin/sh
# boot.sh ROOT NAME: the first process of a "Pi", in namespaces of its own: goes into its root folder and becomes systemd.
set -eu
cd "$1"
mount --make-rprivate /
mount --rbind /usr usr
mount -o remount,bind,ro usr
mount --bind local usr/local
mount -t proc proc proc
mount --bind proc/sys proc/sys # the machine's own settings are none of a Pi's business
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
hostname "$2"
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=fmnist-pi PATH=/usr/sbin:/usr/bin /lib/systemd/systemd
