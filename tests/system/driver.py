"""One command on a paper repository, in a process of its own so that it can be killed: `driver.py ROOT COMMAND`.

The stages, the store, the ledger and git are the real ones; only the server is a file. With PAPER_SHARED set it works on
what the configuration shares.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from paper import on_paper

from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.stages import ROAD, run_stage
from mmcicd_jenkins.wiring import open_bench


def main(root, command):
    bench = open_bench(Path(root), shared="PAPER_SHARED" in os.environ)
    ports = on_paper(bench)
    if command == "road":
        outcomes = []
        for name in ROAD:
            outcomes.append(run_stage(name, bench.job("double"), ports))
            if outcomes[-1].exit_code:
                break
    else:
        outcomes = [run_stage(command, bench.job("double", reason="because"), ports)]
    print(json.dumps([outcome.to_json() for outcome in outcomes]))
    return outcomes[-1].exit_code


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except MmcicdError as e:
        print(json.dumps(e.to_json()), file=sys.stderr)
        sys.exit(e.exit_code)
