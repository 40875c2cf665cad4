"""Lessons are built and tested without the network; here the block itself is tested."""

import os
import subprocess
import sys

import pytest

from lessons_utils import nbval_close

LOOPBACK = """\
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(("localhost", server.getsockname()[1]))
print("reached")"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    environment = nbval_close.kernel_environment(tmp_path_factory.mktemp("kernel"))

    def run(code):
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    "code",
    [
        "import urllib.request; urllib.request.urlopen('https://example.com')",
        "import socket; socket.getaddrinfo('example.com', 80)",
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))",
        "import subprocess, sys; subprocess.run([sys.executable, '-c',"
        " \"import socket; socket.getaddrinfo('example.com', 80)\"], check=True)",
    ],
    ids=["https", "name", "address", "datagram", "child process"],
)
def test_the_network_is_blocked_in_kernels(python, code):
    ran = python(code)
    assert ran.returncode != 0
    assert "The network is blocked while lessons are tested" in ran.stderr


def test_this_machine_itself_can_be_reached(python):
    ran = python(LOOPBACK)
    assert ran.stdout == "reached\n", ran.stderr


def test_kernels_see_no_data_and_an_empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path))
    monkeypatch.setenv("LESSONS_CACHE", "/full/of/downloads")
    environment = nbval_close.kernel_environment(tmp_path)
    assert "LESSONS_DATA" not in environment
    assert environment["LESSONS_CACHE"] == str(tmp_path / "cache")
    assert os.environ["LESSONS_DATA"] == str(tmp_path)
