#!/usr/bin/env bash
# The project's one command: brings the environment up to date where it is missing or stale, then runs a verb.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
verb="${1:-help}"

accepts_licence() {
    case "$(printf %s "${OMNI_KIT_ACCEPT_EULA:-}" | tr '[:upper:]' '[:lower:]')" in
        y | yes | 1) return 0 ;;
        *) return 1 ;;
    esac
}

case "$verb" in
    launch | test)
        if ! accepts_licence; then
            sed "s/VERB/$verb/" "$root/tools/licence_notice.txt" >&2
            exit 2
        fi
        ;;
    -h | --help) verb=help ;;
esac

# The environment is up to date when it was finished for these very files, at this very place.
stamp="$(printf '%s\n' "$root" | cat - "$root/requirements.lock" "$root/pyproject.toml" "$root/tools/setup.sh" | sha256sum)"
if [[ "$verb" != help ]]; then
    if [[ ! -x "$root/.venv/bin/python" || "$(cat "$root/.venv/celltwin-stamp" 2>/dev/null)" != "$stamp" ]]; then
        bash "$root/tools/setup.sh" "$root" "$stamp"
    fi
    exec "$root/.venv/bin/python" "$root/tools/repo.py" "$@"
fi

cat "$root/tools/help.txt"
