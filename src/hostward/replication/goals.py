"""What each role needs, as tables of goals; and which goal is next. No I/O: `decide(observed)` is pure.

Apply only stores the wanted role. The coordinator looks at what is there, again and again, and works on the first goal
that isn't met. So a crash anywhere resumes, and what was undone from outside is done again.

    Standalone ──Apply──► Master        Standalone ──Apply──► Slave          any ──Apply──► Standalone
      EPOCH      ◄─ promoted              ADOPTED    ◄─ another is promoted    FAREWELL
      CAUGHT_UP                           ADDRESS    ◄─ DHCP                   STOPPED
      ADDRESS    ◄─ DHCP                  ADMISSION  ◄─────────┐               WIPED
      OWN_MEMBER                          BACKUP               │ a new         OWN_HISTORY
      RUNTIME                             RUNTIME              │ generation,
      GENERATION ◄─ data lost             CLEAN_NODE           │ or wiped
      NODE       ◄─ died, left            NODE ◄─ died, left ──┘
      KEYSPACES                           CONTENT
      LOG                                 IN_STEP ◄─ behind, altered
      RING       ◄─ servers come and go   CONFIRMED
                                          OWNS ◄─ replication factor lowered by hand

A promotion makes a Slave a Master and the Master a Slave, each at its role's first goal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

from hostward.domain.replication import Role


class Goal(StrEnum):
    """Each goal's value is its name as an operator reads it."""

    EPOCH = "Begin a new epoch"
    ADOPTED = "Go over to the new Master's epoch"
    OWN_MEMBER = "Enter this server as the group's Master"
    CAUGHT_UP = "Catch up with what the Slaves have"
    ADDRESS = "Find the address of the Database Network Adapter"
    ADMISSION = "Be admitted by the Master"
    BACKUP = "Keep a backup of this server's own configuration"
    RUNTIME = "Install Java and Cassandra"
    GENERATION = "Choose the ring's generation"
    CLEAN_NODE = "Remove database files of another ring"
    NODE = "Start the database node"
    KEYSPACES = "Create the keyspaces"
    LOG = "Publish the registry"
    RING = "Bring the ring to the group's servers"
    CONTENT = "Load the Master's configuration"
    IN_STEP = "Follow the change log"
    CONFIRMED = "Report to the Master"
    OWNS = "Own all of the data"
    FAREWELL = "Tell the other servers"
    STOPPED = "Stop the database node"
    WIPED = "Remove the database's files"
    OWN_HISTORY = "Make the configuration this server's own"


