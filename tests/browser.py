"""Headless Chromium, told what to do over a pipe (the Chrome DevTools Protocol): no driver and no port."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


class Browser:
    """One page. `folder` is for what Chromium keeps."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Chromium reads from 3 and writes to 4, whatever the numbers are here.
        shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = [CHROMIUM, *QUIET, f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._to, self._from, self._unread = ours_out, ours_in, b""
        self._count, self._session = 0, ""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def close(self) -> None:
        """End it."""
        self._session = ""
        self.tell("Browser.close")
        self._process.wait(30)
        os.close(self._to)
        os.close(self._from)

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Show a page in a window of that size, and wait until it is loaded."""
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.tell("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript; a promise is awaited."""
        found = self.tell(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Wait until an expression of JavaScript holds."""
        look = f"""new Promise((done, fail) => {{
            const end = performance.now() + {1000 * seconds};
            const look = () => ({condition}) ? done() : performance.now() > end
                ? fail(new Error("waited in vain; the page says: " + document.body.innerText)) : setTimeout(look, 20);
            look();
        }})"""
        self.run(look)

    def press(self, key: str) -> None:
        """Press a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}.get(key, 0)
        code = code or (ord(key.upper()) if key.isalnum() else 0)
        for kind in ("keyDown", "keyUp"):
            pressed = {"type": kind, "key": key, "windowsVirtualKeyCode": code}
            self.tell("Input.dispatchKeyEvent", **(pressed | ({"text": text} if text and kind == "keyDown" else {})))

    def choose(self, selector: str, *files: Path) -> None:
        """Put files into an `<input type=file>`."""
        root = self.tell("DOM.getDocument")["root"]["nodeId"]
        node = self.tell("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.tell("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve()) for file in files])

    def screenshot(self, path: Path, **clip: float) -> None:
        """Write what is shown, as JPEG."""
        settings: dict[str, Any] = {"format": "jpeg", "quality": 88, "captureBeyondViewport": True}
        found = self.tell("Page.captureScreenshot", **settings, **({"clip": clip | {"scale": 1}} if clip else {}))
        path.write_bytes(base64.b64decode(found["data"]))

    def _read(self) -> bytes:
        """The next message; each ends with a zero byte."""
        while b"\0" not in self._unread:
            part = os.read(self._from, 1 << 16)
            assert part, "Chromium ended"
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        return message
