"""Files that start TF Serving, without a container engine: linters, schemas, and a stand-in for the server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonpatch
import promql_parser
import pytest
import typer
import yaml

from tfllmrec.cli.app import app
from tfllmrec.export.target import CPU, TARGETS
from tfllmrec.repository.configs import write_defaults, write_labels
from tfllmrec.serving.config_files import METRICS_PATH, metrics_path
from tfllmrec.serving.metrics import Metrics

SERVING = Path(__file__).parents[2] / "serving"
KUBERNETES = SERVING / "kubernetes"


def assert_accepted_by(tool, *arguments):
    """Run a linter from the environment of this Python."""
    command = [Path(sys.executable).parent / tool, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_shellcheck_accepts_the_script():
    assert_accepted_by("shellcheck", SERVING / "run.sh")


def test_hadolint_accepts_the_dockerfile():
    assert_accepted_by("hadolint", SERVING / "docker" / "Dockerfile")


def test_the_compose_file_matches_its_schema():
    assert_accepted_by("check-jsonschema", "--builtin-schema", "vendor.compose-spec", SERVING / "compose.yaml")


@pytest.fixture
def start(tmp_path):
    """Runs the script with a stand-in for TF Serving that prints its arguments: (exit status, stdout lines, stderr)."""
    server = tmp_path / "bin" / "tensorflow_model_server"
    server.parent.mkdir()
    server.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    server.chmod(0o755)

    def start(*arguments, **environment):
        path = f"{server.parent}{os.pathsep}{os.environ['PATH']}"
        result = subprocess.run(
            [SERVING / "run.sh", *arguments],
            env={"PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout.splitlines(), result.stderr

    return start


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "my models"
    folder.mkdir()
    write_defaults(folder, CPU)
    write_labels(folder, "films", {"stable": 1})
    return folder


def test_the_script_passes_flags_and_files(start, repository):
    status, flags, stderr = start(repository, "--rest_api_num_threads=4")
    assert (status, stderr) == (0, "")
    values = dict(flag.split("=", 1) for flag in flags)
    files = {flag: Path(value).name for flag, value in values.items() if flag.endswith("_file")}
    assert files == {
        "--model_config_file": "models.config",
        "--batching_parameters_file": "batching.config",
        "--monitoring_config_file": "monitoring.config",
    }
    assert all(Path(values[flag]).is_file() for flag in files)
    assert values["--rest_api_num_threads"] == "4"
    known = {name for option in typer.main.get_command(app).commands["serve"].params for name in option.opts}
    assert values.keys() <= known


@pytest.mark.parametrize("target", TARGETS)
def test_the_script_adds_flags_for_a_target(start, repository, target):
    flags = start(repository, TARGET=target)[1]
    assert ("--xla_gpu_compilation_enabled=true" in flags) == (target == "gpu")
    assert [flag for flag in flags if "tags" in flag] == ["--saved_model_tags=serve,tpu"] * (target == "tpu")
    assert TARGETS["tpu"].tags == ("serve", "tpu")


def test_the_script_refuses_bad_arguments_and_incomplete_repositories(start, repository):
    assert start()[0] == 2
    status, _, stderr = start(repository, TARGET="npu")
    assert (status, stderr) == (2, "run.sh: TARGET is npu, and must be cpu, gpu or tpu\n")
    (repository / "batching.config").unlink()
    status, _, stderr = start(repository)
    assert (status, stderr.count("\n")) == (2, 1)
    assert "batching.config cannot be read" in stderr


def resources_for(target):
    """Return the resources by kind as kustomize builds them, without its common labels."""
    listed = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(
        path.name for path in (KUBERNETES / "base").iterdir() if path.name != "kustomization.yaml"
    )
    resources = [yaml.safe_load((KUBERNETES / "base" / name).read_text()) for name in listed]
    for patch in patches_for(target):
        kind_and_name = tuple(patch["target"].values())
        (position,) = (
            position
            for position, resource in enumerate(resources)
            if (resource["kind"], resource["metadata"]["name"]) == kind_and_name
        )
        resources[position] = jsonpatch.apply_patch(resources[position], yaml.safe_load(patch["patch"]))
    return {resource["kind"]: resource for resource in resources}


def patches_for(target):
    if target == "cpu":
        return []
    overlay = yaml.safe_load((KUBERNETES / target / "kustomization.yaml").read_text())
    assert overlay["resources"] == ["../base"]
    return overlay["patches"]


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_kubernetes_accepts_the_resources(tmp_path, version):
    resources = [resource for target in TARGETS for resource in resources_for(target).values()]
    paths = []
    for text in dict.fromkeys(map(yaml.safe_dump, resources)):  # most resources are the same for all targets
        paths.append(tmp_path / f"{len(paths)}.yaml")
        paths[-1].write_text(text)
    assert_accepted_by("kubernetes-validate", "--strict", "-k", version, *paths)


@pytest.mark.parametrize("target", TARGETS)
def test_the_resources_refer_to_each_other(target):
    cluster = resources_for(target)
    deployment = cluster["Deployment"]
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        cluster["Service"]["spec"]["selector"],
        cluster["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pod["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["targetPort"]: port["port"] for port in cluster["Service"]["spec"]["ports"]} == ports
    assert cluster["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert container["envFrom"][0]["configMapRef"]["name"] == cluster["ConfigMap"]["metadata"]["name"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    claim = volumes["models"]["persistentVolumeClaim"]["claimName"]
    assert claim == cluster["PersistentVolumeClaim"]["metadata"]["name"]
    assert cluster["ConfigMap"]["data"]["TARGET"] == target
    assert container["image"] == f"tfllmrec-serving:{target}"
    devices = {"gpu": "nvidia.com/gpu", "tpu": "google.com/tpu"}.items()
    limits = container["resources"]["limits"]
    assert [name for name, device in devices if device in limits] == [target] * (target != "cpu")


def test_prometheus_reads_the_path_of_the_metrics(repository):
    (job,) = yaml.safe_load((SERVING / "monitoring" / "prometheus.yaml").read_text())["scrape_configs"]
    annotations = resources_for("cpu")["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    paths = {job["metrics_path"], annotations["prometheus.io/path"], metrics_path(repository / "monitoring.config")}
    assert paths == {METRICS_PATH}
    services = yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]
    assert job["static_configs"][0]["targets"][0].split(":")[0] in services


def test_the_dashboard_uses_existing_metrics():
    metrics = Metrics()
    with metrics.request("films", "Predict", "GRPC"):
        pass
    available = set(re.findall(r"^(:[\w:]+)", metrics.text().decode(), re.MULTILINE))
    grafana = SERVING / "monitoring" / "grafana"
    dashboard = json.loads((grafana / "dashboard.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 4
    for expression in expressions:
        promql_parser.parse(expression.replace("$__rate_interval", "5m").replace("$model", ".*"))
        assert set(re.findall(r":tensorflow[\w:]+", expression)) <= available
    (source,) = yaml.safe_load((grafana / "datasource.yaml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