class Process(Enum):
    """The database's process."""

    NONE = "none"
    STARTING = "starting"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Marker:
    """What the node's data directory says it belongs to."""

    group_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The Master's answer, in this life of the server: its node may run, in this ring."""

    group_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Observed:
    """One picture of this server and its group; every pass makes a new one. Positions are (epoch, revision, hash)
    proofs already compared, so that this is only booleans and small values."""

    wanted: Role
    group_id: str
    epoch_begun: bool
    epoch_adopted: bool
    own_member_current: bool
    generation: int
    ring_to_form: int
    runtime: bool
    marker: Marker | None
    node_joined: bool
    process: Process
    address_here: bool
    address_fits: bool
    node_in_ring: bool
    owns_all: bool
    keyspaces_ready: bool
    log_published: bool
    ring_tidy: bool
    caught_up: bool
    admission: Admission | None
    backup_kept: bool
    content_loaded: bool
    in_step: bool
    confirmed: bool
    farewell_said: bool
    membership_left: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A goal, when it is met, and what to tell the operator while it is not."""

    goal: Goal
    met: Callable[[Observed], bool]
    waiting: str


def _node_fits(o: Observed) -> bool:
    """The data directory is empty, or belongs to the ring that this server is admitted to."""
    return o.marker is None or (
        o.admission is not None and o.marker == Marker(o.admission.group_id, o.admission.generation)
    )


def _generation_chosen(o: Observed) -> bool:
    """The Master's node has joined the ring of the current generation; or is to form it, for this server chose it. A
    Slave may be promoted while its node joins anew: there is nobody left then who could let it in."""
    if o.generation == 0:
        return False
    here = Marker(o.group_id, o.generation)
    if o.ring_to_form == o.generation:
        return o.marker in (None, here)
    return o.marker == here and o.node_joined


def _node_up(o: Observed) -> bool:
    return o.process is Process.READY and o.marker is not None and o.address_fits and o.node_in_ring


_ADDRESS = Rule(Goal.ADDRESS, lambda o: o.address_here, "The Database Network Adapter's address is looked for.")


MASTER = (
    Rule(Goal.EPOCH, lambda o: o.epoch_begun, "Beginning a new epoch as the group's Master."),
    Rule(Goal.CAUGHT_UP, lambda o: o.caught_up, "Asking the Slaves whether one of them has newer changes."),
    _ADDRESS,
    Rule(Goal.OWN_MEMBER, lambda o: o.own_member_current, "Entering this server as the group's Master."),
    Rule(Goal.RUNTIME, lambda o: o.runtime, "Installing Java and Cassandra."),
    Rule(
        Goal.GENERATION, _generation_chosen, "The ring's data is missing: a new generation is made from the registry."
    ),
    Rule(Goal.NODE, _node_up, "The database node is starting."),
    Rule(Goal.KEYSPACES, lambda o: o.keyspaces_ready, "Creating the database's keyspaces."),
    Rule(Goal.LOG, lambda o: o.log_published, "Publishing the registry to the database."),
    Rule(Goal.RING, lambda o: o.ring_tidy, "Bringing the ring to the group's servers."),
)

SLAVE = (
    Rule(Goal.ADOPTED, lambda o: o.epoch_adopted, "Going over to the new Master's epoch."),
    _ADDRESS,
    Rule(Goal.ADMISSION, lambda o: o.admission is not None, "Asking the Master for admission."),
    Rule(Goal.BACKUP, lambda o: o.backup_kept, "Keeping a backup of this server's own configuration."),
    Rule(Goal.RUNTIME, lambda o: o.runtime, "Installing Java and Cassandra."),
    Rule(Goal.CLEAN_NODE, _node_fits, "Removing the database files of another ring."),
    Rule(Goal.NODE, _node_up, "The database node is joining the ring."),
    Rule(Goal.CONTENT, lambda o: o.content_loaded, "Loading the Master's configuration."),
    Rule(Goal.IN_STEP, lambda o: o.in_step, "Following the change log up to the Master's revision."),
    Rule(Goal.CONFIRMED, lambda o: o.confirmed, "Reporting to the Master."),
    Rule(Goal.OWNS, lambda o: o.owns_all, "Waiting until this server's database owns 100 % of the data."),
)

STANDALONE = (
    Rule(Goal.FAREWELL, lambda o: o.farewell_said, "Telling the other servers that this one leaves."),
    Rule(Goal.STOPPED, lambda o: o.process is Process.NONE, "Stopping the database node."),
    Rule(Goal.WIPED, lambda o: o.marker is None, "Removing the database's files."),
    Rule(Goal.OWN_HISTORY, lambda o: not o.membership_left, "Making the configuration this server's own."),
)

RULES = {Role.MASTER: MASTER, Role.SLAVE: SLAVE, Role.STANDALONE: STANDALONE}


@dataclass(frozen=True, slots=True)
class Decision:
    """The goal to work on (None: all are met), its place in the table, and the sentence for the operator."""

    goal: Goal | None
    index: int
    waiting: str


def decide(observed: Observed) -> Decision:
    """The first goal of the wanted role that isn't met."""
    rules = RULES[observed.wanted]
    for index, rule in enumerate(rules):
        if not rule.met(observed):
            return Decision(rule.goal, index, rule.waiting)
    return Decision(None, len(rules), "")


def goal_names(role: Role) -> list[str]:
    """The names of a role's goals in order: a job's steps."""
    return [str(rule.goal) for rule in RULES[role]]
