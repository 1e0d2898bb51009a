"""What the node knows of its ring, and the operations on it: Cassandra's management beans over Jolokia on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import httpx

from hostward.database.session import KEYSPACE
from hostward.database.settings import NodeSettings
from hostward.database.yaml import MANAGEMENT_USER, management_password
from hostward.domain.errors import DatabaseError

CALL_TIMEOUT_S = 10.0
PICTURE_TIMEOUT_S = 5.0
OPERATION_TIMEOUT_S = 600.0
REPAIR_POLL_S = 0.5

_AT_WORK = ("NORMAL", "JOINING", "STARTING", "MOVING")
_STORAGE = "org.apache.cassandra.db:type=StorageService"
_GOSSIPER = "org.apache.cassandra.net:type=Gossiper"
_MESSAGING = "org.apache.cassandra.net:type=MessagingService"
_MEMORY = "java.lang:type=Memory"
_LOAD = "org.apache.cassandra.metrics:type=Storage,name=Load"


@dataclass(frozen=True, slots=True)
class RingNode:
    """One node as this one sees it. `status` is UP, DOWN or UNKNOWN, `state` NORMAL, JOINING, LEAVING or MOVING, both
    as `nodetool status` derives them; `owns_percent` by keyspace is missing where nodetool shows "?"."""

    address: str
    port: int
    host_id: str
    status: str
    state: str
    tokens: tuple[str, ...]
    owns_percent: Mapping[str, float] = field(default_factory=dict)


class Standing(Enum):
    """How this node stands in its ring once it runs. Hostward itself never makes a node leave: what isn't a MEMBER was
    done by hand, with nodetool.

    LEAVING: a decommission is under way. LEFT: it has ended, and the node won't come back with its data. MUTE:
    drained, or its gossip or CQL was turned off.
    """

    MEMBER = "member"
    LEAVING = "leaving"
    LEFT = "left"
    MUTE = "mute"


@dataclass(frozen=True, slots=True)
class RingPicture:
    """The ring at one moment, seen from this node. `operation_mode` is the node's own: STARTING, JOINING, NORMAL,
    LEAVING, DECOMMISSIONED, DRAINED…; `speaks`: both gossip and CQL are on; sizes in bytes."""

    operation_mode: str
    speaks: bool
    own_host_id: str
    own_address: str
    nodes: tuple[RingNode, ...]
    heap_used_bytes: int
    disk_load_bytes: int
    version: str

    def node(self, host_id: str) -> RingNode | None:
        """The node with this host id."""
        return next((node for node in self.nodes if node.host_id == host_id), None)

    @property
    def standing(self) -> Standing:
        """How this node stands."""
        if self.operation_mode == "DECOMMISSIONED":
            return Standing.LEFT
        if self.operation_mode == "LEAVING":
            return Standing.LEAVING
        return Standing.MEMBER if self.speaks and self.operation_mode in _AT_WORK else Standing.MUTE

    @property
    def own(self) -> RingNode | None:
        """This node's own entry; None until it has a token."""
        return self.node(self.own_host_id)


