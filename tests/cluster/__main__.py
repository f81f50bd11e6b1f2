"""A real Kubernetes to work against: `python3 tests/cluster up`, then down. Needs nothing but Python.

The door for people, `make` and the tests. Words for a person go to stderr, data to stdout; it ends with 1 when
something went wrong and with 2 when no cluster can be had here, which is no failure of a test.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import images
import node
import programs
from choose import Choice, Own, alone, choose, stop_ours
from place import Missing, Trouble


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start it, or find it running; killed parts are started again")
    up.add_argument("--json", action="store_true", help="print what there is as one JSON object")
    up.add_argument("--no-build", action="store_true", help="end with 2 instead of building for minutes")
    commands.add_parser("down", help="stop it and remove all that it made")
    commands.add_parser("status", help="what runs; ends with 1 when the cluster is not up")
    commands.add_parser("build", help="build Kubernetes' programs, if a node of our own is to be used")
    bring = commands.add_parser("import", help="bring the images of an archive to the node")
    bring.add_argument("archive", type=Path)
    bring.add_argument("--name", default="", help="for an OCI layout: what stands before its tags")
    image = commands.add_parser("image", help="make an image of a folder and bring it to the node")
    image.add_argument("name")
    image.add_argument("folder", type=Path)
    image.add_argument(
        "--config", type=json.loads, default={}, help='such as {"Entrypoint": ["/bin/server"]}'
    )
    trust = commands.add_parser("trust", help="pull from this registry: by http, or with the given CA")
    trust.add_argument("registry", help="such as 127.0.0.1:5000")
    trust.add_argument("--ca", default="")
    return parser


def _up(choice: Choice, arguments: argparse.Namespace) -> None:
    if arguments.no_build and isinstance(choice, Own) and not programs.is_built():
        raise Missing("Kubernetes is not built yet: `make cluster` builds it, 5 to 10 minutes, once.")
    was_up = choice.is_up()
    if not was_up:
        choice.up()
    if arguments.json:
        facts = {"kind": choice.name, "kubeconfig": choice.kubeconfig, "kubectl": choice.kubectl()}
        print(json.dumps(facts | {"started": not was_up}))
        return
    print(f"A cluster is up ({choice.name}). To use it, and to stop it:", file=sys.stderr)
    print(f"  export KUBECONFIG={choice.kubeconfig}")
    print(f"  {choice.kubectl()} get nodes")
    print("  make cluster-down", flush=True)


def _status(choice: Choice) -> int:
    if isinstance(choice, Own):
        node.print_status()
    up = choice.is_up()
    print(f"The cluster ({choice.name}) is {'up' if up else 'not up'}.", file=sys.stderr)
    return 0 if up else 1


def _image(choice: Choice, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "image.tar"
        images.pack(arguments.name, arguments.folder, arguments.config, archive)
        choice.bring(archive, "")


def _obey(arguments: argparse.Namespace) -> int:
    if arguments.command == "down":
        stop_ours()
        return 0
    choice = choose()
    match arguments.command:
        case "up":
            _up(choice, arguments)
        case "status":
            return _status(choice)
        case "build":
            if isinstance(choice, Own):
                programs.have()
        case "import":
            print("\n".join(choice.bring(arguments.archive, arguments.name)))
        case "image":
            _image(choice, arguments)
        case "trust":
            choice.trust(arguments.registry, arguments.ca)
    return 0


def main() -> int:
    arguments = _parser().parse_args()
    try:
        with alone():
            return _obey(arguments)
    except Trouble as e:
        print(e, file=sys.stderr)
        return e.code
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        return 130


sys.exit(main())
