#!/bin/sh
# Starts TF Serving on a model repository:
#
#     run.sh /models [further flags of tensorflow_model_server]
#
# TARGET is cpu, gpu or tpu. XLA is off in TF Serving unless a flag switches it on; exports for a GPU have compiled cores.
# Those for a TPU have tags of their own.
# A label may be given together with a version that is still loading: the server has to accept that.
set -eu

repository=${1:?"usage: run.sh REPOSITORY [flags]"}
shift

for name in models batching monitoring; do
    if [ ! -r "$repository/$name.config" ]; then
        echo "run.sh: $repository/$name.config cannot be read: tfllmrec publish makes it" >&2
        exit 2
    fi
done

case "${TARGET:=cpu}" in
cpu) ;;
gpu) set -- --xla_gpu_compilation_enabled=true "$@" ;;
tpu) set -- --saved_model_tags=serve,tpu "$@" ;;
*)
    echo "run.sh: TARGET is $TARGET, and must be cpu, gpu or tpu" >&2
    exit 2
    ;;
esac

exec tensorflow_model_server \
    --port="${GRPC_PORT:-8500}" \
    --rest_api_port="${REST_PORT:-8501}" \
    --model_config_file="$repository/models.config" \
    --model_config_file_poll_wait_seconds="${POLL_SECONDS:-30}" \
    --file_system_poll_wait_seconds="${POLL_SECONDS:-30}" \
    --allow_version_labels_for_unavailable_models=true \
    --enable_batching=true \
    --batching_parameters_file="$repository/batching.config" \
    --monitoring_config_file="$repository/monitoring.config" \
    "$@"
