"""A run of a part of the component's assets and checks: what was not selected is neither written nor told."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

import dagster as dg

from . import access, source, temporary


@dataclass(frozen=True)
class Selection:
    """What a run was asked for."""

    scores: bool
    fan_outs: Mapping[str, dg.AssetKey]
    """The tables beside the scores, by their name under `fan_out:`."""
    checks: frozenset[str]
    """Names of the checks, all of which are the scores'."""
    leaves_out: bool
    """Whether some table beside the scores was not asked for."""

    @classmethod
    def of(cls, context: dg.AssetExecutionContext, scores: dg.AssetKey, fan_outs: Mapping[str, dg.AssetKey]) -> "Selection":
        asked = context.selected_asset_keys
        chosen = {name: key for name, key in fan_outs.items() if key in asked}
        checks = frozenset(check.name for check in context.selected_asset_check_keys)
        return cls(scores in asked, chosen, checks, len(chosen) < len(fan_outs))

    def component(self, component: source.Source) -> source.Source:
        """The component without tables that were not asked for; those that were are asked for by the request."""
        return replace(component, text=source.read(component.text, 0, {"fan_out"})) if self.leaves_out else component

    def staged(self, context: dg.AssetExecutionContext, output: str, base_dir: str, opened: ExitStack) -> str:
        """Where scores go that nobody asked for, though the tables or checks that were asked for are made of them."""
        if access.is_store(output):
            raise dg.Failure(
                description=f"the tables and checks beside the scores are made of scores, and those cannot be set aside at {output}\n"
                "  hint: select the scores as well",
                allow_retries=False,
            )
        folder = access.local(output, base_dir).resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        aside = temporary.folder(folder, ".aside-", 0o777, opened)
        what = "tables" if self.fan_outs else "checks"
        context.log.warning(f"the {what} are of scores made anew from the inputs as they are now; the published scores stay as they are")
        return str(aside / "scores.parquet")

    def results(self, told: Iterator[dg.MaterializeResult], scores: dg.AssetKey) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """What is told of the assets and checks that were asked for."""
        for result in told:
            checks = [check for check in result.check_results or [] if check.check_name in self.checks]
            if result.asset_key != scores or self.scores:
                yield result._replace(check_results=checks)
            else:
                yield from checks
