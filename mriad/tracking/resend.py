"""Sends what waits beside runs, once their store is back."""

from __future__ import annotations

from pathlib import Path

from mriad.errors import MriadError
from mriad.passwords import conceal, shown
from mriad.tracking.spool import Spool
from mriad.tracking.store import connect, why_away


def resend(folder: Path, *, tracking_uri: str | None = None) -> None:
    """Send what waits in a folder and below it, run by run, and say so.

    Args:
        folder: output folder of a run, or one above.
        tracking_uri: MLflow store to send it to; None for the one that each run was logged to.

    Raises:
        MriadError: if there is no such folder, the store is away or refuses something, or another process is at it.
    """
    full = [spool for spool in Spool.find(folder) if spool.waiting()]
    if not full:
        print(f"There is nothing to send in {folder}.")
    refused: list[MriadError] = []
    for spool in full:
        uri = conceal(tracking_uri or spool.uri)
        client = connect(uri)
        try:
            spool.send(client)
        except MriadError as error:  # of this run; the others need not wait for it
            refused.append(error)
            continue
        except Exception as error:
            if (why := why_away(error)) is None:
                raise
            raise MriadError(
                f"The MLflow store {shown(uri)} is away again ({why}), and a rest of run '{spool.run_id}' still waits "
                f"in {spool.folder}; repeat this command later."
            ) from error
        print(f"Sent the rest of run {spool.run_id} to {shown(uri)}.")
    if refused:
        more = f" ({len(refused) - 1} more runs could not be sent either.)" if len(refused) > 1 else ""
        raise MriadError(f"{refused[0]}{more}")
