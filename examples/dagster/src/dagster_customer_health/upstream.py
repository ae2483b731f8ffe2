"""Which files of the upstream assets belong to a run: those of the partitions that Dagster's asset graph maps to it, exactly.

The service reads one path for an input. Where several partitions belong to a run, that path is a folder of links to their
files, beside the tables and only as long as the run takes; files of an object store are read here and sent along.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from . import access, frames, partitions, paths, temporary

if TYPE_CHECKING:
    import pyarrow

_MOST_NAMED = 5


@dataclass(frozen=True)
class Upstream:
    """The upstream assets of a run of an asset, whose tables are files below one folder."""

    context: dg.AssetExecutionContext
    asset: dg.AssetKey
    base: str
    """Folder or URI of the tables, as the service is told it."""
    base_dir: str
    """Folder that a relative one starts from."""
    allow_missing: bool
    """Whether partitions that are not there are left out."""
    is_there: Callable[[str, str], bool] | None = None
    """Whether the service finds something at a path for an input, where files are read."""

    def read(self, name: str, asset: dg.AssetKey, part: partitions.Slice | None, opened: ExitStack) -> "str | pyarrow.Table":
        """What the input of this name is read from: a path for the service, or a table to send to it. `opened` tidies up."""
        theirs = self._partitions(asset)
        if isinstance(theirs, str):
            return self._unknown(name, asset, part)
        if theirs is None:
            return paths.table(self.base, asset.path)
        files = {key: self._file(asset, theirs, key) for key in self._keys(asset, theirs, part)}
        if not files:
            raise _not_found(f"{_place(name, asset)}: none of its partitions belongs to {part.key if part else 'the run'}")
        if len(files) == 1 and not self.allow_missing:
            return self._exactly(next(iter(files.values())))
        return self._together(name, asset, files, opened)

    def chosen(self, name: str, asset: dg.AssetKey, part: partitions.Slice | None, loaded: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of the partitions that an IO manager loaded for several of the run's, those of one."""
        theirs = self._partitions(asset)
        if theirs is None or isinstance(theirs, str):
            return loaded
        keys = self._keys(asset, theirs, part)
        if missing := [key for key in keys if key not in loaded]:
            if not self.allow_missing or len(missing) == len(keys):
                raise _not_found(f"{_place(name, asset)}: the IO manager gave no partition {_named(missing)}")
            self.context.log.warning(f"{_place(name, asset)}: the IO manager gave no partition {_named(missing)}: left out")
        return {key: loaded[key] for key in keys if key in loaded}

    # --- Which partitions ----------------------------------------------------------------------------------------------

    def _partitions(self, asset: dg.AssetKey) -> dg.PartitionsDefinition | None | str:
        """The asset's partitions, none where it has none, or a text where Dagster does not know the asset."""
        graph = self.context.job_def.asset_layer.asset_graph
        if not graph.has(asset) or graph.get(asset).assets_def.is_auto_created_stub:
            return "unknown"
        return graph.get(asset).partitions_def

    def _keys(self, asset: dg.AssetKey, theirs: dg.PartitionsDefinition, part: partitions.Slice | None) -> list[str]:
        """The asset's partitions that the run depends on, in their order."""
        own = self.context.assets_def.specs_by_key[self.asset].partitions_def
        mapping = self.context.assets_def.infer_partition_mapping(self.asset, asset, theirs)
        with dg.partition_loading_context(dynamic_partitions_store=self.context.instance):
            subset = own.subset_with_partition_keys([part.key]) if own and part else None
            try:
                found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, own, theirs)
            except dg.DagsterError as error:
                raise dg.Failure(
                    description=f"{_place('partitions', asset)} cannot be told from {part.key if part else 'the run'}: {error}\n"
                    "  hint: give both assets partitions of one kind, or name the file in `inputs`",
                    allow_retries=False,
                ) from error
            lacking = sorted(found.required_but_nonexistent_subset.get_partition_keys())
            keys = set(found.partitions_subset.get_partition_keys())
            if lacking and not self.allow_missing:
                raise _not_found(
                    f"asset `{asset.to_user_string()}` has no partition {_named(lacking)}, on which "
                    f"{part.key if part else 'the run'} depends\n"
                    "  hint: `allow_missing_partitions: true` leaves such partitions out"
                )
            if lacking:
                self.context.log.warning(f"asset `{asset.to_user_string()}` has no partition {_named(lacking)}: left out")
            ordered = [key for key in theirs.get_partition_keys() if key in keys] if len(keys) > 1 else list(keys)
        # A mapping may know of more than there is by now; that is for the files to tell.
        return ordered if len(ordered) == len(keys) else sorted(keys)

    def _unknown(self, name: str, asset: dg.AssetKey, part: partitions.Slice | None) -> str:
        """An asset that Dagster does not know: what is there tells whether it has partitions."""
        whole, folder = paths.table(self.base, asset.path), paths.folder(self.base, asset.path)
        here = self._here(folder)
        if part is None:
            return folder if here is not None and here.is_dir() else whole
        own = paths.table(self.base, asset.path, part.path)
        if here is not None:
            has_partitions, is_whole = here.is_dir(), here.with_name(here.name + paths.EXTENSION).is_file()
            return whole if is_whole and not has_partitions else self._exactly(own)
        own = self._exactly(own)
        there = self.is_there or (lambda name, path: True)
        return whole if not there(name, own) and there(name, whole) else own

    # --- Which files ---------------------------------------------------------------------------------------------------

    def _file(self, asset: dg.AssetKey, theirs: dg.PartitionsDefinition, key: str) -> str:
        try:
            return paths.table(self.base, asset.path, partitions.path_of(theirs, key))
        except paths.UnsafeKey as error:
            raise dg.Failure(description=f"{asset.to_user_string()}: {error}", allow_retries=False) from None

    def _here(self, path: str) -> Path | None:
        """Where a path is on this machine; none where it is elsewhere, as far as can be told."""
        if access.is_store(path):
            return None
        return access.local(path, self.base_dir) if access.local(self.base, self.base_dir).is_dir() else None

    def _exactly(self, path: str) -> str:
        if not paths.is_wild(path):
            return path
        here = self._here(path)
        return path if here is not None and here.exists() else paths.exactly(path)

    def _together(self, name: str, asset: dg.AssetKey, files: Mapping[str, str], opened: ExitStack) -> "str | pyarrow.Table":
        here = {key: self._here(path) for key, path in files.items()}
        if any(path is None for path in here.values()):
            return self._sent(name, asset, files)
        there = {key: path for key, path in here.items() if path.is_file()}  # type: ignore[union-attr]
        self._tell(name, asset, [key for key in files if key not in there], files)
        if len(there) == 1:
            (key,) = there
            return files[key]
        view = self._links(there, opened)  # type: ignore[arg-type]
        self.context.log.info(f"{_place(name, asset)}: {len(there)} partitions, {_span(list(there))}")
        return str(view)

    def _links(self, files: Mapping[str, Path], opened: ExitStack) -> Path:
        root = access.local(self.base, self.base_dir)
        view = temporary.folder(root.resolve(), ".partitions-", 0o755, opened)
        for number, (key, path) in enumerate(files.items()):
            # The key is for people who read a message about the file; the number alone tells files apart.
            readable = "".join(sign if sign.isalnum() or sign in "-:" else "-" for sign in key)[:60]
            os.symlink(path.resolve(), view / f"{number:06}.{readable}{paths.EXTENSION}")
        return view

    def _sent(self, name: str, asset: dg.AssetKey, files: Mapping[str, str]) -> "pyarrow.Table":
        """Files of an object store, or of another machine's disk, which this one may be able to read."""
        import pyarrow.parquet as pq
        from upath import UPath

        found: dict[str, Any] = {}
        for key, path in files.items():
            try:
                with UPath(path).open("rb") as file:
                    found[key] = pq.read_table(file)
            except FileNotFoundError:
                continue
            except (ImportError, OSError, ValueError) as error:
                raise dg.Failure(
                    description=f"{_place(name, asset)}: {len(files)} partitions belong to the run, and {path} cannot be read "
                    f"here to put them together: {error}",
                    allow_retries=isinstance(error, OSError),
                ) from error
        self._tell(name, asset, [key for key in files if key not in found], files)
        self.context.log.info(f"{_place(name, asset)}: {len(found)} partitions, {_span(list(found))}")
        try:
            return frames.to_arrow(found, lambda told: self.context.log.warning(f"{_place(name, asset)}: {told}"))
        except frames.FrameError as error:
            raise dg.Failure(f"{_place(name, asset)}: {error}", allow_retries=False) from error

    def _tell(self, name: str, asset: dg.AssetKey, missing: list[str], files: Mapping[str, str]) -> None:
        if not missing:
            return
        what = f"{_place(name, asset)}: there is nothing at {files[missing[0]]}; missing: {_named(missing)}"
        if not self.allow_missing:
            raise _not_found(f"{what}\n  hint: `allow_missing_partitions: true` leaves out partitions that are not there")
        if len(missing) == len(files):
            raise _not_found(f"{what}, which is all that belongs to the run")
        self.context.log.warning(f"{what}: left out")


def _not_found(message: str) -> dg.Failure:
    return dg.Failure(description=f"NOT_FOUND: {message}", metadata={"reason": "NOT_FOUND"}, allow_retries=False)


def _place(name: str, asset: dg.AssetKey) -> str:
    return f"input `{name}`, asset `{asset.to_user_string()}`"


def _named(keys: list[str]) -> str:
    more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
    return ", ".join(f"`{key}`" for key in keys[:_MOST_NAMED]) + more


def _span(keys: list[str]) -> str:
    return f"`{keys[0]}` to `{keys[-1]}`"
