"""Runs nginx, HAProxy and Caddy with the examples of the documents; installs them if they are missing.

    python -m tests.proxies.proxy

prints their paths, after installing them if necessary (as root, with apt-get), or one line that says what to install.

An example runs as it is in its document, with a few things replaced: its own port, the addresses of the servers, the
paths of files, and for Caddy the `#` before its line with the certificate. Each must be there exactly once. Those of
the README have one server, those of docs/operations.md several.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support import packages
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
ONE: Final = (ROOT / "README.md", "## Put it on the internet", ("127.0.0.1:3001",))
"""The document, the heading of its section, and the servers: examples for one server."""
MACHINES: Final = (ROOT / "docs" / "operations.md", "## Several machines", ("10.0.0.11:3001", "10.0.0.12:3001"))
"""Examples for several."""
HOST: Final = "chat.example"
"""The host of the examples."""
NAMES: Final = ("nginx", "caddy")
"""Those of the README."""
BALANCERS: Final = ("nginx", "haproxy", "caddy")
"""Those for several machines."""
_START_SECONDS = 20
_ASK_EVERY = 0.02

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {example}
}}
"""
"""Where nginx puts its files; all about the proxy is in the example."""
_CADDY = """
{{
    admin off
    auto_https disable_redirects
    https_port {port}
    default_bind 127.0.0.1
}}
{example}
"""


_LANGUAGES: Final = {"nginx": "nginx", "haproxy": "haproxy", "caddy": "caddyfile"}
"""Of the blocks with the examples."""


class NoProxyError(Exception):
    """A proxy is missing; the message is one line that says what to do."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no {name} for the tests of proxies: install the package `{name}` (apt-get install {name})")


def ensure(name: str) -> str:
    """Return the path of a proxy; install it if necessary, which may take minutes. Raises NoProxyError."""
    found = packages.ensure(name, name)
    if found is None:
        raise NoProxyError(name)
    return found


def example(language: str, of: tuple[Path, str, tuple[str, ...]] = ONE) -> str:
    """Return the only code block in a language (`nginx`, `caddyfile`, `sh`) of the section about proxies."""
    document, heading, _ = of
    section = document.read_text(encoding="utf-8").split(f"\n{heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def trusted_proxies() -> tuple[str, ...]:
    """Return the README's TRUSTED_PROXIES."""
    (value,) = re.findall(r"^export TRUSTED_PROXIES=(\S+)", example("sh"), re.MULTILINE)
    return tuple(value.split(","))


def replaced(text: str, **changes: str) -> str:
    """Return `text` with each old text, which it must contain once, replaced."""
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} must be in the example once"
        text = text.replace(old, new)
    return text


class Proxy:
    """A running proxy. `certificate` is the file that its clients trust, `log` what it has written."""

    def __init__(self, port: int, certificate: Path, log: Path) -> None:
        self.url = f"https://{HOST}:{port}"
        self.port = port
        self.certificate = certificate
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")


@contextmanager
def running(
    name: str, program: str, folder: Path, *upstreams: int, changes: Mapping[str, str] | None = None
) -> Iterator[Proxy]:
    """Run a proxy in front of the servers at the ports `upstreams`, with the example for as many.

    `changes` replace parts of the example.
    """
    port = free_port()
    certificate, key = make_certificate(folder)
    of = ONE if len(upstreams) == 1 else MACHINES
    servers = {old: f"127.0.0.1:{upstream}" for old, upstream in zip(of[2], upstreams, strict=True)}
    text = replaced(example(_LANGUAGES[name], of), **(changes or {}), **servers)
    paths = {"/etc/ssl/chat.example.pem": str(certificate), "/etc/ssl/chat.example.key": str(key)}
    configuration = folder / f"{name}.conf"
    if name == "nginx":
        text = replaced(text, **paths, **{"listen 443 ssl": f"listen 127.0.0.1:{port} ssl"})
        text = _NGINX.format(folder=folder, example=text)
        command = [program, "-c", str(configuration), "-p", str(folder), "-e", "stderr"]
    elif name == "haproxy":
        both = folder / "both.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        text = replaced(text, **{"bind :443": f"bind 127.0.0.1:{port}", "/etc/ssl/chat.example.both.pem": str(both)})
        command = [program, "-db", "-f", str(configuration)]
    else:
        text = replaced(text, **paths, **{"# tls ": "tls "})
        text = _CADDY.format(port=port, example=text)
        command = [program, "run", "--config", str(configuration), "--adapter", "caddyfile"]
    configuration.write_text(text, encoding="utf-8")
    log = folder / f"{name}.log"
    places = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | places, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_it_listens(process, port, log)
        yield Proxy(port, certificate, log)
    finally:
        process.kill()  # SIGTERM would wait for connections
        process.wait(_START_SECONDS)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Connect until that succeeds: no proxy can say that it is ready."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), _START_SECONDS).close()
        except ConnectionRefusedError:
            time.sleep(_ASK_EVERY)
            continue
        return
    raise AssertionError(f"the proxy did not start: {log.read_text(errors='replace')[-3000:]}")


def make_certificate(folder: Path, host: str = HOST) -> tuple[Path, Path]:
    """Write a certificate for `host` that signs itself; return the files of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def main() -> int:
    """Print the paths of the proxies and return 0, or print what to install and return 1."""
    try:
        for name in BALANCERS:
            print(ensure(name))
    except NoProxyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
