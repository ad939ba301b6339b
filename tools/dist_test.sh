#!/usr/bin/env bash
# Test with several processes, one per GPU; without a GPU they are CPU processes.
#
#     tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
#
# Several machines: start it on each, with NNODES, that machine's NODE_RANK (0, 1, ...), and the
# MASTER_ADDR and PORT of the first.
set -eu

if [ "$#" -lt 3 ]; then
  echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
  exit 2
fi

gpus="$3"
set -- "$1" "$2" "${@:4}"

exec "${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" \
  --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" \
  --master_port="${PORT:-29500}" \
  --nproc_per_node="$gpus" \
  "$(dirname "${BASH_SOURCE[0]}")/test.py" "$@" --launcher pytorch
