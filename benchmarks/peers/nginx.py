"""nginx, which stores and serves the same files; installed from the distribution's package if missing."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

APT_SECONDS = 300

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    client_max_body_size 64m;
    client_body_buffer_size 128k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location / {{ dav_methods PUT; }}
    }}
}}
"""


def find() -> str | None:
    """Return nginx's path; install the package if no password is needed. None if it is not available."""
    for attempt in (None, _install):
        if attempt is not None:
            attempt()
        path = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
        if path is not None:
            return path
    return None


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    command = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "nginx"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", "update"], env=environment, timeout=APT_SECONDS, check=False, capture_output=True)
    subprocess.run(command, env=environment, timeout=APT_SECONDS, check=False, capture_output=True)


@contextmanager
def command(path: str, port: int) -> Iterator[list[str]]:
    """Yield the command that serves on ``port``, with its own temporary directory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # when run as root, nginx's workers use another user
        (folder / "files").mkdir()
        (folder / "files").chmod(0o777)
        configuration = folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=port), encoding="ascii")
        yield [path, "-c", str(configuration), "-p", str(folder), "-e", "stderr"]
