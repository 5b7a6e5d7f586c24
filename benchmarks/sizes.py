"""The size of what is installed: the wheel, and the files of the container's image."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import all_cores
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import PROJECT_FOLDER, MeasurementError, Passerby
from tools.rootfs import size

MB = 1_000_000
WHEEL_BAR = Bar(at_most=10, unit="MB")
IMAGE_BAR = Bar(at_most=120, unit="MB")
IMAGE = "size of the image's files"
DEBIAN = "trixie"
"""Of the base images."""
BASES = ("python:3.13-slim", "node:24-slim")
"""The base images of the Containerfile. One root takes the place of both: little of it gets into the image."""
PACKAGES = ("python3", "python3-venv", "nodejs", "npm")
"""What it has of Debian."""
OF_THIS_MACHINE = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/npmrc", "/etc/ssl/certs/ca-certificates.crt")
"""What apt, pip and npm may need to reach their packages from here."""
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Runs a command whose mounts and children end with it."""
MINUTES = 20


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Build both from the sources of this repository."""
    if passerby is None:
        return []
    with tempfile.TemporaryDirectory() as folder, all_cores():
        return [await _wheel(Path(folder, "wheel")), await _image(plan, Path(folder))]


async def _wheel(folder: Path) -> Row:
    command = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    if failed := await _failure(command):
        raise MeasurementError(f"no wheel: {failed}")
    result = size(folder) / MB
    return Row("size of the wheel", f"{result:.2f} MB", "with the built client", result, WHEEL_BAR)


async def _image(plan: Plan, folder: Path) -> Row:
    """Carry out the Containerfile where that is possible: as root, with Debian's packages in reach."""
    if not plan.builds_image:
        return Row(IMAGE, "not measured", "too long for --quick")
    debootstrap = shutil.which("debootstrap")
    if os.geteuid() != 0 or debootstrap is None:
        return Row(IMAGE, "not measured", "it needs root and debootstrap")
    base = folder / "base"
    unsafe = "Dpkg::Options::=--force-unsafe-io"  # it is thrown away, whatever happens
    makings: tuple[tuple[str | Path, ...], ...] = (
        (debootstrap, "--variant=minbase", "--include=ca-certificates", DEBIAN, base),
        ("chroot", base, "apt-get", "-o", unsafe, "install", "-qq", "--yes", "--no-install-recommends", *PACKAGES),
    )
    for making in makings:
        if failed := await _failure((*ALONE, *making)):
            return Row(IMAGE, "not measured", f"no base: {failed}"[:60])
        _tell_of_this_machine(base)
    images = [word for image in BASES for word in ("--base", f"{image}={base}")]
    command: tuple[str | Path, ...] = (sys.executable, "-m", "tools.container", folder / "stages", *images)
    if failed := await _failure(command):
        raise MeasurementError(f"no image: {failed}")
    result = size(folder / "stages" / "last") / MB
    return Row(IMAGE, f"{result:.1f} MB", "Python, Passerby, and what both load", result, IMAGE_BAR)


def _tell_of_this_machine(base: Path) -> None:
    for name in OF_THIS_MACHINE:
        if Path(name).is_file():
            shutil.copyfile(name, base / name.lstrip("/"))


async def _failure(command: Sequence[str | Path]) -> str:
    """Run a command of the repository; return the last line that it says if it fails, else nothing."""
    running = await asyncio.create_subprocess_exec(
        *command, cwd=PROJECT_FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(MINUTES * 60):
            said, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
    if running.returncode == 0:
        return ""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {running.returncode}"
