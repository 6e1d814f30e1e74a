"""Headless Chromium, spoken to over a pipe in the DevTools protocol: pages are looked at as people see them."""

import base64
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

#: Seconds for which a page, or an answer of the browser, is waited for. Without a graphics card maps are drawn slowly.
PATIENCE = 60

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

OPTIONS = [
    *("--headless", "--remote-debugging-pipe", "--window-size=1280,800", "--hide-scrollbars"),
    # WebGL without a graphics card.
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    # As root, and in containers with little shared memory.
    *("--no-sandbox", "--disable-dev-shm-usage"),
    # Nothing but the page goes over the network.
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-quic", "--no-default-browser-check", "--disable-extensions"),
]


def chromium() -> str:
    """The browser; on Debian and Ubuntu it is installed if it is missing and that is allowed."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    command = "apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium"
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
        if found := next(filter(None, map(shutil.which, NAMES)), None):
            return found
    return pytest.fail(
        f"the map page is tested in Chromium, which is not there: as root, {command}"
    )


class Left(RuntimeError):
    """The page was left while something was asked of it."""


#: What the browser says then.
LEFT = ("Inspected target navigated", "Cannot find context", "Execution context was destroyed")


class Page:
    """A page of the browser, and what it complained about."""

    def __init__(self, commands: io.FileIO, answers: io.FileIO) -> None:
        self.complaints: list[str] = []
        self._commands = commands
        self._answers = answers
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")
        attached = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The browser's answer to a command."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            self._listen(answer)
        if "error" in answer:
            reason = answer["error"]["message"]
            raise (Left if reason.startswith(LEFT) else RuntimeError)(f"{method}: {reason}")
        found: dict[str, Any] = answer["result"]
        return found

    def open(self, url: str) -> None:
        """Go to a page."""
        self.send("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + PATIENCE
        while True:
            # Of a page that is being left, the next one is waited for.
            with suppress(Left):
                if value := self.evaluate(expression):
                    return value
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} is not true; {self.complaints}")
            time.sleep(0.1)

    def click(self, x: float, y: float) -> None:
        """Move the mouse somewhere and click."""
        self._mouse("mouseMoved", x, y, 0)
        self._mouse("mousePressed", x, y, 1)
        self._mouse("mouseReleased", x, y, 0)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place and let go at another."""
        self._mouse("mouseMoved", *start, 0)
        self._mouse("mousePressed", *start, 1)
        self._mouse("mouseMoved", *end, 1)
        self._mouse("mouseReleased", *end, 0)

    def _mouse(self, type: str, x: float, y: float, buttons: int) -> None:
        button = {"button": "left", "clickCount": 1} if type != "mouseMoved" else {}
        self.send("Input.dispatchMouseEvent", type=type, x=x, y=y, buttons=buttons, **button)

    def look(self, width: int, height: int, scheme: str) -> None:
        """Show pages as a screen of some size does, in its light or its dark scheme."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[scheme_feature])

    def press(self, key: str, code: int) -> None:
        """Press a key and let go of it."""
        for type in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=type, key=key, windowsVirtualKeyCode=code)

    def screenshot(self) -> bytes:
        """What the page looks like, as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = self._answers.read(1 << 20)
            if not read:
                raise ConnectionError("the browser has ended")
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _listen(self, event: dict[str, Any]) -> None:
        """Keep errors and warnings: of scripts, of the network and of the Content-Security-Policy."""
        parameters = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded" if parameters["entry"]["level"] in ("warning", "error"):
                entry = parameters["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            case "Runtime.consoleAPICalled" if parameters["type"] in ("warning", "error"):
                self.complaints.append(str([each.get("value") for each in parameters["args"]]))
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(parameters["exceptionDetails"]))


@contextmanager
def browser() -> Iterator[Page]:
    """A browser with one page and a profile of its own, gone at the end."""
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        os.fdopen(commands_in, "wb", buffering=0) as commands,
        os.fdopen(answers_out, "rb", buffering=0) as answers,
    ):
        path = chromium()
        # The browser reads commands from the descriptor 3 and writes answers to 4, which subprocess cannot arrange.
        process = os.posix_spawn(
            path,
            [path, *OPTIONS, f"--user-data-dir={profile}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                (os.POSIX_SPAWN_DUP2, commands_out, 3),
                (os.POSIX_SPAWN_DUP2, answers_in, 4),
            ],
        )
        os.close(commands_out)
        os.close(answers_in)
        try:
            yield Page(commands, answers)
        finally:
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)
