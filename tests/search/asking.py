"""Requests to the dashboard without a server, and a small study with artifacts of every kind."""

import io
import mimetypes
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact

from search.dashboard.wsgi import Environ
from search.home import Home
from search.storage.opening import open_storage
from search.storage.retrying import RetryingStorage

__all__ = ["MARK", "PNG", "Shown", "asked", "shown_copy", "shown_study"]

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cf5000000381018085d3d8d90000000049454e44ae426082"
)
MARK = """
fetch("/api/studies", {
  method: "POST",
  headers: {"Content-Type": "application/json"},
  body: JSON.stringify({study_name: "it ran", directions: ["maximize"]}),
});
"""
"""Script that creates a study if it runs as part of the dashboard's site."""
ARTIFACTS = {
    "page.html": f"<!doctype html><title>page</title><script>{MARK}</script>".encode(),
    "drawing.svg": (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
        f"<script><![CDATA[{MARK}]]></script></svg>"
    ).encode(),
    "page.xhtml": (
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>page</title>'
        f"<script><![CDATA[{MARK}]]></script></head><body/></html>"
    ).encode(),
    "script.js": MARK.encode(),
    "paper.pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj trailer<</Root 1 0 R>>\n",
    "table.csv": b"a,b\n1,2\n",
    "state.pt": b"PK",
    "image.png": PNG,
}


@dataclass(frozen=True)
class Shown:
    """Study that a dashboard can show.

    Attributes:
        storage: Storage of the study.
        home: Its home.
        paths: Path of each artifact in the dashboard: the study's own, and those of its trial.
    """

    storage: RetryingStorage
    home: Home
    paths: dict[str, str]

    @property
    def folder(self) -> Path:
        """The artifacts of its home."""
        return self.home.artifacts


def shown_study(home: Path) -> Shown:
    """Make a study of two finished trials and a running one; the study and that trial have artifacts."""
    storage = open_storage(f"sqlite:///{home}/studies.db")
    study = optuna.create_study(storage=storage, study_name="small", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("lr", 1e-3, 1.0), n_trials=2)
    trial = study.ask()
    folder = home / "artifacts"
    folder.mkdir()
    paths: dict[str, str] = {}
    for name, content in ARTIFACTS.items():
        file = home / name
        file.write_bytes(content)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        for owner, whose, where in (
            (study, "study", f"{study._study_id}"),
            (trial, "trial", f"{study._study_id}/{trial._trial_id}"),
        ):
            identity = upload_artifact(
                artifact_store=FileSystemArtifactStore(folder),
                file_path=str(file),
                study_or_trial=owner,
                mimetype=kind,
            )
            paths[f"{whose}: {name}"] = f"/artifacts/{where}/{identity}"
    return Shown(storage, Home(home), paths)


@cache
def _template() -> tuple[tempfile.TemporaryDirectory[str], dict[str, str]]:
    folder = tempfile.TemporaryDirectory()
    made = shown_study(Path(folder.name))
    made.storage.engine.dispose()
    return folder, made.paths


def shown_copy(home: Path) -> Shown:
    """Make the same study quickly, as a copy of one made before."""
    folder, paths = _template()
    shutil.copytree(folder.name, home, dirs_exist_ok=True)
    return Shown(open_storage(f"sqlite:///{home}/studies.db"), Home(home), paths)


def asked(
    path: str = "/dashboard", method: str = "GET", content: bytes = b"", **headers: str
) -> Environ:
    """Return a request to 127.0.0.1:8080 as a server passes it on; headers have their WSGI names."""
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(content) or ""),
        "CONTENT_TYPE": "application/json" if content else "text/plain",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "127.0.0.1:8080",
        "wsgi.input": io.BytesIO(content),
        "wsgi.errors": io.StringIO(),
        **headers,
    }
