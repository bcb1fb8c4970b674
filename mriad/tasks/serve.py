"""Serve a trained detector over HTTP."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mriad.api import Detector
from mriad.checkpoints.named import named_checkpoint
from mriad.errors import MriadError
from mriad.experiment.job import prepare
from mriad.serving.door import Limits

log = logging.getLogger(__name__)

TOKEN = "MRIAD_TOKEN"
_MEGA = 10**6
_LAST_PORT = 65535
_LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(cfg: DictConfig) -> None:
    """Answer requests until it is stopped.

    Args:
        cfg: the composed ``conf/serve.yaml``.

    Raises:
        MriadError: on bad input, if a library is missing, or the address is taken.
    """
    folder = prepare(cfg)
    limits = _limits(cfg)
    token = _token(cfg.token_file)
    try:
        import uvicorn

        from mriad.serving.app import app
    except ImportError as error:
        raise MriadError(f"mriad serve needs what cannot be imported ({error}): pip install 'mriad[serve]'.") from error
    checkpoint, _ = named_checkpoint(cfg, None, folder, box=True)
    detector = Detector(checkpoint, device=cfg.device)
    if token is None and cfg.host not in _LOCAL:
        log.warning(
            "host=%s lets whoever reaches this machine send scans, for no token is asked; set %s.", cfg.host, TOKEN
        )
    server = uvicorn.Server(
        uvicorn.Config(
            app(detector, limits=limits, places=cfg.queue, token=token),
            host=cfg.host,
            port=cfg.port,
            log_config=None,
            access_log=False,  # it would tell what clients ask for; the door's own does not
            server_header=False,
            timeout_keep_alive=5,
            limit_concurrency=cfg.queue * 4 + 32,
        )
    )
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    console = Console()
    host = f"[{cfg.host}]" if ":" in str(cfg.host) else cfg.host  # of IPv6
    console.print(f"[bold]Serving[/bold] http://{host}:{cfg.port}/docs", soft_wrap=True, highlight=False)
    try:
        server.run()
    except SystemExit as end:  # uvicorn's way to say that it could not begin
        raise MriadError(f"The address {cfg.host}:{cfg.port} cannot be served at; choose another port=.") from end


def _limits(cfg: DictConfig) -> Limits:
    for option in ("queue", "seconds", "upload_mb", "unpacked_mb", "files", "port"):
        value = OmegaConf.select(cfg, option)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise MriadError(f"{option}={value} is no number above 0; give one.")
    if not isinstance(cfg.port, int) or cfg.port > _LAST_PORT:
        raise MriadError(f"port={cfg.port} is no port; give a whole number from 1 to {_LAST_PORT}.")
    return Limits(
        upload_bytes=int(cfg.upload_mb * _MEGA),
        unpacked_bytes=int(cfg.unpacked_mb * _MEGA),
        files=int(cfg.files),
        seconds=float(cfg.seconds),
    )


def _token(file: str | None) -> str | None:
    """The token, from a file or from the environment; None where there is none.

    Raises:
        MriadError: if the file cannot be read, or a token is empty.
    """
    if file is None:
        token, where = os.environ.get(TOKEN), TOKEN
    else:
        where = f"token_file={file}"
        try:
            token = Path(file).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MriadError(f"{where} cannot be read ({error}); name a file that holds the token.") from error
    if token is None:
        return None
    if not token.strip():
        raise MriadError(f"{where} holds no token; put one in, or leave it out to ask for none.")
    return token.strip()
