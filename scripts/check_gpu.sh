#!/usr/bin/env bash
# Everything that needs a GPU, for a machine that has one for minutes only: builds for its generation, runs the GPU's
# tests, then the benchmark, while gsplat compiles beside them. Every part has its share of the time and a log in OUT.
#
#   PYTHON=python3 scripts/check_gpu.sh OUT [SECONDS]
#
# PYTHON is of an environment with a torch for CUDA and what gsrecon and its tests need: nothing is downloaded. OUT/gpu.json
# and OUT/page.md go to benchmarks/gpu.json and docs/benchmarks-gpu.md.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?a folder for logs and figures is missing: scripts/check_gpu.sh OUT [SECONDS]}")
seconds=${2:-540}
python=${PYTHON:-python3}
mkdir -p "$out"
left() { echo $((seconds - SECONDS)); }

generation=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
[ -n "$generation" ] || { echo "error: nvidia-smi shows no GPU" >&2; exit 1; }
timeout $((seconds * 60 / 100)) "$python" -c "from gsplat.cuda._backend import _C; raise SystemExit(_C is None)" \
  >"$out/gsplat.log" 2>&1 &

echo "building for sm_$generation"
"$python" -m pip install --quiet --no-index --no-deps --no-build-isolation --editable . \
  -C cmake.define.GSRECON_CUDA=ON -C "cmake.define.GSRECON_CUDA_ARCHITECTURES=$generation-real" >"$out/build.log" 2>&1 \
  || { tail -30 "$out/build.log" >&2; exit 1; }
"$python" -m gsrecon doctor | tee "$out/doctor.log"
echo "built after $SECONDS s"

timeout $(($(left) * 45 / 100)) "$python" -m pytest -m gpu --maxfail=40 --durations=10 >"$out/tests.log" 2>&1
tests=$?
tail -60 "$out/tests.log"
echo "tests over after $SECONDS s"

wait
"$python" scripts/bench_gpu/run.py --time-limit "$(($(left) - 15))" --results "$out/gpu.json" --page "$out/page.md" \
  2>&1 | tee "$out/bench.log" | tail -80
bench=$?
echo "over after $SECONDS s"
exit $((tests > bench ? tests : bench))
