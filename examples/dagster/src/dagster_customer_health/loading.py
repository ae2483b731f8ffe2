"""Asking a service while a code location loads: for a short time, and once; what does not answer holds up nothing.

A location has other assets than these. So a service that is down, slow or stuck costs its loading two seconds at most, in
each process and however many components there are; one that did not answer is not asked again. A run and its steps build the
definitions once more, and take what the location was told.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import dagster as dg
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType

from .service import HealthScoreClient, HealthScoreServiceResource, ServiceError

T = TypeVar("T")

_log = logging.getLogger("dagster.customer_health")

# How long one that answers may take for a component without it being held against the others'.
_FREE_SECONDS = 0.25
# Reasons that are about the component or the address in it; all others are about a service that may be another tomorrow.
_ABOUT_THE_COMPONENT = {"INVALID_COMPONENT", "DENIED", "MESSAGE_TOO_LARGE", "INVALID_TARGET"}


@dataclass
class _Memory:
    """What this process has waited for, who did not answer, and what it was told."""

    spent: float = 0
    unanswered: dict[tuple[str, str | None], ServiceError] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)


_memory = _Memory()


def forget() -> None:
    """Begins anew, as in a process of its own."""
    global _memory
    _memory = _Memory()


def once(asset: dg.AssetKey, find: Callable[[], str | None]) -> str | None:
    """What `find` gives, in the process that a code location loads in; in those of runs and steps, what it gave there."""
    context = DefinitionsLoadContext.get()
    name = f"dagster_customer_health/{asset.to_user_string()}"
    if context.load_type == DefinitionsLoadType.RECONSTRUCTION:
        found = context.reconstruction_metadata.get(name)
        if found is None and (found := _memory.told.get(name)) is not None:
            # A command that loads and runs by itself keeps nothing as a location does; its steps' processes want it too.
            context.add_to_pending_reconstruction_metadata(name, found)
        return found
    found = find()
    if found is not None:
        _memory.told[name] = found
        context.add_to_pending_reconstruction_metadata(name, found)
    return found


def ask(resource: HealthScoreServiceResource, allow: Sequence[str], file: str, question: Callable[[HealthScoreClient], T]) -> T | None:
    """The answer of a service, or none where it gave none in time, which is told as a warning.

    What it says of the component itself is raised, as is what is wrong with the address that it was given.
    """
    memory = _memory
    where = resource.target or resource.binary or "the local program"
    # Another token may be the right one.
    asked = (where, resource.token)
    if known := memory.unanswered.get(asked):
        _log.warning("%s was not validated: %s (not tried again)", file, known)
        return None
    started = time.monotonic()
    in_vain = False
    try:
        with resource.connect(allow, within=max(_FREE_SECONDS, resource.load_timeout_seconds - memory.spent)) as client:
            return question(client)
    except ServiceError as error:
        if error.reason in _ABOUT_THE_COMPONENT:
            raise
        in_vain = True
        memory.unanswered[asked] = error
        _log.warning("%s was not validated: %s", file, error)
        return None
    finally:
        # A program that is started here is as slow as this machine, and answers all the same.
        if in_vain or resource.target:
            memory.spent += max(0.0, time.monotonic() - started - _FREE_SECONDS)
