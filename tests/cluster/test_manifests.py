"""The files that Kubernetes, KubeRay, Ray's launcher, Docker and shells read: held against the
published schemas, and where none can be had, against the fields that KubeRay 1.6 has."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from casas_ray.catalog import find_machine
from casas_ray.config import Machine
from casas_ray.config.base import parse_overrides, split_overrides

DRAWER = Path(__file__).parents[2] / "cluster"
KUBERAY = sorted((DRAWER / "kuberay").glob("*.yaml"))
LABEL = {"app.kubernetes.io/name": "casas-ray"}

# Of ray.io/v1, by type: what must be there, and what may be.
CLUSTER = (
    {"headGroupSpec"},
    {"rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions"}
    | {"workerGroupSpecs", "gcsFaultToleranceOptions", "suspend", "managedBy"}
    | {"headServiceAnnotations"},
)
HEAD = ({"template", "rayStartParams"}, {"serviceType", "headService", "enableIngress"})
WORKERS = (
    {"groupName", "template", "rayStartParams", "minReplicas", "maxReplicas"},
    {"replicas", "numOfHosts", "scaleStrategy", "suspend", "idleTimeoutSeconds"},
)
AUTOSCALER = (
    set(),
    {"idleTimeoutSeconds", "upscalingMode", "resources", "image", "imagePullPolicy", "env"}
    | {"envFrom", "securityContext", "volumeMounts", "version"},
)
AUTH = ({"mode"}, {"secretName", "enableK8sTokenAuth"})
JOB = (
    {"entrypoint", "rayClusterSpec"},
    {"runtimeEnvYAML", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"}
    | {"backoffLimit", "activeDeadlineSeconds", "jobId", "metadata", "suspend", "clusterSelector"}
    | {"submitterPodTemplate", "submitterConfig", "entrypointNumCpus", "entrypointNumGpus"},
)


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((DRAWER / name).read_text())


def refuse_other_fields(found: dict[str, Any], fields: tuple[set[str], set[str]]) -> None:
    required, optional = fields
    assert required <= set(found), required - set(found)
    assert set(found) <= required | optional, set(found) - required - optional


def cluster_specs() -> Iterator[dict[str, Any]]:
    yield read("kuberay/raycluster.yaml")["spec"]
    yield read("kuberay/rayjob.yaml")["spec"]["rayClusterSpec"]


def pods() -> Iterator[dict[str, Any]]:
    for spec in cluster_specs():
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            yield group["template"]


def validate(resource: dict[str, Any]) -> None:
    schemas = pytest.importorskip("kubernetes_validate")
    schemas.validate(resource, schemas.latest_version(), strict=True)


@pytest.mark.parametrize("name", ["storage.yaml", "network-policy.yaml"])
def test_kubernetes_own_kinds_are_as_its_schema_has_them(name: str):
    validate(read(f"kuberay/{name}"))


def test_every_pod_is_one_that_kubernetes_takes():
    for template in pods():
        about = {"name": "checked", **template["metadata"]}
        validate({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]})


def test_a_pod_with_a_field_of_nobody_is_refused_by_the_same_check():
    schemas = pytest.importorskip("kubernetes_validate")
    template = next(pods())
    spec = {**template["spec"], "toleration": []}
    with pytest.raises(schemas.ValidationError):
        validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec})


def test_kuberays_kinds_have_its_fields_and_no_others():
    for name, kind in (("raycluster", "RayCluster"), ("rayjob", "RayJob")):
        held = read(f"kuberay/{name}.yaml")
        assert (held["apiVersion"], held["kind"]) == ("ray.io/v1", kind)
        assert set(held) == {"apiVersion", "kind", "metadata", "spec"}
    refuse_other_fields(read("kuberay/rayjob.yaml")["spec"], JOB)
    for spec in cluster_specs():
        refuse_other_fields(spec, CLUSTER)
        refuse_other_fields(spec["headGroupSpec"], HEAD)
        refuse_other_fields(spec["autoscalerOptions"], AUTOSCALER)
        refuse_other_fields(spec["authOptions"], AUTH)
        for group in spec["workerGroupSpecs"]:
            refuse_other_fields(group, WORKERS)
            assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        groups = (spec["headGroupSpec"], *spec["workerGroupSpecs"])
        for group in groups:  # a number there is refused by Kubernetes
            assert all(isinstance(each, str) for each in group["rayStartParams"].values())


def test_the_cluster_and_the_job_bring_up_the_same_cluster():
    one, other = cluster_specs()
    assert one == other
    assert one["rayVersion"] == ray.__version__


def test_a_token_comes_from_a_secret_and_no_key_stands_anywhere():
    for spec in cluster_specs():
        assert spec["authOptions"] == {"mode": "token", "secretName": "casas-ray-token"}
    for template in pods():
        for container in template["spec"]["containers"]:
            for variable in container["env"]:
                is_secret = re.search("KEY|TOKEN|SECRET|PASSWORD", variable["name"])
                assert not is_secret or "secretKeyRef" in variable["valueFrom"], variable


def test_pods_are_nobody_and_behind_the_network_policy():
    policy = read("kuberay/network-policy.yaml")["spec"]
    assert policy["podSelector"] == {"matchLabels": LABEL}
    for template in pods():
        assert template["metadata"]["labels"].items() >= LABEL.items()
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in template["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_gpu_workers_scale_from_nothing_bear_spot_nodes_and_keep_nothing():
    for spec in cluster_specs():
        (group,) = spec["workerGroupSpecs"]
        assert (spec["enableInTreeAutoscaling"], group["minReplicas"]) == (True, 0)
        pod = group["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert any("spot" in toleration["key"] for toleration in pod["tolerations"])
        assert all("persistentVolumeClaim" not in volume for volume in pod["volumes"])
        # A worker holds one training of machine `kuberay`.
        machine = find_machine("kuberay")
        assert float(pod["containers"][0]["resources"]["limits"]["cpu"]) >= machine.cpus_per_worker
        assert (machine.autoscaled, machine.concurrent_trials) == (True, group["maxReplicas"])
        head = spec["headGroupSpec"]["template"]["spec"]
        claims = [volume["persistentVolumeClaim"] for volume in head["volumes"][:1]]
        assert claims == [{"claimName": read("kuberay/storage.yaml")["metadata"]["name"]}]
        data = next(each for each in head["containers"][0]["env"] if each["name"][:6] == "CASAS_")
        assert data == {"name": "CASAS_RAY_DATA", "value": "/data"}
        assert {"name": "data", "mountPath": "/data"} in head["containers"][0]["volumeMounts"]


def test_the_study_in_a_cluster_of_its_own_is_for_the_machine_kuberay():
    entrypoint = read("kuberay/rayjob.yaml")["spec"]["entrypoint"].split()
    assert entrypoint[:2] == ["casas-ray", "tune"]
    _, told, _ = split_overrides(parse_overrides(entrypoint[3:]))
    assert Machine().replace(told) == find_machine("kuberay").replace({"dashboard": ""})


def test_the_launchers_file_is_as_rays_schema_has_it():
    from ray.autoscaler._private.util import prepare_config, validate_config

    held = read("launcher.yaml")
    validate_config(prepare_config(held))  # as `ray up` does before it calls anybody
    commands = [*held["head_start_ray_commands"], *held["worker_start_ray_commands"]]
    for command in commands:
        assert "ray stop" in command or "RAY_AUTH_MODE=token" in command


def test_the_image_has_all_that_the_package_is_made_of_and_nothing_of_a_users():
    lines = (DRAWER / "Dockerfile").read_text().splitlines()
    copied = [line.split()[2:-1] for line in lines if line.startswith("COPY")]
    sources = [name for names in copied for name in names]
    root = DRAWER.parent
    assert all((root / name).exists() for name in sources)
    wanted = {"casas_ray", "tune_spaces", "cluster", "data/homes", "data/routines", "docs/examples"}
    assert wanted <= set(sources)
    assert not {".", "data", "data/raw", "data/runs"} & set(sources)
    assert f"rayproject/ray:{ray.__version__}-py311" in "\n".join(lines)
    assert [line.split()[1] for line in lines if line.startswith("USER")] == ["ray"]


def test_the_batch_script_has_no_fault_that_shellcheck_finds():
    script = str(DRAWER / "study.sbatch")
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(
        ["shellcheck", "--severity=warning", script], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", sorted(path.stem for path in DRAWER.glob("*.toml")))
def test_every_machine_can_be_read_and_says_what_it_is(name: str):
    assert find_machine(name).name == name
    assert (DRAWER / f"{name}.toml").read_text().startswith("# ")
    assert f"`{name}`" in (DRAWER / "README.md").read_text()
