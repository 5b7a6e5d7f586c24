"""The command line: `passerby serve`, `passerby doctor`, `passerby config`, and the commands of `commands`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

from passerby import __version__, logs, settings, sources
from passerby.doctor import command as doctor
from passerby.listening import ListenError, Listeners
from passerby.workers import parent
from passerby.workers.loops import new_event_loop

log = logging.getLogger(__name__)

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code.

    2 for invalid settings, or without what they need. 1 when `serve` cannot open the port, or when `doctor` finds a
    problem.
    """
    flags = vars(_parser().parse_args(arguments))
    command, url = flags.pop("command"), flags.pop("url", None)

    found = settings.examine(os.environ, flags)
    if command == "config":
        return _quietly(lambda: _config(flags["action"] or "", found))
    chosen = found.settings
    if chosen is None:
        _complain(found.problems)
        return USAGE_ERROR
    if command == "serve":
        return _serve(chosen, found.warnings, lambda: settings.examine(os.environ, flags, again=True))
    _complain(found.warnings)
    return _quietly(lambda: _run(command, chosen, url, flags))


def _run(command: str, chosen: settings.Settings, url: str | None, flags: dict[str, str | None]) -> int:
    try:
        if command in ("moderator", "audit", "transparency"):
            from passerby import commands  # noqa: PLC0415 - the others need nothing of it

            return commands.run(command, chosen, flags, sys.stdout)
        return doctor.run(chosen, url, sys.stdout)
    except settings.SettingsError as error:
        _complain(str(error).splitlines())
        return USAGE_ERROR


def _quietly(command: Callable[[], int]) -> int:
    """Run a command that prints; return its exit code, or 1 if it is interrupted or nobody reads on."""
    try:
        return command()
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:  # as in `passerby doctor | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest when it ends
        return 1


def _complain(lines: Sequence[str]) -> None:
    for line in lines:
        sys.stderr.write(f"passerby: {line}\n")


def _config(action: str, found: settings.Configuration) -> int:
    """Say what is wrong, all at once; with `show`, print each setting and where it comes from."""
    if action == "show":
        width = max(len(f"{entry.variable}={entry.value}") for entry in found.entries if len(entry.value) < _WIDE)
        encoding = sys.stdout.encoding
        for entry in found.entries:
            line = f"{f'{entry.variable}={entry.value}':<{width}}  # {entry.origin}"
            sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    _complain([*found.problems, *found.warnings])
    if found.problems:
        return USAGE_ERROR
    if action == "check":
        sys.stdout.write("the settings are right; `passerby doctor` looks at what they need\n")
    return 0


_WIDE: Final = 40
"""Characters of a value for which the others are not moved to the right."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="passerby", description="Anonymous one-to-one chat with a passer-by")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the chat and its web client")
    check = commands.add_parser(
        "doctor",
        help="check the settings and what they need, and say in plain words what is wrong",
        description="Check the settings of `serve`, and what they need: a line for each check, and exit code 1 if "
        "there is a problem.",
    )
    check.add_argument(
        "--url",
        metavar="VALUE",
        help="Address that guests use, such as https://chat.example or https://example.org/chat, to check the proxy",
    )
    for command in (serve, check, *_configs(commands), *_others(commands)):
        command.add_argument(
            "--config", metavar="FILE", help=f"TOML file of settings (default: the variable {sources.CONFIG})"
        )
        described = settings.describe()
        flags = {setting.variable for setting in described}
        for setting in described:
            default = f" (default {setting.default})" if setting.default else ""
            flag = sources.flag_of(setting.variable.lower())
            command.add_argument(flag, metavar="VALUE", help=f"{setting.meaning}{default}".replace("%", "%%"))
            if setting.variable.lower() in settings.SECRETS and f"{setting.variable}_FILE" not in flags:
                command.add_argument(f"{flag}-file", metavar="FILE", help=f"File with {setting.variable}")
    return parser


def _configs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[argparse.ArgumentParser]:
    """Describe `passerby config`; return the parsers of its actions."""
    actions = commands.add_parser("config", help="the settings: whether they are right, and where they come from")
    parsers = actions.add_subparsers(dest="action", required=True)
    return [
        parsers.add_parser("check", help="say everything that is wrong with the settings, with exit code 2"),
        parsers.add_parser("show", help="print each setting, its value, and where it comes from, without secrets"),
    ]


def _others(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[argparse.ArgumentParser]:
    """Describe the commands of `commands`; return their parsers."""
    moderator = commands.add_parser("moderator", help="who may open the console at /moderate")
    actions = moderator.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="make a moderator, and print the link to set up a password")
    reset = actions.add_parser("reset", help="let a moderator set up anew, with a new link")
    for command in (add, reset):
        command.add_argument("--address", metavar="URL", help="Where your guests find this place, for the link")
    disable = actions.add_parser("disable", help="let a moderator log in no more")
    for command in (add, reset, disable):
        command.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=("triage", "moderator", "admin"), default="moderator")
    rest = [
        actions.add_parser("list", help="print all moderators"),
        actions.add_parser("key", help="print the key that verifies exported cases"),
    ]
    audit = commands.add_parser("audit", help="what moderators have done").add_subparsers(dest="action", required=True)
    verify = audit.add_parser("verify", help="check that nothing of it was changed")
    verify.add_argument("--known", metavar="NUMBER:HASH", help="The last entry, as this command has printed it before")
    rest.append(verify)
    transparency = commands.add_parser("transparency", help="print counts of reports and decisions")
    transparency.add_argument("--from", dest="begins", metavar="DATE", required=True, help="Such as 2026-01-01")
    transparency.add_argument("--to", dest="ends", metavar="DATE", required=True, help="The day after the last one")
    transparency.add_argument("--format", choices=("html", "csv", "json"), default="html")
    return [add, reset, disable, *rest, transparency]


def _serve(chosen: settings.Settings, warnings: Sequence[str], reread: Callable[[], settings.Configuration]) -> int:
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody who reads the settings again
    logs.configure(chosen.log_level, chosen.log_format)
    log.info(f"passerby {__version__} starts", extra={"settings": settings.changed(chosen)})  # noqa: G004 - as below
    for warning in warnings:
        log.warning(warning)
    if chosen.jwt_secret is None and chosen.redis_url is None:
        log.warning("JWT_SECRET is not set: a random one is used, and tokens become invalid on restart")
    if chosen.limits_scale != 1:
        log.warning("LIMITS_SCALE multiplies every rate limit", extra={"factor": chosen.limits_scale})

    def ready(listeners: Listeners) -> None:
        log.info(f"serving on {', '.join(listeners.places)}")  # noqa: G004 - the line that new users look for

    try:
        if chosen.worker_count > 1:
            return parent.run(chosen, ready, reread)
        from passerby import app  # noqa: PLC0415 - the parent of workers needs nothing of it

        with asyncio.Runner(loop_factory=new_event_loop()) as runner:
            runner.run(app.serve(chosen, ready=ready, reread=reread))
    except settings.SettingsError as error:
        _complain(str(error).splitlines())
        return USAGE_ERROR
    except ListenError as error:
        log.error(error.strerror)  # noqa: TRY400 - the reason is all there is to say
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
