"""The pages of the server."""

import base64
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

import mriad
from mriad.api import Detector, Result
from mriad.errors import MriadError
from mriad.serving.answers import ENDINGS, MEDIA, Form, as_file, as_json
from mriad.serving.desk import Desk, HungUp, OverTimeError
from mriad.serving.door import PLACE, Door, Limits
from mriad.serving.uploads import forget, unpacked

log = logging.getLogger(__name__)

_ABOUT = """Post a scan: a picture, a NIfTI file, or a zip of the DICOM files of a series.

    curl -F file=@scan.nii.gz http://127.0.0.1:8000/predict

It is no medical device. What is sent is kept in a temporary folder until it is answered,
and neither logged nor returned."""
_SEND = "Send the scan as the form field 'file', as in curl -F file=@scan.nii.gz http://127.0.0.1:8000/predict."
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "What was sent is no scan, or nothing for this detector; `error` says why."},
    401: {"description": "The token is missing."},
    413: {"description": "The scan is too large."},
    503: {"description": "The queue is full; try again after `Retry-After` seconds."},
    504: {"description": "The scan has taken too long."},
}
Upload = Annotated[UploadFile, File(description="a picture, a NIfTI file, or a zip of the DICOM files of a series")]
Series = Annotated[str | None, Query(description="which DICOM series: its number, UID or words of its description")]


def app(detector: Detector, *, limits: Limits, places: int, token: str | None = None) -> FastAPI:
    """The server of a detector.

    Args:
        detector: looks at one scan at a time.
        limits: of one request.
        places: how many requests may be under way at once; any more are answered 503.
        token: what every request must bring; None for none.
    """
    from fastapi_offline import FastAPIOffline  # the page's scripts come from this machine, not from elsewhere

    desk = Desk(places=places, seconds=limits.seconds)

    @asynccontextmanager
    async def open_to_close(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    server: FastAPI = FastAPIOffline(
        title="mriad",
        description=_ABOUT,
        version=mriad.__version__,
        redoc_url=None,
        lifespan=open_to_close,
    )
    server.add_middleware(Door, desk=desk, limits=limits, token=token)
    _tell_errors(server)

    async def looked_at(request: Request, file: UploadFile, series: str | None, tell: Callable[[Result], Any]) -> Any:
        """Read an upload and look at it, when its turn comes; ``tell`` works in the detector's thread."""

        def job() -> Any:
            folder = Path(tempfile.mkdtemp(prefix="mriad-"))
            try:
                path = unpacked(file.file, file.filename or "", folder, limits)
                try:
                    return tell(detector(path, series=series))
                except MriadError as error:
                    raise MriadError(_nameless(str(error), path, folder)) from error
            finally:
                forget(folder)

        return await desk.work(job, request.scope[PLACE], request.is_disconnected)

    # the door has asked already; this puts the button on the page
    bearer = [] if token is None else [Depends(HTTPBearer(auto_error=False))]

    @server.post("/predict", responses=_REFUSED, dependencies=bearer, tags=["scans"])
    async def predict(
        request: Request,
        file: Upload,
        series: Series = None,
        map: Annotated[Form | None, Query(description="send the map along, base64, in this form")] = None,
    ) -> dict[str, Any]:
        """Score, threshold, decision (1 anomalous, 0 healthy) and lesions of a scan, and its map where asked."""

        def tell(result: Result) -> dict[str, Any]:
            told = as_json(result) | {"detector": detector.run_id, "mriad": mriad.__version__}
            if map is not None:
                form, content = as_file(result, map, "map")
                told["map"] = {"format": form, "base64": base64.b64encode(content).decode()}
            return told

        answer: dict[str, Any] = await looked_at(request, file, series, tell)
        return answer

    def of_file(what: Any) -> Callable[..., Any]:
        async def send(
            request: Request,
            file: Upload,
            series: Series = None,
            format: Annotated[Form | None, Query(description="without it nifti of volumes, png of pictures")] = None,
        ) -> Response:
            def tell(result: Result) -> Response:
                form, content = as_file(result, format, what)
                headers = {
                    "Content-Disposition": f'attachment; filename="{what}.{ENDINGS[form]}"',
                    "X-Mriad-Score": repr(result.score),
                    "X-Mriad-Decision": str(result.decision),
                }
                return Response(content, media_type=MEDIA[form], headers=headers)

            answer: Response = await looked_at(request, file, series, tell)
            return answer

        return send

    for what, told in (
        ("map", "The anomaly map of a scan, on its own grid: float32 NIfTI or TIFF, or a PNG to look at."),
        ("mask", "What lies above the pixel threshold, 1 or 0, likewise."),
    ):
        server.post(
            f"/{what}", responses=_REFUSED, dependencies=bearer, tags=["scans"], description=told, name=what,
            response_class=Response,
        )(of_file(what))  # fmt: skip

    @server.get("/health", tags=["server"])
    async def health() -> dict[str, Any]:
        """Whether the server answers, and how many places of its queue are taken."""
        return {"status": "ok", "taken": desk.taken, "places": desk.places}

    @server.get("/version", tags=["server"], dependencies=bearer)
    async def version() -> dict[str, Any]:
        """Which mriad, and which detector."""
        return {
            "mriad": mriad.__version__,
            "detector": detector.run_id,
            "of": "volumes" if detector.of_volumes else "pictures",
            "threshold": detector.threshold,
            "pixel_threshold": detector.pixel_threshold,
        }

    @server.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("docs")

    return server


def _nameless(sentence: str, path: Path, folder: Path) -> str:
    """A sentence about a file without the place and name that it has here."""
    for place in (path, folder):
        sentence = sentence.replace(str(place), "The scan")
    return sentence


def _tell_errors(server: FastAPI) -> None:
    """Let every error be one sentence, as ``{"error": ...}``."""

    def answer(status: int, sentence: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": sentence}, status, headers)

    @server.exception_handler(OverTimeError)
    async def late(_: Request, error: OverTimeError) -> Response:
        return answer(504, str(error))

    @server.exception_handler(MriadError)
    async def refused(_: Request, error: MriadError) -> Response:
        return answer(400, str(error))

    @server.exception_handler(HungUp)
    async def gone(_: Request, error: HungUp) -> Response:
        return answer(499, "The client has hung up.")

    @server.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: RequestValidationError) -> Response:
        wrong = error.errors()[0] if error.errors() else {}
        where = wrong.get("loc", ("",))
        if where[0] == "query":
            return answer(400, f"{where[-1]}: {wrong.get('msg', 'unknown')}.")
        return answer(400, _SEND)

    @server.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        sentence = _SEND if error.status_code == 400 else str(error.detail)
        return answer(error.status_code, sentence, error.headers)

    @server.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        log.error("A request has failed: %s", type(error).__name__)
        return answer(500, "The server has failed at this scan; its log says where.")
