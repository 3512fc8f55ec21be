#!/usr/bin/env bash
# Install the libraries that Celltwin needs within the full Kit editor into .venv-editor, where
# app/celltwin.editor.kit looks for them. Called by `./repo.sh setup editor` as: setup_editor.sh ROOT.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" "$1"

venv="$root/.venv-editor"
uv="$cache/uv-in-use"
requirements="$cache/editor_requirements.lock"

# Kit brings its own kernel, omni.ui and pxr, and a second pxr beside Kit's breaks both.
awk '/^[a-z0-9]/ { wanted = $0 !~ /^(omniverse-kit|ovui|usd-core)==/ } wanted' "$root/requirements.lock" >"$requirements"

say "installing the editor's libraries into .venv-editor"
rm -f "$venv/celltwin-ready"
"$uv" venv --quiet --clear --python "$root/.venv/bin/python" "$venv"
"$uv" pip sync --quiet --python "$venv/bin/python" --require-hashes --compile-bytecode "$requirements"
touch "$venv/celltwin-ready"
say "ready"
