"""Rendered services behind a real nginx: the one that a project is deployed with, and an ingress of several services."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from browser import browser
from clients import wait_for
from clusters import free_port
from conftest import Bake
from rendering import Project
from test_docs_page import execute
from test_map_page import IDLE, add, serving

PROBLEM = "application/problem+json"

#: What an operator writes: of one service the ingress removes the prefix and says so, of the other it leaves it.
INGRESS = """
server {
    listen 127.0.0.1:%s;
    location /one/ {
        proxy_pass %s/;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Prefix /one;
    }
    location /two/ {
        proxy_pass %s;
        proxy_set_header Host $http_host;
    }
}
"""


@dataclass(frozen=True, slots=True)
class Proxies:
    """Addresses of the same project's services."""

    project: Project
    #: By the nginx.conf of the project.
    own: str
    #: By the ingress, with the prefix removed and left.
    prefixed: tuple[str, str]
    port: int
    #: Where the proxy of the profile tls sends its requests.
    tls_port: int
    log: Path


def nginx() -> str:
    """The program; on Debian and Ubuntu it is installed if it is missing and that is allowed."""
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    command = "apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light"
    if not shutil.which("nginx", path=path) and shutil.which("apt-get") and os.geteuid() == 0:
        # Debian would start it, on port 80.
        stopped = {"RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(
            command, shell=True, check=True, stdout=subprocess.DEVNULL, env=os.environ | stopped
        )
    found = shutil.which("nginx", path=path)
    return found or pytest.fail(
        f"proxies are tested with nginx, which is not there: as root, {command}"
    )


