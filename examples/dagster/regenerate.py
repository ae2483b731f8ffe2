"""Writes the Python stubs of the gRPC contract into the package, or tells whether they are up to date.

    python regenerate.py            writes them
    python regenerate.py --check    fails where they differ from the contract

The compiler is grpcio-tools 1.67.1 on purpose: its code is for protobuf 5.27, which the runtimes 5 and 6 both take. A newer
compiler would write code that crashes with the protobuf that Dagster allows.
"""

import importlib.resources
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTO = HERE.parents[1] / "proto"
STUBS = HERE / "src" / "dagster_customer_health" / "_proto"


def generate() -> dict[str, str]:
    """The stubs by file name."""
    from grpc_tools import protoc

    files = sorted(path.relative_to(PROTO) for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        bundled = importlib.resources.files("grpc_tools") / "_proto"
        out = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        code = protoc.main(["protoc", f"-I{PROTO}", f"-I{bundled}", *out, *map(str, files)])
        if code != 0:
            raise SystemExit(f"protoc failed with {code}")
        stubs = {}
        for path in sorted(Path(folder).rglob("*.py*")):
            text = path.read_text()
            if path.name.endswith("_pb2_grpc.py") and "class " not in text.replace("class_", ""):
                continue  # a file without services
            # The package is not `customer_health`, and must not meet another package of that name.
            stubs[path.name] = re.sub(r"^from customer_health\.v1 import", "from . import", text, flags=re.M)
    stubs["__init__.py"] = '"""Generated from the gRPC contract by regenerate.py; do not edit."""\n'
    return stubs


def main(arguments: list[str]) -> int:
    stubs = generate()
    there = {path.name: path.read_text() for path in STUBS.glob("*.py*")}
    if "--check" in arguments:
        differing = sorted(name for name in stubs.keys() | there.keys() if stubs.get(name) != there.get(name))
        if differing:
            print(f"not up to date: {', '.join(differing)}; run python {Path(__file__).name}", file=sys.stderr)
        return 1 if differing else 0
    STUBS.mkdir(parents=True, exist_ok=True)
    for name in there.keys() - stubs.keys():
        (STUBS / name).unlink()
    for name, text in stubs.items():
        (STUBS / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
