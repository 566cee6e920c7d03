# Sourced by quickstart.sh and test.sh: makes a bare Debian or Ubuntu machine ready to build.
# Needs no second run, and does nothing that is done already.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$PWD
venv=$root/.deps/venv
torch_version=2.13.0

build_packages=(g++ cmake ninja-build ccache libsentencepiece-dev libsqlite3-dev libsqlitecpp-dev
  libssl-dev nlohmann-json3-dev libcli11-dev libjs-chart.js libutf8proc-dev libpcre2-dev
  libyaml-cpp-dev libmimalloc-dev python3-venv)
test_packages=(libgtest-dev libgmock-dev librapidcheck-dev)
fuzz_packages=(clang-14 libclang-rt-14-dev)
judges=(transformers==5.23.0 peft==0.21.2 safetensors==0.8.0 gguf==0.19.0 sentencepiece numpy)
# Its source package carries llama.cpp and the converter of HF models.
llamacpp=llama-cpp-python==0.3.36
# Mistral's own tokenizers and chat templates.
chat_judges=(mistral-common==1.13.1 sentencepiece==0.2.3)

say() { printf '\n== %s\n' "$*"; }

# missing_packages NAME...: those that dpkg does not know as installed
missing_packages() {
  local name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || echo "$name"
  done
}

install_packages() {
  local missing sudo=()
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  if ! command -v apt-get >/dev/null; then
    echo "This machine has no apt-get. Install the counterparts of: ${missing[*]}" >&2
    exit 3
  fi
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  say "Installing Debian packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# The wheel carries LibTorch; a LibTorch of one's own comes through CMAKE_PREFIX_PATH.
install_libtorch() {
  if [ -n "${CMAKE_PREFIX_PATH:-}" ] || [ -e "$venv/torch-$torch_version" ]; then return; fi
  say "Installing LibTorch $torch_version (CPU) into .deps/venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "torch==$torch_version"
  touch "$venv/torch-$torch_version"
}

# Their absence is no error for the build: the tests that need them say that they were skipped.
install_judges() {
  if [ ! -x "$venv/bin/pip" ]; then /usr/bin/python3 -m venv "$venv"; fi
  local mark
  mark=$venv/judges-$(printf '%s\n' "$torch_version" "${judges[@]}" | sha256sum | cut -c1-12)
  if [ -e "$mark" ]; then return; fi
  say "Installing the judges of the interop tests: ${judges[*]}"
  "$venv/bin/pip" install -q --disable-pip-version-check "torch==$torch_version" "${judges[@]}"
  touch "$mark"
}

# fuzz_targets DIRECTORY: only these are built there, with Clang, and none of them needs LibTorch.
fuzz_targets() {
  local directory=$1
  say "Building the fuzz targets into ${directory#"$root"/}"
  cmake -S "$root" -B "$directory" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_COMPILER=clang++-14 -DERRATA_BUILD_FUZZERS=ON >"$directory.log" 2>&1 ||
    { cat "$directory.log" >&2; exit 1; }
  ninja -C "$directory" --quiet fuzz_import
}

# In a folder of their own: their numpy is not that of the other judges.
install_chat_judges() {
  local directory=$root/.deps/chat_judges mark
  mark=$directory/installed-$(printf '%s\n' "${chat_judges[@]}" | sha256sum | cut -c1-12)
  if [ -e "$mark" ]; then return; fi
  say "Installing the judges of chat prompts: ${chat_judges[*]}"
  rm -rf "$directory"
  "$venv/bin/pip" install -q --disable-pip-version-check --target "$directory" "${chat_judges[@]}"
  touch "$mark"
}

# llama.cpp's library and programs on it, for ./test.sh llamacpp only.
install_llamacpp() {
  local directory=$root/.deps/llamacpp
  local mark=$directory/unpacked-${llamacpp##*=}
  if [ ! -e "$mark" ]; then
    say "Fetching llama.cpp (in $llamacpp) into .deps/llamacpp"
    rm -rf "$directory"
    mkdir -p "$directory/source"
    "$venv/bin/pip" download -q --disable-pip-version-check --no-deps \
      --no-binary "${llamacpp%%=*}" --dest "$directory" "$llamacpp"
    tar -xzf "$directory"/*.tar.gz --strip-components=1 -C "$directory/source"
    touch "$mark"
  fi
  # CMake keeps to the place that it was configured for, and a checkout may move.
  if ! grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root/tests/llamacpp" "$directory/build/CMakeCache.txt"; then
    rm -rf "$directory/build"
  fi
  say "Building llama.cpp (the first time takes some minutes)"
  cmake -S "$root/tests/llamacpp" -B "$directory/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DLLAMACPP_SOURCE="$directory/source/vendor/llama.cpp" >"$directory/build.log" 2>&1 ||
    { cat "$directory/build.log" >&2; exit 1; }
  ninja -C "$directory/build" -j "$(build_jobs)" --quiet llama_logprobs llama_chat
}

# As many as there are cores and memory: ten files with LibTorch compiled as one take about 2 GB.
build_jobs() {
  local jobs memory
  memory=$(awk '/MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
  jobs=$(nproc)
  if [ "$memory" -lt "$jobs" ]; then jobs=$((memory > 0 ? memory : 1)); fi
  echo "$jobs"
}

# build_project DIRECTORY CMAKE_OPTION...
build_project() {
  local directory=$1
  shift
  say "Building into ${directory#"$root"/} (the first time takes some minutes)"
  cmake -S "$root" -B "$directory" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DERRATA_UNITY=ON "$@" >"$directory.log" 2>&1 ||
    { cat "$directory.log" >&2; exit 1; }
  ninja -C "$directory" -j "$(build_jobs)" --quiet
}
