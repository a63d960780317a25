"""A fleet's containers as Kubernetes manifests: a namespace, and four objects for each vehicle.

A discovery server has two: a Service, whose address stays, and a Deployment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bift_ros.fleet.runtimes.discovery import PORT
from bift_ros.fleet.runtimes.docker.containers import (
    DATA,
    HEALTH_CHECK,
    HEALTH_CHECK_SECONDS,
    STATUS_FOLDER,
    USER,
    ContainerFleet,
    ContainerSpec,
)
from bift_ros.fleet.runtimes.docker.inputs import SETTINGS

_GIVEN = "/given"
"""Where the pod's first container finds what the vehicle's settings are made of."""
_VOLUME_SIZE = "4Gi"
"""More than `storage_mb` by the chain and the dataset."""
_SERVER = {"bift.server": "discovery"}
"""A label that tells the discovery server's pod from the vehicles'."""
_POD_SECURITY = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER}


def kubernetes_manifests(fleet: ContainerFleet) -> str:
    """For `kubectl apply --filename`. They hold the vehicles' keys, as Secrets.

    A bag is looked for at the same path on every node.
    """
    text: str = yaml.safe_dump_all(_objects(fleet), sort_keys=False, width=100)
    return text


def _objects(fleet: ContainerFleet) -> Iterator[dict[str, Any]]:
    namespace = fleet.network.replace("_", "-")
    yield {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": dict(fleet.labels)},
    }
    for spec in fleet.containers:
        metadata = {"name": spec.host, "namespace": namespace, "labels": dict(spec.labels)}
        core = {"apiVersion": "v1", "metadata": metadata}
        apps = {"apiVersion": "apps/v1", "metadata": metadata}
        if spec.vehicle is None:
            # An address that outlasts the server's pod: vehicles look the name up only once.
            port = {"name": "discovery", "port": PORT, "protocol": "UDP"}
            service = {"selector": {**spec.labels, **_SERVER}, "ports": [port]}
            yield {**core, "kind": "Service", "spec": service}
            yield {**apps, "kind": "Deployment", "spec": _deployment(spec)}
            continue
        yield {**core, "kind": "ConfigMap", "data": _texts(spec, "setting")}
        yield {**core, "kind": "Secret", "type": "Opaque", "stringData": _texts(spec, "secret")}
        # Nothing but a name for the pod's address, before it is ready, too: DDS takes any port.
        headless: dict[str, Any] = {"clusterIP": "None", "publishNotReadyAddresses": True}
        service = {**headless, "selector": dict(spec.labels)}
        yield {**core, "kind": "Service", "spec": service}
        yield {**apps, "kind": "StatefulSet", "spec": _stateful_set(spec)}


def _texts(spec: ContainerSpec, kind: str) -> dict[str, str]:
    # Not as text, which would lose the line ends that are signed.
    return {g.name: g.source.read_bytes().decode() for g in spec.inputs if g.kind == kind}


def _deployment(spec: ContainerSpec) -> dict[str, Any]:
    labels = {**spec.labels, **_SERVER}
    return {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "securityContext": _POD_SECURITY,
                "containers": [
                    {
                        "name": spec.host,
                        "image": spec.image.tag,
                        "args": list(spec.command),
                        "resources": {"limits": {"memory": str(spec.memory_bytes)}},
                        "securityContext": _security(()),
                    }
                ],
            },
        },
    }


def _stateful_set(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "serviceName": spec.host,
        "replicas": 1,
        "selector": {"matchLabels": dict(spec.labels)},
        "template": {
            "metadata": {"labels": dict(spec.labels)},
            "spec": {
                "securityContext": {**_POD_SECURITY, "fsGroup": USER},
                "initContainers": [_settler(spec)],
                "containers": [_vehicle(spec)],
                "volumes": _volumes(spec),
            },
        },
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data", "labels": dict(spec.labels)},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": _VOLUME_SIZE}},
                },
            }
        ],
    }


def _settler(spec: ContainerSpec) -> dict[str, Any]:
    """Copies the settings: a Secret's own files are either not the vehicle's or open to a group."""
    places = {"setting": f"{_GIVEN}/public", "secret": f"{_GIVEN}/secret"}
    copies = [
        f"install -D -m 400 {places[given.kind]}/{given.name} {given.target}"
        for given in spec.inputs
        if given.kind in places
    ]
    return {
        "name": "settings",
        "image": spec.image.tag,
        "command": ["sh", "-c", " && ".join(copies)],
        "volumeMounts": [
            {"name": "settings", "mountPath": SETTINGS},
            {"name": "public", "mountPath": f"{_GIVEN}/public"},
            {"name": "secret", "mountPath": f"{_GIVEN}/secret"},
        ],
        "securityContext": _security(()),
    }


def _vehicle(spec: ContainerSpec) -> dict[str, Any]:
    limits: dict[str, Any] = {"memory": str(spec.memory_bytes)}
    if spec.cpus is not None:
        limits["cpu"] = str(spec.cpus)
    if spec.gpu is not None:
        limits["nvidia.com/gpu"] = "1"
    return {
        "name": "vehicle",
        "image": spec.image.tag,
        # Kubernetes takes $(NAME) for a variable, $$ for one $.
        "args": [word.replace("$", "$$") for word in spec.command],
        "env": [{"name": name, "value": value} for name, value in spec.environment.items()],
        "resources": {"limits": limits},
        "securityContext": _security(spec.capabilities),
        "livenessProbe": {
            "exec": {"command": list(HEALTH_CHECK)},
            "initialDelaySeconds": 2 * HEALTH_CHECK_SECONDS,
            "periodSeconds": HEALTH_CHECK_SECONDS,
            "timeoutSeconds": 10,
        },
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "status", "mountPath": STATUS_FOLDER},
            {"name": "settings", "mountPath": SETTINGS, "readOnly": True},
            *({"name": n, "mountPath": target, "readOnly": True} for n, _, target in _bags(spec)),
        ],
    }


def _security(capabilities: tuple[str, ...]) -> dict[str, Any]:
    # A capability reaches the program `tc`, that isn't root's, only by way of its file.
    return {
        "allowPrivilegeEscalation": bool(capabilities),
        "capabilities": {"drop": ["ALL"], **({"add": list(capabilities)} if capabilities else {})},
    }


def _volumes(spec: ContainerSpec) -> list[Mapping[str, Any]]:
    return [
        {"name": "settings", "emptyDir": {"medium": "Memory"}},
        {"name": "status", "emptyDir": {"medium": "Memory"}},
        {"name": "public", "configMap": {"name": spec.host}},
        {"name": "secret", "secret": {"secretName": spec.host}},
        *({"name": name, "hostPath": {"path": path}} for name, path, _ in _bags(spec)),
    ]


def _bags(spec: ContainerSpec) -> list[tuple[str, str, str]]:
    """The bag that the vehicle is given: volume, path on the node and in the container."""
    return [("bag", str(g.source.resolve()), g.target) for g in spec.inputs if g.kind == "bag"]
