#!/usr/bin/env bash
# Everything that needs a GPU, for a machine that has one for minutes only: builds for its generation, runs the GPU's
# tests, times gsrecon beside gsplat, and lets compute-sanitizer watch the kernels. Each part has its share of the time
# and a log in OUT; a part that fails does not keep the next ones from running, unless it is the build.
#
#   PYTHON=python3 scripts/check_gpu.sh OUT [SECONDS] [PART ...]
#
# Parts are build, tests, benchmark and sanitizer; all of them where none is named. PYTHON is of an environment with a
# torch for CUDA, nanobind, cmake, ninja, scikit-build-core, pytest, hypothesis, gsplat and what gsrecon needs: nothing
# is downloaded. What such a machine lacks can come along as wheels, for example (for Python 3.12):
#
#   pip download -d wheels --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 \
#     gsplat==1.5.3 tyro docstring-parser typeguard tomli-w plyfile beartype
#
# GSRECON_TEST_DATA names the folder with the KITTI drive, COMMIT the commit where there is no git. OUT/gpu.json and
# OUT/page.md go to benchmarks/gpu.json and docs/benchmarks-gpu.md.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?a folder for logs and figures is missing: scripts/check_gpu.sh OUT [SECONDS] [PART ...]}")
seconds=${2:-540}
parts=("${@:3}")
[ ${#parts[@]} -gt 0 ] || parts=(build tests benchmark sanitizer)
python=${PYTHON:-python3}
commit=${COMMIT:-$(git rev-parse --short HEAD 2>/dev/null)}
mkdir -p "$out"
left() { echo $((seconds - SECONDS)); }
share() { echo $(($(left) * $1 / 100)); }
limited() { timeout --signal=INT --kill-after=15 "$@"; }  # interrupted, pytest still says what failed

some_passed() { grep -q " passed" "$1" || { echo "error: no test has passed"; return 1; }; }

generation=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1)
[ -n "$generation" ] || { echo "error: nvidia-smi shows no GPU" >&2; exit 1; }
# gsplat compiles itself at its first use, for this card alone.
export TORCH_CUDA_ARCH_LIST=$generation MAX_JOBS=${MAX_JOBS:-$(nproc)}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4} OMP_WAIT_POLICY=passive PYTHONUNBUFFERED=1

build() {
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  nvcc --version | tail -1
  c++ --version | head -1
  # An unknown compiler's warnings are no errors here: the machine is there for minutes.
  "$python" -m pip install --quiet --no-index --no-deps --no-build-isolation --editable . \
    -C cmake.define.GSRECON_CUDA=ON -C "cmake.define.GSRECON_CUDA_ARCHITECTURES=${generation/./}-real" \
    -C cmake.define.GSRECON_WERROR=OFF >"$out/build.log" 2>&1 || { tail -30 "$out/build.log"; return 1; }
  "$python" -m gsrecon doctor | tee "$out/doctor.log"
}

tests() {
  limited "$(share 45)" "$python" -m pytest tests/ops -m gpu -k "not sanitizer" --tb=short --maxfail=40 \
    --durations=10 >"$out/tests.log" 2>&1
  local status=$?
  tail -60 "$out/tests.log"
  some_passed "$out/tests.log" || return 1
  return $status
}

benchmark() {
  local known=()
  [ -z "$commit" ] || known=(--commit "$commit")
  "$python" scripts/bench_gpu/run.py --time-limit "$(share 75)" --results "$out/gpu.json" --page "$out/page.md" \
    "${known[@]}" 2>&1 | tee "$out/bench.log" | tail -80
}

sanitizer() {
  limited "$(left)" "$python" -m pytest tests/ops/test_on_a_gpu.py -m gpu -k sanitizer --tb=short \
    >"$out/sanitizer.log" 2>&1
  local status=$?
  tail -20 "$out/sanitizer.log"
  some_passed "$out/sanitizer.log" || return 1
  return $status
}

worst=0
for part in "${parts[@]}"; do
  echo "== $part, $(left) s left"
  if [ "$(left)" -lt 10 ]; then
    echo "$part: no time is left"
    worst=1
    continue
  fi
  "$part"
  status=$?
  [ "$status" -eq 0 ] || echo "$part: failed ($status)"
  [ "$status" -le "$worst" ] || worst=$status
  [ "$part" != build ] || [ "$status" -eq 0 ] || break
done
echo "over after $SECONDS s"
exit "$worst"
