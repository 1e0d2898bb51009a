"""Templates, and the few filters that they need. Everything that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from hostward import __version__
from hostward.commands.settings import settings_etag
from hostward.http.console.assets import Assets, load_assets
from hostward.http.console.pages.entries import as_entered, as_shown, field_label

DATABASE_STATUSES: Final[Mapping[str, str]] = {
    "Up": "success",
    "Initializing": "info",
    "Down": "danger",
    "Status unavailable due to registry restart": "warning",
}


class Pages:
    """Renders templates. The assets are read when the first page is."""

    def __init__(self, base: str) -> None:
        self._env = Environment(
            loader=PackageLoader("hostward.http.console", "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._env.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
        self._env.filters |= {"as_shown": as_shown, "as_entered": as_entered, "field_label": field_label}
        self._env.filters["settings_etag"] = settings_etag
        self._env.globals |= {
            "asset": lambda name: f"{base}/static/{self.assets.names[name]}",
            "version": __version__,
            "moment": moment,
            "severity_of": lambda status: DATABASE_STATUSES.get(status, "info"),
        }

    @property
    def assets(self) -> Assets:
        return load_assets()

    def render(self, template: str, **shown: Any) -> str:
        return self._env.get_template(template).render(**shown)


def moment(time: datetime | str | None) -> Markup:
    """A time, which the reader's browser shows in its own zone. ISO 8601 or a datetime; empty for None."""
    if not time:
        return Markup("–")
    given = datetime.fromisoformat(time) if isinstance(time, str) else time
    plain = f"{given:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(given.isoformat(), escape(plain))
