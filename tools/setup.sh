#!/bin/sh
# Make .venv ready for the demo ("sandbox") or for development ("dev"). Quick when nothing changed.
#
#   tools/setup.sh sandbox|dev
#
# PYTHON names the interpreter, OFFLINE=1 installs from vendor/wheels instead of the package index.
set -eu
cd "$(dirname "$0")/.."

what=$1
target=test
[ "$what" = sandbox ] && target=demo
lock=requirements/$what.lock
stamp=.venv/.ready-$what
python=${PYTHON:-python3}

problems=0
problem() { # what is wrong, what to do
  [ "$problems" -eq 0 ] && echo "flagger can't be set up:" >&2
  problems=$((problems + 1))
  printf ' - %s\n     fix: %s\n' "$1" "$2" >&2
}

fresh() {
  [ -e "$stamp" ] && [ -z "$(find pyproject.toml "$lock" tools/setup.sh -newer "$stamp")" ]
}

fresh && exit 0

if ! command -v "$python" >/dev/null 2>&1; then
  problem "Python 3.11 or newer is needed, $python was not found" "install it (Debian: apt install python3 python3-venv), or set PYTHON"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  found=$("$python" -c 'import sys; print("%d.%d.%d (%s)" % (*sys.version_info[:3], sys.executable))')
  problem "Python 3.11 or newer is needed, found $found" "install it and run  make $target PYTHON=python3.12"
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  problem "this Python has no venv module" "apt install python3-venv, or your distribution's package of that name"
fi
[ -n "${OFFLINE:-}" ] && [ ! -d vendor/wheels ] && problem "OFFLINE=1 is set, but there is no vendor/wheels" "put the wheels of $lock there"
[ "$problems" -eq 0 ] || { echo "$problems problem(s), nothing was started." >&2; exit 1; }

echo "setting up .venv ($what), once" >&2
[ -x .venv/bin/python ] || "$python" -m venv .venv
from=
[ -n "${OFFLINE:-}" ] && from="--no-index --find-links vendor/wheels"
install() {
  # shellcheck disable=SC2086 # the words of $from are arguments
  .venv/bin/python -m pip install --quiet --disable-pip-version-check $from "$@"
}
if ! install --require-hashes -r requirements/installer.lock ||
  ! .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes ${from:+--no-index --find-links vendor/wheels} -r "$lock" ||
  ! .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .; then
  problem "the dependencies could not be installed" "check the network or set PIP_INDEX_URL to a mirror; or put wheels into vendor/wheels and set OFFLINE=1"
  exit 1
fi
touch "$stamp"
