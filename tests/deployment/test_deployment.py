"""What starts a real TF Serving, as far as that goes without a container engine: linters, schemas, a stand-in."""

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
from tfllmrec.serving.metrics import Metrics
from tfllmrec.serving.prometheus_config import METRICS_PATH, metrics_path

SERVING = Path(__file__).parents[2] / "serving"
KUBERNETES = SERVING / "kubernetes"
ONLY_TF_SERVING_HAS = {"--allow_version_labels_for_unavailable_models"}
"""The embedded server has a label wait for its version by itself."""


def checked(tool, *arguments):
    """Run a linter that is installed beside this Python."""
    command = [Path(sys.executable).parent / tool, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_script_is_clean():
    checked("shellcheck", SERVING / "run.sh")


def test_the_dockerfile_is_clean():
    checked("hadolint", SERVING / "docker" / "Dockerfile")


def test_the_compose_file_has_its_schema():
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", SERVING / "compose.yaml")


@pytest.fixture
def start(tmp_path):
    """Runs the script with a stand-in for TF Serving, which prints its arguments: (exit status, stdout, stderr)."""
    server = tmp_path / "bin" / "tensorflow_model_server"
    server.parent.mkdir()
    server.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    server.chmod(0o755)

    def start(*arguments, **environment):
        path = f"{server.parent}{os.pathsep}{os.environ['PATH']}"
        found = subprocess.run(
            [SERVING / "run.sh", *arguments],
            env={"PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return found.returncode, found.stdout.splitlines(), found.stderr

    return start


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "my models"
    folder.mkdir()
    write_defaults(folder, CPU)
    write_labels(folder, "films", {"stable": 1})
    return folder


def test_flags_and_files(start, repository):
    status, flags, told = start(repository, "--rest_api_num_threads=4")
    assert (status, told) == (0, "")
    given = dict(flag.split("=", 1) for flag in flags)
    files = {flag: Path(value).name for flag, value in given.items() if flag.endswith("_file")}
    assert files == {
        "--model_config_file": "models.config",
        "--batching_parameters_file": "batching.config",
        "--monitoring_config_file": "monitoring.config",
    }
    assert all(Path(given[flag]).is_file() for flag in files)
    assert given["--rest_api_num_threads"] == "4"
    known = {name for option in typer.main.get_command(app).commands["serve"].params for name in option.opts}
    assert given.keys() - known == ONLY_TF_SERVING_HAS


@pytest.mark.parametrize("target", TARGETS)
def test_flags_of_a_target(start, repository, target):
    flags = start(repository, TARGET=target)[1]
    assert ("--xla_gpu_compilation_enabled=true" in flags) == (target == "gpu")
    assert [flag for flag in flags if "tags" in flag] == ["--saved_model_tags=serve,tpu"] * (target == "tpu")
    assert TARGETS["tpu"].tags == ("serve", "tpu")


def test_what_cannot_be_started(start, repository):
    assert start()[0] == 2
    status, _, told = start(repository, TARGET="npu")
    assert (status, told) == (2, "run.sh: TARGET is npu, and must be cpu, gpu or tpu\n")
    (repository / "batching.config").unlink()
    status, _, told = start(repository)
    assert (status, told.count("\n")) == (2, 1)
    assert "batching.config cannot be read" in told


def resources(*changes):
    """The resources by kind, as kustomize would give them out, without its labels."""
    listed = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(
        path.name for path in (KUBERNETES / "base").iterdir() if path.name != "kustomization.yaml"
    )
    found = [yaml.safe_load((KUBERNETES / "base" / name).read_text()) for name in listed]
    for change in changes:
        target = change["target"]
        (place,) = (
            n for n, one in enumerate(found) if (one["kind"], one["metadata"]["name"]) == tuple(target.values())
        )
        found[place] = jsonpatch.apply_patch(found[place], yaml.safe_load(change["patch"]))
    return {one["kind"]: one for one in found}


@pytest.fixture(params=TARGETS)
def target(request):
    return request.param


@pytest.fixture
def cluster(target):
    if target == "cpu":
        return resources()
    overlay = yaml.safe_load((KUBERNETES / target / "kustomization.yaml").read_text())
    assert overlay["resources"] == ["../base"]
    return resources(*overlay["patches"])


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_kubernetes_knows_the_resources(cluster, tmp_path, version):
    for kind, resource in cluster.items():
        path = tmp_path / f"{kind}.yaml"
        path.write_text(yaml.safe_dump(resource))
        checked("kubernetes-validate", "--strict", "-k", version, path)


def test_the_resources_fit_together(cluster, target):
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
    assert [one for one, device in devices if device in limits] == [target] * (target != "cpu")


def test_prometheus_and_its_path(repository):
    (job,) = yaml.safe_load((SERVING / "monitoring" / "prometheus.yaml").read_text())["scrape_configs"]
    annotations = resources()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    paths = {job["metrics_path"], annotations["prometheus.io/path"], metrics_path(repository / "monitoring.config")}
    assert paths == {METRICS_PATH}
    services = yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]
    assert job["static_configs"][0]["targets"][0].split(":")[0] in services


def test_the_dashboard_asks_for_what_there_is():
    metrics = Metrics()
    with metrics.request("films", "Predict", "GRPC"):
        pass
    there = set(re.findall(r"^(:[\w:]+)", metrics.text().decode(), re.MULTILINE))
    grafana = SERVING / "monitoring" / "grafana"
    dashboard = json.loads((grafana / "dashboard.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 4
    for expression in expressions:
        promql_parser.parse(expression.replace("$__rate_interval", "5m").replace("$model", ".*"))
        assert set(re.findall(r":tensorflow[\w:]+", expression)) <= there
    (source,) = yaml.safe_load((grafana / "datasource.yaml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
