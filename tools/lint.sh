#!/bin/sh
# Style, types and Lua: `lint.sh check` reports, `lint.sh format` rewrites. Called by make, with the venv on the PATH.
set -eu

STYLUA_VERSION=2.5.2
STYLUA=.cache/node/node_modules/.bin/stylua
# All Lua but the guide's script, which is not ours to change.
LUA=$(find lua lab tests -name '*.lua' ! -path lab/data/guide.lua)

if [ ! -x "$STYLUA" ]; then
  echo "Installing stylua $STYLUA_VERSION (the Lua formatter, from the npm registry) ..."
  npm install --silent --no-audit --no-fund --no-save --prefix .cache/node \
    "@johnnymorganz/stylua-bin@$STYLUA_VERSION" >.cache/npm.log 2>&1 ||
    { echo "make lint: stylua could not be installed; see .cache/npm.log, then run it again" >&2; exit 1; }
fi

if [ "$1" = format ]; then
  ruff format .
  ruff check --fix --quiet . || true
  "$STYLUA" $LUA
  exit
fi

command -v luacheck >/dev/null ||
  { echo "make lint: luacheck is missing; install it (Debian: apt-get install lua-check), then run it again" >&2; exit 1; }

ruff format --check .
ruff check .
mypy
MYPYPATH=tools/typings:examples/platform mypy examples/platform # a consumer's program, whose root is its own folder
"$STYLUA" --check $LUA
luacheck -q $LUA
