#!/bin/bash
# Makes FOLDER/bin/python3.14 where the system has none yet: that of the next Debian, with its own libraries, but for its programs.
# usage: build.sh FOLDER
set -euo pipefail
mkdir -p "$1"
cd "$1"
here=$(pwd -P)
if [ -e built ]; then
  exit
fi
echo "building Debian's Python 3.14: 30 MB to download, two minutes" >&2
rm -rf -- *
# as tar, so that all files are ours, whoever we are; a mirror may be weeks behind
mmdebstrap --quiet --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --setup-hook='sed -i /security/d "$1/etc/apt/sources.list"' \
  --include="libc-bin libstdc++6 python3.14 python3.14-venv" forky - 2>log | tar -x --exclude './dev/*' || { tail log >&2; exit 1; }
rm bin # a link; Python looks for its library from where it stands upwards
mkdir bin
cat >bin/python3.14 <<SCRIPT
#!/bin/sh
exec $here/$(echo lib64/ld-linux-*) --library-path $here/$(echo usr/lib/*-linux-gnu) --argv0 "\$0" $here/usr/bin/python3.14 "\$@"
SCRIPT
chmod +x bin/python3.14
touch built
