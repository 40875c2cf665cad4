"""JupyterLab on loopback, and Chromium to look at it: what the browser tests share."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing leaves the machine
]

_NOTEBOOK = "jupyterapp.shell.currentWidget"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_CHROMIUM_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def jupyterlab(root: Path, scratch: Path) -> Iterator[str]:
    """Run JupyterLab over the folder `root`, with every setting below the folder `scratch`.

    Yields:
        An address with a `{}` where a notebook's path below `root` belongs.

    Raises:
        RuntimeError: JupyterLab ended, or did not answer within two minutes; with what it printed.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    log = scratch / "lab.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--expose-app-in-browser", f"--ServerApp.root_dir={root}"),
                *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
                *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
                "--LabApp.extension_manager=readonly",  # asks no package registry
            ],
            env=_environment(scratch),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for_answer(f"http://127.0.0.1:{port}/api?token={token}", server, log)
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
        finally:
            server.terminate()  # the server then ends its kernels
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _environment(scratch: Path) -> dict[str, str]:
    """Point every folder that Jupyter writes to into `scratch`; switch its news pop-up off."""
    settings = scratch / "settings"
    _write_json(
        scratch / "config/labconfig/page_config.json",
        {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}},
    )
    _write_json(  # keep every cell in the page, also those out of sight
        settings / "@jupyterlab/notebook-extension/tracker.jupyterlab-settings",
        {"windowingMode": "none"},
    )
    return os.environ | {
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "OMP_NUM_THREADS": "1",
    }


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _wait_for_answer(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")


def open_notebook(page: Page, address: str) -> None:
    """Open a notebook and wait until its cells stand there and its kernel is ready."""
    page.goto(address)
    page.wait_for_function(
        f"window.jupyterapp && {_NOTEBOOK}?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=180_000,
    )
    if page.evaluate("jupyterapp.commands.isToggled('application:toggle-left-area')"):
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")


def run_all_cells(page: Page) -> None:
    """Run the open notebook from top to bottom.

    Raises:
        AssertionError: a cell raised; with its traceback.
    """
    page.evaluate(
        """() => {
            window.ran = false;
            jupyterapp.commands.execute('notebook:run-all-cells').then(() => { ran = true; });
        }"""
    )
    page.wait_for_function("window.ran", timeout=180_000)
    errors = page.evaluate(
        f"""{_NOTEBOOK}.content.widgets
            .flatMap(cell => cell.model.type === 'code' ? cell.model.outputs.toJSON() : [])
            .filter(output => output.output_type === 'error')
            .map(output => output.traceback.join('\\n'))"""
    )
    assert not errors, re.sub(r"\x1b\[[\d;]*m", "", "\n".join(errors))
