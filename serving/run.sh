#!/bin/sh
# Start TF Serving on a model repository:
#
#     run.sh /models [additional flags of tensorflow_model_server]
#
# Environment: TARGET (cpu, gpu or tpu), GRPC_PORT, REST_PORT, POLL_SECONDS.
# Exports for a GPU have compiled cores, and TF Serving disables XLA by default. Exports for a TPU have other tags.
# The server must accept a label for a version that is still loading, because both change in one update of models.config.
set -eu

repository=${1:?"usage: run.sh REPOSITORY [flags]"}
shift

for name in models batching monitoring; do
    if [ ! -r "$repository/$name.config" ]; then
        echo "run.sh: $repository/$name.config cannot be read: create it with tfllmrec publish" >&2
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