class Ring:
    """A node's management interface. Each call has a deadline and raises DatabaseError: "management-silent" when
    nothing answers, "management-refused" for a wrong password, "ring" with Cassandra's own words otherwise."""

    def __init__(self, settings: NodeSettings) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"http://{settings.loopback}:{settings.management_port}/jolokia/",
            auth=(MANAGEMENT_USER, management_password(settings)),
            timeout=CALL_TIMEOUT_S,
            trust_env=False,  # loopback: no proxy of the environment is asked
        )

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def ring(self, keyspaces: Sequence[str] = (KEYSPACE,)) -> RingPicture:
        """The whole picture in one round trip. A keyspace that doesn't exist yet is left out of the ownerships."""
        names = ("LiveNodes", "UnreachableNodes", "JoiningNodes", "LeavingNodes", "MovingNodes")
        attributes = [f"{name}WithPort" for name in names]
        attributes += ["TokenToEndpointWithPortMap", "EndpointWithPortToHostId", "OperationMode", "LocalHostId"]
        attributes += ["ReleaseVersion", "GossipRunning", "NativeTransportRunning"]
        answers = await self._bulk(
            [
                {"type": "read", "mbean": _STORAGE, "attribute": attributes},
                {"type": "read", "mbean": _MEMORY, "attribute": "HeapMemoryUsage"},
                {"type": "read", "mbean": _LOAD, "attribute": "Count"},
                *(_call(_STORAGE, "effectiveOwnershipWithPort(java.lang.String)", name) for name in keyspaces),
            ],
            PICTURE_TIMEOUT_S,
        )
        seen, memory, load = (_value(answer) for answer in answers[:3])
        owns = {
            name: {_plain(endpoint): 100.0 * part for endpoint, part in answer["value"].items()}
            for name, answer in zip(keyspaces, answers[3:], strict=True)
            if answer.get("status") == 200
        }
        return _picture(seen, owns, int(memory["used"]), int(load))

    async def nodetool_rows(self, keyspace: str = KEYSPACE) -> list[dict[str, Any]]:
        """Details' rows: address, status, state, owns_percent (None where nodetool shows "?"), host_id."""
        picture = await self.ring((keyspace,))
        return [
            {
                "address": node.address,
                "status": node.status,
                "state": node.state,
                "owns_percent": node.owns_percent.get(keyspace),
                "host_id": node.host_id,
            }
            for node in picture.nodes
        ]

    async def remove_node(self, host_id: str, *, timeout_s: float = OPERATION_TIMEOUT_S) -> None:
        """Take a dead node out of the ring. Refused for a live one. Returns when the others hold its data."""
        await self._operation(_STORAGE, "removeNode(java.lang.String)", host_id, timeout_s=timeout_s)

    async def force_remove(self) -> None:
        """Finish a removal that waits for a node which doesn't answer."""
        await self._operation(_STORAGE, "forceRemoveCompletion()")

    async def assassinate(self, address: str) -> None:
        """Have the ring forget a dead node, by its address, without moving data."""
        await self._operation(_GOSSIPER, "assassinateEndpoint(java.lang.String)", address, timeout_s=60.0)

    async def reload_certificates(self) -> None:
        """Take the truststore written by `yaml.write_trust` at once, for new connections."""
        await self._operation(_MESSAGING, "reloadSslCertificates()")

    async def repair(self, keyspace: str = KEYSPACE, *, timeout_s: float = OPERATION_TIMEOUT_S) -> None:
        """Compare the keyspace with the other replicas and fill gaps, in full; returns when done."""
        options = {"parallelism": "parallel", "primaryRange": "false", "incremental": "false"}
        number = await self._operation(_STORAGE, "repairAsync(java.lang.String,java.util.Map)", keyspace, options)
        deadline = time.monotonic() + timeout_s
        while number:  # 0: nothing to repair, there is one replica
            state = await self._operation(_STORAGE, "getParentRepairStatus(int)", number)
            if state and state[0] == "COMPLETED":
                return
            if state and state[0] == "FAILED":
                raise DatabaseError(
                    f"The repair of {keyspace} failed: {' '.join(state[1:])}", remedy="Try again.", code="ring"
                )
            if time.monotonic() > deadline:
                raise DatabaseError(f"The repair of {keyspace} takes too long.", remedy="Try again.", code="timeout")
            await asyncio.sleep(REPAIR_POLL_S)

    async def _operation(self, bean: str, name: str, *arguments: object, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        return _value((await self._bulk([_call(bean, name, *arguments)], timeout_s))[0])

    async def _bulk(self, requests: list[dict[str, Any]], timeout_s: float = CALL_TIMEOUT_S) -> list[dict[str, Any]]:
        """One POST for all requests; each answer has its own `status`."""
        try:
            answer = await self._client.post("", json=requests, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise DatabaseError(
                f"The database's management port does not answer: {str(error) or type(error).__name__}.",
                remedy="It is being started or has ended; Database Status says which.",
                code="management-silent",
            ) from error
        if answer.status_code != httpx.codes.OK:
            raise DatabaseError(
                f"The database's management port refused the request ({answer.status_code}).",
                remedy="Another server's database uses this port: give each its own management_port in [database].",
                code="management-refused",
            )
        with contextlib.suppress(ValueError):
            answers = answer.json()
            if isinstance(answers, list) and len(answers) == len(requests):
                return answers
        raise DatabaseError(
            "The database's management port gave an unknown answer.",
            remedy="Another program uses this port: choose another management_port in [database].",
            code="management-refused",
        )


def _call(bean: str, name: str, *arguments: object) -> dict[str, Any]:
    return {"type": "exec", "mbean": bean, "operation": name, "arguments": list(arguments)}


def _value(answer: dict[str, Any]) -> Any:
    if answer.get("status") == httpx.codes.OK:
        return answer.get("value")
    words = str(answer.get("error", "no reason given")).split(" : ", 1)[-1]
    raise DatabaseError(
        f"The database refused: {words}", remedy="Look at Details for the state of the nodes.", code="ring"
    )


def _plain(endpoint: str) -> str:
    """ "name/10.0.0.1:7000" as "10.0.0.1:7000"."""
    return endpoint.rsplit("/", 1)[-1]


def _split(endpoint: str) -> tuple[str, int]:
    address, _, port = endpoint.rpartition(":")
    return address.strip("[]"), int(port)


def _picture(
    seen: dict[str, Any], owns: dict[str, dict[str, float]], heap_used_bytes: int, load_bytes: int
) -> RingPicture:
    sets = {name: {_plain(e) for e in seen[f"{name}NodesWithPort"]} for name in ("Live", "Unreachable")}
    states = {
        name.upper(): {_plain(e) for e in seen[f"{name}NodesWithPort"]} for name in ("Joining", "Leaving", "Moving")
    }
    host_ids = {_plain(e): host_id for e, host_id in seen["EndpointWithPortToHostId"].items()}
    tokens: dict[str, list[str]] = {}
    for token, endpoint in seen["TokenToEndpointWithPortMap"].items():
        tokens.setdefault(_plain(endpoint), []).append(token)
    nodes = []
    for endpoint in sorted(tokens):
        address, port = _split(endpoint)
        nodes.append(
            RingNode(
                address=address,
                port=port,
                host_id=host_ids.get(endpoint, ""),
                status="UP" if endpoint in sets["Live"] else "DOWN" if endpoint in sets["Unreachable"] else "UNKNOWN",
                state=next((name for name, members in states.items() if endpoint in members), "NORMAL"),
                tokens=tuple(sorted(tokens[endpoint])),
                owns_percent={k: round(part[endpoint], 1) for k, part in owns.items() if endpoint in part},
            )
        )
    own_id = seen["LocalHostId"] or ""
    own = next((endpoint for endpoint, host_id in host_ids.items() if host_id == own_id), "")
    return RingPicture(
        operation_mode=seen["OperationMode"],
        speaks=bool(seen["GossipRunning"] and seen["NativeTransportRunning"]),
        own_host_id=own_id,
        own_address=_split(own)[0] if own else "",
        nodes=tuple(nodes),
        heap_used_bytes=heap_used_bytes,
        disk_load_bytes=load_bytes,
        version=seen["ReleaseVersion"],
    )
