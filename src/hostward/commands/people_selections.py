"""Many users at once, chosen one by one or by a search: disabled, enabled, put into groups, taken out of them, deleted.
Each is one change, of all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.choosing import Noun, Selection, chosen, named, tag
from hostward.commands.people import MAX_MISTAKES, deleted_user, group_ids
from hostward.commands.people_lists import check_search
from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Beforehand, Submitted, write
from hostward.domain.changes import Operation, Put, canonical
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.people import USER_KIND, UserSearch, check_user
from hostward.domain.replicated import Replicated
from hostward.domain.suggestions import shown
from hostward.registry.group import Element, Reader

USERS: Final = Noun(USER_KIND, "user", "users")


@dataclass(frozen=True, slots=True)
class Edits:
    """What becomes of them: `disabled` (None: as it is), and the names of the groups that they join and leave."""

    disabled: bool | None = None
    join: Sequence[str] = ()
    leave: Sequence[str] = ()

    @property
    def act(self) -> str:
        """In a word."""
        if self.join or self.leave or self.disabled is None:
            return "Changing"
        return "Disabling" if self.disabled else "Enabling"


@dataclass(frozen=True, slots=True)
class Changed:
    """How many users were changed or deleted, in which revision, and who has it."""

    users: int
    revision: int
    replicated: Replicated


@dataclass(frozen=True, slots=True)
class _Decided:
    """What to do, which users it was chosen of, and which of them it changes."""

    operations: Sequence[Operation]
    chosen: Sequence[Element]
    changed: Sequence[Element]


async def edit_users(
    services: Services,
    actor: Actor,
    selection: Selection,
    matching: UserSearch,
    edits: Edits,
    *,
    confirmed: bool,
    plan: str = "",
) -> Changed | Submitted:
    """`plan` is the confirmation's. Raises ConfirmationRequired, Conflict "selection-changed", InvalidInput with a
    Mistake for each group that isn't there, and where nothing would change."""
    if edits == Edits():
        raise InvalidInput("Nothing is to be changed.", remedy="Disable or enable them, or name groups.")

    def decide(reader: Reader) -> _Decided:
        found = _chosen(reader, selection, matching, plan)
        join, leave = group_ids(reader, edits.join, "join"), group_ids(reader, edits.leave, "leave")
        operations: list[Operation] = []
        changed, mistakes = [], []
        for element in found:
            before = check_user(element.json())
            groups = {*before["groups"], *join} - {*leave}
            disabled = before["disabled"] if edits.disabled is None else edits.disabled
            try:
                body = check_user({**before, "groups": sorted(groups), "disabled": disabled})
            except InvalidInput as error:
                mistakes += [Mistake("join", f"{shown(before['name'])}: {m.problem}", m.remedy) for m in error.mistakes]
                continue
            if body != before:
                operations.append(Put(USER_KIND, element.id, canonical(body)))
                changed.append(element)
        if mistakes:
            raise InvalidInput(
                "This doesn't go with every user that is chosen; nothing was changed.",
                remedy="Choose the others alone, or other groups.",
                code="user-invalid",
                mistakes=mistakes[:MAX_MISTAKES],
            )
        if not operations:
            raise InvalidInput("All of them are so already; nothing was changed.", remedy="Choose others.")
        return _Decided(operations, found, changed)

    decided = await Beforehand.look(services, decide)
    found = decided.found
    said = [*_said(actor, edits, found.changed), named(found.changed)]
    already = len(found.chosen) - len(found.changed)
    said += [f"{USERS.counted(already)} {'is' if already == 1 else 'are'} so already."] if already else []
    confirm(confirmed, f"{edits.act} {USERS.counted(len(found.changed))}", said, tag(found.chosen))
    told: dict[str, Any] = {"disabled": edits.disabled} if edits.disabled is not None else {}
    told |= {name: ", ".join(names) for name, names in (("join", edits.join), ("leave", edits.leave)) if names}
    return await _write(services, actor, "users-edited", decided, **told)


async def delete_users(
    services: Services,
    actor: Actor,
    selection: Selection,
    matching: UserSearch,
    *,
    confirmed: bool,
    plan: str = "",
) -> Changed | Submitted:
    """With their passwords and what was assigned to them. `plan` is the confirmation's. Raises ConfirmationRequired,
    Conflict "selection-changed"."""

    def decide(reader: Reader) -> _Decided:
        found = _chosen(reader, selection, matching, plan)
        return _Decided([op for element in found for op in deleted_user(reader, element.id)], found, found)

    decided = await Beforehand.look(services, decide)
    found = decided.found.chosen
    said = ["They are logged out everywhere, and what was assigned to them alone is gone. They can't be brought back."]
    said += [*_whom(actor, found), named(found)]
    confirm(confirmed, f"Deleting {USERS.counted(len(found))}", said, tag(found))
    return await _write(services, actor, "users-deleted", decided)


async def _write(
    services: Services, actor: Actor, act: str, decided: Beforehand[_Decided], **about: Any
) -> Changed | Submitted:
    about |= {"users": len(decided.found.changed)}
    done = await write(services, actor, act, lambda reader: decided.at(reader).operations, all_servers=True, **about)
    if isinstance(done, Submitted):
        return done
    return Changed(len(decided.found.changed), done.committed.revision, done.replicated)


def _chosen(reader: Reader, selection: Selection, matching: UserSearch, plan: str) -> list[Element]:
    check_search(reader, matching)
    all_of_them = reader.people.user_ids(matching) if selection.ids is None else ()
    return chosen(reader, USERS, selection, all_of_them, plan)


def _said(actor: Actor, edits: Edits, changed: Sequence[Element]) -> Iterator[str]:
    if edits.disabled:
        yield "They are logged out everywhere, and can't log in until they are enabled again."
        yield from _whom(actor, changed)
    elif edits.disabled is not None:
        yield "They can log in again."
    if edits.join:
        yield f"They join {_quoted(edits.join)}, and have what is assigned to it."
    if edits.leave:
        yield f"They leave {_quoted(edits.leave)}, and lose what they have by it alone."


def _whom(actor: Actor, concerned: Sequence[Element]) -> Iterator[str]:
    """Whom one may have chosen by mistake."""
    if any(element.id == actor.account for element in concerned):
        yield "You are among them: your own logins end."
    roles = sum(1 for element in concerned if element.json().get("role"))
    if roles:
        yield f"{roles:,} of them {'has' if roles == 1 else 'have'} a role in the console."


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(shown(name) for name in names)
