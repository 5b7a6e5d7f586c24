"""What a running process takes over of changed settings without a restart, after SIGHUP.

Files that settings name are read again each time: the word list and the list of pictures here, the operator's pages by
themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from passerby import logs
from passerby.assembly import LINKS, built_in_hooks, hook_services, limits, quotas
from passerby.guests.tokens import derive
from passerby.settings import SettingsError, changed

if TYPE_CHECKING:
    from passerby.assembly import Assembly
    from passerby.background import Background
    from passerby.limits import Rate
    from passerby.settings import Configuration, Settings

log = logging.getLogger(__name__)

_FILES: Final = frozenset({"room_files_limit", "guest_files_limit", "files_limit", "address_files_limit"})
_READ_WHEN_NEEDED: Final = frozenset({"drain_seconds", "stop_notice", "stop_patience", "stop_away"})
_OF_HOOKS: Final = frozenset(
    {"word_list", "picture_list", "hook_url", "hook_secret", "hook_checks", "hook_timeout", "hook_fails"}
)


def _always(_settings: Settings) -> bool:
    return True


def _nothing(_settings: Settings) -> None:
    """What is read when it is needed is taken over by itself."""


class Change(NamedTuple):
    """Settings that are taken over together."""

    names: frozenset[str]
    take: Callable[[Settings], object] = _nothing
    """Takes them over. It cannot fail."""
    prepare: Callable[[Settings], Callable[[], object]] | None = None
    """Runs in a thread: reads what the settings name, and returns what takes that over. Raises SettingsError."""
    fits: Callable[[Settings], bool] = _always
    """Returns whether the process can take these over."""


class Reloading:
    """Takes over what can be taken over, one reading after the other."""

    def __init__(
        self,
        settings: Settings,
        changes: Iterable[Change],
        background: Background,
        held: Callable[[Settings], object],
    ) -> None:
        """`settings` hold now; `held` is called with those that hold after each reading."""
        self._settings = settings
        self._changes = tuple(changes)
        self._background = background
        self._held = held
        self._is_reading = self._is_asked = False

    @property
    def names(self) -> frozenset[str]:
        """Return the settings that can be taken over."""
        return frozenset(name for change in self._changes for name in change.names)

    def ask(self, reread: Callable[[], Configuration]) -> None:
        """Read the settings again. Who asks while they are being read has them read once more, whatever the number."""
        self._is_asked = True
        if not self._is_reading:
            self._is_reading = True
            self._background.start("reading of the settings", self._read(reread))

    async def _read(self, reread: Callable[[], Configuration]) -> None:
        try:
            while self._is_asked:
                self._is_asked = False
                await self.take(await asyncio.to_thread(reread))
        finally:
            self._is_reading = False

    async def take(self, found: Configuration) -> None:
        """Take over what has changed, all or nothing, and say in the log what that is.

        What is left keeps its value, so it is named the next time, too. Files are read beside the event loop.
        """
        new, before = found.settings, self._settings
        if new is None:
            _complain(found.problems)
            return
        different = {name for name in new.__struct_fields__ if getattr(new, name) != getattr(before, name)}
        fitting = [change for change in self._changes if change.fits(new)]
        taken = {name for change in fitting for name in change.names & different}
        holds = msgspec.structs.replace(before, **{name: getattr(new, name) for name in taken})
        try:
            prepared = [await asyncio.to_thread(change.prepare, holds) for change in fitting if change.prepare]
        except SettingsError as error:
            _complain(str(error).splitlines())
            return
        for take in prepared:
            take()
        for change in fitting:
            if change.names & taken:
                change.take(holds)
        self._settings = holds
        self._held(holds)
        said = changed(holds)
        told = {name.upper(): said.get(name.upper(), "(default)") for name in sorted(taken)}
        log.info("the settings were read again", extra={"settings": told})
        for name in sorted(different - taken):
            log.warning("a setting needs a restart to change", extra={"setting": name.upper()})


def _complain(problems: Iterable[str]) -> None:
    for problem in problems:
        log.error("the settings are wrong, so nothing is taken over", extra={"problem": problem})


def changes(services: Assembly, worker: int | None) -> list[Change]:
    """Return what services can take over. `worker` is the number of this process among several."""
    pressure = {"proof_of_work", "calm_address_sessions", "calm_sessions"}
    rates = {"limits_scale", *(f"limit_address_{name}" for name in services.adapters.buckets)}
    told = {"limits_scale", "text_limit", "file_limit", "voice_limit", "picture_pixels", *_FILES}
    return [
        Change(_OF_HOOKS, prepare=partial(_read_lists, services)),
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
        Change(_READ_WHEN_NEEDED),
    ]


def _read_lists(services: Assembly, settings: Settings) -> Callable[[], object]:
    lists = built_in_hooks(settings)

    def take() -> None:
        services.checks.change(
            [*services.own_hooks, *hook_services(settings, services.clock)],
            built_in=lists,
            deadline=settings.hook_timeout,
            fails_open=settings.hook_fails == "open",
        )

    return take


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


def change_guests(services: Assembly, rates: Mapping[str, Rate]) -> None:
    """Let the guests who are here have other rates, by their names."""
    services.files.rate = rates["uploads"]
    now = services.clock.monotonic()
    for live in services.guests.lives():
        for name, bucket in live.buckets.items():
            bucket.change(rates[name], now)


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
