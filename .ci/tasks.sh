# What the bash tasks of Makefile.toml share; each sources it. No task pipes a program into `grep -q`: grep leaves at the
# first hit, and under `pipefail` the task would fail whenever the program had more to write.

# says WORD COMMAND...: whether what a command prints has this word.
says() {
  local printed
  printed=$("${@:2}" 2>/dev/null) || return 1
  grep -qwF -- "$1" <<<"$printed"
}

# has COMMAND VERSION WORDS...: whether this version of a tool is installed; WORDS come before --version.
has() { command -v "$1" >/dev/null && says "$2" "$1" "${@:3}" --version; }

# quick_install CRATE VERSION FLAGS...: from source, built to be installed soon rather than to run fast.
quick_install() {
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo install "$1" --version "$2" "${@:3}"
}

# pip_install FOLDER PACKAGE VERSION OTHERS...: into a folder of its own, unless it is there; OTHERS come with it.
pip_install() {
  [ -d "$1/${2//-/_}-$3.dist-info" ] && return
  echo "Installing $2 $3 from PyPI, once."
  rm -rf "$1"
  python3 -m pip install --quiet --no-compile --disable-pip-version-check --root-user-action=ignore \
    --target "$1" "$2==$3" "${@:4}" ||
    { echo "$2 needs Python 3.10 or later with pip: sudo apt-get install python3-pip" >&2; return 1; }
}

# start_baro BINARY FLAGS...: starts a server on a free port, which ends with the task; its address is in $url.
start_baro() {
  baro_folder=$(mktemp -d)
  mkfifo "$baro_folder/out"
  "$1" --listen 127.0.0.1:0 --data "$baro_folder/data" --no-machine-channel "${@:2}" \
    >"$baro_folder/out" 2>"$baro_folder/log" &
  baro=$!
  trap 'kill $baro 2>/dev/null || true; rm -rf "$baro_folder"' EXIT
  local line
  read -r line <"$baro_folder/out" || { cat "$baro_folder/log" >&2; return 1; }
  url=${line##* }
}
