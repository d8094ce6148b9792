#!/usr/bin/env bash
# System packages that the tests want and pip does not have, or those named as arguments.
# Installs them with apt where it may (root, or sudo without a password), and otherwise says what to install and how.
# It never fails: the tests judge what is there (their fixtures skip them, or fail them under CI).
set -euo pipefail

# What tells that a package is here, and the packages.
wanted=(
    "/usr/lib/postgresql/15/bin/postgres postgresql-15"
    "/usr/lib/postgresql/15/lib/wal2json.so postgresql-15-wal2json"
    "/usr/bin/buildah buildah"
    "/usr/bin/mmdebstrap mmdebstrap"
    "/usr/bin/promtool prometheus"
    "/usr/bin/chromium chromium"
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf fonts-dejavu-core"
    "/usr/sbin/mariadbd mariadb-server-core"  # the server alone: nothing is started
    "/usr/bin/my_print_defaults mariadb-client-core"
    "/usr/bin/kcat kcat"
)
packages=("$@")
if [ $# -eq 0 ]; then
    for each in "${wanted[@]}"; do
        [ -e "${each%% *}" ] || packages+=("${each#* }")
    done
    [ ${#packages[@]} -gt 0 ] || exit 0
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
