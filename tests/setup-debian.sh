#!/usr/bin/env bash
# System packages that the tests want and pip does not have: PostgreSQL 15 with wal2json, or those named as arguments.
# Installs them with apt where it may (root, or sudo without a password), and otherwise says what to install and how.
# It never fails: the tests judge what is there (tests/fixtures/postgres.py skips them, or fails them under CI).
set -euo pipefail

packages=("$@")
if [ $# -eq 0 ]; then
    [ -e /usr/lib/postgresql/15/bin/postgres ] && [ -e /usr/lib/postgresql/15/lib/wal2json.so ] && exit 0
    packages=(postgresql-15 postgresql-15-wal2json)
fi

if [ "$(id -u)" -eq 0 ]; then
    root=(env)
else
    root=(sudo -n env)
fi

install() {
    command -v apt-get >/dev/null && "${root[@]}" true 2>/dev/null || return 1
    # On a machine without any PostgreSQL, Debian would make a cluster and start it as a service: tests bring their own.
    if ! [ -e /etc/postgresql-common ]; then
        "${root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" |
            "${root[@]}" tee /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
    fi
    local apt=("${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >/dev/null
}

install || echo "Missing here: ${packages[*]} (Debian 12: sudo apt-get install ${packages[*]})" >&2
