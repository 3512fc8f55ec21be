#!/usr/bin/env bash
# Set up everything that Celltwin needs: OS libraries, Python 3.12, uv, and .venv from requirements.lock.
# Called by ./repo.sh as: setup.sh ROOT STAMP. Safe to interrupt: the next call starts where it has to.
# Sourced with ROOT alone, it offers its functions and does nothing.
set -euo pipefail

root="$1"
venv="$root/.venv"
cache="$root/.cache"
unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV

say() { printf 'celltwin: %s\n' "$*" >&2; }
stop() {
    say "$1"
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

# --- OS libraries -----------------------------------------------------------------------------------------------------

# Read whole before it is searched: a `grep -q` that ends a pipe early makes `pipefail` report the found library as missing.
has_library() {
    [[ "$(/sbin/ldconfig -p 2>/dev/null || true)" == *"	$1 "* || -e "/usr/lib/$1" || -e "/usr/lib64/$1" ]]
}

has_vulkan_device() {
    [[ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]] ||
        compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null
}

missing_packages() {
    has_library libvulkan.so.1 || echo libvulkan1
    has_vulkan_device || echo mesa-vulkan-drivers
    has_library libGL.so.1 || echo libgl1
    has_library libEGL.so.1 || echo libegl1
    has_library libX11.so.6 || echo libx11-6
    has_library libgomp.so.1 || echo libgomp1
    command -v cc >/dev/null || echo gcc libc6-dev
    [[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt ]] || echo ca-certificates
}

# Install Debian or Ubuntu packages as root, or say what to type and stop.
install_packages() {
    if ! command -v apt-get >/dev/null; then
        stop "the machine lacks what these Debian packages hold: $*" \
            "Install their counterparts with your system's package manager, then try again."
    elif [[ "$(id -u)" == 0 ]]; then
        say "installing $*"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
            >"$cache/apt.log" 2>&1 ||
            stop "apt-get could not install $*" "$(tail -n 3 "$cache/apt.log")"
    else
        stop "the machine lacks some packages. Type this, then try again:" \
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    fi
}

# --- Python 3.12 and uv -----------------------------------------------------------------------------------------------

# A shim may be on the PATH without a Python behind it, so each candidate has to run.
works() { [[ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" == 3.12 ]]; }

find_python() {
    local candidate candidates
    mapfile -t candidates < <(type -ap python3.12 python3)
    for candidate in "${candidates[@]}" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python3.12; do
        works "$candidate" && "$candidate" -c 'import sys; print(sys.executable)' && return
    done
    return 1
}

# uv of the pinned version in an environment of its own, made by any Python 3.
install_uv() {
    local base="$1"
    "$base" -m venv --clear "$cache/uv" >"$cache/uv.log" 2>&1 || return 1
    "$cache/uv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes -r "$root/tools/uv_requirements.lock" >>"$cache/uv.log" 2>&1
}

find_uv() {
    local base="${1:-$(type -P python3 || true)}"
    if [[ -x "$cache/uv/bin/uv" ]] && "$cache/uv/bin/uv" --version >/dev/null 2>&1; then
        :
    elif [[ -n "$base" ]] && install_uv "$base"; then
        :
    elif type -P uv >/dev/null; then
        type -P uv
        return
    elif [[ -n "$base" ]] && ! "$base" -c 'import ensurepip' 2>/dev/null; then
        install_packages "python$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv" >&2
        install_uv "$base" || stop "uv could not be installed:" "$(tail -n 3 "$cache/uv.log")"
    else
        stop "uv could not be installed:" "$(tail -n 3 "$cache/uv.log" 2>/dev/null || echo 'no Python 3 was found')" \
            "Check the network, or install uv so that it is on the PATH."
    fi
    echo "$cache/uv/bin/uv"
}

# --- the environment --------------------------------------------------------------------------------------------------

[[ "${BASH_SOURCE[0]}" == "$0" ]] || return 0
stamp="$2"

[[ "$(uname -s) $(uname -m)" == "Linux x86_64" ]] ||
    stop "the Kit kernel is built for Linux on x86-64; this is $(uname -s) on $(uname -m)."
mkdir -p "$cache"
exec 9>"$cache/setup.lock"
flock 9 # a second set-up waits for the first, then finds its work done
[[ -x "$venv/bin/python" && "$(cat "$venv/celltwin-stamp" 2>/dev/null)" == "$stamp" ]] && exit 0

say "setting up; the first time takes some minutes and 7 GB"
mapfile -t packages < <(missing_packages | tr ' ' '\n')
if ((${#packages[@]})); then
    install_packages "${packages[@]}"
fi

python="$(find_python || true)"
uv="$(find_uv "$python")"
ln -sfn "$uv" "$cache/uv-in-use" # for ./repo.sh lock
if [[ -z "$python" ]]; then
    say "no Python 3.12 found; asking uv for one"
    "$uv" python install --quiet 3.12 2>"$cache/python.log" && python="$("$uv" python find 3.12)" ||
        stop "Python 3.12 was not found, and uv could not fetch it. Install it in one of these ways, then try again:" \
            "sudo apt-get install python3.12 python3.12-venv      (Ubuntu 24.04)" \
            "pyenv install 3.12                                   (any system)"
fi

# An environment that was left unfinished, or belongs to another Python, is made anew; uv links from its cache.
if [[ -e "$venv/celltwin-unfinished" || ! -x "$venv/bin/python" ]] || ! works "$venv/bin/python"; then
    "$uv" venv --quiet --clear --python "$python" "$venv"
fi
rm -f "$venv/celltwin-stamp"
touch "$venv/celltwin-unfinished"
(
    cd "$root"
    "$uv" pip sync --python "$venv/bin/python" --require-hashes --compile-bytecode requirements.lock
    "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
)
printf '%s\n' "$stamp" >"$venv/celltwin-stamp"
rm -f "$venv/celltwin-unfinished"
say "ready"
