"""One writer: `ledger_worker.py URL MODEL RUN...` reserves a version for each run and prints it."""

import sys

from ledger_support import open_ledger, reserve_version

from mmcicd_jenkins.errors import MmcicdError

if __name__ == "__main__":
    url, model, *runs = sys.argv[1:]
    try:
        for run in runs:
            print(reserve_version(open_ledger(url), model, run), flush=True)
    except MmcicdError as e:
        print(e.what, e.where, e.why, file=sys.stderr)
        sys.exit(e.exit_code)
