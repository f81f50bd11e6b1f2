"""Every benchmark, one after the other: one JSON file each in `benchmarks/results/` and a table at the end."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import SKIPPED

HERE = Path(__file__).parent
NOT_BENCHMARKS = {
    "__init__",
    "__main__",
    "harness",
    "peers",
    "long_history",
    "many_models",
    "standin",
    "cluster_stand",
    "deploying",
    "deploy_typed",
    "push_ours",
    "pushing",
}


def main() -> int:
    smoke = "--smoke" in sys.argv
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    rows = [("BENCHMARK", "OURS", "PEER", "RATIO", "GOAL", "MEMORY", "MET")]
    broken, skipped = [], []
    for name in sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS):
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--smoke"] if smoke else [])]
        done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            (skipped if done.returncode == SKIPPED else broken).append(name)
            continue
        result = json.loads(done.stdout)
        (results / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
        rows.append(row(result))
        rows.extend(row({**result, **other}) for other in result.get("others", ()))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for one in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(one, widths, strict=True)).rstrip())
    for name in skipped:
        print(f"{name} was skipped, it says why above", file=sys.stderr)
    for name in broken:
        print(f"{name} did not run", file=sys.stderr)
    return 1 if broken else 0


def row(result: dict) -> tuple[str, ...]:
    ours, peer = result["ours"], result["peer"]
    return (
        result["name"],
        f"{ours['median_s']:.3f} s",
        f"{peer['median_s']:.3f} s ({peer['name']})",
        f"{result['ratio']:.2f}",
        str(result["goal"]),
        f"{ours['peak_rss_mb']:.0f} MB",
        "yes" if result["met"] else "missed",
    )


if __name__ == "__main__":
    sys.exit(main())
