"""Settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Body
from pydantic import WithJsonSchema
from starlette.responses import Response

from hostward.commands import settings
from hostward.commands.writing import Submitted
from hostward.domain.settings import SETTINGS, Setting
from hostward.http.api import shapes
from hostward.http.api.change_requests import submitted
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.requests import IfMatch, Json, Shown, Who, With, administrators_router, etag_header

router = administrators_router("Settings", "/settings")


class ChoiceShown(Shown):
    value: str
    label: str


class WholeShown(Shown):
    usual: int
    least: int
    most: int
    unit: str


class TextShown(Shown):
    usual: str
    many: int
    """A list of at most so many; 0 where it is one text."""


class SettingShown(Shown):
    """Either one of `choices`, or a `whole` number, or `text`."""

    name: str
    label: str
    help: str
    value: str | int | list[str]
    default: str | int | list[str]
    choices: list[ChoiceShown]
    whole: WholeShown | None
    text: TextShown | None
    scope: str
    """replicated or this server"""


class Settings(Shown):
    items: list[SettingShown]


class SettingsWritten(Settings):
    revision: int
    replicated: shapes.Replicated


def _schema(setting: Setting) -> dict[str, Any]:
    about = {"title": setting.label, "description": setting.help}
    if setting.whole:
        bounds = {"minimum": setting.whole.least, "maximum": setting.whole.most}
        return about | {"type": ["integer", "null"], **bounds}
    if setting.text and setting.text.many:
        return about | {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": setting.text.many}
    if setting.text:
        return about | {"type": ["string", "null"]}
    return about | {"enum": [*(c.value for c in setting.choices), None]}


_SCHEMA = {
    "title": "SettingsIn",
    "type": "object",
    "properties": {s.name: _schema(s) for s in SETTINGS.values()},
    "additionalProperties": False,
}
SettingsIn = Annotated[dict[str, Any], WithJsonSchema(_SCHEMA), Body()]


@router.get("", summary="List settings", responses=answers(Settings, "Each with its choices"))
async def list_settings(who: Who, services: With) -> Response:
    now = await settings.list_settings(services)
    return Json({"items": [_item(s) for s in now]}, headers=etag_header(settings.settings_etag(now)))


@router.patch("", summary="Change settings", responses=or_submitted(SettingsWritten, "They are changed"))
async def change_settings(given: SettingsIn, if_match: IfMatch, who: Who, services: With) -> Response:
    """Only those that are given change; null sets one back to its default."""
    done = await settings.set_settings(services, who, given, if_match=if_match)
    if isinstance(done, Submitted):
        return submitted(done)
    replicated = done.replicated.to_json()
    now = await settings.list_settings(services)
    shown = {"items": [_item(s) for s in now], "revision": done.committed.revision, "replicated": replicated}
    return Json(shown, headers=etag_header(settings.settings_etag(now)))


def _item(s: settings.SettingNow) -> dict[str, Any]:
    return {
        "name": s.setting.name,
        "label": s.setting.label,
        "help": s.setting.help,
        "value": s.value,
        "default": s.setting.default,
        "choices": [{"value": c.value, "label": c.label} for c in s.setting.choices],
        "whole": asdict(s.setting.whole) if s.setting.whole else None,
        "text": {"usual": s.setting.text.usual, "many": s.setting.text.many} if s.setting.text else None,
        "scope": s.setting.scope.value,
    }
