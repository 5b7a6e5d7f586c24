"""What a running process takes over of changed settings without a restart, after SIGHUP.

Files that settings name are read again each time: the word list and the list of pictures here, the operator's pages by
themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from passerby import logs
from passerby.assembly import LINKS, built_in_hooks, hook_services, limits, quotas
from passerby.clock import sleep
from passerby.guests.tokens import derive
from passerby.settings import SettingsError, changed

if TYPE_CHECKING:
    from passerby.assembly import Assembly
    from passerby.safety.hook import Hook
    from passerby.settings import Configuration, Settings

log = logging.getLogger(__name__)

_FILES: Final = frozenset({"room_files_limit", "guest_files_limit", "files_limit", "address_files_limit"})
_READ_WHEN_NEEDED: Final = frozenset({"drain_seconds", "stop_notice", "stop_patience", "stop_away"})
_OF_HOOKS: Final = frozenset(
    {"word_list", "picture_list", "hook_url", "hook_secret", "hook_checks", "hook_timeout", "hook_fails"}
)


def _always(_settings: Settings) -> bool:
    return True


class Change(NamedTuple):
    """Settings that are taken over together."""

    names: frozenset[str]
    take: Callable[[Settings], object]
    """Raises SettingsError if that is not possible; then nothing has changed."""
    each_time: bool = False
    """Also if the settings are the same: what they name may have changed."""
    fits: Callable[[Settings], bool] = _always
    """Returns whether the process can take these over."""


class Reloaded(NamedTuple):
    """Names of settings that have changed."""

    taken: list[str]
    left: list[str]
    """Those that need a restart."""


class Reloading:
    """Takes over what can be taken over."""

    def __init__(self, settings: Settings, changes: Iterable[Change]) -> None:
        """`settings` hold now. Only the first of `changes` may fail."""
        self.settings = settings
        self._changes = tuple(changes)

    @property
    def names(self) -> frozenset[str]:
        """Return the settings that can be taken over."""
        return frozenset(name for change in self._changes for name in change.names)

    def take(self, new: Settings) -> Reloaded:
        """Take over what has changed. Raises SettingsError; then nothing is taken over.

        What is left keeps its value, so it is named the next time, too.
        """
        changed = {name for name in new.__struct_fields__ if getattr(new, name) != getattr(self.settings, name)}
        fitting = [change for change in self._changes if change.fits(new)]
        taken = {name for change in fitting for name in change.names & changed}
        holds = msgspec.structs.replace(self.settings, **{name: getattr(new, name) for name in taken})
        for change in fitting:
            if change.each_time or change.names & taken:
                change.take(holds)
        self.settings = holds
        return Reloaded(sorted(taken), sorted(changed - taken))

    def reread(self, found: Configuration) -> Settings:
        """Take over what has changed, and say in the log what that is; return the settings that hold now."""
        problems = found.problems
        if found.settings is not None:
            try:
                taken, left = self.take(found.settings)
            except SettingsError as error:
                problems = str(error).splitlines()
            else:
                said = changed(self.settings)
                told = {name.upper(): said.get(name.upper(), "(default)") for name in taken}
                log.info("the settings were read again", extra={"settings": told})
                for name in left:
                    log.warning("a setting needs a restart to change", extra={"setting": name.upper()})
                return self.settings
        for problem in problems:
            log.error("the settings are wrong, so nothing is taken over", extra={"problem": problem})
        return self.settings


def changes(services: Assembly, worker: int | None) -> list[Change]:
    """Return what services can take over; the first may fail. `worker` is the number of this process among several."""
    hooks = Change(_OF_HOOKS, partial(_change_hooks, services), each_time=True)
    pressure = {"proof_of_work", "calm_address_sessions", "calm_sessions"}
    rates = {"limits_scale", "limit_uploads", *(f"limit_address_{name}" for name in services.adapters.buckets)}
    told = {"limits_scale", "text_limit", "file_limit", "voice_limit", "picture_pixels", *_FILES}
    return [
        hooks,
        Change(
            frozenset({"log_level", "log_format"}), lambda new: logs.configure(new.log_level, new.log_format, worker)
        ),
        Change(frozenset({"stun_urls", "turn_urls", "turn_secret", "turn_ttl"}), partial(_change_ice, services)),
        Change(frozenset({"meeting_hours", "meeting_timezone"}), partial(_change_hours, services)),
        Change(frozenset(pressure), partial(_change_pressure, services)),
        Change(frozenset(rates), partial(_change_rates, services)),
        Change(frozenset(told), partial(_change_limits, services)),
        Change(frozenset({"sessions_limit", "memory_limit"}), partial(_change_room, services)),
        Change(
            frozenset({"jwt_secret", "jwt_secret_previous"}),
            partial(_change_secrets, services),
            fits=lambda new: services.settings.jwt_secret is not None and new.jwt_secret is not None,
        ),
        Change(
            frozenset({"age_secret"}),
            partial(_change_age_secret, services),
            fits=lambda new: services.newcomers.checks is not None and new.age_secret is not None,
        ),
        Change(_READ_WHEN_NEEDED, lambda _: None),
    ]


def _change_hooks(services: Assembly, settings: Settings) -> None:
    gone = services.checks.change(
        [*services.own_hooks, *hook_services(settings, services.clock)],
        built_in=built_in_hooks(settings),
        deadline=settings.hook_timeout,
        fails_open=settings.hook_fails == "open",
    )
    for hook in gone:
        services.background.start("closing of a hook", _close_later(services, hook, settings.hook_timeout))


async def _close_later(services: Assembly, hook: Hook, seconds: float) -> None:
    """Close a hook that may have been asked just before."""
    await sleep(services.clock, seconds)
    await hook.close()


def _change_ice(services: Assembly, settings: Settings) -> None:
    services.ice.change(
        stun=settings.stun_urls, turn=settings.turn_urls, secret=settings.turn_secret, ttl=settings.turn_ttl
    )


def _change_hours(services: Assembly, settings: Settings) -> None:
    services.hours.change(settings.meeting_hours, settings.meeting_timezone)


def _change_pressure(services: Assembly, settings: Settings) -> None:
    services.pressure.change(settings.proof_of_work, settings.calm_address_sessions, settings.calm_sessions)


def _change_rates(services: Assembly, settings: Settings) -> None:
    for name, buckets in services.adapters.buckets.items():
        buckets.change(settings.rate(f"address_{name}"))
    services.files.rate = settings.rate("uploads")
    change_buckets(services, settings, ("uploads",))


def change_buckets(services: Assembly, settings: Settings, names: Iterable[str]) -> None:
    """Let the guests who are here have other rates."""
    now = services.clock.monotonic()
    for name in names:
        rate = settings.rate(name)
        for live in services.guests.lives():
            if (bucket := live.buckets.get(name)) is not None:
                bucket.change(rate, now)


def _change_limits(services: Assembly, settings: Settings) -> None:
    services.files.space.change(quotas(settings))
    new = limits(settings)
    for name in new.__struct_fields__:
        setattr(services.limits, name, getattr(new, name))


def _change_room(services: Assembly, settings: Settings) -> None:
    services.guests.limit = settings.sessions_limit
    services.memory.limit = settings.memory_limit


def _change_secrets(services: Assembly, settings: Settings) -> None:
    secret, previous = settings.jwt_secret, settings.jwt_secret_previous
    if secret is not None:
        services.tokens.change(secret, previous)
        services.links.change(derive(one, LINKS) for one in (secret, previous) if one is not None)


def _change_age_secret(services: Assembly, settings: Settings) -> None:
    if services.newcomers.checks is not None and settings.age_secret is not None:
        services.newcomers.checks.change(settings.age_secret)