@pytest.fixture(scope="module")
def proxies(
    bake_once: Bake, server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxies]:
    project, folder = bake_once(), tmp_path_factory.mktemp("nginx")
    own, ingress, tls = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        url = stack.enter_context(server.database())
        assert project.service("migrate", DATABASE_URL=url).code == 0
        services = [
            stack.enter_context(serving(project, url, **settings))
            for settings in ({"CORS_ORIGINS": "https://example.org"}, {"ROOT_PATH": "/two"})
        ]
        conf = project.files["deploy/nginx.conf"]
        for written, here in [
            ("listen 8080;", f"listen 127.0.0.1:{own};"),
            ("listen 8081 proxy", f"listen 127.0.0.1:{tls} proxy"),
            ("set_real_ip_from 172.16.0.0/12;", "set_real_ip_from 127.0.0.1;"),
            ("http://service:8000", services[0]),
            ("/tmp/nginx.pid", f"{folder}/nginx.pid"),
            ("access_log /dev/stdout json;", f"access_log {folder}/access.log json;"),
        ]:
            assert written in conf
            conf = conf.replace(written, here)
        (folder / "nginx.conf").write_text(
            conf.rstrip().removesuffix("}") + INGRESS % (ingress, *services) + "}\n", "utf-8"
        )
        command = [nginx(), "-p", str(folder), "-c", f"{folder}/nginx.conf", "-g", "daemon off;"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        address = f"http://127.0.0.1:{own}"
        wait_for(address, process)
        at = f"http://127.0.0.1:{ingress}"
        yield Proxies(project, address, (f"{at}/one", f"{at}/two"), own, tls, folder / "access.log")


def raw(port: int, request: str) -> str:
    """The answer to a request as it is written here."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request.encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer.decode()


# --- the nginx of the project ---------------------------------------------------------------------------------------


def assert_own(response: requests.Response, status: int) -> None:
    """Assert that nginx refused a request as the service would, and that pages of other origins may see it."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == PROBLEM
    assert response.json()["status"] == status and response.json()["detail"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["X-Request-ID"]


def test_limits_count_the_client_that_the_tls_proxy_names(proxies: Proxies) -> None:
    """And not one that a client names itself."""
    request = "GET /health/live?%s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n"
    said = f"PROXY TCP4 203.0.113.7 203.0.113.1 5555 443\r\n{request % 'tls'}"
    assert " 200 " in raw(proxies.tls_port, said)
    assert " 200 " in raw(proxies.port, request % "plain")
    lines = [json.loads(line) for line in proxies.log.read_text("utf-8").splitlines()]
    clients = {line["uri"]: line["client"] for line in lines}
    assert clients["/health/live?tls"] == "203.0.113.7"
    assert clients["/health/live?plain"] == "127.0.0.1"


def test_what_nginx_refuses_is_told_as_the_service_does(proxies: Proxies) -> None:
    table = f"{proxies.own}/{proxies.project.table}/"
    origin = {"Origin": "https://example.org"}
    large = {"Content-Type": "application/json", "Content-Length": "99000000"}
    assert_own(requests.post(table, headers=origin | large, timeout=30), 413)
    assert_own(requests.get(f"{table}?{'x' * 70_000}", headers=origin, timeout=30), 414)
    assert_own(requests.get(table, headers=origin | {"X": "x" * 70_000}, timeout=30), 400)
    for _ in range(50):
        response = requests.post(table, headers=origin, timeout=30)
        if response.status_code == 429:
            break
    assert_own(response, 429)
    assert response.headers["Retry-After"] == "1"
    # The service's own answers have the header once, for its origins.
    response = requests.get(table, headers=origin, timeout=30)
    assert response.headers["Access-Control-Allow-Origin"] in ("https://example.org", "*")
    assert "," not in response.headers["Access-Control-Allow-Origin"]
    response = requests.get(table, headers={"Origin": "https://other.org"}, timeout=30)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_request_that_cannot_be_read_is_a_problem(proxies: Proxies) -> None:
    for request in ("GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"):
        head, _, body = raw(proxies.port, request).partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 400 "), request
        assert f"Content-Type: {PROBLEM}" in head, request
        assert json.loads(body)["status"] == 400


def test_the_longest_filter_passes(proxies: Proxies) -> None:
    """The service's limit is the lower one, and says more."""
    items = f"{proxies.own}/collections/{proxies.project.table}/items"
    for length, status in ((16_000, 200), (16_500, 400)):
        # Each of these characters takes three in a URL.
        condition = f"name = '{'%' * (length - 9)}'"
        response = requests.get(items, params={"filter": condition}, timeout=30)
        assert response.status_code == status
        assert response.headers["Content-Type"] == (
            "application/geo+json" if status == 200 else PROBLEM
        )


def test_every_type_of_answer_is_compressed(proxies: Proxies) -> None:
    """Unless it is short; GeoParquet is compressed already."""
    document = requests.get(f"{proxies.own}/openapi.json", timeout=30)
    assert document.headers["Content-Encoding"] == "gzip"
    conf = proxies.project.files["deploy/nginx.conf"]
    (listed,) = re.findall(r"gzip_types (.*?);\s*\n", conf, re.DOTALL)
    compressed = {"text/html", *(each.strip('"') for each in listed.split())}
    answered = {
        media_type
        for methods in document.json()["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for media_type in response.get("content", ())
    }
    assert answered - compressed == {"application/vnd.apache.parquet"}


# --- an ingress -----------------------------------------------------------------------------------------------------


def links(node: Any) -> list[str]:
    """The addresses of a document, wherever they are in it."""
    if isinstance(node, dict):
        own = [node[name] for name in ("href", "next", "url") if isinstance(node.get(name), str)]
        return own + [link for each in node.values() for link in links(each)]
    return [link for each in node for link in links(each)] if isinstance(node, list) else []


def test_behind_a_prefix_everything_is_found(proxies: Proxies) -> None:
    table = proxies.project.table
    add(f"{proxies.prefixed[0]}/collections/{table}/items", "Point")
    with browser() as page:
        for url in proxies.prefixed:
            assert len(reached(url)) > 15
            tilejson = f"{url}/collections/{table}/tiles/WebMercatorQuad?f=tilejson"
            (template,) = requests.get(tilejson, timeout=30).json()["tiles"]
            tile = requests.get(template.format(z=0, x=0, y=0), timeout=30)
            assert tile.headers["Content-Type"] == "application/vnd.mapbox-vector-tile"
            document = requests.get(f"{url}/openapi.json", timeout=30).json()
            assert document["servers"] == [{"url": url}]

            page.open(f"{url}/map")
            page.wait(IDLE)
            page.evaluate('document.querySelector("[name=view]").click()')
            page.wait('/^[1-9] features$/.test(document.querySelector("#status").innerText)')
            page.open(f"{url}/docs")
            execute(page, document["paths"][f"/{table}/"]["post"])
            assert page.complaints == []


def reached(url: str) -> set[str]:
    """The addresses that one gets to from the landing page; each has to be an address of this service."""
    known, todo = set(), [f"{url}/"]
    while todo:
        link = todo.pop()
        if link in known or "{" in link or link.startswith("http://www.opengis.net/"):
            continue
        known.add(link)
        assert link.startswith(f"{url}/") or link == url, link
        response = requests.get(link, timeout=30)
        assert response.status_code == 200, link
        media_type = response.headers["Content-Type"].partition(";")[0]
        if media_type.endswith("json") and "/items/" not in link:
            todo += links(response.json())
    return known
