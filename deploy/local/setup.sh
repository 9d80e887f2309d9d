#!/bin/sh
# Make this machine ready: `setup.sh venv` makes .venv, `setup.sh servers` makes sure that
# RabbitMQ, PostgreSQL and curl are installed. What is there already is used; what is missing comes
# from apt. Run again, both end at once.
set -eu
cd "$(dirname "$0")/../.."

UV_VERSION=0.13.9 # what .local/uv gets; an older uv does not know extra-build-dependencies.
UV_PYTHON_DOWNLOADS=never
export UV_PYTHON_DOWNLOADS

say() { printf '%s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# ---- packages of the system ------------------------------------------------------------------

as_root() { # How to become root: nothing, sudo without a question, or sudo with one on a terminal.
    if [ "$(id -u)" = 0 ]; then
        ROOT=
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        ROOT="sudo -n"
    elif command -v sudo >/dev/null && [ -t 0 ]; then
        ROOT=sudo
    else
        return 1
    fi
}

apt() { # Others may be installing too, so wait for their lock.
    $ROOT env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

install() { # install what-for package...
    what=$1
    shift
    command -v apt-get >/dev/null ||
        fail "missing here: $what. There is no apt-get; install what Debian calls: $*"
    as_root ||
        fail "missing here: $what. Neither root nor sudo is possible; have run: apt-get install -y --no-install-recommends $*"
    say "Installing $* with apt (a minute or two; log in .local/log/apt.log) ..."
    mkdir -p .local/log
    # Fresh machines have no package lists, old lists name versions that are gone.
    if ! { apt install --no-install-recommends "$@" ||
        { apt update && apt install --no-install-recommends "$@"; }; } >>.local/log/apt.log 2>&1; then
        # A package can be unpacked well while its own instance does not start (there may be no
        # systemd, or its port is taken). We do not need that instance: see below.
        say "apt was not content; looking whether what we need came all the same ..."
    fi
}

end_of_apt_log() { fail "apt could not install $*: $(tail -n 3 .local/log/apt.log | tr '\n' ' ')"; }

# ---- .venv -----------------------------------------------------------------------------------

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            # The real one: shims, as of pyenv, change with the directory.
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "no Python >= 3.11 on PATH (python3 is $(python3 -V 2>&1 || :)). Have run: apt-get install python3"
}

has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

find_uv() { # A recent uv on PATH, or our own.
    if version=$(uv --version 2>/dev/null) &&
        "$1" -c 'import sys
have, want = ([int(n) for n in v.split(".")[:2]] for v in sys.argv[1:])
sys.exit(have < want)' "$(echo "$version" | cut -d' ' -f2)" "$UV_VERSION" 2>/dev/null; then
        echo uv
    else
        echo .local/uv/bin/uv
    fi
}

need_for_build() { # What building .venv takes that is not here, as package names.
    command -v c++ >/dev/null || command -v g++ >/dev/null || echo g++
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    has_headers "$1" || echo "python$version-dev"
    if [ "$2" != uv ] && [ ! -x "$2" ]; then
        "$1" -c 'import ensurepip, venv' 2>/dev/null || echo "python$version-venv"
    fi
}

make_venv() {
    stamp=.venv/.made-from
    made_from="$(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)"
    if [ "$(cat $stamp 2>/dev/null)" = "$made_from" ] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    python=$(find_python)
    uv=$(find_uv "$python")
    missing=$(need_for_build "$python" "$uv")
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # one word per package
        install "what builds python-esl" $missing
        missing=$(need_for_build "$python" "$uv")
        # shellcheck disable=SC2086
        [ -z "$missing" ] || end_of_apt_log $missing
    fi
    if [ "$uv" != uv ] && ! "$uv" --version >/dev/null 2>&1; then
        say "Installing uv $UV_VERSION into .local/uv ..."
        "$python" -m venv --clear .local/uv
        .local/uv/bin/python -m pip install -q --disable-pip-version-check "uv==$UV_VERSION"
    fi
    say "Making .venv with $("$python" -V) (python-esl is compiled: up to a minute) ..."
    .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        "$uv" venv -q --clear --python "$python" .venv
    # Not `-q`: its errors would be lost with it, and its progress is worth seeing.
    "$uv" pip sync --python .venv/bin/python requirements.lock
    echo "$made_from" >$stamp
    say ".venv is ready."
}

# ---- servers ---------------------------------------------------------------------------------
# apt starts an instance of each server on its usual port (5672, 5432) where it can. Those are the
# machine's own: we neither use nor touch them, only the programs, with data and ports of ours.

missing_servers() {
    ls /usr/lib/rabbitmq/bin/rabbitmq-server >/dev/null 2>&1 ||
        command -v rabbitmq-server >/dev/null || echo rabbitmq-server
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
        command -v initdb >/dev/null || echo postgresql
    command -v curl >/dev/null || echo curl
}

find_servers() {
    missing=$(missing_servers)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # one word per package
    install "the servers" $missing
    missing=$(missing_servers)
    # shellcheck disable=SC2086
    [ -z "$missing" ] || end_of_apt_log $missing
}

mkdir -p .local
case "${1:-}" in
venv)
    # Two makes at once would build into the same .venv. Released when this script ends.
    if command -v flock >/dev/null; then
        exec 9>.local/setup.lock
        flock 9
    fi
    make_venv
    ;;
servers) find_servers ;;
*) fail "say 'venv' or 'servers', not '${1:-}'" ;;
esac
