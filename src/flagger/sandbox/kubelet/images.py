"""What an image means where there are no images: a built-in app, or the command of the container."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from flagger.kube.objects import Object
from flagger.sandbox.kubelet.environment import expand

# Repository name → the app of `launch.APPS` that runs for it.
BUILT_IN: Mapping[str, str] = {"podinfo": "podinfo"}

# Programs of an image that are built in too, by file name: what its manifests call in probes and hooks.
PROGRAMS: Mapping[str, Mapping[str, str]] = {"podinfo": {"podinfo": "podinfo", "podcli": "podcli"}}


class NoImage(Exception):  # noqa: N818  an outcome that the pod's status reports
    """There is nothing to run for an image."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: a built-in app with its arguments, or a command line of the machine."""

    app: str
    argv: tuple[str, ...]
    env: Mapping[str, str]


def split_image(image: str) -> tuple[str, str]:
    """Repository and tag of an image; the tag is `latest` if there is none, and a digest counts as no tag."""
    name, _, _ = image.partition("@")
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag or "latest"


def program(container: Object, env: Mapping[str, str]) -> Program:
    """What a container runs.

    Raises:
        NoImage: neither is the image built in, nor does the container say what to run.
    """
    image = container.get("image", "")
    command = [expand(word, env) for word in container.get("command") or ()]
    arguments = [expand(word, env) for word in container.get("args") or ()]
    repository, _ = split_image(image)
    name = repository.rpartition("/")[2]
    if command:
        return command_line(image, [*command, *arguments])
    if name in BUILT_IN:
        return built_in(image, BUILT_IN[name], arguments)
    raise NoImage(
        f'the sandbox has no images: give the container of "{image}" a command that this machine has, '
        "or use an image whose repository ends in /podinfo"
    )


def command_line(image: str, words: list[str]) -> Program:
    """A command line as the image understands it, in a container or in a probe."""
    name = split_image(image)[0].rpartition("/")[2]
    app = PROGRAMS.get(name, {}).get(PurePosixPath(words[0]).name)
    return built_in(image, app, words[1:]) if app else Program("", tuple(words), {})


def built_in(image: str, app: str, arguments: list[str]) -> Program:
    """A built-in app; the image's tag is its version."""
    if arguments and PurePosixPath(arguments[0]).name == app:
        arguments = arguments[1:]  # `args: ["./podinfo", …]`, as for an image without an entry point
    return Program(app, tuple(arguments), {"PODINFO_VERSION": split_image(image)[1]})
