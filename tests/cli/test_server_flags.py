"""Flags of `serve` in the forms of tensorflow_model_server."""

from importlib.metadata import version

import pytest

from tfllmrec_client.version import __version__

NEEDS_BATCHING = "serve: --batching_parameters_file needs --enable_batching"


@pytest.mark.parametrize(
    ("flags", "enabled"),
    [
        (["--enable_batching"], True),
        (["--enable_batching=true"], True),
        (["--enable_batching=false"], False),
        (["--enable_batching", "--enable_batching=false"], False),
        (["--enable_batching=false", "--enable_batching=true"], True),
        (["--port=1", "--port=2"], False),
    ],
)
def test_the_last_value_of_a_boolean_flag_counts(run, tmp_path, flags, enabled):
    status, _, errors = run("serve", tmp_path, f"--batching_parameters_file={tmp_path / 'none'}", *flags)
    assert (status, NEEDS_BATCHING in errors) == (2, not enabled), errors


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--unknown", "No such option: --unknown"),
        ("--unknown=false", "No such option: --unknown"),
        ("--unknown=true", "No such option: --unknown"),
        ("--enable_batchin=false", "No such option: --enable_batchin"),
        ("--noenable_batching", "No such option: --noenable_batching"),
        ("--no-enable_batching", "No such option: --no-enable_batching"),
        ("--noenable_batching=false", "No such option: --noenable_batching"),
        ("--json=false", "No such option: --json"),
        ("-port=8500", "No such option: -p"),
        ("-enable_batching=false", "No such option: -e"),
        ("--enable_batching=1", "'--enable_batching' does not take a value"),
        ("--enable_batching=False", "'--enable_batching' does not take a value"),
        ("--enable_batching=", "'--enable_batching' does not take a value"),
        ("--port=true", "Invalid value for '--port'"),
        ("--port=false", "Invalid value for '--port'"),
    ],
)
def test_other_flags_and_values_are_refused(run, tmp_path, argument, words):
    status, output, errors = run("serve", tmp_path, argument)
    assert (status, output) == (2, "")
    assert words in errors


@pytest.mark.parametrize("command", ["export", "refresh", "train"])
def test_other_commands_have_no_such_forms(run, command):
    status, _, errors = run(command, "--unknown=false")
    assert status == 2
    assert "No such option: --unknown" in errors


def test_the_version_names_the_server_and_tensorflow(run):
    lines = [f"TensorFlow ModelServer: tfllmrec {__version__}", f"TensorFlow Library: {version('tensorflow')}", ""]
    assert run("serve", "--version") == (0, "\n".join(lines), "")
    assert run("serve", "--version=true", "a_folder")[0] == 0


def test_the_flags_of_models_and_sessions_reach_the_server(run, monkeypatch, tmp_path):
    options = {}
    monkeypatch.setattr("tfllmrec.serving.serve.serve", lambda _, **passed: options.update(passed))
    flags = {
        "--saved_model_tags=serve,gpu": ("saved_model_tags", ["serve", "gpu"]),
        "--tensorflow_inter_op_parallelism=2": ("tensorflow_inter_op_parallelism", 2),
        "--tensorflow_intra_op_parallelism=3": ("tensorflow_intra_op_parallelism", 3),
        "--max_num_load_retries=0": ("max_num_load_retries", 0),
        "--load_retry_interval_micros=-1": ("load_retry_interval_micros", -1),
        "--allow_version_labels_for_unavailable_models": ("allow_version_labels_for_unavailable_models", True),
        "--enable_grpc_healthcheck_service=true": ("enable_grpc_healthcheck_service", True),
        "--xla_gpu_compilation_enabled=true": ("xla", True),
    }
    assert run("serve", tmp_path, *flags) == (0, "", "")
    assert {name: options[name] for name, _ in flags.values()} == dict(flags.values())
    run("serve", tmp_path)
    assert {name: options[name] for name, _ in flags.values()} == {
        "saved_model_tags": ["serve"],
        "tensorflow_inter_op_parallelism": 0,
        "tensorflow_intra_op_parallelism": 0,
        "max_num_load_retries": 5,
        "load_retry_interval_micros": 60_000_000,
        "allow_version_labels_for_unavailable_models": False,
        "enable_grpc_healthcheck_service": False,
        "xla": False,
    }


def test_a_configuration_file_overrides_the_single_model(run, monkeypatch, tmp_path):
    served = []
    monkeypatch.setattr("tfllmrec.serving.serve.serve", lambda configs, **_: served.extend(configs))
    config = tmp_path / "models.config"
    config.write_text('model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" } }')
    flags = (f"--model_config_file={config}", "--model_name=b", "--model_base_path=/b")
    assert run("serve", *flags)[0] == 0
    assert [(each.name, each.base_path) for each in served] == [("a", "/a")]
    assert "give either" in run("serve", tmp_path, *flags)[2]
