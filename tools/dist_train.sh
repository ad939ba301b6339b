#!/usr/bin/env bash
# Train with several processes, one per GPU; without a GPU they are CPU processes.
#
#     tools/dist_train.sh CONFIG GPUS [arguments of train.py]
#
# Several machines: start it on each, with NNODES, that machine's NODE_RANK (0, 1, ...), and the
# MASTER_ADDR and PORT of the first.
set -eu

if [ "$#" -lt 2 ]; then
  echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2
  exit 2
fi

gpus="$2"
set -- "$1" "${@:3}"

exec "${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" \
  --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" \
  --master_port="${PORT:-29500}" \
  --nproc_per_node="$gpus" \
  "$(dirname "${BASH_SOURCE[0]}")/train.py" "$@" --launcher pytorch
